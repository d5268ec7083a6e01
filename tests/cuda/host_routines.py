"""A stand-in for cuBLAS and cuSOLVER on NumPy arrays, by SciPy, with the conventions of theirs.

Arrays are memory: a matrix of `rows` by `columns` lies column by column from the array's start.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.linalg

from codegen.cuda.operands import Operand, Sizes
from tracer.types import is_half

Array = np.ndarray[Any, np.dtype[Any]]


def matrix(array: Array, rows: int, columns: int) -> Array:
    """The column-major matrix in that memory, to be read and written."""
    assert array.flags.c_contiguous, "a routine takes whole pieces of memory"
    assert array.size == rows * columns, f"{array.shape} holds no {rows}x{columns} matrix"
    return array.reshape(columns, rows).T


def parts(array: Array, count: int) -> list[Array]:
    """The equal parts of an array, one behind the other."""
    assert array.flags.c_contiguous, "a routine takes whole pieces of memory"
    return list(array.reshape(count, -1))


def lapack(name: str, array: Array) -> Callable[..., Any]:
    """SciPy's wrapper of a routine for an array's dtype."""
    found: Callable[..., Any] = scipy.linalg.get_lapack_funcs(name, (array,))
    return found


def stack(operand: Operand, rows: int, columns: int, count: int) -> Array:
    """What gemm takes: op(matrix) for each matrix of the stack."""
    item = operand.array.dtype.itemsize
    down, across = item, operand.leading * item
    assert operand.leading >= (columns if operand.transposed else rows), "columns overlap"
    if operand.transposed:
        down, across = across, down
    return np.lib.stride_tricks.as_strided(
        operand.array, (count, rows, columns), (operand.stride * item, down, across)
    )


class HostRoutines:
    """`codegen.cuda.routines.Routines`; `asked` notes what was called. With `turn` complex
    eigenvectors and singular vectors have other phases than LAPACK's."""

    def __init__(self, turn: bool = False) -> None:
        self.asked: list[str] = []
        self.turn = turn

    def phases(self, vectors: Array, count: int) -> Array:
        """Numbers of absolute value 1, one a vector."""
        if not self.turn or vectors.dtype.kind != "c":
            return np.ones(count, vectors.dtype)
        return np.exp(1j * np.arange(1, count + 1)).astype(vectors.dtype)

    def gemm(
        self, sizes: Sizes, left: Operand, right: Operand, result: Operand, count: int
    ) -> None:
        """Sums of float16 are float32's, as cuBLAS is asked for."""
        self.asked.append("gemm")
        rows, columns, depth = sizes
        wide = np.float32 if is_half(result.array.dtype) else result.array.dtype
        x = stack(left, rows, depth, count).astype(wide)
        y = stack(right, depth, columns, count).astype(wide)
        assert result.array.flags.c_contiguous, "results lie in C order"
        assert result.leading == rows, "results have no gaps"
        stack(result, rows, columns, count)[...] = x @ y

    def gemm_epilogue(
        self,
        sizes: Sizes,
        left: Operand,
        right: Operand,
        result: Operand,
        count: int,
        bias: Any | None,
        relu: bool,
    ) -> tuple[bool, bool] | None:
        """Not here: the caller has to do it."""
        return None

    def trsm(self, flags: str, rows: int, columns: int, alpha: Any, a: Any, b: Any) -> None:
        self.asked.append("trsm")
        side, triangle, operation, diagonal = tuple(flags)
        size = rows if side == "L" else columns
        solve = scipy.linalg.get_blas_funcs("trsm", (b,))
        right = matrix(b, rows, columns)
        right[...] = solve(
            alpha,
            matrix(a, size, size),
            right,
            side=int(side == "R"),
            lower=int(triangle == "L"),
            trans_a="NTC".index(operation),
            diag=int(diagonal == "U"),
        )

    def trsm_stack(
        self, flags: str, rows: int, columns: int, alpha: Any, a: Any, b: Any, count: int
    ) -> None:
        self.asked.append("trsm_stack")
        for one, other in zip(parts(a, count), parts(b, count), strict=True):
            HostRoutines().trsm(flags, rows, columns, alpha, one, other)

    def potrf_stack(self, triangle: str, size: int, a: Any, info: Any, count: int) -> None:
        self.asked.append("potrf_stack")
        for one, report in zip(parts(a, count), parts(info, count), strict=True):
            HostRoutines().potrf(triangle, size, one, report)

    def getrf_stack(self, size: int, a: Any, pivots: Any, info: Any, count: int) -> None:
        self.asked.append("getrf_stack")
        each = (parts(array, count) for array in (a, pivots, info))
        for one, chosen, report in zip(*each, strict=True):
            HostRoutines().getrf(size, size, one, chosen, report)

    def potrf(self, triangle: str, size: int, a: Any, info: Any) -> None:
        self.asked.append("potrf")
        place = matrix(a, size, size)
        place[...], info[...] = lapack("potrf", a)(place, lower=triangle == "L", clean=0)

    def getrf(self, rows: int, columns: int, a: Any, pivots: Any, info: Any) -> None:
        self.asked.append("getrf")
        place = matrix(a, rows, columns)
        place[...], found, info[...] = lapack("getrf", a)(place)
        pivots[...] = found + 1

    def geqrf(self, rows: int, columns: int, a: Any, scales: Any, info: Any) -> None:
        self.asked.append("geqrf")
        place = matrix(a, rows, columns)
        place[...], scales[...], _, info[...] = lapack("geqrf", a)(place)

    def orgqr(self, rows: int, columns: int, count: int, a: Any, scales: Any, info: Any) -> None:
        name = "ungqr" if a.dtype.kind == "c" else "orgqr"
        self.asked.append(name)
        assert scales.shape == (count,), "a scale for each reflection"
        place = matrix(a, rows, columns)
        place[...], _, info[...] = lapack(name, a)(place, scales)

    def gesvd(
        self, job: str, rows: int, columns: int, a: Any, values: Any, u: Any, vt: Any, info: Any
    ) -> None:
        self.asked.append("gesvd")
        assert rows >= columns, "cuSOLVER takes no wide matrices"
        place = matrix(a, rows, columns)
        left, values[...], right, info[...] = lapack("gesvd", a)(
            place, compute_uv=job != "N", full_matrices=job == "A"
        )
        place[...] = np.nan
        if job != "N":
            turned = self.phases(left, columns)
            left[:, :columns] *= turned
            right *= turned.conj()[:, None]
            matrix(u, *left.shape)[...] = left
            matrix(vt, columns, columns)[...] = right

    def syevd(self, job: str, triangle: str, size: int, a: Any, values: Any, info: Any) -> None:
        name = "heevd" if a.dtype.kind == "c" else "syevd"
        self.asked.append(name)
        place = matrix(a, size, size)
        values[...], vectors, info[...] = lapack(name, a)(
            place, compute_v=job == "V", lower=triangle == "L"
        )
        place[...] = vectors * self.phases(vectors, size) if job == "V" else np.nan

    def geev(self, job: str, size: int, a: Any, values: Any, right: Any, info: Any) -> None:
        self.asked.append("geev")
        place = matrix(a, size, size)
        *found, _, vectors, info[...] = lapack("geev", a)(
            place, compute_vl=0, compute_vr=job == "V"
        )
        values[...] = found[0] if len(found) == 1 else found[0] + 1j * found[1]
        place[...] = np.nan
        if job == "V":
            matrix(right, size, size)[...] = vectors
