"""What the generic tests share: the backends, comparison, graphs run in several ways."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from codegen.cuda.target import simulated
from codegen.loops.interpret import interpret
from codegen.lower.graph import lower_graph
from codegen.passes.pipeline import optimize
from tests.simulation import is_tiny
from tracer.backend import Executable, executable
from tracer.graph.evaluate import evaluate
from tracer.graph.nodes import Graph
from tracer.types import is_brain, kind_of

Array = np.ndarray[Any, np.dtype[Any]]

COMPILED = ("cuda",) if simulated() else ("llvm", "numba")
"""In a process where a GPU is simulated the tests of the compiled backends test that one."""
BACKENDS = ("numpy", *COMPILED)
FAST = COMPILED[0]
"""The compiled backend that a test takes which needs but one."""
QUICKEST = "cuda" if simulated() else "numpy"
"""What tests take of many programs whose meaning is no matter of the backend."""


def run_numpy(graph: Graph, inputs: Sequence[Any]) -> list[Array]:
    """The graph by the reference evaluator, warnings of floating-point errors aside."""
    with np.errstate(all="ignore"):
        return [np.asarray(value) for value in evaluate(graph, [_scalar(x) for x in inputs])]


def run_compiled(graph: Graph, inputs: Sequence[Any], backend: str) -> list[Array]:
    """The graph by a backend; where the simulated device is tiny, the last of several calls."""
    program = executable(graph, backend)
    with np.errstate(all="ignore"):
        if is_tiny() and backend == "cuda":
            return _run_again(program, inputs)
        return [np.asarray(value) for value in program.run(list(inputs))]


def _run_again(program: Executable, inputs: Sequence[Any]) -> list[Array]:
    """The results of the first call, once two more, on other arrays, have given the same: what was
    captured as a graph has then been replayed. Inputs are spoilt after their call, and the results
    of a call must outlive the next."""
    held, copies = [], []
    for _ in range(3):
        arrays = [np.array(value) for value in inputs]
        held.append([np.asarray(value) for value in program.run(arrays)])
        copies.append([value.copy() for value in held[-1]])
        for array in arrays:
            array.fill(1)
    for again in (*copies[1:], *held):
        for result, due in zip(again, copies[0], strict=True):
            np.testing.assert_array_equal(result, due, "one call differs from another", strict=True)
    return held[0]


def run_lowered(graph: Graph, inputs: Sequence[Any], *, optimized: bool = False) -> list[Array]:
    """The graph as a loop program, run by the interpreter of loop programs."""
    program = lower_graph(graph)
    arrays = [np.asarray(value) for value in inputs]
    return interpret(optimize(program) if optimized else program, arrays)


def _scalar(value: Any) -> Any:
    """0-d arrays as NumPy scalars, which is what NumPy's functions return for them."""
    return value[()] if isinstance(value, np.ndarray) and value.ndim == 0 else value


def merge(graphs: Sequence[Graph], name: str = "merged") -> Graph:
    """One graph with the inputs, nodes and outputs of several, none of them given twice."""
    return Graph(
        tuple(variable for graph in graphs for variable in graph.inputs),
        tuple(pair for graph in graphs for pair in graph.constants),
        tuple(node for graph in graphs for node in graph.nodes),
        tuple(output for graph in graphs for output in graph.outputs),
        name,
    ).check()


def difference(actual: Array, expected: Array, ulps: float, *, scaled: bool = False) -> str | None:
    """Where `actual` is not `expected`: dtype, shape, NaNs, infinities, signs of zero, or more than
    `ulps` units in the last place (of the larger part of a complex number; of the largest element,
    where `scaled`); None where it is."""
    if actual.dtype != expected.dtype or actual.shape != expected.shape:
        return f"{actual.dtype}{actual.shape} instead of {expected.dtype}{expected.shape}"
    if kind_of(expected.dtype) not in "fc":
        wrong = actual != expected
    else:
        wrong = _differs_inexact(actual, expected, ulps, scaled)
    if not np.any(wrong):
        return None
    place = tuple(int(axis[0]) for axis in np.nonzero(np.atleast_1d(wrong)))
    got, due = np.atleast_1d(actual)[place], np.atleast_1d(expected)[place]
    return f"{got!r} instead of {due!r} at {place} ({int(np.sum(wrong))} of {actual.size})"


def _spacing(magnitude: Array) -> Array:
    """The distance of neighbouring numbers there; of the smallest normal number below it."""
    if is_brain(magnitude.dtype):
        least, most = magnitude.dtype.type(2.0**-126), magnitude.dtype.type(3.3895314e38)
        return np.spacing(np.minimum(np.maximum(magnitude, least), most))
    limits = np.finfo(magnitude.dtype)
    return np.spacing(np.clip(magnitude, limits.tiny, limits.max))


def _differs_inexact(actual: Array, expected: Array, ulps: float, scaled: bool) -> Array:
    """Signs of zero are those of real numbers: the parts of complex ones round as they like."""
    parts = [(actual.real, expected.real)]
    signed = kind_of(expected.dtype) == "f"
    if not signed:
        parts.append((actual.imag, expected.imag))
    with np.errstate(all="ignore"):
        magnitude = np.maximum.reduce([np.abs(part) for _, part in parts])
        if scaled and magnitude.size:
            magnitude = np.full_like(magnitude, np.max(magnitude))
        units = magnitude.dtype.type(ulps)
        tolerance = _spacing(magnitude) * units if ulps else np.zeros_like(magnitude)
        wrong = [_differs(one, two, tolerance, signed) for one, two in parts]
    return np.logical_or.reduce(wrong)


def _differs(actual: Array, expected: Array, tolerance: Array, signed: bool) -> Array:
    same = actual == expected
    if signed:
        same &= np.signbit(actual) == np.signbit(expected)
    both_nan = np.isnan(actual) & np.isnan(expected)
    near = (np.abs(actual - expected) <= tolerance) & (tolerance > 0) & (actual != expected)
    return ~(same | both_nan | near)


def assert_same(
    actual: Any, expected: Any, ulps: float = 0.0, what: str = "", *, scaled: bool = False
) -> None:
    """Fail, and say where, unless the arrays agree to that many units in the last place."""
    found = difference(np.asarray(actual), np.asarray(expected), ulps, scaled=scaled)
    assert found is None, f"{what}: {found}" if what else found


def assert_near(actual: Any, expected: Any, tolerance: float, what: str = "") -> None:
    """Fail unless |actual − expected| ≤ tolerance · (1 + the largest |expected|), NaNs aside; whole
    numbers and booleans must be equal."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape, f"{what}: shape {actual.shape}, not {expected.shape}"
    if expected.size == 0:
        return
    if kind_of(expected.dtype) not in "fc":
        assert np.array_equal(actual, expected), f"{what}: {actual} is not {expected}"
        return
    scale = 1.0 + float(np.max(np.abs(expected), initial=0.0, where=np.isfinite(expected)))
    with np.errstate(invalid="ignore"):
        error = np.abs(actual - expected)
    wrong = ~((error <= tolerance * scale) | (actual == expected))
    wrong &= ~(np.isnan(actual) & np.isnan(expected))
    bound = f"{tolerance:g} of {scale:g}"
    assert not np.any(wrong), f"{what}: {actual} is not {expected} within {bound}"
