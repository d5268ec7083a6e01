"""The namespace itself: outside a trace it is NumPy's; creation, mutation, weak scalars, `.at`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracer
import tracer.numpy as tnp
from tracer import grad
from tracer.dispatch import METHODS
from tracer.trace import Tracer, ValueTrace, opened

X = np.arange(1.0, 5.0)


def test_outside_a_trace_results_are_those_of_numpy() -> None:
    assert type(tnp.zeros(3)) is np.ndarray
    assert type(tnp.sin(X)) is np.ndarray
    assert type(tnp.sum(X)) is np.float64
    assert tnp.pi == np.pi
    assert tnp.float32 is np.float32
    assert type(tnp.array([[1, 2], [3, 4]])) is np.ndarray
    assert np.array_equal(tnp.add.reduce(X), 10.0)
    assert np.array_equal(tnp.vectorize(lambda a: a + 1)(X), X + 1)


def test_every_public_name_of_numpy_is_there() -> None:
    assert [name for name in dir(np) if not name.startswith("_") and not hasattr(tnp, name)] == []


@pytest.mark.parametrize(
    "make",
    [
        lambda: tnp.zeros((2, 3)),
        lambda: tnp.ones(3, np.float32),
        lambda: tnp.full((2,), 1.5),
        lambda: tnp.full(3, [1, 2, 3]),
        lambda: tnp.arange(2, 9, 3),
        lambda: tnp.eye(3, 4, 1),
        lambda: tnp.identity(2),
        lambda: tnp.tri(3),
        lambda: tnp.array([[1, 2.5], [3, 4]]),
        lambda: tnp.array(2.0, ndmin=2),
        lambda: tnp.asarray(X, dtype=np.float32),
        lambda: tnp.zeros_like(X, dtype=int),
        lambda: tnp.full_like(X, 7),
        lambda: tnp.fromfunction(lambda i, j: i + 2 * j, (2, 3)),
        lambda: tnp.hanning(5),
        lambda: tnp.asarray(np.int8(3)),
    ],
)
def test_creation_inside_a_trace_is_traced(make: Any) -> None:
    expected = make()
    with opened(ValueTrace()):
        found = make()
        assert type(found) is Tracer
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found.concrete("a test"), expected)


def test_arrays_of_traced_and_concrete_items() -> None:
    def f(x: Any) -> Any:
        table = tnp.array([[x[0], 2, 0.5], [1, x[1] * x[0], X[2]]])
        assert table.shape == (2, 3)
        return (table * np.arange(6.0).reshape(2, 3)).sum()

    np.testing.assert_array_equal(grad(f)(X), [4.0 * 2.0, 4.0, 0.0, 0.0])


def test_assignment_to_what_was_created() -> None:
    def f(x: Any) -> Any:
        out = tnp.zeros(4)
        for k in range(4):
            out[k] = x[k] ** 2
        out[1:3] += 1.0
        return (out * out).sum()

    values = X**2 + np.array([0.0, 1.0, 1.0, 0.0])
    np.testing.assert_allclose(grad(f)(X), 4 * values * X, rtol=1e-14)


def test_the_callers_array_is_never_changed() -> None:
    x, before = X.copy(), X.copy()

    def f(a: Any) -> Any:
        a *= 2.0
        a[0] = 7.0
        return a.sum()

    assert np.array_equal(grad(f)(x), [0.0, 2.0, 2.0, 2.0])
    assert np.array_equal(x, before)


def test_at_gives_changed_copies() -> None:
    def f(x: Any) -> Any:
        y = x.at[0].set(10.0)
        z = x.at[np.array([1, 1])].add(x[2])
        w = x.at[1:].multiply(2.0).at[-1].divide(4.0)
        low = x.at[:2].min(1.5).at[2:].max(3.5)
        power = x.at[0].power(2).at[1].subtract(1.0).at[3].apply(np.sin)
        return x, y, z, w, low, power, x.at[1:3].get()

    expected = [
        X,
        np.array([10.0, 2.0, 3.0, 4.0]),
        np.array([1.0, 8.0, 3.0, 4.0]),
        np.array([1.0, 4.0, 6.0, 2.0]),
        np.array([1.0, 1.5, 3.5, 4.0]),
        np.array([1.0, 1.0, 3.0, np.sin(4.0)]),
        X[1:3],
    ]
    found, tangents = tracer.jvp(f, (X,), (np.ones(4),))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-15)
    np.testing.assert_allclose(tangents[2], [1.0, 3.0, 1.0, 1.0])
    np.testing.assert_allclose(tangents[3], [1.0, 2.0, 2.0, 0.5])
    np.testing.assert_allclose(tangents[4], [1.0, 0.0, 0.0, 1.0])


def test_python_scalars_stay_weak_under_operators() -> None:
    def f(x: Any) -> Any:
        single = np.ones(2, np.float32)
        return single * (x * 2.0 - 1 + x**2 + abs(-x)), single * np.sin(x)

    first, second = tracer.make_graph(f)(3.0).output_types
    assert first.dtype == np.float32
    assert second.dtype == np.float64


def test_float32_stays_float32_through_gradients() -> None:
    def f(x: Any) -> Any:
        y = np.sin(x) * 2.0 + np.sqrt(np.abs(x)) ** 3
        return np.mean(y) + np.std(y) + np.linalg.norm(y) + y.max() + np.cumsum(y)[-1]

    assert grad(f)(X.astype(np.float32)).dtype == np.float32


def test_operators_between_levels() -> None:
    def f(x: Any) -> Any:
        return x * grad(lambda y: (x * y**2).sum())(x).sum()

    np.testing.assert_allclose(grad(lambda x: f(x).sum())(X), 2 * (X @ X) + 4 * X * X.sum())


def test_vectorize_of_traced_arrays() -> None:
    halves = tnp.vectorize(lambda a, b: a * b if a > 2 else b)

    def f(x: Any) -> Any:
        return halves(x, x[::-1]).sum()

    np.testing.assert_array_equal(grad(f)(X), [4.0, 3.0, 3.0, 2.0])


def test_array_namespace() -> None:
    with opened(ValueTrace()) as trace:
        assert trace.input(X).__array_namespace__() is tnp


def test_out_and_where_of_traced_arrays() -> None:
    def f(x: Any) -> Any:
        out = tnp.zeros(4)
        np.multiply(x, x, out=out, where=x > 2)
        total = tnp.zeros(())
        np.sum(out, out=total)
        return total

    np.testing.assert_array_equal(grad(f)(X), [0.0, 0.0, 6.0, 8.0])


def test_round_of_a_number_is_an_integer() -> None:
    with opened(ValueTrace()) as trace:
        x = trace.input(2.6)
        assert METHODS["__round__"](x).dtype == np.int64
