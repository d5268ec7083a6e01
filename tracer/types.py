"""Types of values in a graph: a dtype and a shape, nothing else. Promotion is NumPy's own (NEP
50).

bfloat16 is a dtype that the package ml_dtypes adds to NumPy, which knows nothing of it but its size
and its loops: `kind` is "V". So `kind_of` says here what a dtype's kind is. ml_dtypes is not
imported for that: who has such an array has imported it.
"""

from __future__ import annotations

import functools
import re
from typing import Any, NamedTuple

import numpy as np

from tracer.errors import AxisError, DTypeError, GraphError, ShapeError

Shape = tuple[int, ...]
DType = np.dtype[Any]

SHORT_NAMES = {
    "bool": "bool",
    "int8": "i8",
    "int16": "i16",
    "int32": "i32",
    "int64": "i64",
    "uint8": "u8",
    "uint16": "u16",
    "uint32": "u32",
    "uint64": "u64",
    "float16": "f16",
    "bfloat16": "bf16",
    "float32": "f32",
    "float64": "f64",
    "complex64": "c64",
    "complex128": "c128",
}
BRAIN = "bfloat16"
INEXACT = "fcV"
"""The kinds of dtypes that have derivatives, of those that traced arrays may have: bfloat16's is V
to NumPy."""
SUPPORTED = frozenset(np.dtype(name) for name in SHORT_NAMES if name != BRAIN)
LONG_NAMES = {short: long for long, short in SHORT_NAMES.items()}

FLOAT32 = np.dtype(np.float32)
FLOAT64 = np.dtype(np.float64)
INT64 = np.dtype(np.int64)
BOOL = np.dtype(np.bool_)

PYTHON_SCALARS: dict[type, DType] = {
    bool: BOOL,
    int: INT64,
    float: FLOAT64,
    complex: np.dtype(np.complex128),
}

# The length of a tape whose length only the run knows. Only loops make and take such types.
RAGGED = -1


class ArrayType(NamedTuple):
    """The type of an array: `dtype` and `shape`. Prints as `f64[100,3]`."""

    dtype: DType
    shape: Shape

    def __str__(self) -> str:
        name = SHORT_NAMES.get(self.dtype.name, self.dtype.name)
        return f"{name}[{','.join('?' if n == RAGGED else str(n) for n in self.shape)}]"

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        count = 1
        for extent in self.shape:
            count *= extent
        return count


def parse_type(text: str) -> ArrayType:
    """The type that prints as `text`."""
    match = re.fullmatch(r"(\w+)\[([\d,?]*)\]", text.strip())
    if match is None or match[1] not in LONG_NAMES:
        raise GraphError(f"'{text}' is not a type; a type reads like f64[100,3]")
    extents = [part for part in match[2].split(",") if part]
    shape = tuple(RAGGED if part == "?" else int(part) for part in extents)
    return ArrayType(dtype_called(LONG_NAMES[match[1]]), shape)


def dtype_called(text: str) -> DType:
    """The dtype of that name, or of the text that `dtype_text` gave; for bfloat16 ml_dtypes is
    imported, and ImportError raised where it is missing.
    """
    if text == BRAIN:
        try:
            import ml_dtypes
        except ImportError as error:
            raise ImportError(
                "arrays of bfloat16 need the package ml_dtypes: pip install 'tracer-ad[bfloat16]'"
            ) from error
        brain: DType = np.dtype(ml_dtypes.bfloat16)
        return brain
    return np.dtype(text)


def dtype_text(dtype: DType) -> str:
    """A text that tells the dtype from all others: `dtype.str`, but for bfloat16."""
    return BRAIN if is_brain(dtype) else dtype.str


def is_brain(dtype: DType) -> bool:
    """Whether `dtype` is bfloat16."""
    return dtype.kind == "V" and dtype.name == BRAIN


def is_half(dtype: DType) -> bool:
    """Whether `dtype` is float16 or bfloat16, which are computed in float32."""
    return dtype.itemsize == 2 and kind_of(dtype) == "f"


def epsilon_of(dtype: DType) -> float:
    """The distance from 1 to the next number of a floating dtype."""
    return 2.0**-7 if is_brain(dtype) else float(np.finfo(dtype).eps)


def kind_of(dtype: DType) -> str:
    """`dtype.kind`, and "f" for bfloat16."""
    kind = dtype.kind
    return "f" if kind == "V" and is_brain(dtype) else kind


def check_dtype(dtype: DType) -> DType:
    """`dtype` itself, if traced arrays may have it."""
    if dtype in SUPPORTED:
        return dtype
    if dtype.name not in SHORT_NAMES or not dtype.isnative:
        names = ", ".join(SHORT_NAMES)
        raise DTypeError(f"dtype {dtype!r} is not supported in traced code; use one of {names}")
    return dtype


def is_inexact(dtype: DType) -> bool:
    """Whether values of `dtype` have derivatives (floating or complex)."""
    return kind_of(dtype) in "fc"


def is_complex(dtype: DType) -> bool:
    """Whether `dtype` is complex."""
    return dtype.kind == "c"


@functools.cache
def real_dtype(dtype: DType) -> DType:
    """The dtype of the real part."""
    return np.dtype(np.zeros((), dtype).real.dtype)


@functools.cache
def complex_dtype(dtype: DType) -> DType:
    """The complex dtype whose parts have `dtype`."""
    return np.result_type(dtype, np.complex64)


@functools.cache
def resolve_ufunc(ufunc: np.ufunc, keys: tuple[DType | type, ...]) -> tuple[DType, ...]:
    """The dtypes of the loop that NumPy would run: those of the inputs, then of the outputs.

    A key is a dtype, or `int`, `float`, `complex` for a weak Python scalar.
    """
    if all(isinstance(key, type) for key in keys):  # NumPy would compare two Python ints as objects
        keys = tuple(PYTHON_SCALARS[key] for key in keys if isinstance(key, type))
    request = tuple(BOOL if key is bool else key for key in keys) + (None,) * ufunc.nout
    try:
        return ufunc.resolve_dtypes(request)
    except TypeError as error:
        names = ", ".join(str(getattr(key, "__name__", key)) for key in keys)
        raise DTypeError(f"{ufunc.__name__} does not take operands of dtype {names}") from error


@functools.lru_cache(maxsize=65536)
def broadcast_shapes(*shapes: Shape) -> Shape:
    """NumPy's broadcast of shapes; `ShapeError` where they do not fit."""
    result = shapes[0]
    for shape in shapes[1:]:
        if shape != result:
            result = _broadcast_pair(result, shape, shapes)
    return result


def _broadcast_pair(first: Shape, second: Shape, everything: tuple[Shape, ...]) -> Shape:
    length = max(len(first), len(second))
    padded_first = (1,) * (length - len(first)) + first
    padded_second = (1,) * (length - len(second)) + second
    result = []
    for a, b in zip(padded_first, padded_second, strict=True):
        if a != b and a != 1 and b != 1:
            raise ShapeError(
                "operands could not be broadcast together with shapes "
                + " ".join(str(shape) for shape in everything)
            )
        result.append(b if a == 1 else a)
    return tuple(result)


def normalize_axis(axis: int, ndim: int) -> int:
    """`axis` counted from the front; `AxisError` outside of the dimensions."""
    position = int(axis)
    if not -ndim <= position < ndim:
        raise AxisError(f"axis {position} is out of bounds for array of dimension {ndim}")
    return position % ndim if ndim else 0
