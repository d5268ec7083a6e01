"""Calls on device arrays, whose libraries a stand-in of SciPy's replaces, against the kernels' own
twins in Python and against NumPy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import tracer
import tracer.numpy as tnp
from codegen.cuda import library
from codegen.cuda.linear_algebra import DEVICE_NAMES, ON_DEVICE, routine_of, run_lapack
from codegen.loops import interpret as interpreter
from codegen.loops.nodes import Buffer, Call, Loop, View
from codegen.lower.graph import lower_graph
from kernels.callback import register, take_error
from kernels.registry import ArraySpec, find_kernel
from tests.cuda.host_libraries import ARRAYS, cuda_routines, on_device
from tests.cuda.host_routines import HostRoutines
from tests.helpers import Array, assert_same, run_numpy
from tests.primitives.row import case_graph, operands_of
from tests.primitives.rows_linalg import ROWS
from tracer.graph.nodes import Graph

DTYPES = ("f8", "f4", "c16", "c8")
random = np.random.default_rng(7)


def sample(dtype: str, *shape: int) -> Array:
    """Numbers around zero, the same ones whatever else has run."""
    generator = np.random.default_rng([*shape, *dtype.encode()])
    values = generator.normal(size=shape)
    if np.dtype(dtype).kind == "c":
        values = values + 1j * generator.normal(size=shape)
    return values.astype(dtype)


def tolerance(dtype: Any) -> float:
    """A few hundred units in the last place."""
    return 400 * float(np.finfo(dtype).eps)


def run(graph: Graph, inputs: Sequence[Array]) -> list[Array]:
    """The graph's loop program by the interpreter."""
    return interpreter.interpret(lower_graph(graph), [np.asarray(value) for value in inputs])


def calls_of(body: Any) -> Iterator[Call]:
    """The calls in a loop program."""
    for statement in body:
        if isinstance(statement, Call):
            yield statement
        elif isinstance(statement, Loop):
            yield from calls_of(statement.body)


# Singular vectors are free in sign and phase, and cuSOLVER takes another routine than NumPy:
# `test_svd` compares what is not free.
@pytest.mark.parametrize("name", sorted(set(ROWS) - {"svd"}))
def test_every_row_of_linear_algebra(name: str, routines: HostRoutines) -> None:
    row = ROWS[name]
    for case in row.cases:
        graph, operands = case_graph(name, case), operands_of(name, case)
        due = run_numpy(graph, operands)
        found = run(graph, operands)
        for got, expected in zip(found, due, strict=True):
            assert_same(got, expected, row.ulps, name, scaled=row.scaled)


def outputs(function: Callable[..., Any], *args: Array) -> list[Array]:
    graph = tracer.jit(function).trace(*args).graph
    return run(graph, args)


@pytest.mark.parametrize("dtype", DTYPES)
def test_cholesky(dtype: str, routines: HostRoutines) -> None:
    a = sample(dtype, 3, 7, 7)
    a = a @ a.conj().swapaxes(-1, -2) + 7 * np.eye(7, dtype=dtype)
    (found,) = outputs(tnp.linalg.cholesky, a)
    np.testing.assert_allclose(found, np.linalg.cholesky(a), atol=40 * tolerance(dtype))
    assert routines.asked == ["potrf"] * 3
    with pytest.raises(np.linalg.LinAlgError, match="not positive definite"):
        outputs(tnp.linalg.cholesky, -a)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("columns", [1, 3])
def test_solve(dtype: str, columns: int, routines: HostRoutines) -> None:
    a, b = sample(dtype, 2, 6, 6), sample(dtype, 2, 6, columns)
    (found,) = outputs(tnp.linalg.solve, a, b)
    np.testing.assert_allclose(found, np.linalg.solve(a, b), atol=100 * tolerance(dtype))
    assert set(routines.asked) == {"getrf", "trsm"}
    with pytest.raises(np.linalg.LinAlgError, match="Singular"):
        outputs(tnp.linalg.solve, np.zeros_like(a), b)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(7, 5), (5, 7), (6, 6)])
@pytest.mark.parametrize("mode", ["reduced", "complete"])
def test_qr(dtype: str, shape: tuple[int, int], mode: str, routines: HostRoutines) -> None:
    a = sample(dtype, *shape)
    found = outputs(lambda x: tuple(tnp.linalg.qr(x, mode=mode)), a)
    for got, due in zip(found, np.linalg.qr(a, mode=mode), strict=True):
        np.testing.assert_allclose(got, due, atol=10 * tolerance(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(7, 5), (5, 7), (6, 6), (2, 5, 8)])
@pytest.mark.parametrize("full", [False, True])
def test_svd(dtype: str, shape: tuple[int, ...], full: bool, routines: HostRoutines) -> None:
    a = sample(dtype, *shape)
    u, s, vt = outputs(lambda x: tuple(tnp.linalg.svd(x, full_matrices=full)), a)
    due = np.linalg.svd(a, full_matrices=full)
    assert (u.shape, vt.shape) == (due[0].shape, due[2].shape)
    np.testing.assert_allclose(s, due[1], atol=10 * tolerance(dtype))
    count = s.shape[-1]
    again = (u[..., :count] * s[..., None, :]) @ vt[..., :count, :]
    np.testing.assert_allclose(again, a, atol=10 * tolerance(dtype))
    for basis in (u.conj().swapaxes(-1, -2) @ u, vt @ vt.conj().swapaxes(-1, -2)):
        identity = np.broadcast_to(np.eye(basis.shape[-1]), basis.shape)
        np.testing.assert_allclose(basis, identity, atol=10 * tolerance(dtype))
    (values,) = outputs(lambda x: tnp.linalg.svd(x, compute_uv=False), a)
    np.testing.assert_allclose(values, due[1], atol=10 * tolerance(dtype))
    assert set(routines.asked) == {"gesvd"}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("half", ["L", "U"])
def test_eigh(dtype: str, half: str, routines: HostRoutines) -> None:
    a = sample(dtype, 2, 6, 6)
    whole = np.tril(a, -1) if half == "L" else np.triu(a, 1).conj().swapaxes(-1, -2)
    whole = whole + whole.conj().swapaxes(-1, -2)
    whole = whole + np.eye(6, dtype=dtype) * np.einsum("...ii->...i", a)[..., None].real
    values, vectors = outputs(lambda x: tuple(tnp.linalg.eigh(x, UPLO=half)), a)
    there = vectors * values[..., None, :]
    np.testing.assert_allclose(whole @ vectors, there, atol=20 * tolerance(dtype))
    (alone,) = outputs(lambda x: tnp.linalg.eigvalsh(x, UPLO=half), a)
    np.testing.assert_allclose(alone, np.linalg.eigvalsh(a, UPLO=half), atol=20 * tolerance(dtype))


@pytest.mark.parametrize("dtype", ["c16", "c8"])
def test_phases_are_those_of_lapack(dtype: str, routines: HostRoutines) -> None:
    """Whatever phases a device's routines choose: derivatives are of vectors with these."""
    routines.turn = True
    a = sample(dtype, 2, 6, 6)
    for half, row in (("L", 0), ("U", 5)):
        found = outputs(lambda x, half=half: tuple(tnp.linalg.eigh(x, UPLO=half)), a)
        due = np.linalg.eigh(a, UPLO=half)
        np.testing.assert_allclose(found[1][:, row].imag, 0, atol=tolerance(dtype))
        # up to a sign
        np.testing.assert_allclose(
            found[1] * np.sign(found[1][:, row : row + 1].real),
            due[1] * np.sign(due[1][:, row : row + 1].real),
            atol=100 * tolerance(dtype),
        )
    for shape in ((7, 5), (5, 7), (6, 6)):
        a = sample(dtype, *shape)
        for full in (False, True):
            u, s, vt = outputs(lambda x, full=full: tuple(tnp.linalg.svd(x, full_matrices=full)), a)
            count = s.size
            first = vt[:count, 0] if shape[0] >= shape[1] else u[0, :count]
            np.testing.assert_allclose(first.imag, 0, atol=tolerance(dtype))
            again = (u[:, :count] * s) @ vt[:count]
            np.testing.assert_allclose(again, a, atol=20 * tolerance(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
def test_eig(dtype: str, routines: HostRoutines) -> None:
    a = sample(dtype, 2, 6, 6)
    values, vectors = outputs(lambda x: tuple(tnp.linalg.eig(x)), a)
    there = vectors * values[..., None, :]
    np.testing.assert_allclose(a @ vectors, there, atol=100 * tolerance(dtype))
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=-2), 1, rtol=tolerance(dtype))
    (alone,) = outputs(tnp.linalg.eigvals, a)
    # Their order is that of the routine's steps, in which two builds of LAPACK may differ.
    apart = np.abs(alone[..., :, None] - np.linalg.eigvals(a)[..., None, :])
    for axis in (-1, -2):
        assert apart.min(axis=axis).max() < 100 * tolerance(dtype)
    assert set(routines.asked) == {"geev"}


def test_nan_is_reported(routines: HostRoutines) -> None:
    a = np.eye(6)
    a[2, 2] = np.nan
    with pytest.raises(np.linalg.LinAlgError, match="SVD did not converge"):
        outputs(lambda x: tnp.linalg.svd(x, compute_uv=False), a)
    with pytest.raises(np.linalg.LinAlgError, match="Eigenvalues did not converge"):
        outputs(tnp.linalg.eigvalsh, a)


def test_host_routines_are_told(routines: HostRoutines) -> None:
    a = sample("f8", 6, 6)
    graph = tracer.jit(lambda x: tuple(tracer.scipy.linalg.schur(x))).trace(a).graph
    t, z = run(graph, [a])
    np.testing.assert_allclose(z @ t @ z.T, a, atol=1e-12)
    assert routines.asked == []
    (call,) = calls_of(lower_graph(graph).body)
    assert library.describe_call(call) == "host LAPACK gees"
    assert library.runs_on_host(call)
    assert not library.allows_capture(call)


def lapack_call(routine: str) -> Call:
    return Call("lapack", (), (), {"routine": "d" + routine})


def test_names_of_what_does_the_work() -> None:
    assert set(DEVICE_NAMES) == set(ON_DEVICE)
    assert library.describe_call(lapack_call("potrf")) == "cuSOLVER potrf"
    assert library.describe_call(lapack_call("trsv")) == "cuBLAS trsm"
    assert library.allows_capture(lapack_call("trsv"))
    assert not library.allows_capture(lapack_call("getrf"))
    assert not library.runs_on_host(lapack_call("getrf"))
    callback = Call("callback", (), (), {"handle": 1})
    assert library.describe_call(callback) == "host Python"
    assert library.runs_on_host(callback)
    for dtype, name in (("f4", "cuBLAS gemm"), ("f2", "cuBLAS gemm"), ("i4", "CuPy matmul")):
        call = product_call(np.zeros((2, 2), dtype))
        assert library.describe_call(call) == name
        assert library.allows_capture(call)


def product_call(result: Array, kernel: str = "matmul") -> Call:
    return Call(kernel, (View(Buffer("c", result.dtype, result.shape, "output")),), ())


def product(left: Array, right: Array) -> tuple[Array, HostRoutines]:
    """left @ right by the stand-ins, into memory of NaN."""
    stand_in = HostRoutines()
    due = left @ right
    result = np.full(due.shape, np.nan if due.dtype.kind in "fc" else -1, due.dtype)
    library.run_call(product_call(result), [result], [left, right], np, stand_in)
    again = on_device(np.full_like(result, -1))
    operands = [on_device(left), on_device(right)]
    xp = SimpleNamespace(matmul=np.matmul, **vars(ARRAYS))
    library.run_call(product_call(result), [again], operands, xp, cuda_routines(HostRoutines()))
    np.testing.assert_array_equal(np.asarray(again), result)
    return result, stand_in


LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "plain": lambda x: x,
    "transposed": lambda x: np.ascontiguousarray(x.swapaxes(-1, -2)).swapaxes(-1, -2),
    "gaps": lambda x: np.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, 3)])[..., :-3],
    "strided": lambda x: np.repeat(x, 2, axis=-1)[..., ::2],
    "stacked last": lambda x: np.ascontiguousarray(np.moveaxis(x, 0, -1)).transpose(
        (x.ndim - 1, *range(x.ndim - 1))
    ),
}
COPIED = ("strided", "stacked last")


@pytest.mark.parametrize("dtype", [*DTYPES, "f2", "i8", "?"])
@pytest.mark.parametrize("first", LAYOUTS)
@pytest.mark.parametrize("second", LAYOUTS)
def test_products(dtype: str, first: str, second: str) -> None:
    shapes = [((4, 3), (3, 5)), ((1, 3), (3, 1)), ((4, 1), (1, 5)), ((2, 4, 3), (2, 3, 5))]
    shapes += [((2, 3, 4, 1), (2, 3, 1, 5)), ((4, 3), (2, 3, 5)), ((2, 1, 4, 3), (3, 3, 5))]
    for left_shape, right_shape in shapes:
        values = [
            (
                random.integers(-3, 4, shape) + np.zeros((), "c16" if dtype[0] == "c" else "i8")
            ).astype(dtype)
            for shape in (left_shape, right_shape)
        ]
        left, right = LAYOUTS[first](values[0]), LAYOUTS[second](values[1])
        result, stand_in = product(left, right)
        np.testing.assert_array_equal(result, values[0] @ values[1])
        assert stand_in.asked == (["gemm"] if np.dtype(dtype).kind in "fc" else [])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_only_odd_layouts_are_copied(layout: str) -> None:
    for shape in ((4, 3), (2, 4, 3)):
        array = LAYOUTS[layout](sample("f8", *shape))
        found = library.layout_of(array, shape[:-2])
        # a matrix whose columns come first is a transposed one
        odd = layout == "strided" or (layout == "stacked last" and len(shape) == 3)
        assert (found is None) == odd


def test_vectors_and_nothing() -> None:
    x, a = sample("f8", 4), sample("f8", 4, 4)
    for left, right in ((x, x), (a, x), (x, a), (a[:, 0], a.T), (a.T[1:2], x)):
        np.testing.assert_allclose(product(left, right)[0], left @ right, rtol=1e-12)
    for shapes in (((3, 0), (0, 2)), ((0, 3), (3, 2)), ((3, 2), (2, 0)), ((0, 2, 2), (0, 2, 2))):
        left, right = (np.ones(shape) for shape in shapes)
        result, stand_in = product(left, right)
        np.testing.assert_array_equal(result, left @ right)
        assert stand_in.asked == []


def test_half_precision_is_summed_in_single() -> None:
    ones = np.ones((2, 4096), np.float16)
    result, _ = product(ones, ones.T)
    np.testing.assert_array_equal(result, np.full((2, 2), 4096, np.float16))


@pytest.mark.parametrize("result_dtype", ["float32", "the operands'"])
@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_products_of_halves_may_be_single(dtype: type, result_dtype: str) -> None:
    ones = np.ones((2, 4096), dtype)
    wanted = np.dtype(np.float32 if result_dtype == "float32" else dtype)
    result, again = np.zeros((2, 2), wanted), on_device(np.zeros((2, 2), wanted))
    library.run_call(product_call(result), [result], [ones, ones.T], np, HostRoutines())
    operands = [on_device(ones), on_device(ones).T]
    xp = SimpleNamespace(**vars(ARRAYS))
    library.run_call(product_call(result), [again], operands, xp, cuda_routines(HostRoutines()))
    for found in (result, np.asarray(again)):
        assert found.dtype == wanted
        np.testing.assert_array_equal(found, np.full((2, 2), 4096, wanted))


def test_product_with_memory() -> None:
    left, right, result = sample("f8", 20, 30), sample("f8", 30, 10), np.empty((20, 10))
    scratch, stand_in = np.empty(3), HostRoutines()
    call = product_call(result, "product")
    library.run_call(call, [result, scratch], [left, right], np, stand_in)
    np.testing.assert_allclose(result, left @ right, rtol=1e-12)
    assert stand_in.asked == ["gemm"]


def test_a_callback_and_its_error() -> None:
    given: list[Array] = []

    def function(x: Array) -> list[Array]:
        given.append(x)
        if x[0] < 0:
            raise ArithmeticError("below zero")
        return [x * 2]

    spec = ArraySpec(np.dtype("f8"), (3,))
    handle = register(function, [spec], [spec])
    call = Call("callback", (), (), {"handle": handle})
    memory = np.arange(6.0)
    operand, status, result = memory[::2], np.array(7), np.full(3, np.nan)
    library.run_call(call, [status, result], [operand], np, HostRoutines())
    np.testing.assert_array_equal(result, [0.0, 4.0, 8.0])
    assert status == 0
    assert not np.shares_memory(given[0], memory)
    memory[0] = -1
    library.run_call(call, [status, result], [operand], np)
    error = take_error(int(status))
    assert isinstance(error, ArithmeticError)


@pytest.mark.parametrize("function", [np.linalg.inv, np.linalg.eigvalsh], ids=["inv", "eigvalsh"])
def test_the_twins_agree(function: Any) -> None:
    """Each call alone: the mapping and the kernel's twin write the same results."""
    a = sample("f8", 6, 6)
    a = a + a.T + 9 * np.eye(6)
    graph = tracer.jit(getattr(tnp.linalg, function.__name__)).trace(a).graph
    for call in calls_of(lower_graph(graph).body):
        operands = [
            random.normal(size=view.shape).astype(view.buffer.dtype) for view in call.operands
        ]
        due = find_kernel("lapack").evaluate(tuple(operands), call.params)
        found = [np.zeros_like(part) for part in due]
        run_lapack(call, found, operands, np, HostRoutines())
        kept = {"getrf": (0, 1, 2), "trsm": (0,), "syevd": (1,)}[routine_of(call)]
        for place in kept:
            np.testing.assert_allclose(found[place], due[place], rtol=1e-10, atol=1e-12)
