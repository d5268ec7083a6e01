"""QR, eigenvectors and singular vectors of small matrices on a device: loops instead of calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracer
import tracer.numpy as tnp
from codegen.compile import _native
from codegen.loops.interpret import interpret
from codegen.loops.nodes import Call, Program
from codegen.loops.walk import statements
from codegen.lower.device_matrices import MOST_ROWS
from codegen.lower.device_rotations import FEW_ROWS, MANY
from codegen.lower.graph import lower_graph
from codegen.passes.pipeline import optimize
from tests.helpers import Array, run_numpy
from tracer.graph.nodes import Graph

Function = Callable[..., Any]
LEADS: list[tuple[int, ...]] = [(), (2,)]


def sample(dtype: str, *shape: int) -> Array:
    """Numbers around zero, the same ones whatever else has run."""
    return np.random.default_rng([3, *shape]).normal(size=shape).astype(dtype)


def lowered(function: Function, *inputs: Array) -> tuple[Graph, Program]:
    graph = tracer.jit(function).trace(*inputs).graph
    return graph, lower_graph(graph, target="device")


def count_calls(program: Program) -> int:
    return sum(
        isinstance(found, Call) and found.kernel == "lapack" for found in statements(program.body)
    )


def run(function: Function, *inputs: Array) -> list[Array]:
    """By the interpreter, before and after what is done to loops."""
    _, program = lowered(function, *inputs)
    assert count_calls(program) == 0
    found = interpret(program, list(inputs))
    again = interpret(optimize(program, target="device"), list(inputs))
    for one, other in zip(found, again, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)
    return found


def run_fast(function: Function, *inputs: Array) -> list[Array]:
    """The same loops as machine code of the host's."""
    _, program = lowered(function, *inputs)
    assert count_calls(program) == 0
    found: list[Array] = _native(optimize(program, target="cpu"), "llvm", "off")(list(inputs))
    return found


def flip(matrices: Array) -> Array:
    return matrices.swapaxes(-1, -2)


def largest(values: Array) -> float:
    return float(np.abs(values).max())


def check_basis(rows: Array, bound: float) -> None:
    """Rows are of length 1, and at right angles."""
    assert largest(rows @ flip(rows) - np.eye(rows.shape[-2])) <= bound


@pytest.mark.parametrize("lead", LEADS, ids=str)
@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (1, 4), (4, 1), (1, 1)], ids=str)
@pytest.mark.parametrize("mode", ["reduced", "complete"])
def test_qr(lead: tuple[int, ...], shape: tuple[int, int], mode: Any) -> None:
    a = sample("f8", *lead, *shape)
    found = run(lambda x: tuple(tnp.linalg.qr(x, mode=mode)), a)
    for got, due in zip(found, np.linalg.qr(a, mode=mode), strict=True):
        np.testing.assert_allclose(got, due, atol=1e-14)


@pytest.mark.parametrize(
    "a",
    [
        np.zeros((4, 3)),
        np.eye(4),
        -np.eye(3),
        np.triu(sample("f8", 4, 4)),
        np.array([[-2.0, 1.0], [0.0, 3.0], [0.0, 0.0]]),
        1e300 * sample("f8", 4, 3),
        1e-300 * sample("f8", 4, 3),
        sample("f8", 5, 1) @ sample("f8", 1, 5),
        sample("f4", 6, 6),
    ],
)
def test_qr_of_odd_matrices(a: Array) -> None:
    """Nothing to clear, numbers without squares, columns that depend on each other."""
    q, r = run(lambda x: tuple(tnp.linalg.qr(x)), a)
    bound = 20 * float(np.finfo(a.dtype).eps)
    scale = largest(a) or 1.0
    assert largest(q @ (r / scale) - a / scale) <= bound
    check_basis(flip(q), bound)
    due = np.linalg.qr(a)[1]
    np.testing.assert_allclose(r / scale, due / scale, atol=bound)


def test_qr_of_nan() -> None:
    a = sample("f8", 2, 3, 3)
    a[0, 1, 1] = np.nan
    q, r = run(lambda x: tuple(tnp.linalg.qr(x)), a)
    assert np.isnan(r[0]).any()
    np.testing.assert_allclose(q[1] @ r[1], a[1], atol=1e-14)


def matrices(name: str, size: int) -> Array:
    """Eight square matrices of a kind."""
    generator = np.random.default_rng(size)
    shape = (MANY, size, size)
    plain = generator.normal(size=shape)
    basis = np.linalg.qr(plain)[0]
    kinds: dict[str, Array] = {
        "random": plain,
        "zero": np.zeros(shape),
        "ones": np.ones(shape),
        "identity": np.eye(size) + np.zeros(shape),
        "one rank": plain[..., :1] @ plain[..., :1, :],
        "half the rank": plain[..., : size // 2] @ plain[..., : size // 2, :],
        "graded": (basis * np.logspace(0, -12, size)) @ flip(basis),
        "twice": (basis * np.repeat([1.0, 2.0], size // 2)) @ flip(basis),
        "huge": plain * 1e300,
        "tiny": plain * 1e-300,
        "whole": np.round(2 * plain),
        "turned": np.eye(size)[::-1] + np.zeros(shape),
        "triangle": np.triu(np.ones(shape)),
    }
    return kinds[name]


KINDS = (
    *("random", "zero", "ones", "identity", "one rank", "half the rank", "graded", "twice"),
    *("huge", "tiny", "whole", "turned", "triangle"),
)
SIZES = {"f8": (4, 32), "f4": (8,)}


def kinds_of(dtype: str) -> list[tuple[str, Array]]:
    """Each kind of matrices, as far as the dtype has such numbers."""
    return [
        (f"{name} {size}", matrices(name, size).astype(dtype))
        for size in SIZES[dtype]
        for name in KINDS
        if dtype == "f8" or name not in ("huge", "tiny")
    ]


def bound_of(a: Array) -> float:
    """Some units in the last place for each row, of matrices with elements up to 1."""
    return 8 * a.shape[-1] * float(np.finfo(a.dtype).eps)


@pytest.mark.parametrize("dtype", SIZES)
def test_eigenvectors_of_all_kinds(dtype: str) -> None:
    for name, plain in kinds_of(dtype):
        a = (plain / 2 + flip(plain) / 2).astype(dtype)
        values, vectors = run_fast(lambda x: tuple(tnp.linalg.eigh(x)), a)
        scale = np.abs(a).max(axis=(-1, -2), keepdims=True)
        scale[scale == 0] = 1
        a, values = a / scale, values / scale[..., 0]
        bound = bound_of(a)
        assert largest(a @ vectors - vectors * values[..., None, :]) <= bound, name
        check_basis(flip(vectors), bound)
        due = np.linalg.eigvalsh(a.astype("f8"))
        assert largest(values - due) <= 2 * bound, name
        assert (np.diff(values) >= 0).all(), name


@pytest.mark.parametrize("dtype", SIZES)
def test_singular_vectors_of_all_kinds(dtype: str) -> None:
    for name, a in kinds_of(dtype):
        u, s, vt = run_fast(lambda x: tuple(tnp.linalg.svd(x)), a)
        scale = np.abs(a).max(axis=(-1, -2), keepdims=True)
        scale[scale == 0] = 1
        a, s = a / scale, s / scale[..., 0]
        bound = bound_of(a)
        assert largest((u * s[..., None, :]) @ vt - a) <= bound, name
        check_basis(flip(u), bound)
        check_basis(vt, bound)
        due = np.linalg.svd(a.astype("f8"), compute_uv=False)
        assert largest(s - due) <= 4 * bound, name
        assert (np.diff(s) <= 0).all(), name
        assert (s >= 0).all(), name


@pytest.mark.parametrize("lead", LEADS, ids=str)
@pytest.mark.parametrize("half", ["L", "U"])
@pytest.mark.parametrize("size", [1, 2, 4])
def test_eigh_reads_one_triangle(lead: tuple[int, ...], half: Any, size: int) -> None:
    a = sample("f8", *lead, size, size)
    values, vectors = run(lambda x: tuple(tnp.linalg.eigh(x, UPLO=half)), a)
    np.testing.assert_allclose(values, np.linalg.eigvalsh(a, UPLO=half), atol=1e-13)
    lower = np.tril(a, -1) if half == "L" else flip(np.triu(a, 1))
    whole = lower + flip(lower) + np.eye(size) * a
    np.testing.assert_allclose(whole @ vectors, vectors * values[..., None, :], atol=1e-13)
    (alone,) = run(lambda x: tnp.linalg.eigvalsh(x, UPLO=half), a)
    np.testing.assert_allclose(alone, values, atol=1e-13)


@pytest.mark.parametrize("lead", LEADS, ids=str)
@pytest.mark.parametrize("shape", [(4, 2), (2, 3), (1, 4), (4, 1), (1, 1)], ids=str)
@pytest.mark.parametrize("full", [False, True])
def test_svd_of_rectangles(lead: tuple[int, ...], shape: tuple[int, int], full: bool) -> None:
    a = sample("f8", *lead, *shape)
    u, s, vt = run(lambda x: tuple(tnp.linalg.svd(x, full_matrices=full)), a)
    due = np.linalg.svd(a, full_matrices=full)
    assert [part.shape for part in (u, s, vt)] == [part.shape for part in due]
    np.testing.assert_allclose(s, due[1], atol=1e-13)
    count = s.shape[-1]
    again = (u[..., :count] * s[..., None, :]) @ vt[..., :count, :]
    np.testing.assert_allclose(again, a, atol=1e-13)
    check_basis(flip(u), 1e-13)
    check_basis(vt, 1e-13)
    (alone,) = run(lambda x: tnp.linalg.svd(x, compute_uv=False), a)
    np.testing.assert_allclose(alone, s, atol=1e-13)


@pytest.mark.parametrize("lead", [(), (3,)], ids=str)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_no_number_fails(lead: tuple[int, ...], bad: float) -> None:
    a = np.broadcast_to(np.eye(4), (*lead, 4, 4)).copy()
    a[..., 2, 1] = bad
    for function, text in (
        (tnp.linalg.eigvalsh, "Eigenvalues did not converge"),
        (lambda x: tuple(tnp.linalg.svd(x)), "SVD did not converge"),
    ):
        _, program = lowered(function, a)
        with pytest.raises(np.linalg.LinAlgError, match=text):
            interpret(program, [a])


@pytest.mark.parametrize(
    "function",
    [
        lambda a: tnp.sum(tnp.sin(tnp.linalg.eigvalsh(a + flip(a)))),
        lambda a: tnp.sum(tnp.linalg.eigh(a + flip(a))[1] ** 2 * np.arange(4.0)),
        lambda a: tnp.sum(tnp.linalg.svd(a)[1] ** 3),
        lambda a: tnp.sum(tnp.linalg.svd(a)[0] ** 2 * np.arange(4.0)),
        lambda a: tnp.sum(tnp.sin(tnp.linalg.qr(a)[0])),
    ],
    ids=["eigenvalues", "eigenvectors", "singular values", "singular vectors", "qr"],
)
def test_gradients(function: Function) -> None:
    a = sample("f8", 2, 4, 4)
    slope = tracer.grad(function)
    graph, program = lowered(slope, a)
    assert count_calls(program) == 0
    (due,) = run_numpy(graph, [a])
    np.testing.assert_allclose(interpret(program, [a])[0], due, rtol=1e-9, atol=1e-11)


def complex_sample(*shape: int) -> Array:
    return sample("f8", *shape) + 1j * sample("f8", *shape[::-1]).reshape(shape)


@pytest.mark.parametrize("shape", [(3, 2), (2, 3), (3, 3), (1, 2), (1, 1)], ids=str)
def test_factors_of_complex_matrices(shape: tuple[int, int]) -> None:
    """Phases are LAPACK's but for signs."""
    a = complex_sample(2, *shape)
    for mode in ("reduced", "complete"):
        found = run(lambda x, mode=mode: tuple(tnp.linalg.qr(x, mode=mode)), a)
        for got, due in zip(found, np.linalg.qr(a, mode=mode), strict=True):  # type: ignore[call-overload]
            np.testing.assert_allclose(got, due, atol=1e-14)
    u, s, vt = run(lambda x: tuple(tnp.linalg.svd(x)), a)
    count = s.shape[-1]
    again = (u[..., :count] * s[..., None, :]) @ vt[..., :count, :]
    np.testing.assert_allclose(again, a, atol=1e-13)
    np.testing.assert_allclose(s, np.linalg.svd(a, compute_uv=False), atol=1e-13)
    for basis in (u, vt):
        assert largest(basis @ flip(basis).conj() - np.eye(basis.shape[-1])) <= 1e-13
    first = vt[..., :count, 0] if shape[0] >= shape[1] else u[..., 0, :count]
    assert largest(first.imag) <= 1e-15


@pytest.mark.parametrize("half", ["L", "U"])
def test_eigenvectors_of_hermitian_matrices(half: Any) -> None:
    a = complex_sample(2, 4, 4)
    values, vectors = run(lambda x: tuple(tnp.linalg.eigh(x, UPLO=half)), a)
    lower = np.tril(a, -1) if half == "L" else flip(np.triu(a, 1)).conj()
    whole = lower + flip(lower).conj() + np.eye(4) * a.real
    np.testing.assert_allclose(whole @ vectors, vectors * values[..., None, :], atol=1e-13)
    assert largest(flip(vectors).conj() @ vectors - np.eye(4)) <= 1e-13
    assert largest(vectors[:, 0 if half == "L" else -1].imag) <= 1e-15


def test_what_stays_a_call() -> None:
    """Many rows, and a few matrices of more than few rows."""
    few, many = sample("f8", FEW_ROWS + 1, FEW_ROWS + 1), sample("f8", MANY, 12, 12)
    wide = sample("f8", MANY, MOST_ROWS + 1, MOST_ROWS + 1)
    for function in (tnp.linalg.eigvalsh, lambda x: tuple(tnp.linalg.svd(x))):
        for a, calls in ((few, True), (many, False), (wide, True), (many + 1j, False)):
            assert bool(count_calls(lowered(function, a)[1])) == calls
        assert count_calls(lowered(function, few[:3, :3])[1]) == 0
        assert count_calls(lower_graph(lowered(function, few[:3, :3])[0])) == 1
    for a, calls in ((few, False), (wide, True), (few + 1j, False)):
        assert bool(count_calls(lowered(lambda x: tuple(tnp.linalg.qr(x)), a)[1])) == calls
