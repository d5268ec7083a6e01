"""Every kernel compiles for three architectures, and takes no more of them than its budget."""

from __future__ import annotations

import pytest

from tests.cuda import budgets

BUDGETS = budgets.load()
GRAPHS = budgets.graphs()
AGAIN = "python -m tests.cuda.budgets writes the budgets anew"


def test_all_have_a_budget_and_nothing_else_has() -> None:
    assert sorted(BUDGETS) == sorted(GRAPHS), AGAIN


@pytest.mark.parametrize("name", BUDGETS)
def test_kernels_stay_within_their_budget(name: str) -> None:
    budget, taken = BUDGETS[name], budgets.measure(budgets.kernels(GRAPHS[name]()))
    assert budgets.excess(taken, budget) == [], AGAIN


def test_nothing_spills_but_functions_that_are_called() -> None:
    spilling = [name for name, budget in BUDGETS.items() if budgets.spills(budget)]
    assert len(spilling) < 20
    for name in spilling:
        assert any(map(budgets.calls_function, budgets.kernels(GRAPHS[name]()))), name
        assert budgets.spills(BUDGETS[name]) <= 48


def test_an_excess_is_seen() -> None:
    budget: budgets.Budget = {"kernels": 2, "most": {"sm_90": {"registers": 32, "spills": 0}}}
    more: budgets.Budget = {"kernels": 3, "most": {"sm_90": {"registers": 40, "spills": 0}}}
    assert budgets.excess(budget, budget) == []
    assert budgets.excess(budget, more) == []
    assert budgets.excess(more, budget) == [
        "3 kernels instead of 2",
        "40 registers on sm_90 instead of 32",
    ]
