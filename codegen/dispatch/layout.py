"""Where CPython and NumPy keep what native entries read, found out by looking at known objects.

Nothing here is trusted: each offset is the one that today's headers give, and is compared at import
with what Python itself says about a set of objects chosen to tell fields apart. The first surprise
raises `UnexpectedLayoutError`, and calls then go through Python (`codegen.dispatch.python_entry`).
"""

from __future__ import annotations

import ctypes
import functools
import os
import struct
import sys
import sysconfig
from dataclasses import dataclass
from typing import Any

import numpy as np

REFCOUNT = 0
TYPE = 8
SIZE = 16  # ob_size of tuples and lists
TUPLE_ITEMS = 24
LIST_ITEMS = 24  # pointer to the items
SCALAR_VALUE = 16  # Python float and complex, every NumPy scalar
ARRAY_DATA = 16
ARRAY_NDIM = 24
ARRAY_SHAPE = 32
ARRAY_STRIDES = 40
ARRAY_DTYPE = 56
ARRAY_FLAGS = 64
DTYPE_BYTE_ORDER = 26
DTYPE_NUMBER = 28

FLAG_C_CONTIGUOUS = 0x0001
FLAG_ALIGNED = 0x0100
FLAG_WRITEABLE = 0x0400
SWAPPED = ">" if sys.byteorder == "little" else "<"

SCALAR_CLASSES: tuple[type[np.generic], ...] = tuple(
    dict.fromkeys(np.dtype(code).type for code in "?bBhHiIlLqQefdFD")
)


class UnexpectedLayoutError(RuntimeError):
    """This interpreter or NumPy keeps its objects in another way than native entries expect."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What differs between the interpreters that native entries serve."""

    inline_refcounts: bool
    """Reference counts are plain words at offset 0; else they are moved by calls."""


def _expect(condition: bool, what: str) -> None:
    if not condition:
        raise UnexpectedLayoutError(f"unexpected layout: {what}")


def _read(kind: Any, address: int) -> int:
    value: int = kind.from_address(address).value
    return value


def _pointer(address: int) -> int:
    return _read(ctypes.c_void_p, address) or 0


def _words(address: int, count: int) -> tuple[int, ...]:
    """Words behind what may be no pointer: the system copies them, or says that it cannot."""
    if count == 0:
        return ()
    source, sink = os.pipe()
    try:
        _expect(_write(sink, address, 8 * count) == 8 * count, "no memory behind a pointer")
        return struct.unpack(f"{count}q", os.read(source, 8 * count))
    finally:
        os.close(source)
        os.close(sink)


def _write(file: int, address: int, size: int) -> int:
    write = ctypes.CDLL(None).write
    write.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t]
    write.restype = ctypes.c_ssize_t
    count: int = write(file, address, size)
    return count


def _probe_platform() -> None:
    _expect(sys.implementation.name == "cpython", "not CPython")
    _expect(os.name == "posix", "a system on which entries were never tested")
    _expect(ctypes.sizeof(ctypes.c_void_p) == 8, "pointers are not 64 bits wide")
    _expect(not sysconfig.get_config_var("Py_GIL_DISABLED"), "an interpreter without the GIL")
    _expect(not hasattr(sys, "getobjects"), "an interpreter that traces references")


def _probe_refcounts() -> bool:
    """Whether the count is a plain word that moves by one for each reference."""
    if sys.version_info >= (3, 12):
        return False
    probe = object()
    before = _read(ctypes.c_ssize_t, id(probe) + REFCOUNT)
    held = [probe] * 7
    moved = _read(ctypes.c_ssize_t, id(probe) + REFCOUNT) - before
    told = sys.getrefcount(probe) - 1
    return moved == len(held) and told == before + moved


def _probe_types() -> None:
    for probe in (object(), 1.5, 3, True, (), [], {}, "text", np.zeros(2), np.float64(1)):
        _expect(_pointer(id(probe) + TYPE) == id(type(probe)), "type of an object")


def _probe_containers() -> None:
    items: list[object] = ["first", 2.5, object(), (), []]
    for count in range(len(items) + 1):
        row, column = tuple(items[:count]), list(items[:count])
        for probe in (row, column):
            _expect(_read(ctypes.c_ssize_t, id(probe) + SIZE) == count, "length of a sequence")
        wanted = tuple(map(id, row))
        _expect(_words(id(row) + TUPLE_ITEMS, count) == wanted, "items of a tuple")
        _expect(_words(_pointer(id(column) + LIST_ITEMS), count) == wanted, "items of a list")


def _probe_scalars() -> None:
    address = id(number := -1234.5678) + SCALAR_VALUE
    _expect(ctypes.c_double.from_address(address).value == number, "value of a float")
    pair = complex(2.25, -7.5)
    stored = tuple((ctypes.c_double * 2).from_address(id(pair) + SCALAR_VALUE))
    _expect(stored == (pair.real, pair.imag), "value of a complex")
    for kind in SCALAR_CLASSES:
        for value in (0, 1, 93):
            scalar = np.dtype(kind).type(value)
            stored_bytes = ctypes.string_at(id(scalar) + SCALAR_VALUE, scalar.nbytes)
            _expect(stored_bytes == scalar.tobytes(), f"value of a {kind.__name__}")


@functools.cache
def is_scalar_plain(kind: type) -> bool:
    """Whether scalars of a class hold their value where NumPy's own do. ml_dtypes' bfloat16 is a
    class of another package's.
    """
    if not issubclass(kind, np.generic) or kind in SCALAR_CLASSES:
        return True
    scalar: Any = kind(1.5)
    stored: bytes = ctypes.string_at(id(scalar) + SCALAR_VALUE, scalar.nbytes)
    return bool(kind.__basicsize__ >= SCALAR_VALUE + scalar.nbytes and stored == scalar.tobytes())


def _array_samples() -> list[np.ndarray[Any, Any]]:
    cube = np.arange(24.0).reshape(2, 3, 4)
    frozen = np.arange(5)
    frozen.flags.writeable = False
    crooked = np.frombuffer(bytearray(33), dtype=np.uint8)[1:].view(np.float64)
    samples = [cube, cube.T, cube[:, ::2, 1:], cube[1, 1, 1:2], frozen, crooked]
    samples += [np.zeros(()), np.zeros((0, 3), np.int8), np.asfortranarray(cube)]
    samples += [np.ones(3, np.dtype(np.float32).newbyteorder()), np.zeros((1,) * 7, np.bool_)]
    return samples


def _probe_arrays() -> None:
    for array in _array_samples():
        address, ndim = id(array), array.ndim
        _expect(_pointer(address + ARRAY_DATA) == array.ctypes.data, "data of an array")
        _expect(_read(ctypes.c_int, address + ARRAY_NDIM) == ndim, "ndim of an array")
        shape = _words(_pointer(address + ARRAY_SHAPE), ndim)
        _expect(shape == array.shape, "shape of an array")
        strides = _words(_pointer(address + ARRAY_STRIDES), ndim)
        _expect(strides == array.strides, "strides of an array")
        _expect(_pointer(address + ARRAY_DTYPE) == id(array.dtype), "dtype of an array")
        flags = _read(ctypes.c_int, address + ARRAY_FLAGS)
        _expect(flags == array.flags.num, "flags of an array")
        for flag, said in (
            (FLAG_C_CONTIGUOUS, array.flags.c_contiguous),
            (FLAG_ALIGNED, array.flags.aligned),
            (FLAG_WRITEABLE, array.flags.writeable),
        ):
            _expect(bool(flags & flag) == said, "meaning of an array's flags")


def _probe_dtypes() -> None:
    for code in "?bBhHiIlLqQefdFD":
        dtype = np.dtype(code)
        _expect(np.zeros(1, dtype).dtype is dtype, "one object for each built-in dtype")
        for probe in (dtype, dtype.newbyteorder()):
            _expect(_read(ctypes.c_int, id(probe) + DTYPE_NUMBER) == probe.num, "number of a dtype")
            order = ctypes.string_at(id(probe) + DTYPE_BYTE_ORDER, 1).decode("latin-1")
            _expect((order == SWAPPED) == (not probe.isnative), "byte order of a dtype")


def probe() -> Layout:
    """Compare every offset with what Python says; raises UnexpectedLayoutError at a surprise."""
    _probe_platform()
    _probe_types()
    _probe_containers()
    _probe_scalars()
    _probe_arrays()
    _probe_dtypes()
    return Layout(inline_refcounts=_probe_refcounts())
