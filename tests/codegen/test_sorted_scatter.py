"""Sums by index, sorted for devices: the same bits as NumPy's, which adds in order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import codegen.passes.segment_sums as module
from codegen.device.machine import DeviceMachine
from codegen.loops.build import index, integer, literal, loop, operation
from codegen.loops.check import check_program
from codegen.loops.interpret import interpret
from codegen.loops.nodes import Buffer, Call, If, Load, Loop, Operation, Program, Store, Update
from codegen.loops.walk import statements
from codegen.lower.graph import lower_graph
from codegen.passes.device_kinds import device_kinds
from codegen.passes.pipeline import optimize
from codegen.passes.sort_calls import is_sort
from codegen.passes.sorted_scatter import sorted_scatter
from tests.codegen.device_programs import Array, backwards
from tracer import jit

MACHINE = DeviceMachine(small=0, serial=0)


def program_of(f: Callable[..., Any], *args: Any) -> Program:
    """The loops of f with scatters sorted."""
    lowered = device_kinds(lower_graph(jit(f).trace(*args).graph, "device"))
    return sorted_scatter(lowered, MACHINE)


def kinds(program: Program) -> list[str]:
    """The kinds of all loops with an update."""
    return [
        part.kind
        for part in statements(program.body)
        if isinstance(part, Loop)
        and any(type(inner).__name__ == "Update" for inner in statements(part.body))
    ]


def run(f: Callable[..., Any], *args: Any, left: tuple[str, ...] = ()) -> list[Array]:
    """The results of f, the same whichever iteration of a parallel loop is first, and after
    the other passes; `left` are the kinds of loops with updates that are not sorted."""
    program = program_of(f, *args)
    assert set(kinds(program)) == set(left)
    check_program(program)
    inputs = [np.asarray(arg) for arg in args]
    outputs = interpret(program, inputs)
    for other in (backwards(program), optimize(program, "device")):
        for one, two in zip(outputs, interpret(other, inputs), strict=True):
            assert one.tobytes() == two.tobytes()
    return outputs


def added(x: Any, i: Any, v: Any) -> Any:
    y = x.copy()
    np.add.at(y, i, v)
    return y


def numbers(shape: tuple[int, ...], dtype: str, seed: int = 0) -> Array:
    """Numbers of very different sizes, whose sum depends on the order."""
    draw = np.random.default_rng(seed)
    x = draw.normal(size=shape) * 10.0 ** draw.integers(-6, 7, shape)
    if np.dtype(dtype).kind == "c":
        return (x + 1j * draw.normal(size=shape)).astype(dtype)
    return x.astype(dtype)


def same(one: Array, other: Array) -> None:
    """The same bits."""
    assert one.dtype == other.dtype
    assert one.shape == other.shape
    assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128"])
@pytest.mark.parametrize(("count", "places"), [(1, 1), (7, 3), (37, 5), (66, 1), (20, 300)])
def test_terms_are_added_in_their_order(dtype: str, count: int, places: int) -> None:
    draw = np.random.default_rng(count)
    x, i = numbers((places,), dtype), draw.integers(-places, places, count)
    v = numbers((count,), dtype, 1)
    (result,) = run(added, x, i, v)
    same(result, added(x, i, v))


def test_rows_are_added() -> None:
    x, v = numbers((5, 3), "float64"), numbers((40, 3), "float64", 1)
    i = np.random.default_rng(0).integers(0, 5, 40)
    (result,) = run(added, x, i, v)
    same(result, added(x, i, v))


def test_places_in_two_axes_and_two_axes_of_terms() -> None:
    draw = np.random.default_rng(0)
    x, v = numbers((4, 2, 3), "float64"), numbers((5, 6, 2), "float64", 1)
    i, j = draw.integers(0, 4, (5, 6)), draw.integers(0, 3, (5, 6))

    def f(x: Any, i: Any, j: Any, v: Any) -> Any:
        y = x.copy()
        np.add.at(y, (i, slice(None), j), v)
        return y

    (result,) = run(f, x, i, j, v)
    same(result, f(x, i, j, v))


def test_zeros_keep_their_signs() -> None:
    x, v = np.full(3, -0.0), np.full(8, -0.0)
    i = np.array([0, 0, 1, 0, 1, 1, 1, 0])
    (result,) = run(added, x, i, v)
    same(result, added(x, i, v))


@pytest.mark.parametrize("name", ["multiply", "maximum", "minimum"])
def test_other_operations(name: str) -> None:
    def f(x: Any, i: Any, v: Any) -> Any:
        y = x.copy()
        getattr(np, name).at(y, i, v)
        return y

    x, i = numbers((6,), "float64"), np.random.default_rng(3).integers(0, 6, 33)
    v = np.where(np.arange(33) == 5, np.nan, numbers((33,), "float64", 1))
    (result,) = run(f, x, i, v)
    with np.errstate(invalid="ignore"):
        same(result, f(x, i, v))


@pytest.mark.parametrize("count", [5, 8, 9, 41])
def test_long_segments_are_added_up_in_parts(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONGEST", 4)
    draw = np.random.default_rng(count)
    x, i = numbers((3, 2), "float64"), draw.choice([0, 0, 0, 2], count)
    v = numbers((count, 2), "float64", 1)
    expected = x.copy()
    for place in range(3):
        terms = v[i == place]
        for begin in range(0, len(terms), 4):
            total = expected[place].copy() if begin == 0 else np.full(2, -0.0)
            for term in terms[begin : begin + 4]:
                total += term
            expected[place] = total if begin == 0 else expected[place] + total
    (result,) = run(added, x, i, v)
    same(result, expected)


def test_sums_of_integers_stay_as_they_are() -> None:
    x, i = np.zeros(5, int), np.array([1, 1, 4])
    assert kinds(program_of(added, x, i, np.ones(3, int))) == ["scatter"]


def test_short_loops_are_run_in_order() -> None:
    x, i = np.zeros(5), np.array([1, 1, 4])
    lowered = device_kinds(lower_graph(jit(added).trace(x, i, np.ones(3)).graph, "device"))
    assert kinds(lowered) == ["scatter"]
    assert kinds(sorted_scatter(lowered, DeviceMachine())) == ["serial"]


@pytest.mark.parametrize("dtype", ["bool", "int8"])
def test_small_integers_are_sorted(dtype: str) -> None:
    draw = np.random.default_rng(0)
    x, i = np.zeros(4, dtype), draw.integers(0, 4, 30)
    v = draw.integers(-9, 9, 30).astype(dtype)
    (result,) = run(added, x, i, v)
    same(result, added(x, i, v))


def test_of_repeated_places_the_last_is_written() -> None:
    def f(x: Any, i: Any, v: Any) -> Any:
        y = x.copy()
        y[i] = v
        return y

    x, i, v = numbers((4,), "float64"), np.array([1, 3, 1, -4, 1]), numbers((5,), "float64", 1)
    (result,) = run(f, x, i, v, left=("scatter",))  # the largest of integers, in any order
    same(result, f(x, i, v))


def test_columns_that_are_written_out_are_sorted_too() -> None:
    x, v = numbers((5, 3), "float64"), numbers((40, 3), "float64", 1)
    i = np.random.default_rng(0).integers(-5, 5, 40)
    program = optimize(lower_graph(jit(added).trace(x, i, v).graph, "device"), "device")
    assert kinds(program) == ["scatter"]
    changed = sorted_scatter(program, MACHINE)
    check_program(changed)
    assert not kinds(changed)
    (result,) = interpret(changed, [x, i, v])
    same(result, added(x, i, v))


def test_several_sums_share_a_sort() -> None:
    def f(x: Any, i: Any, v: Any) -> Any:
        return added(x, i, v), added(2 * x, i, v * v)

    x, i, v = numbers((4,), "float64"), np.array([1, 3, 1, 0, 1]), numbers((5,), "float64", 1)
    first, second = run(f, x, i, v)
    same(first, added(x, i, v))
    same(second, added(2 * x, i, v * v))


def test_a_place_that_is_no_data_takes_a_reduction() -> None:
    dtype = np.dtype(np.float64)
    x, y = Buffer("x", dtype, (4, 3), "input"), Buffer("y", dtype, (3,), "output")
    i, j = index("i1"), index("i2")
    zero = loop("i3", 3, Store(y, (index("i3"),), literal(0.5, dtype)))
    inner = loop("i2", 3, Update(y, (j,), "add", Load(x, (i, j))))
    program = Program("f", (x,), (y,), (), (), (zero, loop("i1", 4, inner, kind="scatter")))
    changed = sorted_scatter(program, MACHINE)
    check_program(changed)
    assert [part.kind for part in statements(changed.body[1:]) if isinstance(part, Loop)] == [
        "parallel",
        "reduce",
    ]
    values = numbers((4, 3), "float64")
    (result,) = interpret(changed, [values])
    same(result, interpret(program, [values])[0])


def test_what_else_a_loop_does_keeps_it_in_order() -> None:
    dtype = np.dtype(np.float64)
    x, y = Buffer("x", dtype, (4,), "input"), Buffer("y", dtype, (4,), "output")
    i = index("i1")
    place = Operation("remainder", (i, integer(2)), np.dtype(np.int64))
    update = Update(y, (place,), "add", Load(x, (i,)))
    branch = If(operation("less", i, integer(3)), (update,))
    program = Program("f", (x,), (y,), (), (), (loop("i1", 4, branch, kind="scatter"),))
    assert kinds(sorted_scatter(program, MACHINE)) == ["serial"]


def sorts(program: Program) -> int:
    return sum(isinstance(part, Call) and is_sort(part) for part in statements(program.body))


def test_sums_of_different_nests_share_a_sort_of_an_input() -> None:
    def f(x: Any, i: Any, v: Any) -> Any:
        once = added(x, i, v)
        return added(once, i, v * once[i])

    x, i, v = numbers((4,), "float64"), np.array([1, 3, 1, -4, 1]), numbers((5,), "float64", 1)
    assert sorts(program_of(f, x, i, v)) == 1
    (result,) = run(f, x, i, v)
    same(result, f(x, i, v))


def test_places_that_change_are_sorted_again() -> None:
    def f(x: Any, i: Any, v: Any) -> Any:
        once = added(x, i, v)
        j = np.argsort(once)[:3]
        return added(added(once, i, v), np.append(i, j) % 4, np.append(v, v[:3]))

    x, i, v = numbers((4,), "float64"), np.array([1, 3, 1, -4, 1]), numbers((5,), "float64", 1)
    assert sorts(program_of(f, x, i, v)) == 2  # of i, and of what is appended to it
    (result,) = run(f, x, i, v)
    same(result, f(x, i, v))
