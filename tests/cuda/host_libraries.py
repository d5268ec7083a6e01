"""CuPy's modules `cublas` and `cusolver` on the host's memory: the parameters as CuPy 14 has them,
addresses and all, and behind them the stand-in of SciPy's. Arrays know their address as CuPy's do.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import ml_dtypes
import numpy as np

from codegen.cuda.operands import COMPUTE_CODES, TYPE_CODES, Operand
from codegen.cuda.products_lt import LtProducts
from codegen.cuda.routines import CudaRoutines
from tests.cuda.host_products import HostProducts
from tests.cuda.host_routines import HostRoutines
from tests.cuda.memory import memory
from tracer.types import is_half

Array = np.ndarray[Any, np.dtype[Any]]
DTYPES = {"s": "f4", "d": "f8", "c": "c8", "z": "c16"}
CODES = {code: np.dtype(name) for name, code in TYPE_CODES.items() if name != "V2"}
CODES[TYPE_CODES["V2"]] = np.dtype(ml_dtypes.bfloat16)
SOLVER, BLAS = 5, 6
"""The handles of the libraries."""
ROOM = 3
"""Elements of workspace that every routine asks for."""


class DeviceArray(np.ndarray):
    """An array whose `data.ptr` is its address."""

    @property
    def data(self) -> Any:
        return SimpleNamespace(ptr=self.ctypes.data)


def on_device(array: Any) -> Any:
    return np.asarray(array).view(DeviceArray)


STREAM = SimpleNamespace(ptr=5, synchronize=lambda: None, is_capturing=lambda: False)
ARRAYS = SimpleNamespace(
    ascontiguousarray=lambda array: on_device(np.ascontiguousarray(array)),
    arange=lambda start, stop, step, dtype: on_device(np.arange(start, stop, step, dtype)),
    empty=lambda shape, dtype: on_device(np.empty(shape, dtype)),
    asnumpy=lambda array: np.asarray(array).copy(),
    asarray=on_device,
    abs=np.abs,
    isnan=np.isnan,
    where=np.where,
    result_type=np.result_type,
    complex64=np.complex64,
    broadcast_to=np.broadcast_to,
    add=np.add,
    maximum=np.maximum,
    cuda=SimpleNamespace(
        get_current_stream=lambda: STREAM,
        runtime=SimpleNamespace(getDevice=lambda: 0),
    ),
)
"""What is asked of CuPy itself."""


def joined(addresses: int, dtype: Any, size: int, count: int) -> Array:
    """The memory of matrices that lie one behind the other, of which the addresses are told."""
    told = memory(addresses, np.uintp, count)
    step = size * np.dtype(dtype).itemsize
    np.testing.assert_array_equal(told - told[0], step * np.arange(count, dtype=np.uintp))
    return memory(int(told[0]), dtype, size * count)


def info_at(address: int) -> Array:
    return memory(address, np.int32, 1).reshape(())


def solver_routines(letter: str, host: HostRoutines) -> dict[str, Callable[..., Any]]:
    """The routines of one dtype, each with what asks for its workspace."""
    dtype = np.dtype(DTYPES[letter])
    real = np.empty(0, dtype).real.dtype

    def potrf(handle, uplo, n, A, lda, work, lwork, devInfo):  # type: ignore[no-untyped-def]
        assert (handle, lda, lwork) == (SOLVER, n, ROOM)
        host.potrf("LU"[uplo], n, memory(A, dtype, n * n), info_at(devInfo))

    def potrfBatched(handle, uplo, n, Aarray, lda, infoArray, batchSize):  # type: ignore[no-untyped-def]
        assert (handle, lda) == (SOLVER, n)
        matrices = joined(Aarray, dtype, n * n, batchSize)
        info = memory(infoArray, np.int32, batchSize)
        host.potrf_stack("LU"[uplo], n, matrices, info, batchSize)

    def getrf(handle, m, n, A, lda, work, devIpiv, devInfo):  # type: ignore[no-untyped-def]
        assert (handle, lda) == (SOLVER, m)
        pivots = memory(devIpiv, np.int32, min(m, n))
        host.getrf(m, n, memory(A, dtype, m * n), pivots, info_at(devInfo))

    def geqrf(handle, m, n, A, lda, tau, work, lwork, devInfo):  # type: ignore[no-untyped-def]
        assert (handle, lda, lwork) == (SOLVER, m, ROOM)
        scales = memory(tau, dtype, min(m, n))
        host.geqrf(m, n, memory(A, dtype, m * n), scales, info_at(devInfo))

    def orgqr(handle, m, n, k, A, lda, tau, work, lwork, devInfo):  # type: ignore[no-untyped-def]
        assert (handle, lda, lwork) == (SOLVER, m, ROOM)
        scales = memory(tau, dtype, k)
        host.orgqr(m, n, k, memory(A, dtype, m * n), scales, info_at(devInfo))

    def gesvd(  # type: ignore[no-untyped-def]
        handle, jobu, jobvt, m, n, A, lda, S, U, ldu, VT, ldvt, Work, lwork, rwork, devInfo
    ):
        assert (handle, jobvt, lda, ldu, ldvt) == (SOLVER, jobu, m, m, n)
        assert (lwork, rwork) == (ROOM, 0)
        job = chr(jobu)
        u = memory(U, dtype, m * (m if job == "A" else n)) if job != "N" else None
        vt = memory(VT, dtype, n * n) if job != "N" else None
        values = memory(S, real, n)
        host.gesvd(job, m, n, memory(A, dtype, m * n), values, u, vt, info_at(devInfo))

    def syevd(handle, jobz, uplo, n, A, lda, W, work, lwork, info):  # type: ignore[no-untyped-def]
        assert (handle, lda, lwork) == (SOLVER, n, ROOM)
        values, a = memory(W, real, n), memory(A, dtype, n * n)
        host.syevd("NV"[jobz], "LU"[uplo], n, a, values, info_at(info))

    wide = letter in "cz"
    found: dict[str, Any] = {"potrf": potrf, "getrf": getrf, "geqrf": geqrf, "gesvd": gesvd}
    found |= {"ungqr" if wide else "orgqr": orgqr, "heevd" if wide else "syevd": syevd}
    asked: dict[str, Any] = {
        "potrf": lambda handle, uplo, n, A, lda: ROOM,
        "getrf": lambda handle, m, n, A, lda: ROOM,
        "geqrf": lambda handle, m, n, A, lda: ROOM,
        "gesvd": lambda handle, m, n: ROOM,
        "ungqr": lambda handle, m, n, k, A, lda, tau: ROOM,
        "heevd": lambda handle, jobz, uplo, n, A, lda, W: ROOM,
    }
    asked |= {"orgqr": asked["ungqr"], "syevd": asked["heevd"]}
    return (
        {f"{letter}potrfBatched": potrfBatched}
        | {letter + name: routine for name, routine in found.items()}
        | {f"{letter}{name}_bufferSize": asked[name] for name in found}
    )


def eigenvalue_routines(host: HostRoutines) -> dict[str, Callable[..., Any]]:
    """Xgeev, of all dtypes."""
    open_params: list[int] = []

    def xgeev_bufferSize(  # type: ignore[no-untyped-def]
        handle,
        params,
        jobvl,
        jobvr,
        n,
        dataTypeA,
        A,
        lda,
        dataTypeW,
        W,
        dataTypeVL,
        VL,
        ldvl,
        dataTypeVR,
        VR,
        ldvr,
        computeType,
    ):
        return ROOM, 0

    def xgeev(  # type: ignore[no-untyped-def]
        handle,
        params,
        jobvl,
        jobvr,
        n,
        dataTypeA,
        A,
        lda,
        dataTypeW,
        W,
        dataTypeVL,
        VL,
        ldvl,
        dataTypeVR,
        VR,
        ldvr,
        computeType,
        bufferOnDevice,
        workspaceInBytesOnDevice,
        bufferOnHost,
        workspaceInBytesOnHost,
        info,
    ):
        assert (handle, [params], jobvl, lda, ldvr) == (SOLVER, open_params, 0, n, n)
        assert dataTypeA == dataTypeVL == dataTypeVR == computeType
        assert (workspaceInBytesOnDevice, workspaceInBytesOnHost) == (ROOM, 0)
        dtype, job = CODES[dataTypeA], "NV"[jobvr]
        right = memory(VR, dtype, n * n) if job == "V" else None
        values = memory(W, CODES[dataTypeW], n)
        host.geev(job, n, memory(A, dtype, n * n), values, right, info_at(info))

    def create() -> int:
        open_params.append(9)
        return 9

    return {
        "xgeev": xgeev,
        "xgeev_bufferSize": xgeev_bufferSize,
        "createParams": create,
        "destroyParams": open_params.remove,
    }


def blas_routines(host: HostRoutines) -> dict[str, Callable[..., Any]]:
    """gemmStridedBatchedEx, and trsm and getrf of each dtype."""

    def stacks_of(dtype: Any) -> dict[str, Callable[..., Any]]:
        def trsmBatched(  # type: ignore[no-untyped-def]
            handle, side, uplo, trans, diag, m, n, alpha, Aarray, lda, Barray, ldb, batchCount
        ):
            size = n if side else m
            assert (handle, lda, ldb) == (BLAS, size, m)
            flags = "LR"[side] + "LU"[uplo] + "NTC"[trans] + "NU"[diag]
            a = joined(Aarray, dtype, size * size, batchCount)
            b = joined(Barray, dtype, m * n, batchCount)
            host.trsm_stack(flags, m, n, memory(alpha, dtype, 1)[0], a, b, batchCount)

        def getrfBatched(  # type: ignore[no-untyped-def]
            handle, n, Aarray, lda, PivotArray, infoArray, batchSize
        ):
            assert (handle, lda) == (BLAS, n)
            matrices = joined(Aarray, dtype, n * n, batchSize)
            pivots = memory(PivotArray, np.int32, n * batchSize)
            info = memory(infoArray, np.int32, batchSize)
            host.getrf_stack(n, matrices, pivots, info, batchSize)

        return {"trsmBatched": trsmBatched, "getrfBatched": getrfBatched}

    def trsm_of(dtype: Any) -> Callable[..., Any]:
        def trsm(  # type: ignore[no-untyped-def]
            handle, side, uplo, trans, diag, m, n, alpha, Aarray, lda, Barray, ldb
        ):
            size = n if side else m
            assert (handle, lda, ldb) == (BLAS, size, m)
            flags = "LR"[side] + "LU"[uplo] + "NTC"[trans] + "NU"[diag]
            a, b = memory(Aarray, dtype, size * size), memory(Barray, dtype, m * n)
            host.trsm(flags, m, n, memory(alpha, dtype, 1)[0], a, b)

        return trsm

    def gemm(  # type: ignore[no-untyped-def]
        handle,
        transa,
        transb,
        m,
        n,
        k,
        alpha,
        A,
        Atype,
        lda,
        strideA,
        B,
        Btype,
        ldb,
        strideB,
        beta,
        C,
        Ctype,
        ldc,
        strideC,
        batchCount,
        computeType,
        algo,
    ):
        dtype = CODES[Ctype]
        code = dtype.str[1:]
        assert (handle, Btype, algo) == (BLAS, Atype, -1)
        source = CODES[Atype]
        assert Atype == Ctype or (is_half(source) and code == "f4"), "what cuBLAS has"
        assert computeType == COMPUTE_CODES[code]
        scalar = np.float32 if is_half(dtype) else dtype
        assert (memory(alpha, scalar, 1)[0], memory(beta, scalar, 1)[0]) == (1, 0)

        def operand(address, kind, leading, stride, columns, transposed):  # type: ignore[no-untyped-def]
            size = (batchCount - 1) * stride + leading * columns
            return Operand(memory(address, kind, size), leading, stride, bool(transposed))

        left = operand(A, source, lda, strideA, m if transa else k, transa)
        right = operand(B, source, ldb, strideB, k if transb else n, transb)
        host.gemm((m, n, k), left, right, operand(C, dtype, ldc, strideC, n, 0), batchCount)

    found: dict[str, Callable[..., Any]] = {"gemmStridedBatchedEx": gemm}
    for letter, dtype in DTYPES.items():
        found[f"{letter}trsm"] = trsm_of(dtype)
        found |= {letter + name: routine for name, routine in stacks_of(dtype).items()}
    return found


def cuda_routines(host: HostRoutines) -> CudaRoutines:
    """What calls cuBLAS and cuSOLVER, with these in their place."""
    routines = CudaRoutines.__new__(CudaRoutines)
    solver = eigenvalue_routines(host)
    for letter in DTYPES:
        solver |= solver_routines(letter, host)
    routines.cupy = ARRAYS
    routines.cusolver = SimpleNamespace(**solver)
    routines.cublas = SimpleNamespace(**blas_routines(host))
    routines.products = LtProducts(ARRAYS, HostProducts(host, BLAS))
    routines.device = SimpleNamespace(
        get_cublas_handle=lambda: BLAS, get_cusolver_handle=lambda: SOLVER
    )
    return routines
