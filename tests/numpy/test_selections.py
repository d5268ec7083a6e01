"""What a traced mask selects, under jit: against NumPy, with derivatives, batches and errors."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracer
import tracer.numpy as tnp
from tests.helpers import COMPILED, FAST
from tests.numpy.compare import all_same, results
from tracer import errors, grad, jit, jvp, vmap

X = (np.arange(12) * 5 % 12 / 4.0 - 1.3).reshape(3, 4)
Function = Callable[[Any], Any]


def changed(change: Callable[[Any], Any]) -> Function:
    """A function that returns its argument once a copy of it has been changed."""

    def function(x: Any) -> Any:
        y = x * 1.0
        change(y)
        return y

    return function


def setitem(array: Any, index: Any, value: Any) -> None:
    array[index] = value


def _doubled(x: Any) -> None:
    mask = x > 0
    x[mask] = x[mask] * 2


def _added(x: Any) -> None:
    x[x > 0] += 1


def _roots(x: Any) -> None:
    mask = x > 0
    x[mask] = np.sqrt(x[mask]) + 1
    x[~mask] -= x[~mask] ** 2


def _rows(x: Any) -> None:
    mask = x[:, 0] > -0.5
    x[mask] = x[mask] * 2
    x[mask, 1] = 0
    x[:, x[0] > -0.9] += 1


def _places(x: Any) -> None:
    places = np.where(x > 0)
    x[places] = x[places] * 3
    x[np.nonzero(x < -0.5)] = 0.0


def _values(x: Any) -> None:
    x[x > 0] = np.arange(1.0, 1.0 + np.count_nonzero(X > 0))


CHANGES = (_doubled, _added, _roots, _rows, _places, _values)
FUNCTIONS: dict[str, Function] = {
    **{change.__name__: changed(change) for change in CHANGES},
    "sum": lambda x: x[x > 0].sum(),
    "mean": lambda x: np.mean(x[x > 0]),
    "moments": lambda x: (x[x > 0].var(), np.std(x[x > 0], ddof=1), x[x > 0].prod()),
    "extremes": lambda x: (x[x > 0].min(), np.max(x[x > 0]), np.ptp(x[x > 0])),
    "counts": lambda x: (np.count_nonzero(x[x > 0] > 1), x[x > 0].size, np.size(x[x > 0])),
    "logic": lambda x: (np.any(x[x > 0] > 1), np.all(x[x > 0] > 0.0)),
    "order": lambda x: (np.median(x[x > 0]), np.quantile(x[x > 0], 0.3), np.sort(x[x > 0])[0]),
    "percentiles": lambda x: np.percentile(x[x > 0], [10.0, 62.5]),
    "products": lambda x: (np.dot(x[x > 0], x[x > 0]), np.linalg.norm(x[x > 0])),
    "elementwise": lambda x: np.sum(np.exp(x[x > 0]) * 2 - np.maximum(x[x > 0], 0.5) / 3),
    "where": lambda x: np.sum(np.where(x[x > 0] > 0.5, x[x > 0], 0.0)),
    "clip": lambda x: np.clip(x[x > 0], 0.2, 1.0).sum(),
    "average": lambda x: np.average(x[x > 0], weights=x[x > 0] ** 2),
    "elements": lambda x: (x[x > 0][0], x[x > 0][-1], x[x > 0][np.array([1, 0])]),
    "slices": lambda x: (x[x > 0][1:].sum(), x[x > 0][:-1].sum(), x[x > 0][::2].sum()),
    "narrowed": lambda x: (x[x > 0][x[x > 0] < 1]).sum(),
    "running": lambda x: np.cumsum(x[x > 0])[-1],
    "nonzero": lambda x: (x[np.nonzero(x > 0)].sum(), np.nonzero(x > 0)[1].sum()),
    "flatnonzero": lambda x: np.flatnonzero(x > 0).max(),
    "compress": lambda x: (
        np.compress(x[0] > 0, x, axis=1).sum(),
        x.compress(x[:, 0] > 0, 0).sum(),
    ),
    "extract": lambda x: np.extract(x > 0, x).sum(),
    "unique": lambda x: (np.unique(np.round(x)).sum(), np.unique(np.round(x)).size),
    "rows": lambda x: (x[x[:, 0] > -0.5].sum(axis=0), x[x[:, 0] > -0.5].mean()),
    "finite": lambda x: np.sum(x[np.isfinite(x)] ** 2),
    "dtypes": lambda x: (x[x > 0].astype(int).sum(), (x[x > 0] > 1).sum()),
}


def total(function: Function) -> Function:
    """The sum of all results that have derivatives, times different numbers."""

    def sum_(x: Any) -> Any:
        found = [part for part in results(function(x)) if not isinstance(part, int)]
        parts = [part for part in found if part.dtype.kind == "f"]
        return sum(
            (np.sum(part) * (place + 1.5) for place, part in enumerate(parts)), 0.0 * x[0, 0]
        )

    return sum_


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("backend", [FAST, "numpy"])
def test_value_under_jit_is_that_of_numpy(name: str, backend: str) -> None:
    all_same(results(jit(FUNCTIONS[name], backend=backend)(X)), results(FUNCTIONS[name](X)))


def test_one_program_of_all_on_numba() -> None:
    def everything(x: Any) -> Any:
        return [function(x) for function in FUNCTIONS.values()]

    all_same(results(jit(everything, backend=COMPILED[-1])(X)), results(everything(X)))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_derivatives_are_those_of_eager_execution(name: str) -> None:
    function = total(FUNCTIONS[name])
    expected = grad(function)(X)
    np.testing.assert_allclose(jit(grad(function))(X), expected, rtol=1e-12, atol=1e-13)
    tangent = np.cos(X)
    _, found = jit(lambda x: jvp(function, (x,), (tangent,)))(X)
    np.testing.assert_allclose(found, np.sum(expected * tangent), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name != "_values"])
def test_lanes_of_a_batch_select_different_elements(name: str) -> None:
    lanes = np.stack([X, X[::-1] * 0.9 + 0.31])
    found = vmap(total(FUNCTIONS[name]))(lanes)
    expected = [total(FUNCTIONS[name])(lane) for lane in lanes]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_an_empty_selection_has_the_sum_0_and_the_mean_nan() -> None:
    found = jit(lambda x: (x[x > 9].sum(), x[x > 9].mean(), np.median(x[x > 9])))(X)
    assert found[0] == 0.0
    assert np.isnan(found[1])
    assert np.isnan(found[2])


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x[x > 9].max(),
        lambda x: x[x > 0][20],
        lambda x: x[x > 0][-20],
        changed(lambda x: setitem(x, x > 0, np.arange(3.0))),
    ],
)
@pytest.mark.parametrize("backend", COMPILED)
def test_what_does_not_fit_is_an_index_error_of_the_run(function: Function, backend: str) -> None:
    with pytest.raises(IndexError, match=r"test_selections\.py"):
        jit(function, backend=backend)(X)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x[x > 0],
        lambda x: len(x[x > 0]),
        lambda x: list(x[x > 0]),
        lambda x: x[x > 0] + x[x > 0.1],
        lambda x: x[x > 0] + np.ones(5),
        lambda x: np.diff(x[x > 0]),
        lambda x: np.concatenate([x[x > 0], x[x < 0]]),
        lambda x: x[x > 0].reshape(2, -1),
        lambda x: np.sum(x[x > 0], where=x > 0),
        lambda x: x[x > 0].tolist(),
        lambda x: tnp.zeros(x[x > 0].shape),
        changed(lambda x: setitem(x, x > 0, x[x > 0.1])),
    ],
)
def test_what_needs_the_length_names_what_to_write(function: Function) -> None:
    with pytest.raises(errors.ConcretizationError, match=r"size=n|known only when"):
        jit(function)(X)


def test_the_fixed_size_form() -> None:
    def largest(x: Any) -> Any:
        rows, columns = tnp.nonzero(x > 0, size=4, fill_value=0)
        return x[rows, columns]

    with warnings.catch_warnings():
        np.testing.assert_array_equal(jit(largest)(X), X[X > 0][:4])
    assert tracer.make_graph(largest)(X).output_types[0].shape == (4,)
