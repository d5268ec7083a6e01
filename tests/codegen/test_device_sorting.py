"""Sorts, searches, extremes' places and scatters as parallel loops, compared with NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracer
from codegen.loops.nodes import Loop, Program
from codegen.loops.walk import statements
from codegen.lower.device_sequence import RUN
from codegen.lower.graph import lower_graph
from tests.codegen.device_programs import Array, run_device
from tracer import jit

DTYPES = ("bool", "int8", "int32", "int64", "uint8", "uint64", "float16", "float32", "float64")
LENGTHS = (1, 2, 3, RUN - 1, RUN, 2 * RUN, 2 * RUN + 1, 97, 4 * RUN + 1)


def keys(shape: tuple[int, ...], dtype: str, seed: int = 0) -> Array:
    """Few different numbers, so that many are equal; floats with all that is special."""
    draw = np.random.default_rng(seed)
    if np.dtype(dtype).kind != "f":
        return draw.integers(0, 2 if dtype == "bool" else 7, shape).astype(dtype)
    special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 2.5, 6e4, -3e-5])
    return draw.choice(special, shape).astype(dtype)


def run(f: Callable[..., Any], *args: Any) -> Array:
    """The only result of f, lowered for devices."""
    (result,) = run_device(jit(f).trace(*args).graph, args)
    return result


def program_of(f: Callable[..., Any], *args: Any) -> Program:
    """The loops of f for devices."""
    return lower_graph(jit(f).trace(*args).graph, "device")


def same(one: Array, other: Array) -> None:
    """Equal dtypes, shapes and elements, NaN equal to itself."""
    assert one.dtype == other.dtype
    np.testing.assert_array_equal(one, other)


CASES = [*((dtype, 71) for dtype in DTYPES), *(("float64", length) for length in LENGTHS)]


@pytest.mark.parametrize(("dtype", "length"), CASES)
def test_places_are_those_of_the_stable_sort(dtype: str, length: int) -> None:
    x = keys((length,), dtype, seed=length)
    same(run(lambda x: np.argsort(x, stable=True), x), np.argsort(x, stable=True))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_each_row_is_sorted(axis: int) -> None:
    shape = [2, 1, 2]
    shape[axis] = 66
    x = keys(tuple(shape), "float64")
    same(run(lambda x: np.argsort(x, axis, stable=True), x), np.argsort(x, axis, stable=True))


@pytest.mark.parametrize("length", [1, 5, 70])
def test_complex_numbers_are_in_the_order_of_numpy(length: int) -> None:
    x = np.empty(length, np.complex128)
    x.real, x.imag = keys((length,), "float64", 1), keys((length,), "float64", 2)
    same(run(lambda x: np.argsort(x, stable=True), x), np.argsort(x, stable=True))


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0)])
def test_nothing_is_sorted(shape: tuple[int, ...]) -> None:
    same(run(lambda x: np.sort(x, axis=0), np.zeros(shape)), np.zeros(shape))


def test_sorted_values() -> None:
    x = keys((2, 67), "float32")
    same(run(lambda x: np.sort(x, axis=1), x), np.sort(x, axis=1, kind="stable"))


def test_numbers_in_descending_order_of_sorted_input() -> None:
    x = np.arange(66.0)
    same(run(np.argsort, x), np.arange(66))
    same(run(np.argsort, -x), np.arange(66)[::-1])


def test_a_sort_runs_serially_only_through_merges_and_searches() -> None:
    program = program_of(np.argsort, np.zeros((4, 5000)))
    outer = [statement for statement in program.body if isinstance(statement, Loop)]
    assert [loop.kind for loop in outer] == ["parallel", "serial", "parallel"]
    merge = outer[1].body
    assert len(merge) == 1
    assert isinstance(merge[0], Loop)
    assert merge[0].kind == "parallel"
    inner = merge[0].body
    assert len(inner) == 1
    assert isinstance(inner[0], Loop)
    assert inner[0].kind == "parallel"


@pytest.mark.parametrize("dtype", ["bool", "int32", "float64"])
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("length", [0, 1, 2, 50])
def test_places_in_a_sorted_table(dtype: str, side: Any, length: int) -> None:
    table, values = np.sort(keys((length,), dtype, 1)), keys((4, 9), dtype, 2)
    expected = np.searchsorted(table, values, side)
    same(run(lambda t, v: np.searchsorted(t, v, side), table, values), expected)


@pytest.mark.parametrize("name", ["argmax", "argmin"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("axis", [0, 1])
def test_the_first_extreme(name: str, dtype: str, axis: int) -> None:
    for seed in range(4):
        x = keys((5, 7), dtype, seed)
        same(run(lambda x: getattr(np, name)(x, axis), x), getattr(np, name)(x, axis))
    special = np.array([[-np.inf] * 3, [np.inf] * 3, [0.0, -0.0, 0.0]])
    same(run(lambda x: getattr(np, name)(x, 1), special), getattr(np, name)(special, 1))


@pytest.mark.parametrize("sizes", [(1, 1), (1, 5), (6, 1), (4, 7), (9, 3)])
@pytest.mark.parametrize("dtype", ["bool", "int64", "float64", "complex128"])
def test_convolution(sizes: tuple[int, int], dtype: str) -> None:
    draw = np.random.default_rng(0)
    x, y = (draw.integers(-3, 4, size).astype(dtype) for size in sizes)
    same(run(np.convolve, x, y), np.convolve(x, y))


def test_column_sums_and_products_of_matrices() -> None:
    x = np.arange(12.0).reshape(3, 4)
    same(run(lambda x: x.sum(axis=0), x), x.sum(axis=0))
    same(run(lambda x: x.T @ x, x), x.T @ x)
    kinds = [
        s.kind
        for s in statements(program_of(lambda x: x.sum(axis=0), x).body)
        if isinstance(s, Loop)
    ]
    assert kinds == ["parallel", "reduce"]


def written(x: Any, i: Any, v: Any) -> Any:
    y = x.copy()
    y[i] = v
    return y


def test_of_repeated_places_the_last_is_written() -> None:
    x, i = np.zeros((6, 2)), np.array([3, 0, 3, -1, 5, 3, 1])
    v = np.arange(14.0).reshape(7, 2)
    same(run(written, x, i, v), written(x, i, v))


def test_of_repeated_places_in_two_axes_the_last_is_written() -> None:
    draw = np.random.default_rng(0)
    x, i, j = np.zeros((4, 3)), draw.integers(-4, 4, (5, 3)), draw.integers(0, 3, (3,))
    v = draw.normal(size=(5, 3))

    def f(x: Any, i: Any, j: Any, v: Any) -> Any:
        y = x.copy()
        y[i, j] = v
        return y

    same(run(f, x, i, j, v), f(x, i, j, v))


def test_a_bad_index_is_an_error() -> None:
    with pytest.raises(IndexError, match="index 9 is out of bounds for axis 0 with size 6"):
        run(written, np.zeros(6), np.array([0, 9]), np.ones(2))


def kinds_of_updates(program: Program) -> set[str]:
    """The kinds of the outermost loops with an update."""
    return {
        loop.kind
        for loop in program.body
        if isinstance(loop, Loop)
        for part in statements(loop.body)
        if type(part).__name__ == "Update"
    }


@pytest.mark.parametrize("shape", [(70,), (2, 66)])
def test_the_gradient_of_a_sort_adds_in_parallel(shape: tuple[int, ...]) -> None:
    weights = np.arange(shape[-1]) ** 1.5

    def f(x: Any) -> Any:
        return (np.sort(x, axis=-1) * weights).sum()

    x = np.random.default_rng(0).normal(size=shape)
    gradient = tracer.grad(f)
    same(run(gradient, x), gradient(x))
    assert kinds_of_updates(program_of(gradient, x)) <= {"parallel"}
    checks = [s for s in statements(program_of(gradient, x).body) if type(s).__name__ == "Check"]
    assert not checks


def test_the_gradient_of_one_element_a_row_adds_in_parallel() -> None:
    def f(x: Any, labels: Any) -> Any:
        return (x[np.arange(100), labels] ** 2).sum()

    draw = np.random.default_rng(0)
    x, labels = draw.normal(size=(100, 4)), draw.integers(-4, 4, 100)
    gradient = tracer.grad(f)
    same(run(gradient, x, labels), gradient(x, labels))
    assert kinds_of_updates(program_of(gradient, x, labels)) == {"parallel"}


def test_repeated_rows_are_not_added_in_parallel() -> None:
    gradient = tracer.grad(lambda x, i: (x[i] ** 2).sum())
    x, i = np.arange(8.0).reshape(4, 2), np.array([1, 1, 3, 1])
    same(run(gradient, x, i), gradient(x, i))
    assert kinds_of_updates(program_of(gradient, x, i)) == {"serial"}


@pytest.mark.parametrize("axis", [0, 1])
def test_an_index_array_of_one_row_for_many_repeats_places(axis: int) -> None:
    def f(x: Any, v: Any) -> Any:
        order = np.argsort(x, axis=axis)
        i = np.broadcast_to(order, v.shape)
        y = np.zeros(6)
        np.add.at(y, i, v)
        return y

    x = np.array([[3.0, 1.0, 2.0, 0.5]])
    v = np.arange(12.0).reshape(3, 4)
    same(run(f, x, v), f(x, v))
    assert kinds_of_updates(program_of(f, x, v)) == {"serial"}
