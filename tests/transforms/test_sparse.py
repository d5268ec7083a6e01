"""Sparse Jacobians and Hessians against dense ones, and their cost in products."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import sparse

import tracer
from tests.helpers import Array, assert_near
from tracer.errors import (
    DTypeError,
    NonDifferentiableInputError,
    NonScalarOutputError,
    UnsupportedFunctionError,
)
from tracer.transforms import sparse as implementation

RNG = np.random.default_rng(11)
INDICES = RNG.integers(0, 20, 30)
MATRIX = sparse.random_array((20, 20), density=0.1, rng=RNG).toarray()


def plan_of(f: Any) -> Any:
    """The one plan that is kept with f."""
    (plans,) = implementation._kept[f].values()
    (plan,) = plans.plans.values()
    return plan


def tridiagonal(x: Any) -> Any:
    padded = np.concatenate([np.zeros(1), x, np.zeros(1)])
    return padded[:-2] * x + np.sin(x) - padded[2:] ** 2


def rosenbrock(x: Any) -> Any:
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def arrow_head(x: Any) -> Any:
    return np.sum(x[0] * x[1:] ** 3) + x[0] ** 4


def blocks(x: Any) -> Any:
    return np.sum(np.prod(np.sin(x.reshape(-1, 5)), axis=1))


def banded(x: Any) -> Any:
    return np.sum(x[3:] ** 2 * x[:-3]) + np.sum(np.exp(x[1:] * x[:-1]))


def written_in_place(x: Any) -> Any:
    y = np.zeros(20)
    for i in range(20):
        y[i] = x[i] ** 2 * x[(i + 1) % 20]
    return y


def scattered(x: Any) -> Any:
    return tracer.numpy.zeros(20).at[INDICES].add(x[INDICES[::-1]] ** 2)


def stepped(x: Any) -> Any:
    def step(_: Any, y: Any) -> Any:
        return y + 0.1 * y * (np.roll(y, 1) - 2 * y + np.roll(y, -1))

    return tracer.fori_loop(0, 3, step, x)


def scanned(x: Any) -> Any:
    def step(before: Any, element: Any) -> Any:
        return element, element * before

    return tracer.scan(step, 0.0, x)[1]


def chosen(x: Any) -> Any:
    y = np.where(np.arange(20) % 3 == 0, x**2, np.flip(x))
    return tracer.cond(x[0] > 0, lambda v: v * 2, lambda v: np.cos(v), y)


def gathered_by_order(x: Any) -> Any:
    return x[np.argsort(x)] ** 2


def solved(x: Any) -> Any:
    y = tracer.linear_solve(lambda v: v * 2 + v * x[:4], x[4:8])
    return np.concatenate([y, x[8:] ** 2])


@tracer.custom_vjp
def straight_through(x: Any) -> Any:
    return np.round(x)


straight_through.defvjp(lambda x: (np.round(x), x), lambda x, ct: (ct * x,))


@tracer.custom_jvp
def rounded(x: Any) -> Any:
    return np.round(x)


rounded.defjvp(lambda p, t: (np.round(p[0]), t[0] * p[0]))

# name, function of 20 numbers, entries of its pattern, most products that it needs
JACOBIANS: list[tuple[str, Callable[[Any], Any], int, int]] = [
    ("tridiagonal", tridiagonal, 58, 3),
    ("elementwise", lambda x: np.tanh(x) * 3.0 + x**2, 20, 1),
    ("one row", lambda x: np.sum(x**2)[None], 20, 1),
    ("one column", lambda x: np.arange(1.0, 30.0) * x[4], 29, 1),
    ("matrix of known zeros", lambda x: MATRIX @ (x * x), np.count_nonzero(MATRIX), 9),
    ("product of both sides", lambda x: x[:6].reshape(2, 3) @ x[6:18].reshape(3, 4), 48, 8),
    ("mask of known zeros", lambda x: x**2 * (np.arange(20) < 5), 5, 1),
    ("sums along an axis", lambda x: np.sum(np.exp(x.reshape(4, 5)), axis=1), 20, 1),
    ("maximum along an axis", lambda x: np.max(x.reshape(4, 5), axis=0), 20, 1),
    ("running sum", lambda x: np.cumsum(x.reshape(4, 5), axis=1), 60, 5),
    ("running product", lambda x: np.cumprod(x.reshape(4, 5) + 2, axis=0), 50, 4),
    ("convolution", lambda x: np.convolve(x, np.array([1.0, 0.0, 2.0])), 40, 3),
    ("views", lambda x: np.pad(x.reshape(4, 5).T[::-1, 1:], 1).ravel(), 15, 1),
    ("writes in place", written_in_place, 40, 2),
    ("scattered sums", scattered, len(set(zip(INDICES, INDICES[::-1], strict=True))), 6),
    ("steps of a stencil", stepped, 140, 13),
    ("scan", scanned, 38, 2),
    ("map", lambda x: tracer.map(lambda y: np.sin(y) * y, x), 20, 1),
    ("vmap", lambda x: tracer.vmap(lambda y: y[0] * y)(x.reshape(5, 4)), 35, 2),
    ("branches", chosen, 20, 2),
    ("order that the run decides", gathered_by_order, 400, 20),
    ("a linear system", solved, 44, 8),
    ("reverse rule of one's own", straight_through, 20, 1),
    ("forward rule of one's own", rounded, 20, 1),
    ("nothing depends", lambda x: tracer.stop_gradient(x) * 2.0, 0, 1),
]

HESSIANS: list[tuple[str, Callable[[Any], Any], int, int]] = [
    ("Rosenbrock", rosenbrock, 58, 3),
    ("arrow head", arrow_head, 58, 2),
    ("blocks", blocks, 100, 5),
    ("band", banded, 20 + 2 * 19 + 2 * 17, 6),
    ("separable", lambda x: np.sum(np.cosh(x)), 20, 1),
    ("linear", lambda x: np.sum(x * np.arange(20.0)), 0, 1),
    ("quadratic form", lambda x: x @ (MATRIX @ x), None, 12),
    ("square of a sum", lambda x: np.sum(x) ** 2, 400, 20),
    ("written in place", lambda x: np.sum(written_in_place(x)), 60, 4),
    ("scan", lambda x: np.sum(scanned(x) ** 2), 58, 3),
    (
        "while",
        lambda x: np.sum(tracer.while_loop(lambda y: y.sum() < 50, lambda y: y * 1.5 + y**2, x)),
        20,
        1,
    ),
]


def points() -> Array:
    """Where the functions are differentiated: away from 0 and from each other."""
    return np.random.default_rng(3).permutation(np.linspace(0.3, 1.7, 20))


@pytest.mark.parametrize(
    ("f", "entries", "products"), [c[1:] for c in JACOBIANS], ids=[c[0] for c in JACOBIANS]
)
def test_jacobian(f: Callable[[Any], Any], entries: int, products: int) -> None:
    x = points()
    result = tracer.jacobian(f, sparse=True)(x)
    dense = np.asarray(tracer.jacrev(f)(x))
    assert isinstance(result, sparse.csr_array)
    assert_near(result.toarray(), dense.reshape(-1, 20), 1e-12)
    assert result.nnz == entries
    assert plan_of(f).colours <= products


@pytest.mark.parametrize(
    ("f", "entries", "products"), [c[1:] for c in HESSIANS], ids=[c[0] for c in HESSIANS]
)
def test_hessian(f: Callable[[Any], Any], entries: int | None, products: int) -> None:
    x = points()
    result = tracer.hessian(f, sparse=True)(x)
    dense = np.asarray(tracer.hessian(f)(x))
    assert isinstance(result, sparse.csr_array)
    assert_near(result.toarray(), dense, 1e-12)
    due = np.count_nonzero(MATRIX + MATRIX.T) if entries is None else entries
    assert result.nnz == due
    assert plan_of(f).colours <= products
    assert_near(result.toarray(), result.toarray().T, 1e-12)


@pytest.mark.parametrize(
    ("f", "transform", "products", "entries"),
    [
        (tridiagonal, tracer.jacobian, 3, 29_998),
        (rosenbrock, tracer.hessian, 3, 29_998),
        (arrow_head, tracer.hessian, 2, 29_998),
        (blocks, tracer.hessian, 5, 50_000),
    ],
)
def test_products_do_not_grow_with_the_dimension(
    f: Callable[[Any], Any], transform: Any, products: int, entries: int
) -> None:
    """All arrays of the compressed pass are a few vectors: nothing is square."""
    n = 10_000
    x = np.linspace(0.5, 1.5, n)
    function = tracer.jit(f, backend="numpy")
    matrix = transform(function, sparse=True)(x)
    plan = plan_of(function)
    assert (plan.colours, matrix.nnz) == (products, entries)
    largest = max(r.type.size for node in plan.products.nodes for r in node.results)
    assert largest <= (products + 1) * (n + 2)
    direction = np.cos(np.arange(n))
    if transform is tracer.jacobian:
        due = tracer.jvp(f, (x,), (direction,))[1]
    else:
        (due,) = tracer.hvp(f, (x,), (direction,))
    assert_near(matrix @ direction, due, 1e-12)


def test_plan_is_kept() -> None:
    """With the function: by types, and only as long as the function is traced the same."""
    factor = 2.0
    calls = []

    def f(x: Any) -> Any:
        calls.append(1)
        return x**2 * factor

    x = np.arange(3.0)
    first = tracer.jacobian(f, sparse=True)(x)
    plan = plan_of(f)
    again = tracer.jacobian(f, sparse=True)(x + 1)
    assert plan_of(f) is plan
    assert_near(first.toarray(), np.diag(4 * x), 1e-15)
    assert_near(again.toarray(), np.diag(4 * (x + 1)), 1e-15)
    factor = 3.0
    changed = tracer.jacobian(f, sparse=True)(x)
    assert_near(changed.toarray(), np.diag(6 * x), 1e-15)
    jitted = tracer.jit(f, backend="numpy")
    derivative = tracer.jacobian(jitted, sparse=True)
    derivative(x)
    count = len(calls)
    derivative(x + 1)
    assert len(calls) == count, "a jitted function is traced once for each signature"
    derivative(np.arange(4.0))
    assert len(calls) == count + 1


def test_pattern_follows_what_is_written_to_an_index_array() -> None:
    indices = np.array([0, 1, 2])

    def f(x: Any) -> Any:
        return x[indices] ** 2

    x = np.arange(1.0, 4.0)
    derivative = tracer.jacobian(f, sparse=True)
    assert derivative(x).indices.tolist() == [0, 1, 2]
    indices[:] = [2, 2, 0]
    assert derivative(x).indices.tolist() == [2, 2, 0]
    assert_near(derivative(x).toarray(), tracer.jacfwd(f)(x), 1e-15)


def test_index_arguments_count_by_value() -> None:
    def f(x: Any, indices: Any, power: int, scale: float) -> Any:
        return scale * x[indices] ** power

    derivative = tracer.jacobian(f, sparse=True)
    x = np.arange(1.0, 5.0)
    for indices in (np.array([3, 0]), np.array([1, 2])):
        result = derivative(x, indices, 3, 0.5)
        assert result.nnz == 2
        assert_near(result.toarray(), tracer.jacfwd(f)(x, indices, 3, 0.5), 1e-14)


def test_pytrees_and_argnums() -> None:
    def f(point: Any, shift: Any) -> Any:
        return point["a"][:, None] * point["b"] ** 2 + shift

    point = {"a": np.array([1.0, 2.0]), "b": np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])}
    shift = np.ones((2, 3))
    by_point, by_shift = tracer.jacobian(f, (0, 1), sparse=True)(point, shift)
    dense = tracer.jacfwd(f)(point, shift)
    due = np.concatenate([dense["a"].reshape(6, 2), dense["b"].reshape(6, 6)], axis=1)
    assert_near(by_point.toarray(), due, 1e-14)
    assert_near(by_shift.toarray(), np.eye(6), 0)

    def energy(x: Any, y: Any) -> Any:
        return np.sum(x**2 * y)

    x, y = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    rows = tracer.hessian(energy, (0, 1), sparse=True)(x, y)
    due_rows = tracer.hessian(energy, (0, 1))(x, y)
    for row, due_row in zip(rows, due_rows, strict=True):
        for block, due_block in zip(row, due_row, strict=True):
            assert_near(block.toarray(), due_block, 1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.complex128])
def test_dtypes(dtype: Any) -> None:
    x = np.arange(1, 5).astype(dtype)

    def f(x: Any) -> Any:
        return x[1:] ** 2 * x[:-1]

    result = tracer.jacobian(f, sparse=True)(x)
    assert result.dtype == dtype
    assert_near(result.toarray(), tracer.jacfwd(f)(x), 1e-6)


def test_compiled() -> None:
    function = tracer.jit(tridiagonal)
    x = points()
    expected = tracer.jacfwd(tridiagonal)(x)
    assert_near(tracer.jacobian(function, sparse=True)(x).toarray(), expected, 1e-12)


def test_errors() -> None:
    x = np.ones(3)
    with pytest.raises(NonScalarOutputError, match=r"one matrix.*must return one array"):
        tracer.jacobian(lambda x: (x, x), sparse=True)(x)
    with pytest.raises(NonScalarOutputError, match=r"one scalar.*returns f64\[3\]"):
        tracer.hessian(lambda x: x**2, sparse=True)(x)
    with pytest.raises(NonDifferentiableInputError, match="int64"):
        tracer.jacobian(lambda x: x * 1.0, sparse=True)(np.arange(3))
    with pytest.raises(DTypeError, match="no derivative"):
        tracer.jacobian(lambda x: x > 1, sparse=True)(x)
    with pytest.raises(DTypeError, match="holomorphic"):
        tracer.jacobian(lambda z: np.abs(z), sparse=True)(x + 1j)
    with pytest.raises(UnsupportedFunctionError, match=r"cannot be traced.*sparse=False"):
        tracer.jit(tracer.jacobian(tridiagonal, sparse=True), backend="numpy")(x)

    def outer(scale: Any) -> Any:
        return tracer.jacobian(lambda y: y * scale, sparse=True)(x).sum()

    with pytest.raises(UnsupportedFunctionError, match="closes over traced values"):
        tracer.grad(outer)(2.0)
