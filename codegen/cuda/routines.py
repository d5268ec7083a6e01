"""The routines of cuBLAS and cuSOLVER that programs need, as one object; CuPy knows the libraries.

Arrays are the memory of column-major matrices that fill them, as LAPACK's are: whoever calls
decides what that means for C order. All is asked for on the current stream, and nothing waits but
`geev`, part of which runs on the host. Workspace comes from CuPy's pool.
"""

from __future__ import annotations

import importlib
from typing import Any, Protocol

import numpy as np

from codegen.cuda.operands import COMPUTE_CODES, TYPE_CODES, Operand
from codegen.cuda.products_lt import LtProducts, find_library
from kernels.lapack import prefix_of

DEFAULT_ALGORITHM = -1
OPERATIONS = {"N": 0, "T": 1, "C": 2}
SIDES = {"L": 0, "R": 1}
TRIANGLES = {"L": 0, "U": 1}
DIAGONALS = {"N": 0, "U": 1}


class Routines(Protocol):
    """What the mapping of calls asks for: `CudaRoutines`, or a stand-in for tests.

    Names, orders and letters are LAPACK's. Sizes that arrays tell by themselves are not passed:
    leading dimensions are those of full matrices, and workspace is the routine's own affair.
    """

    def gemm(
        self,
        sizes: tuple[int, int, int],
        left: Operand,
        right: Operand,
        result: Operand,
        count: int,
    ) -> None:
        """result = left·right for `count` matrices."""

    def gemm_epilogue(
        self,
        sizes: tuple[int, int, int],
        left: Operand,
        right: Operand,
        result: Operand,
        count: int,
        bias: Any | None,
        relu: bool,
    ) -> tuple[bool, bool] | None:
        """`gemm`, then each element of `bias`, if there is one, is added to a row, then what is
        below 0 becomes 0 if `relu` says so: whether a bias was added, and whether relu was taken.
        None where nothing was done."""

    def trsm(self, flags: str, rows: int, columns: int, alpha: Any, a: Any, b: Any) -> None:
        """B = alpha·op(A)⁻¹·B, or B·op(A)⁻¹; `flags` are side, triangle, operation, diagonal."""

    def potrf(self, triangle: str, size: int, a: Any, info: Any) -> None:
        """Cholesky's factor in the place of A's triangle; the other one stays."""

    def getrf(self, rows: int, columns: int, a: Any, pivots: Any, info: Any) -> None:
        """L and U in A's place; int32 pivots from 1 on."""

    def trsm_stack(
        self, flags: str, rows: int, columns: int, alpha: Any, a: Any, b: Any, count: int
    ) -> None:
        """`trsm` for `count` matrices, one behind the other."""

    def potrf_stack(self, triangle: str, size: int, a: Any, info: Any, count: int) -> None:
        """`potrf` for them."""

    def getrf_stack(self, size: int, a: Any, pivots: Any, info: Any, count: int) -> None:
        """`getrf` for square ones."""

    def geqrf(self, rows: int, columns: int, a: Any, scales: Any, info: Any) -> None:
        """R and reflections in A's place."""

    def orgqr(self, rows: int, columns: int, count: int, a: Any, scales: Any, info: Any) -> None:
        """Q from reflections, in their place."""

    def gesvd(
        self, job: str, rows: int, columns: int, a: Any, values: Any, u: Any, vt: Any, info: Any
    ) -> None:
        """Singular values, and vectors as job "A", "S" or "N" says; rows ≥ columns. A is lost."""

    def syevd(self, job: str, triangle: str, size: int, a: Any, values: Any, info: Any) -> None:
        """Eigenvalues in rising order; with job "V" the vectors take A's place."""

    def geev(self, job: str, size: int, a: Any, values: Any, right: Any, info: Any) -> None:
        """Complex eigenvalues, and with job "V" right vectors, of real A in pairs as LAPACK's."""


class CudaRoutines:
    """cuBLAS and cuSOLVER on the current device and stream."""

    def __init__(self) -> None:
        self.cupy = importlib.import_module("cupy")
        self.device = importlib.import_module("cupy.cuda.device")
        self.cublas = importlib.import_module("cupy_backends.cuda.libs.cublas")
        self.cusolver = importlib.import_module("cupy_backends.cuda.libs.cusolver")
        library = find_library()
        self.products = None if library is None else LtProducts(self.cupy, library)

    def _solver(self, array: Any, routine: str) -> tuple[Any, Any, int]:
        """A routine, what asks for the size of its workspace, and the library's handle."""
        name = prefix_of(array.dtype) + routine
        size = getattr(self.cusolver, f"{name}_bufferSize")
        return getattr(self.cusolver, name), size, self.device.get_cusolver_handle()

    def _workspace(self, dtype: Any, size: int) -> Any:
        return self.cupy.empty(max(size, 1), dtype)

    def gemm(
        self,
        sizes: tuple[int, int, int],
        left: Operand,
        right: Operand,
        result: Operand,
        count: int,
    ) -> None:
        """`Routines.gemm`."""
        code = result.array.dtype.str[1:]
        scalar = np.dtype(np.float32) if code in ("f2", "V2") else result.array.dtype
        one, zero, kind = np.ones((), scalar), np.zeros((), scalar), TYPE_CODES[code]
        source = TYPE_CODES[left.array.dtype.str[1:]]  # float32 may be of float16 or bfloat16
        rows, columns, depth = sizes
        self.cublas.gemmStridedBatchedEx(
            self.device.get_cublas_handle(),
            int(left.transposed),
            int(right.transposed),
            rows,
            columns,
            depth,
            one.ctypes.data,
            *(left.array.data.ptr, source, left.leading, left.stride),
            *(right.array.data.ptr, source, right.leading, right.stride),
            zero.ctypes.data,
            *(result.array.data.ptr, kind, result.leading, result.stride),
            count,
            COMPUTE_CODES[code],
            DEFAULT_ALGORITHM,
        )

    def gemm_epilogue(
        self,
        sizes: tuple[int, int, int],
        left: Operand,
        right: Operand,
        result: Operand,
        count: int,
        bias: Any | None,
        relu: bool,
    ) -> tuple[bool, bool] | None:
        """`Routines.gemm_epilogue`."""
        if self.products is None:
            return None
        handle = self.device.get_cublas_handle()
        return self.products.multiply(handle, sizes, left, right, result, count, bias, relu)

    def trsm(self, flags: str, rows: int, columns: int, alpha: Any, a: Any, b: Any) -> None:
        """`Routines.trsm`."""
        side, triangle, operation, diagonal = tuple(flags)
        size = rows if side == "L" else columns
        scale = np.array(alpha, b.dtype)
        getattr(self.cublas, prefix_of(b.dtype) + "trsm")(
            self.device.get_cublas_handle(),
            SIDES[side],
            TRIANGLES[triangle],
            OPERATIONS[operation],
            DIAGONALS[diagonal],
            rows,
            columns,
            scale.ctypes.data,
            a.data.ptr,
            size,
            b.data.ptr,
            rows,
        )

    def _addresses(self, array: Any, count: int) -> Any:
        """Where each of the `count` equal parts of an array lies, on the device."""
        first, step = array.data.ptr, array.nbytes // count
        return self.cupy.arange(first, first + array.nbytes, step, np.uintp)

    def trsm_stack(
        self, flags: str, rows: int, columns: int, alpha: Any, a: Any, b: Any, count: int
    ) -> None:
        """`Routines.trsm_stack`."""
        side, triangle, operation, diagonal = tuple(flags)
        size = rows if side == "L" else columns
        scale = np.array(alpha, b.dtype)
        first, second = self._addresses(a, count), self._addresses(b, count)
        flag = (SIDES[side], TRIANGLES[triangle], OPERATIONS[operation], DIAGONALS[diagonal])
        matrices = (first.data.ptr, size, second.data.ptr, rows, count)
        run = getattr(self.cublas, prefix_of(b.dtype) + "trsmBatched")
        handle = self.device.get_cublas_handle()
        run(handle, *flag, rows, columns, scale.ctypes.data, *matrices)

    def potrf_stack(self, triangle: str, size: int, a: Any, info: Any, count: int) -> None:
        """`Routines.potrf_stack`."""
        run = getattr(self.cusolver, prefix_of(a.dtype) + "potrfBatched")
        places, half = self._addresses(a, count), TRIANGLES[triangle]
        handle = self.device.get_cusolver_handle()
        run(handle, half, size, places.data.ptr, size, info.data.ptr, count)

    def getrf_stack(self, size: int, a: Any, pivots: Any, info: Any, count: int) -> None:
        """`Routines.getrf_stack`."""
        run = getattr(self.cublas, prefix_of(a.dtype) + "getrfBatched")
        places, handle = self._addresses(a, count), self.device.get_cublas_handle()
        run(handle, size, places.data.ptr, size, pivots.data.ptr, info.data.ptr, count)

    def potrf(self, triangle: str, size: int, a: Any, info: Any) -> None:
        """`Routines.potrf`."""
        run, asked, handle = self._solver(a, "potrf")
        half = TRIANGLES[triangle]
        length = asked(handle, half, size, a.data.ptr, size)
        work = self._workspace(a.dtype, length)
        run(handle, half, size, a.data.ptr, size, work.data.ptr, length, info.data.ptr)

    def getrf(self, rows: int, columns: int, a: Any, pivots: Any, info: Any) -> None:
        """`Routines.getrf`."""
        run, asked, handle = self._solver(a, "getrf")
        work = self._workspace(a.dtype, asked(handle, rows, columns, a.data.ptr, rows))
        memory = (work.data.ptr, pivots.data.ptr, info.data.ptr)
        run(handle, rows, columns, a.data.ptr, rows, *memory)

    def geqrf(self, rows: int, columns: int, a: Any, scales: Any, info: Any) -> None:
        """`Routines.geqrf`."""
        run, asked, handle = self._solver(a, "geqrf")
        matrix = (rows, columns, a.data.ptr, rows)
        length = asked(handle, *matrix)
        work = self._workspace(a.dtype, length)
        run(handle, *matrix, scales.data.ptr, work.data.ptr, length, info.data.ptr)

    def orgqr(self, rows: int, columns: int, count: int, a: Any, scales: Any, info: Any) -> None:
        """`Routines.orgqr`."""
        run, asked, handle = self._solver(a, "ungqr" if a.dtype.kind == "c" else "orgqr")
        matrix = (rows, columns, count, a.data.ptr, rows, scales.data.ptr)
        length = asked(handle, *matrix)
        work = self._workspace(a.dtype, length)
        run(handle, *matrix, work.data.ptr, length, info.data.ptr)

    def gesvd(
        self, job: str, rows: int, columns: int, a: Any, values: Any, u: Any, vt: Any, info: Any
    ) -> None:
        """`Routines.gesvd`."""
        run, asked, handle = self._solver(a, "gesvd")
        length = asked(handle, rows, columns)
        work, letter = self._workspace(a.dtype, length), ord(job)
        memory = (a.data.ptr, rows, values.data.ptr, u.data.ptr, rows, vt.data.ptr, columns)
        no_reals = 0
        tail = (work.data.ptr, length, no_reals, info.data.ptr)
        run(handle, letter, letter, rows, columns, *memory, *tail)

    def syevd(self, job: str, triangle: str, size: int, a: Any, values: Any, info: Any) -> None:
        """`Routines.syevd`."""
        run, asked, handle = self._solver(a, "heevd" if a.dtype.kind == "c" else "syevd")
        matrix = (int(job == "V"), TRIANGLES[triangle], size, a.data.ptr, size, values.data.ptr)
        length = asked(handle, *matrix)
        work = self._workspace(a.dtype, length)
        run(handle, *matrix, work.data.ptr, length, info.data.ptr)

    def geev(self, job: str, size: int, a: Any, values: Any, right: Any, info: Any) -> None:
        """`Routines.geev`, by cuSOLVER's Xgeev of CUDA 12.8 and later."""
        solver, handle = self.cusolver, self.device.get_cusolver_handle()
        kind, wide = TYPE_CODES[a.dtype.str[1:]], TYPE_CODES[values.dtype.str[1:]]
        vectors = (kind, right.data.ptr, size)
        matrix = (0, int(job == "V"), size, kind, a.data.ptr, size, wide, values.data.ptr)
        asked = (*matrix, *vectors, *vectors, kind)
        params = solver.createParams()
        try:
            on_device, on_host = solver.xgeev_bufferSize(handle, params, *asked)
            work = self._workspace(np.dtype(np.uint8), on_device)
            host = np.empty(max(on_host, 1), np.uint8)
            memory = (work.data.ptr, on_device, host.ctypes.data, on_host, info.data.ptr)
            solver.xgeev(handle, params, *asked, *memory)
            self.cupy.cuda.get_current_stream().synchronize()
        finally:
            solver.destroyParams(params)
