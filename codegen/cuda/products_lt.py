"""Products with a bias and relu in one pass, by cuBLASLt, for which CuPy has no names.

cuBLASLt is the half of cuBLAS that its wheel brings along, and takes a handle of cuBLAS as its own.
What a product is lies in structures of known size in the host's memory, and the algorithm is asked
for once for each product of other sizes, layout or alignment: `Plan`. So a call allocates what
memory its algorithm works in, from CuPy's pool, and nothing else.

Matrices are column-major. A bias has an element for each row, and so of the transposes, which are
the matrices in C order, one for each column.

What relu makes of NaN the library does not say, and NumPy keeps it. So a plan with relu runs first
with a factor of NaN, and looks; where NaN is lost, or nobody can look since a graph is captured,
relu is left to the caller.
"""

from __future__ import annotations

import ctypes
import importlib
import threading
from typing import Any, NamedTuple

import numpy as np

from codegen.cuda.operands import COMPUTE_CODES, TYPE_CODES, Operand, Sizes

RELEASE = 13
"""The library's major version, whose structures have the sizes below."""
WORKSPACE = 32 * 1024 * 1024
"""Bytes that an algorithm may work in: what NVIDIA recommends for compute capability 9.0."""
WIDEST = 256
"""The alignment of addresses, in bytes, beyond which nothing depends on it."""
DESC_WORDS, LAYOUT_WORDS, ALGORITHM_WORDS = 32, 8, 8
"""Sizes of the library's structures in 64-bit words."""
TRANSPOSE_A, TRANSPOSE_B, EPILOGUE, BIAS = 3, 4, 7, 8
"""Attributes of a product: int32, int32, uint32, an address."""
COUNT, STRIDE = 5, 6
"""Attributes of matrices: int32, int64."""
MOST_WORKSPACE, ALIGNMENTS = 1, (5, 6, 7, 8)
"""Attributes of a preference: a size, and uint32 for A, B, C and D."""
PLAIN, RELU_BIT, BIAS_BIT = 1, 2, 4
"""Epilogues: RELU is 2, BIAS is 4, both are 6."""


class Heuristic(ctypes.Structure):
    """An algorithm that the library proposes."""

    _fields_ = (
        ("algorithm", ctypes.c_uint64 * ALGORITHM_WORDS),
        ("workspace", ctypes.c_size_t),
        ("state", ctypes.c_int),
        ("waves", ctypes.c_float),
        ("reserved", ctypes.c_int * 4),
    )


class Shape(NamedTuple):
    """What a plan is for: matrices as `Routines.gemm` has them, but for their addresses, of which
    `alignments` is known: of left, right, result and bias, 0 where there is no bias."""

    device: int
    dtype: str
    sizes: Sizes
    matrices: int
    layouts: tuple[tuple[int, int, bool], ...]
    alignments: tuple[int, ...]
    relu: bool


class Plan:
    """One product's structures and algorithm. `lock` is held while the bias' address is in use;
    `keeps_nan` is None until somebody has looked."""

    def __init__(self) -> None:
        self.desc = (ctypes.c_uint64 * DESC_WORDS)()
        self.left, self.right, self.result = ((ctypes.c_uint64 * LAYOUT_WORDS)() for _ in range(3))
        self.found = Heuristic()
        self.lock = threading.Lock()
        self.keeps_nan: bool | None = None


class LtError(Exception):
    """A status of the library's that is not success."""


class LtProducts:
    """cuBLASLt, by ctypes. `library` is the loaded library."""

    def __init__(self, cupy: Any, library: Any) -> None:
        self.cupy = cupy
        self.library = library
        self.plans: dict[Shape, Plan | None] = {}

    def multiply(
        self,
        handle: int,
        sizes: Sizes,
        left: Operand,
        right: Operand,
        result: Operand,
        count: int,
        bias: Any | None,
        relu: bool,
    ) -> tuple[bool, bool] | None:
        """result = left·right + bias for `count` matrices, and relu of it: whether that was asked
        for and done, of the bias and of relu. None, and nothing done, where the library has no
        algorithm for that."""
        row = 0 if bias is None else int(bias.data.ptr)
        places = [int(part.array.data.ptr) for part in (left, right, result)]
        shape = Shape(
            int(self.cupy.cuda.runtime.getDevice()),
            result.array.dtype.str[1:],
            sizes,
            count,
            tuple((part.leading, part.stride, part.transposed) for part in (left, right, result)),
            tuple(alignment(place) for place in (*places, row)),
            relu,
        )
        plan = self.plan(handle, shape, row)
        try:
            if plan is not None and relu:
                if plan.keeps_nan is None and not self._captures():
                    self._run(handle, shape, plan, places, row, np.nan)
                    plan.keeps_nan = bool(self.cupy.isnan(result.array).all())
                if not plan.keeps_nan:
                    plan = None
            if plan is None and relu and row:
                shape = shape._replace(relu=False)
                plan = self.plan(handle, shape, row)
            if plan is None:
                return None
            self._run(handle, shape, plan, places, row)
        except LtError:
            self.plans[shape] = None
            return None
        return bool(row), shape.relu

    def plan(self, handle: int, shape: Shape, row: int) -> Plan | None:
        """The plan of a product; None where there is no algorithm for it."""
        if shape not in self.plans:
            try:
                self.plans[shape] = self._made(handle, shape, row)
            except LtError:
                self.plans[shape] = None
        return self.plans[shape]

    def _made(self, handle: int, shape: Shape, row: int) -> Plan:
        plan, (rows, columns, depth) = Plan(), shape.sizes
        scalar = _scalar(shape.dtype)
        compute, scale = COMPUTE_CODES[shape.dtype], TYPE_CODES[scalar.str[1:]]
        self._ask("MatmulDescInit_internal", plan.desc, _size(plan.desc), compute, scale)
        first, second, written = shape.layouts
        epilogue = RELU_BIT * shape.relu + BIAS_BIT * bool(row) or PLAIN
        self._describe(plan, TRANSPOSE_A, ctypes.c_int32(first[2]))
        self._describe(plan, TRANSPOSE_B, ctypes.c_int32(second[2]))
        self._describe(plan, EPILOGUE, ctypes.c_uint32(epilogue))
        if row:  # its alignment matters
            self._describe(plan, BIAS, ctypes.c_void_p(row))
        kind = TYPE_CODES[shape.dtype]
        for layout, (leading, stride, transposed), high, wide in (
            (plan.left, first, rows, depth),
            (plan.right, second, depth, columns),
            (plan.result, written, rows, columns),
        ):
            if transposed:
                high, wide = wide, high
            extents = ctypes.c_uint64(high), ctypes.c_uint64(wide), ctypes.c_int64(leading)
            self._ask("MatrixLayoutInit_internal", layout, _size(layout), kind, *extents)
            if shape.matrices > 1:
                set_layout = "MatrixLayoutSetAttribute"
                self._set(set_layout, layout, COUNT, ctypes.c_int32(shape.matrices))
                self._set(set_layout, layout, STRIDE, ctypes.c_int64(stride))
        self._choose(handle, shape, plan)
        return plan

    def _choose(self, handle: int, shape: Shape, plan: Plan) -> None:
        """The library's first proposal."""
        preference, found = (ctypes.c_uint64 * LAYOUT_WORDS)(), ctypes.c_int(0)
        self._ask("MatmulPreferenceInit_internal", preference, _size(preference))
        prefer = "MatmulPreferenceSetAttribute"
        self._set(prefer, preference, MOST_WORKSPACE, ctypes.c_size_t(WORKSPACE))
        left, right, result, _ = shape.alignments
        for attribute, bytes_apart in zip(ALIGNMENTS, (left, right, result, result), strict=True):
            self._set(prefer, preference, attribute, ctypes.c_uint32(bytes_apart))
        self._ask(
            "MatmulAlgoGetHeuristic",
            ctypes.c_void_p(handle),
            plan.desc,
            plan.left,
            plan.right,
            plan.result,
            plan.result,
            preference,
            1,
            ctypes.byref(plan.found),
            ctypes.byref(found),
        )
        if found.value < 1 or plan.found.state:
            raise LtError("no algorithm")

    def _run(
        self,
        handle: int,
        shape: Shape,
        plan: Plan,
        places: list[int],
        row: int,
        factor: float = 1.0,
    ) -> None:
        left, right, result = (ctypes.c_void_p(place) for place in places)
        scalar = _scalar(shape.dtype)
        one, zero = np.full((), factor, scalar), np.zeros((), scalar)
        size = int(plan.found.workspace)
        work = self.cupy.empty(size, np.uint8) if size else None
        memory = ctypes.c_void_p(0 if work is None else int(work.data.ptr))
        stream = ctypes.c_void_p(int(self.cupy.cuda.get_current_stream().ptr))
        with plan.lock:
            if row:
                self._describe(plan, BIAS, ctypes.c_void_p(row))
            self._ask(
                "Matmul",
                ctypes.c_void_p(handle),
                plan.desc,
                ctypes.c_void_p(one.ctypes.data),
                *(left, plan.left, right, plan.right),
                ctypes.c_void_p(zero.ctypes.data),
                *(result, plan.result, result, plan.result),
                plan.found.algorithm,
                *(memory, ctypes.c_size_t(size), stream),
            )

    def _captures(self) -> bool:
        """Whether what is asked for now becomes part of a graph, and does not run."""
        return bool(self.cupy.cuda.get_current_stream().is_capturing())

    def _describe(self, plan: Plan, attribute: int, value: Any) -> None:
        self._set("MatmulDescSetAttribute", plan.desc, attribute, value)

    def _set(self, name: str, structure: Any, attribute: int, value: Any) -> None:
        self._ask(name, structure, attribute, ctypes.byref(value), _size(value))

    def _ask(self, name: str, *arguments: Any) -> None:
        status = getattr(self.library, f"cublasLt{name}")(*arguments)
        if status:
            raise LtError(f"cublasLt{name} gives status {status}")


def alignment(address: int) -> int:
    """The largest power of two up to `WIDEST` that divides an address; 0 for none."""
    return min(address & -address, WIDEST)


def _scalar(dtype: str) -> np.dtype[Any]:
    """The dtype of factors, in which sums are computed."""
    return np.dtype(np.float64 if dtype == "f8" else np.float32)


def _size(structure: Any) -> ctypes.c_size_t:
    return ctypes.c_size_t(ctypes.sizeof(structure))


def find_library() -> Any | None:
    """cuBLASLt, where there is one with structures as above."""
    try:
        pathfinder = importlib.import_module("cuda.pathfinder")
        library = ctypes.CDLL(pathfinder.load_nvidia_dynamic_lib("cublasLt").abs_path)
        library.cublasLtGetVersion.restype = ctypes.c_size_t
        release = int(library.cublasLtGetVersion()) // 10_000
    except (ImportError, OSError, RuntimeError, AttributeError):
        return None
    return library if release == RELEASE else None
