"""Converted programs give what Python gives: on hidden values, on concrete ones, and eagerly traced
ones."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import optree
import pytest
from hypothesis import given

from tests.source.programs import PROGRAMS
from tests.source.random_programs import defined, programs
from tests.source.stand_in import StandIn, converted, run_hidden

IDS = [f"{function.__name__}-{number}" for number, (function, _) in enumerate(PROGRAMS)]
table = pytest.mark.parametrize(("function", "args"), PROGRAMS, ids=IDS)


def assert_equal(got: Any, wanted: Any) -> None:
    """The same structure, shapes and values (dtypes too, but for Python numbers)."""
    got_leaves, got_form = optree.tree_flatten(got)
    leaves, form = optree.tree_flatten(wanted)
    assert got_form == form
    for one, two in zip(got_leaves, leaves, strict=True):
        assert np.shape(one) == np.shape(two)
        assert np.asarray(one).dtype.kind == np.asarray(two).dtype.kind or type(two) is int
        np.testing.assert_allclose(one, two, rtol=1e-12, atol=1e-12)


@table
def test_hidden_values(function: Callable[..., Any], args: tuple[Any, ...]) -> None:
    wanted = function(*copy.deepcopy(args))
    got, _ = run_hidden(function, *copy.deepcopy(args))
    assert_equal(got, wanted)


@table
def test_concrete_values(function: Callable[..., Any], args: tuple[Any, ...]) -> None:
    turned, host = converted(function, tracing=False)
    assert_equal(turned(*copy.deepcopy(args)), function(*copy.deepcopy(args)))
    assert host.made == []


@given(programs())
def test_random_programs(source: str) -> None:
    function = defined(source)
    array = np.array([0.3, -0.7, 1.1])
    wanted = function(0.4, -1.2, array.copy())
    got, host = run_hidden(function, 0.4, -1.2, array.copy())
    assert_equal(got, wanted)
    assert host.notes == []


def test_loops_stay_loops() -> None:
    """The number of nodes does not depend on the number of turns."""

    def sweep(a: Any, n: int) -> Any:
        for i in range(1, n):
            a[i] = 0.5 * (a[i - 1] + a[i])
        return a

    class Counting(StandIn):
        bodies = 0

        def fori_loop(self, lower: Any, upper: Any, body: Any, carry: Any) -> Any:
            self.bodies += 1
            return super().fori_loop(lower, upper, body, carry)

    from tests.source.stand_in import Hidden, reveal
    from tracer.source import Operators

    counts = []
    for n in (10, 100):
        host = Counting()
        got = Operators(host).convert(sweep)(Hidden(np.arange(float(n))), n)
        np.testing.assert_allclose(reveal(got), sweep(np.arange(float(n)), n))
        counts.append((host.bodies, host.made))
    assert counts[0] == counts[1]
