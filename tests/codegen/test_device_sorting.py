"""Sorts, searches, extremes' places and scatters as parallel loops, compared with NumPy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import tracer
from codegen.device.machine import DeviceMachine
from codegen.loops.check import check_program
from codegen.loops.interpret import interpret
from codegen.loops.nodes import Call, Loop, Program
from codegen.loops.walk import statements
from codegen.lower.device_sequence import RUN
from codegen.lower.graph import lower_graph
from codegen.passes.pipeline import optimize
from codegen.passes.sort_calls import is_sort, settle_sorts
from tests.codegen.device_programs import Array, run_device
from tracer import jit

MACHINE = DeviceMachine()
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


def settled(program: Program, machine: DeviceMachine = MACHINE) -> Program:
    """The program as its kernels are made from it."""
    found = settle_sorts(optimize(program, "device"), machine)
    check_program(found)
    return found


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


def test_merges_run_serially_only_through_merges_and_searches() -> None:
    program = settled(program_of(np.argsort, np.zeros((4, 5000))), replace(MACHINE, small=10**9))
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


def test_small_sorts_are_loops() -> None:
    """A sort by merging is what a call stands for, with either result or both."""
    for seed, f in enumerate((np.argsort, np.sort, lambda x: (np.argsort(x), np.sort(x)))):
        x = keys((70,), "float32", seed)
        graph = jit(lambda x, f=f: f(x, axis=-1) if f in (np.argsort, np.sort) else f(x)).trace(x)
        program = settled(lower_graph(graph.graph, "device"), replace(MACHINE, small=10**9))
        assert not any(map(is_sort, statements(program.body)))
        order = np.argsort(x, axis=-1, kind="stable")
        expected = {0: [order], 1: [np.take_along_axis(x, order, -1)]}
        expected[2] = [*expected[0], *expected[1]]
        for one, other in zip(interpret(program, [x]), expected[seed], strict=True):
            same(one, other)


def calls_of(program: Program) -> list[Call]:
    """The sorts of a program."""
    return [part for part in statements(program.body) if isinstance(part, Call) and is_sort(part)]


def wanted(f: Callable[..., Any], *args: Any) -> tuple[Any, Any]:
    """Which results the only sort of f has, and which parts of the sorted rows."""
    program = settled(program_of(f, *args))
    (call,) = calls_of(program)
    for one, other in zip(interpret(program, list(args)), [np.asarray(f(*args))], strict=True):
        same(one, other)
    return call.params["wanted"], call.params["parts"]


LONG = keys((70_000,), "float32", 4)
ROWS = np.random.default_rng(0).normal(size=(5, 3000)).astype("f4")


def test_a_sort_has_the_results_that_are_read() -> None:
    assert wanted(np.sort, LONG) == (("keys",), ((0, 70_000),))
    assert wanted(lambda x: np.argsort(x, kind="stable"), LONG) == (("order",), ((0, 70_000),))
    both = lambda x: x[np.argsort(x, kind="stable")] + np.argsort(x, kind="stable")  # noqa: E731
    assert wanted(both, np.arange(2000.0)[::-1].copy())[0] == ("keys", "order")


def test_a_sort_writes_where_its_result_is_wanted() -> None:
    program = settled(program_of(np.sort, LONG))
    assert len(program.body) == 1
    assert not program.workspace


@pytest.mark.parametrize("f", [np.sort, lambda x: np.argsort(x, kind="stable")])
def test_tiles_of_short_rows_are_merged(f: Callable[..., Any]) -> None:
    """Runs of as many keys as a block sorts, in few launches."""
    machine = replace(MACHINE, threads=32)
    x = keys((600,), "float32", 5)
    program = settled(program_of(f, x), machine)
    assert [call.params["run"] for call in calls_of(program)] == [512]
    assert len([part for part in program.body if isinstance(part, Loop)]) == 1
    same(interpret(program, [x])[0], f(x) if f is not np.sort else np.sort(x, kind="stable"))


def test_sorted_values_are_gathered_by_another_permutation() -> None:
    """Only what was sorted is in order: another array is gathered."""
    y = np.arange(70_000.0)
    f = lambda x, y: y[np.argsort(x, kind="stable")]  # noqa: E731
    program = settled(program_of(f, LONG, y))
    same(interpret(program, [LONG, y])[0], f(LONG, y))


PLACES: dict[str, tuple[Callable[..., Any], Any, Any]] = {
    "greatest": (lambda x: np.sort(x, axis=1)[:, -3:], ROWS, ((2997, 3000),)),
    "least": (lambda x: np.sort(x, axis=1)[:, 1:4], ROWS, ((1, 4),)),
    "one": (lambda x: np.sort(x, axis=1)[:, 1000], ROWS, ((1000, 1001),)),
    "order": (lambda x: np.argsort(x, axis=1, kind="stable")[:, -2:], ROWS, ((2998, 3000),)),
    "partition": (lambda x: np.sort(np.partition(x, 7)[:, :7], axis=1), ROWS, ((0, 7),)),
    "other axis": (lambda x: np.sort(x, axis=0)[:4], ROWS.T.copy(), ((0, 4),)),
    "median": (lambda x: np.median(x, axis=1), ROWS, ((1499, 1501), (2999, 3000))),
    "table": (
        lambda x: np.percentile(x, [0.0, 50.0, 90.0], axis=0),
        ROWS.T.copy(),
        ((0, 2), (1499, 1501), (2699, 2701), (2999, 3000)),
    ),
    "both ends": (lambda x: np.sort(x)[:2] - np.sort(x)[-2:], LONG, ((0, 2), (69_998, 70_000))),
    "much": (lambda x: np.sort(x)[100:], ROWS[0], ((0, 3000),)),
}


@pytest.mark.parametrize("name", PLACES)
def test_a_sort_is_asked_for_the_places_that_are_read(name: str) -> None:
    f, x, expected = PLACES[name]
    assert wanted(f, x)[1] == expected


def test_what_an_index_chooses_needs_the_whole_sort() -> None:
    x, i = ROWS[0], np.array(4)
    program = settled(program_of(lambda x, i: np.sort(x)[i], x, i))
    assert [call.params["parts"] for call in calls_of(program)] == [((0, 3000),)]


def test_many_places_in_the_middle_of_a_long_row_need_the_whole_sort() -> None:
    x = np.arange(60001.0)
    assert wanted(np.median, x)[1] == ((30000, 30001), (60000, 60001))
    assert wanted(lambda x: np.sort(x)[9000:9010], x)[1] == ((0, 60001),)
    assert wanted(lambda x: np.argsort(x, kind="stable")[9000:9002], x)[1] == ((0, 60001),)
