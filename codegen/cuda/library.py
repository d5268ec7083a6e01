"""Calls of a loop program on device arrays: cuBLAS, cuSOLVER, LAPACK on the host, Python."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from codegen.cuda.linear_algebra import (
    DEVICE_NAMES,
    ON_DEVICE,
    STACK_NAMES,
    routine_of,
    run_lapack,
)
from codegen.cuda.operands import TYPE_CODES, Operand
from codegen.cuda.routines import CudaRoutines, Routines
from codegen.loops.nodes import Call
from kernels.fourier import transform
from kernels.registry import find_kernel
from tracer.errors import BackendError

PRODUCTS = ("matmul", "product")
MOST = 2**31 - 1
"""The largest number of rows, columns, terms or matrices that cuBLAS is told."""


def run_call(
    call: Call,
    results: Sequence[Any],
    operands: Sequence[Any],
    xp: Any,
    routines: Routines | None = None,
) -> None:
    """Write `results` from `operands`, arrays of `xp`, which may be strided.

    `xp` is CuPy, or NumPy: then the kernel's twin in Python runs, unless `routines` are given.
    Products may have leading axes of stacked matrices. What `runs_on_host` waits for the device.
    """
    if routines is None and xp is np:
        _run_on_host(call, results, operands, xp)
        return
    if call.kernel == "fourier":
        results[0][...] = transform(operands[0], call.params, xp.fft)
    elif call.kernel in PRODUCTS:
        left, right, *bias = operands
        row, relu = (bias[0] if bias else None), bool(call.params.get("relu"))
        multiply(results[0], left, right, xp, routines or cuda_routines(), row, relu)
    elif runs_on_host(call):
        _run_on_host(call, results, operands, xp)
    else:
        run_lapack(call, results, operands, xp, routines or cuda_routines())


@functools.cache
def cuda_routines() -> CudaRoutines:
    """cuBLAS and cuSOLVER."""
    return CudaRoutines()


def runs_on_host(call: Call) -> bool:
    """Whether operands are copied to the host and results from there: Python, and routines of
    LAPACK that no library of the device has."""
    if call.kernel in PRODUCTS or call.kernel == "fourier":
        return False
    return call.kernel != "lapack" or routine_of(call) not in ON_DEVICE


def allows_capture(call: Call) -> bool:
    """Whether a graph of launches may contain the call: only cuBLAS promises never to wait."""
    if call.kernel in PRODUCTS:
        return True
    return not runs_on_host(call) and describe_call(call).startswith("cuBLAS")


def describe_call(call: Call) -> str:
    """Who does the work: "cuSOLVER potrf", "host LAPACK gees", "host Python"."""
    if call.kernel in PRODUCTS:
        parts = ["bias"] * len(call.operands[2:]) + ["relu"] * bool(call.params.get("relu"))
        if parts:
            return f"cuBLASLt matmul with {' and '.join(parts)}"
        dtype = call.results[0].buffer.dtype.str[1:]
        return "cuBLAS gemm" if dtype in TYPE_CODES else "CuPy matmul"
    if call.kernel == "callback":
        return "host Python"
    if call.kernel == "fourier":
        return f"cuFFT {call.params['transform']}"
    if call.kernel != "lapack":
        return f"host {call.kernel}"
    routine = routine_of(call)
    if call.params.get("batch"):
        return STACK_NAMES[routine]
    return DEVICE_NAMES.get(routine, f"host LAPACK {routine}")


def _run_on_host(call: Call, results: Sequence[Any], operands: Sequence[Any], xp: Any) -> None:
    """The kernel's twin in Python, on copies where arrays are not the host's."""
    given = operands if xp is np else [xp.asnumpy(operand) for operand in operands]
    found = find_kernel(call.kernel).evaluate(tuple(given), call.params)
    for result, value in zip(results, found, strict=True):
        result[...] = value if xp is np else xp.asarray(value)


def multiply(
    result: Any,
    left: Any,
    right: Any,
    xp: Any,
    routines: Routines,
    bias: Any | None = None,
    relu: bool = False,
) -> None:
    """result = left @ right as NumPy's `matmul`; `result` in C order, operands as they lie. Then a
    bias is added to each row, and of what is below 0 comes 0, NaN apart.

    Column-major cuBLAS sees the transposes: it computes resultᵀ = rightᵀ·leftᵀ.
    """
    if result.size == 0:
        return
    matrices = left.ndim == right.ndim == 2
    if matrices and left.shape[0] > MOST:
        for part in _parts(left.shape[0]):
            multiply(result[part], left[part], right, xp, routines, bias, relu)
        return
    if matrices and left.shape[1] > MOST:
        added = cut = False
        first, *rest = _parts(left.shape[1])
        multiply(result, left[:, first], right[first], xp, routines)
        more = xp.empty(result.shape, result.dtype)
        for part in rest:
            multiply(more, left[:, part], right[part], xp, routines)
            xp.add(result, more, out=result)
    else:
        added, cut = _multiplied(result, left, right, xp, routines, bias, relu)
    if bias is not None and not added:
        xp.add(result, bias, out=result)
    if relu and not cut:
        xp.maximum(result, 0, out=result)


def _parts(extent: int) -> list[slice]:
    """Parts of an extent that cuBLAS can count."""
    return [slice(start, min(start + MOST, extent)) for start in range(0, extent, MOST)]


def _multiplied(
    result: Any, left: Any, right: Any, xp: Any, routines: Routines, bias: Any | None, relu: bool
) -> tuple[bool, bool]:
    """The product is made: whether the bias was added on the way, and relu taken."""
    depth = left.shape[-1]
    if depth == 0:
        result[...] = 0
        return False, False
    if result.dtype.str[1:] not in TYPE_CODES:
        xp.matmul(left, right, out=result)
        return False, False
    left = left[None, :] if left.ndim == 1 else left
    right = right[:, None] if right.ndim == 1 else right
    rows, columns = left.shape[-2], right.shape[-1]
    lead = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    sizes, count = (columns, rows, depth), math.prod(lead)
    if max(*sizes, count) > MOST:
        raise BackendError(
            f"cuBLAS counts with 32 bits: a product of {count} matrices, {rows}×{depth} with "
            f"{depth}×{columns}, is too large for it"
        )
    first, second = _operand(right, lead, xp), _operand(left, lead, xp)
    written = Operand(result, columns, rows * columns)
    if bias is not None or relu:
        done = routines.gemm_epilogue(sizes, first, second, written, count, bias, relu)
        if done is not None:
            return done
    routines.gemm(sizes, first, second, written, count)
    return False, False


def _operand(array: Any, lead: tuple[int, ...], xp: Any) -> Operand:
    """The transpose of each matrix as cuBLAS takes it, without a copy where its layout allows."""
    found = layout_of(array, lead)
    if found is None:
        array = xp.ascontiguousarray(xp.broadcast_to(array, (*lead, *array.shape[-2:])))
        found = layout_of(array, lead)
    assert found is not None, "arrays in C order have a layout"
    leading, stride, transposed = found
    return Operand(array, leading, stride, transposed)


def layout_of(array: Any, lead: tuple[int, ...]) -> tuple[int, int, bool] | None:
    """Elements between rows, or columns where `transposed`, and between matrices of the stack
    `lead`; None where the matrices lie otherwise."""
    size = array.dtype.itemsize
    if any(step % size for step in array.strides):
        return None
    rows, columns = array.shape[-2:]
    down, across = (step // size for step in array.strides[-2:])
    if (across == 1 or columns == 1) and (down >= columns or rows == 1):
        leading, transposed = max(down if rows > 1 else 0, columns, 1), False
    elif (down == 1 or rows == 1) and (across >= rows or columns == 1):
        leading, transposed = max(across if columns > 1 else 0, rows, 1), True
    else:
        return None
    stride = _stack_stride(array, lead)
    return None if stride is None or leading > MOST else (leading, stride, transposed)


def _stack_stride(array: Any, lead: tuple[int, ...]) -> int | None:
    """Elements from one matrix of the stack to the next; None where that varies."""
    missing = len(lead) - (array.ndim - 2)
    steps = [0] * missing + [
        0 if extent == 1 else step // array.dtype.itemsize
        for extent, step in zip(array.shape[:-2], array.strides[:-2], strict=True)
    ]
    kept = [(extent, step) for extent, step in zip(lead, steps, strict=True) if extent != 1]
    for (_, outer), (extent, inner) in itertools.pairwise(kept):
        if outer != extent * inner:
            return None
    return kept[-1][1] if kept else 0
