"""Plain Python through `jit` and the derivatives, on this library's own traced arrays."""

from __future__ import annotations

import copy
import functools
import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import optree
import pytest
from hypothesis import given, settings

import tracer
from tests.helpers import QUICKEST
from tests.source.programs import PROGRAMS
from tests.source.random_programs import defined, programs
from tracer.errors import CarryTypeError, ConcretizationError, ControlFlowError

IDS = [f"{function.__name__}-{number}" for number, (function, _) in enumerate(PROGRAMS)]
table = pytest.mark.parametrize(("function", "args"), PROGRAMS, ids=IDS)


def static_arguments(function: Callable[..., Any], args: tuple[Any, ...]) -> tuple[int, ...]:
    """Strings, None, and the number that a recursion counts."""
    names = function.__name__ == "recursion_on_static"
    return tuple(k for k, arg in enumerate(args) if names or isinstance(arg, str) or arg is None)


@table
def test_jit_gives_what_python_gives(function: Callable[..., Any], args: tuple[Any, ...]) -> None:
    wanted = optree.tree_leaves(function(*copy.deepcopy(args)))
    compiled = tracer.jit(
        function, backend=QUICKEST, static_argnums=static_arguments(function, args)
    )
    before = copy.deepcopy(args)
    got = optree.tree_leaves(compiled(*args))
    for one, two in zip(got, wanted, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-12, atol=1e-12)
    for arg, old in zip(args, before, strict=True):
        np.testing.assert_array_equal(arg, old)


def total(value: Any) -> Any:
    """A smooth number of all floating-point leaves."""
    leaves = [leaf for leaf in optree.tree_leaves(value) if np.asarray(leaf).dtype.kind == "f"]
    return sum(np.sum(np.cos(np.asarray(leaf))) for leaf in leaves)


def traced_total(value: Any) -> Any:
    """The same of traced leaves."""
    leaves = [
        leaf
        for leaf in optree.tree_leaves(value)
        if getattr(leaf, "dtype", np.dtype("O")).kind == "f"
    ]
    return sum(np.sum(np.cos(leaf)) for leaf in leaves)


DIFFERENTIABLE = [
    (function, args)
    for function, args in PROGRAMS
    if any(isinstance(arg, (float, np.ndarray)) for arg in args)
    and function.__name__ not in {"logic", "builtins_of_arrays", "break_continue_else"}
]


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "jit"])
@pytest.mark.parametrize(
    ("function", "args"),
    DIFFERENTIABLE,
    ids=[f"{f.__name__}-{k}" for k, (f, _) in enumerate(DIFFERENTIABLE)],
)
def test_gradient(function: Callable[..., Any], args: tuple[Any, ...], compiled: bool) -> None:
    place = next(k for k, arg in enumerate(args) if isinstance(arg, (float, np.ndarray)))

    def objective(x: Any) -> Any:
        copies = [copy.deepcopy(arg) for arg in args]
        copies[place] = x
        return traced_total(function(*copies)) + 0.0 * np.sum(x)

    derivative = tracer.grad(objective)
    if compiled:
        derivative = tracer.jit(derivative, backend=QUICKEST)
    x = np.asarray(args[place])
    got = np.asarray(derivative(copy.deepcopy(args[place])))
    step = 1e-6 * (min(1.0, float(np.max(np.abs(x)))) or 1.0)
    for index in list(np.ndindex(x.shape))[:: max(1, x.size // 5)]:
        values = []
        for sign in (1, -1):
            moved = np.array(x)
            moved[index] += sign * step
            copies = [copy.deepcopy(arg) for arg in args]
            copies[place] = moved if x.shape else float(moved)
            values.append(total(function(*copies)))
        numerical = (values[0] - values[1]) / (2 * step)
        np.testing.assert_allclose(got[index], numerical, rtol=2e-5, atol=2e-5)


def test_trace_does_not_grow_with_the_number_of_turns() -> None:
    def sweeps(a: Any, turns: int) -> Any:
        n = len(a)
        for _ in range(turns):
            for i in range(1, n - 1):
                if a[i] > a[i - 1]:
                    a[i] = 0.5 * (a[i - 1] + a[i + 1])
        return a

    compiled = tracer.jit(sweeps, static_argnums=1, backend="numpy")
    graphs = [str(compiled.trace(np.ones(n), turns).graph) for n, turns in ((20, 10), (300, 90))]
    assert graphs[0].count("\n") == graphs[1].count("\n")


def test_nodes_know_the_users_line() -> None:
    def program(x: Any) -> Any:
        while x < 10:
            x = x + 1
        return x

    first = program.__code__.co_firstlineno
    text = str(tracer.jit(program, backend="numpy").trace(1.0).graph)
    assert re.search(rf"= loop .*# test_traced.py:{first + 1}\n", text)
    assert re.search(rf"= add .*# test_traced.py:{first + 2}\n", text)


def test_source_false_switches_it_off() -> None:
    def program(x: Any) -> Any:
        return helper(x) if x > 0 else x

    def helper(x: Any) -> Any:
        return math.sin(x)

    assert tracer.jit(program, backend="numpy")(0.5) == pytest.approx(math.sin(0.5))
    with pytest.raises(ConcretizationError):
        tracer.jit(program, backend="numpy", source=False)(0.5)
    derivative = tracer.jit(tracer.grad(program), backend="numpy", source=False)
    with pytest.raises(ConcretizationError):
        derivative(0.5)


def test_error_says_why_the_source_is_not_read() -> None:
    space: dict[str, Any] = {}
    exec("def f(x):\n    return x if x > 0 else -x\n", space)
    with pytest.raises(
        ConcretizationError, match="the source of f is not read: its source is missing"
    ):
        tracer.jit(space["f"], backend="numpy")(1.0)

    def pieces(x: Any) -> Any:
        if x > 0:
            yield x

    with pytest.raises(ConcretizationError, match="pieces is not read: it is a generator"):
        tracer.jit(lambda x: sum(pieces(x)), backend="numpy")(1.0)


def test_branch_that_is_not_taken_does_not_run() -> None:
    """Also where it computes from outer values alone."""

    def program(x: Any, n: Any) -> Any:
        if x > 0:
            while n != 0:  # would never end for a negative n
                n = n - 1
                x = x + 1
        return x

    assert tracer.jit(program, backend="numpy")(-1.0, -5) == -1.0
    assert tracer.jit(program, backend="numpy")(1.0, 3) == 4.0


def test_numbers_stay_weak() -> None:
    def program(x: Any, y: Any) -> Any:
        s, h = 0, 0.5
        out = np.zeros(20, np.float32)
        for i in range(20):
            out[i] = x * h * i + y
            h = h * 0.9
            s = s + x
        k = 2.0 if y > 0 else 3.0
        return out, s, x * k, h

    args = np.float32(0.3), np.float32(0.1)
    for one, two in zip(tracer.jit(program, backend="numpy")(*args), program(*args), strict=True):
        assert np.asarray(one).dtype == np.asarray(two).dtype
        np.testing.assert_array_equal(one, two)


def test_types_of_another_call_are_not_kept() -> None:
    def program(x: Any, n: int) -> Any:
        total = 0
        for i in range(n):
            total = total + x * i
            last = x
        return total, last

    compiled = tracer.jit(program, backend="numpy", static_argnums=1)
    for x in (np.float32(0.5), 2, np.arange(3.0), np.int16(3), np.ones((2, 2), np.complex128)):
        for one, two in zip(compiled(x, 9), program(x, 9), strict=True):
            assert np.asarray(one).dtype == np.asarray(two).dtype
            np.testing.assert_array_equal(one, two)


def test_errors_of_the_real_thing() -> None:
    def changes(x: Any) -> Any:
        while np.sum(x) < 3:
            x = np.concatenate([x, x])
        return x

    with pytest.raises(
        CarryTypeError, match=r"'x' is float64\[2\] before the loop and float64\[4\]"
    ):
        tracer.jit(changes, backend="numpy")(np.ones(2))
    with pytest.raises(ControlFlowError, match="'y' gets a value in only one branch"):
        tracer.jit(defined("def f(x):\n    if x > 0:\n        y = x\n    return y\n"))(1.0)


def test_vmap_of_python_control_flow() -> None:
    def program(x: Any) -> Any:
        n = 0
        while x < 10:
            if x < 5:
                x = x * 2
            else:
                x = x + 1
            n += 1
        return x, n

    xs = np.array([1.0, 4.0, 7.5, 20.0])
    got = tracer.vmap(program)(xs)
    np.testing.assert_allclose(np.stack(got, 1), [program(x) for x in xs])


def test_methods_and_partials() -> None:
    class Model:
        def __init__(self, weight: Any) -> None:
            self.weight = weight

        def __call__(self, x: Any) -> Any:
            return functools.partial(self.scaled, 2.0)(x)

        def scaled(self, scale: float, x: Any) -> Any:
            return scale * self.weight * x if x > 0 else x

    assert tracer.jit(Model(3.0), backend="numpy")(2.0) == 12.0
    assert tracer.jit(Model(3.0).scaled, backend="numpy")(2.0, -1.0) == -1.0


@settings(max_examples=30)
@given(programs())
def test_random_programs(source: str) -> None:
    """Compiled and eager runs give one value, and one gradient."""
    function = defined(source)

    def objective(a: Any, b: Any, x: Any) -> Any:
        value, _, array = function(a, b, x)
        return value + np.sum(array * array)

    def args() -> tuple[Any, ...]:
        return 0.4, -1.2, np.array([0.3, -0.7, 1.1])

    got = tracer.jit(function, backend=QUICKEST)(*args())
    for one, two in zip(got, function(*args()), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-12, atol=1e-12)
    derivative = tracer.grad(objective, (0, 1, 2))
    compiled = tracer.jit(derivative, backend=QUICKEST)
    for one, two in zip(compiled(*args()), derivative(*args()), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-9, atol=1e-11)
