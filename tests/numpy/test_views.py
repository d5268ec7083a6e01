"""Views: what is written to one of two arrays that share elements shows in the other."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracer
import tracer.numpy as tnp
from tests.numpy.compare import Case, check_derivatives, check_eager, check_graph, results
from tracer.trace import ValueTrace, opened

A = np.random.default_rng(5).normal(size=(3, 4))
Z = A + 1j * A[::-1]


def _through(write: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    """The array after a write through one of its views, and what the write returns."""

    def function(xp: Any, x: Any) -> Any:
        x = x * 2.0
        return write(xp, x), x

    return function


def _slice(xp: Any, x: Any) -> Any:
    y = x[1:]
    y[0] = 5.0
    y *= x[0]
    return y


def _of_view(xp: Any, x: Any) -> Any:
    z = x[1:].T[::-1]
    z[1] = z[0] * 3.0
    return z


def _base_to_view(xp: Any, x: Any) -> Any:
    y, z = x[:, 1], x.reshape(2, 6)
    x[0] = 7.0
    x += 1.0
    return y * 2.0, z


def _siblings(xp: Any, x: Any) -> Any:
    first, second = x[:2], x[1:]
    first[1] = second[1] * second[0]
    return first, second


def _transpose(xp: Any, x: Any) -> Any:
    x.T[0] = x[:, 1] * 3.0
    x.T[1, ...] += 2.0


def _ravel(xp: Any, x: Any) -> Any:
    flat = x.ravel()
    flat[3:9:2] = flat[0]
    xp.ravel(x)[-1] = 1.5


def _rows(xp: Any, x: Any) -> Any:
    for row in x:
        row[0] = row[1] * row[2]
        row -= 1.0


def _steps(xp: Any, x: Any) -> Any:
    y = x[::-1, ::-2]
    y[0, 0] = 4.0
    y[1:] = y[0] * y[1:]
    return y


def _newaxis(xp: Any, x: Any) -> Any:
    y = x[None, :, 1:3, None]
    y[0, 1] = 9.0
    xp.expand_dims(x, 1)[2] *= 2.0
    xp.squeeze(x[None])[0, 0] = 3.0
    return y


def _split(xp: Any, x: Any) -> Any:
    left, right = xp.split(x, 2, axis=1)
    left[:] = right * 2.0
    xp.flip(right, 0)[0] = 1.0
    return left, right


def _axes(xp: Any, x: Any) -> Any:
    y = xp.moveaxis(x[None], 0, -1)
    y[2, 3, 0] = 8.0
    xp.swapaxes(x, 0, 1)[2] = x[:, 0]
    return y


def _diagonal(xp: Any, x: Any) -> Any:
    d = xp.diagonal(x)
    x[1, 1] = 6.0
    return d * 1.0


def _fill(xp: Any, x: Any) -> Any:
    x[1].fill(2.0)
    x[:, 2].sort()
    np.multiply(x[0], 3.0, out=x[2])


def _flat(xp: Any, x: Any) -> Any:
    x.flat[5] = 2.0
    x.flat[::4] = x.flat[1] * 3.0
    x.flat[6:9] = [1.0, 2.0]
    return x.flat[3:5], [element * 2.0 for element in x.flat], np.int64(len(x.flat))


def _copies(xp: Any, x: Any) -> Any:
    copies = [x.copy(), x[[0, 1]], x.flatten(), xp.concatenate([x]), x + 0.0]
    copies = [*copies, tnp.array(x), x.astype(float), xp.sort(x, axis=0), xp.roll(x, 0)]
    for one in copies:
        one[0] = 100.0
    return x


def _dead(xp: Any, x: Any) -> Any:
    for k in range(50):
        x[k % 3] *= 1.01
    return x


VIEWS = [
    _slice,
    _of_view,
    _base_to_view,
    _siblings,
    _transpose,
    _ravel,
    _rows,
    _steps,
    _newaxis,
    _split,
    _axes,
    _diagonal,
    _fill,
    _flat,
    _dead,
]
CASES = [Case(write.__name__.strip("_"), _through(write), (A,)) for write in VIEWS]
CASES.append(Case("copies", _through(_copies), (A,)))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_views_follow_numpy(case: Case) -> None:
    check_eager(case, np)
    check_eager(case, tnp)


@pytest.mark.parametrize("case", [case for case in CASES if case.abstract], ids=str)
def test_views_in_a_graph(case: Case) -> None:
    check_graph(case)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_derivatives_through_views(case: Case) -> None:
    check_derivatives(case)


def test_parts_of_complex_numbers_are_views() -> None:
    def write(xp: Any, z: Any) -> Any:
        z = z * 1.0
        z.real[0] = 3.0
        z.imag *= 2.0
        return z

    case = Case("parts", write, (Z,))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_eager(case, tnp)
        check_derivatives(case)


def _rows_in_a_loop(x: Any) -> Any:
    y = x * 1.0
    for k in range(30):
        row = y[k % 3]
        row *= 1.01
        row[0] = row[1] + y[0, 2]
    y += 1.0
    return y


def _view_in_a_while_loop(x: Any) -> Any:
    y = x * 1.0
    row = y[1]
    k = 0
    while k < 4:
        row += y[0]
        k = k + 1
    y[0] = row
    return y, row


@pytest.mark.parametrize("function", [_rows_in_a_loop, _view_in_a_while_loop])
def test_views_written_in_loops(function: Callable[..., Any]) -> None:
    expected = results(function(A))
    compiled = tracer.jit(function, backend="numpy")
    for found, value in zip(results(compiled(A)), expected, strict=True):
        np.testing.assert_allclose(found, value, rtol=1e-14)
    eager = tracer.vjp(function, A)[0]
    for found, value in zip(results(eager), expected, strict=True):
        np.testing.assert_allclose(found, value, rtol=1e-14)


@pytest.mark.parametrize("make", [lambda x: np.broadcast_to(x, (2, 3, 4)), np.diagonal])
def test_what_numpy_does_not_let_write_raises(make: Any) -> None:
    with opened(ValueTrace()) as trace:
        view = make(trace.input(A))
        with pytest.raises(ValueError, match="read-only"):
            view[0] = 1.0


def test_views_are_forgotten_when_they_are_gone() -> None:
    with opened(ValueTrace()) as trace:
        x = trace.input(A)
        for _ in range(1000):
            x[1:]
        gc.collect()
        assert len(x.alias) <= 32
