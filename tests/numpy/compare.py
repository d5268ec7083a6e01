"""One case of a NumPy function: plain NumPy against tracing, graphs and numerical derivatives."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import tracer
import tracer.numpy as tnp
from tracer.graph.evaluate import evaluate
from tracer.trace import Tracer, ValueTrace, opened

# Relative error of a value, in units of the dtype's resolution: sums may be ordered differently.
ULPS = 64


@dataclass(frozen=True)
class Case:
    """A call: `function(xp, *arrays)`, where xp is numpy or tracer.numpy.

    derivatives: the highest order that is checked against numerical ones; 0 where there is none.
    abstract: whether it works on types alone, without values.
    """

    name: str
    function: Callable[..., Any]
    arrays: tuple[Any, ...]
    derivatives: int = 1
    abstract: bool = True
    sweep: bool = True
    namespace: Any = np  # where derivatives find their function

    def __str__(self) -> str:
        return self.name

    def plain(self) -> list[Any]:
        """What NumPy returns, on copies that the function may write to."""
        return results(self.function(np, *[np.array(array) for array in self.arrays]))


def results(value: Any) -> list[Any]:
    """The leaves of a result."""
    return list(tracer.tree.leaves(value))


def concrete(value: Any) -> Any:
    """The value of an eager tracer, or what is no tracer itself."""
    return value.concrete("a test") if type(value) is Tracer else value


def same(found: Any, expected: Any) -> None:
    """Equal shape and dtype, and values up to rounding."""
    found, expected = np.asarray(concrete(found)), np.asarray(expected)
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    if expected.dtype.kind in "fc":
        resolution = np.finfo(expected.dtype).eps
        finite = expected[np.isfinite(expected)]
        scale = float(np.max(np.abs(finite))) if finite.size else 1.0
        np.testing.assert_allclose(
            found, expected, rtol=ULPS * resolution, atol=ULPS * resolution * max(scale, 1e-30)
        )
    else:
        np.testing.assert_array_equal(found, expected)


def all_same(found: list[Any], expected: list[Any]) -> None:
    """`same` for each leaf."""
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        same(one, other)


def check_eager(case: Case, namespace: Any) -> None:
    """The function on eager tracers, through numpy or tracer.numpy."""
    expected = case.plain()
    with opened(ValueTrace()) as trace:
        inputs = [trace.input(np.array(array)) for array in case.arrays]
        found = results(case.function(namespace, *inputs))
        all_same(found, expected)


def check_graph(case: Case) -> None:
    """The function traced on types alone: the graph's types, and its value."""
    expected = case.plain()
    arrays = [np.array(array) for array in case.arrays]
    graph = tracer.make_graph(lambda *args: case.function(tnp, *args))(*arrays)
    graph.check()
    assert [(t.shape, t.dtype) for t in graph.output_types] == [
        (np.shape(value), np.asarray(value).dtype) for value in expected
    ]
    all_same(evaluate(graph, arrays), expected)


def _weights(values: list[Any]) -> list[Any]:
    generator = np.random.default_rng(7)
    return [generator.normal(size=np.shape(value)) for value in values]


def _scalar(case: Case, weights: list[Any]) -> Callable[..., Any]:
    """A real number made of all floating results."""

    def total(*arrays: Any) -> Any:
        sum_ = 0.0
        outputs = results(case.function(case.namespace, *arrays))
        for value, weight in zip(outputs, weights, strict=True):
            if type(value) in (float, complex):
                value = np.asarray(value)
            if not isinstance(value, (np.ndarray, np.generic, Tracer)):
                continue  # a shape, a dtype, an answer of Python
            if value.dtype.kind == "c":
                sum_ = sum_ + np.sum(np.real(value) * weight)
                sum_ = sum_ + np.sum(np.imag(value) * weight**2)
            elif value.dtype.kind == "f":
                sum_ = sum_ + np.sum(value * weight)
        return sum_

    return total


def _directions(arrays: tuple[Any, ...]) -> list[Any]:
    generator = np.random.default_rng(11)
    directions = []
    for array in arrays:
        shape, dtype = np.shape(array), np.asarray(array).dtype
        if dtype.kind == "c":
            directions.append(generator.normal(size=shape) + 1j * generator.normal(size=shape))
        elif dtype.kind == "f":
            directions.append(generator.normal(size=shape))
        else:
            directions.append(np.zeros(shape, dtype))
    return directions


def _moved(arrays: tuple[Any, ...], directions: list[Any], step: float) -> list[Any]:
    return [
        np.array(array) + step * direction
        if np.asarray(array).dtype.kind in "fc"
        else np.array(array)
        for array, direction in zip(arrays, directions, strict=True)
    ]


def slope(function: Callable[[float], Any], scale: float = 1e-3) -> float:
    """The derivative at 0 by central differences, extrapolated twice (error of order scale⁶)."""
    estimates = [
        (float(function(step)) - float(function(-step))) / (2 * step)
        for step in (scale, scale / 2, scale / 4)
    ]
    once = [(4 * estimates[k + 1] - estimates[k]) / 3 for k in range(2)]
    return (16 * once[1] - once[0]) / 15


def _inexact(arrays: tuple[Any, ...]) -> tuple[int, ...]:
    return tuple(k for k, array in enumerate(arrays) if np.asarray(array).dtype.kind in "fc")


def _paired(gradients: Any, directions: list[Any], places: tuple[int, ...]) -> Any:
    """The pairing of a gradient with a direction: Re Σ g·v."""
    total = 0.0
    for gradient, place in zip(gradients, places, strict=True):
        total = total + np.sum(np.real(gradient * directions[place]))
    return total


def check_derivatives(case: Case) -> None:
    """Both modes against numerical derivatives, up to the order that the case names."""
    places = _inexact(case.arrays)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", np.exceptions.ComplexWarning)
        total = _scalar(case, _weights(case.plain()))
        directions = _directions(case.arrays)
        expected = slope(lambda step: total(*_moved(case.arrays, directions, step)))
        arrays = [np.array(array) for array in case.arrays]
        gradients = tracer.grad(total, argnums=places)(*arrays)
        for gradient, place in zip(gradients, places, strict=True):
            assert gradient.dtype == case.arrays[place].dtype
            assert gradient.shape == np.shape(case.arrays[place])
        found = _paired(gradients, directions, places)
        np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-7)

        def at(*chosen: Any) -> Any:
            full = list(case.arrays)
            for place, value in zip(places, chosen, strict=True):
                full[place] = value
            return total(*full)

        primals = tuple(arrays[place] for place in places)
        tangents = tuple(directions[place] for place in places)
        _, tangent = tracer.jvp(at, primals, tangents)
        np.testing.assert_allclose(tangent, expected, rtol=1e-7, atol=1e-7)
        if case.derivatives > 1:
            _check_second(case, total, directions, places)


def _check_second(case: Case, total: Any, directions: list[Any], places: tuple[int, ...]) -> None:
    gradient = tracer.grad(total, argnums=places)

    def along(step: float) -> Any:
        return _paired(gradient(*_moved(case.arrays, directions, step)), directions, places)

    expected = slope(along)

    def paired(*arrays: Any) -> Any:
        return _paired(gradient(*arrays), directions, places)

    second = tracer.grad(paired, argnums=places)(*[np.array(array) for array in case.arrays])
    np.testing.assert_allclose(_paired(second, directions, places), expected, rtol=1e-6, atol=1e-6)


def check_batched(case: Case) -> None:
    """`vmap` of the function over two lanes, against NumPy on each."""
    lanes = [
        [np.array(array) for array in case.arrays],
        [_other_lane(np.array(array)) for array in case.arrays],
    ]
    stacked = [np.stack(pair) for pair in zip(*lanes, strict=True)]
    with np.errstate(all="ignore"):
        expected = [results(case.function(np, *map(np.copy, lane))) for lane in lanes]
        found = results(tracer.vmap(lambda *args: case.function(tnp, *args))(*stacked))
    for place, value in enumerate(found):
        same(value, np.stack([lane[place] for lane in expected]))


def _other_lane(array: Any) -> Any:
    """Other numbers of the same kind and order of magnitude: the elements in another order."""
    return np.roll(array, 1)


def check_dtype(case: Case, dtype: Any) -> None:
    """The case with its float64 arrays in another dtype: NumPy's value, dtype, or refusal."""
    _check_with(
        case, lambda array: array.astype(dtype) if array.dtype == np.float64 else array
    )


def check_special(case: Case, values: Any) -> None:
    """The case with special values among its floats: NumPy's value, or refusal."""

    def change(array: Any) -> Any:
        array = np.array(array)
        if array.dtype == np.float64 and array.size > 1:
            for place, value in enumerate(values, 1):
                array.flat[place % array.size] = value
        return array

    _check_with(case, change)


def _check_with(case: Case, change: Callable[[Any], Any]) -> None:
    arrays = tuple(change(array) for array in map(np.array, case.arrays))
    other = Case(case.name, case.function, arrays)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            other.plain()
        except (TypeError, ValueError):
            refused = True
        else:
            refused = False
        if refused:
            with pytest.raises((TypeError, ValueError)):
                case.function(tnp, *_traced(arrays))
        else:
            check_eager(other, tnp)


def _traced(arrays: tuple[Any, ...]) -> list[Any]:
    trace = ValueTrace()
    return [trace.input(array) for array in arrays]
