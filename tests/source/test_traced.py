"""Plain Python through `jit` and the derivatives, on this library's own traced arrays."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import optree
import pytest

import tracer
from tests.source.programs import PROGRAMS

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
        function, backend="numpy", static_argnums=static_arguments(function, args)
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
        derivative = tracer.jit(derivative, backend="numpy")
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
