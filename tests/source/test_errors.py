"""Where a construct cannot be turned, the error names it, the variable, the user's line, and what
to write instead."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.source.stand_in import run_hidden
from tracer.errors import CarryTypeError, ConcretizationError, ControlFlowError

HISTORY: list[Any] = []


def other_shape(x: Any) -> Any:
    if x > 0:  # HERE
        y = x
    else:
        y = np.zeros(3)
    return y


def other_kind(x: Any) -> Any:
    y = x
    if x > 0:  # HERE
        y = x > 1
    return y


def other_value(x: Any) -> Any:
    if x > 0:  # HERE
        mode = "up"
    else:
        mode = "down"
    return mode


def returns_nothing(x: Any) -> Any:
    if x > 0:  # HERE
        return x
    return None


def one_sided(x: Any) -> Any:
    if x > 0:  # HERE
        y = x
    return y + 1


def loop_only(x: Any) -> Any:
    while x < 3:  # HERE
        last = x
        x = x + 1
    return last


def changes_shape(x: Any) -> Any:
    while x < 3:  # HERE
        x = x + np.ones(3)
    return x


def changes_structure(x: Any) -> Any:
    best = None
    while x < 3:  # HERE
        best = x
        x = x + 1
    return best


def list_grows(x: Any) -> Any:
    values = []
    while x < 3:  # HERE
        values.append(x)
        x = x + 1
    return values


def outer_list_grows(x: Any) -> Any:
    for _ in range(int(x)):  # HERE
        remember(x)
    return x


def remember(x: Any) -> None:
    HISTORY.append(x)


def dict_grows_in_branch(x: Any) -> Any:
    table = {"a": x}
    if x > 0:  # HERE
        table["b"] = x
    return table


def set_grows(x: Any) -> Any:
    seen = set()
    while x < 3:  # HERE
        seen.add(1)
        x = x + 1
    return x


PLAIN = np.zeros(3)


def writes_a_plain_array(x: Any) -> Any:
    while x < 3:  # HERE
        PLAIN[0] += 1
        x = x + 1
    return x


def raises(x: Any) -> Any:
    if x < 0:  # HERE
        raise ValueError("negative")
    return x


def traced_step(x: Any) -> Any:
    for _ in range(0, 10, int(x)):
        x = x + 1
    return x


def comprehension_over_traced_range(x: Any) -> Any:
    return [k + 1 for k in range(int(x))]


def asks_and_assigns(x: Any) -> Any:
    def advance() -> Any:
        nonlocal x
        x = x + 1
        return x

    while advance() < 3:  # HERE
        pass
    return x


def advances_an_iterator(x: Any) -> Any:
    items = iter([1.0, 2.0, 3.0])
    while x < 3:  # HERE
        x = x + next(items)
    return x


def runs_over_an_iterator(x: Any) -> Any:
    items = (k for k in range(3))
    while x < 3:  # HERE
        for item in items:
            x = x + item
    return x


def catches_what_may_not_happen(x: Any) -> Any:
    try:
        if x > 0:  # HERE
            x = x + {}["missing"]
    except KeyError:
        x = x - 1
    return x


def never_ends(x: Any) -> Any:
    while x < 3:  # HERE
        pass
    return x


CASES: list[tuple[Callable[[Any], Any], type[Exception], str]] = [
    (other_shape, CarryTypeError, "'y' is a float64 if it holds and float64[3] if not"),
    (other_kind, CarryTypeError, "'y' is a bool if it holds and a float64 if not"),
    (other_value, CarryTypeError, "'mode' is a str ('up') if it holds and a str ('down') if not"),
    (returns_nothing, CarryTypeError, "a float64 if it holds and the Python value None if not"),
    (one_sided, ControlFlowError, "'y' gets a value in only one branch"),
    (loop_only, ControlFlowError, "'last' is bound only inside the loop"),
    (changes_shape, CarryTypeError, "'x' is a float64 before the loop and float64[3]"),
    (changes_structure, CarryTypeError, "'best' is the Python value None before the loop"),
    (list_grows, ControlFlowError, "the body of the loop changes 'values'"),
    (outer_list_grows, ControlFlowError, "the body of the loop changes 'global HISTORY'"),
    (dict_grows_in_branch, ControlFlowError, "the branch changes 'table'"),
    (set_grows, ControlFlowError, "the body of the loop changes 'seen'"),
    (writes_a_plain_array, ControlFlowError, "the body of the loop changes 'global PLAIN'"),
    (raises, ControlFlowError, "a `raise` (ValueError('negative')) stands under a"),
    (advances_an_iterator, ControlFlowError, "advances a list_iterator that was made before it"),
    (runs_over_an_iterator, ControlFlowError, "advances a generator that was made before it"),
    (catches_what_may_not_happen, ControlFlowError, "no `except` can catch it"),
    (never_ends, ControlFlowError, "the body of the loop changes nothing"),
    (asks_and_assigns, ControlFlowError, "the test of the loop changes 'advance.x'"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("function", "kind", "text"), CASES, ids=[case[0].__name__ for case in CASES]
)
def test_error(function: Callable[[Any], Any], kind: type[Exception], text: str) -> None:
    source = Path(__file__).read_text("utf-8").splitlines()
    line = function.__code__.co_firstlineno
    while "# HERE" not in source[line - 1]:
        line += 1
    with pytest.raises(kind, match=re.escape(text)) as caught:
        run_hidden(function, 1.0)
    assert str(caught.value).startswith(f"test_errors.py:{line}: ")


@pytest.mark.parametrize(
    ("function", "text"),
    [(traced_step, "the step of a range is traced"),
     (comprehension_over_traced_range, "can be run over by a `for` statement only")],
)  # fmt: skip
def test_error_of_a_range(function: Callable[[Any], Any], text: str) -> None:
    with pytest.raises(ControlFlowError, match=text):
        run_hidden(function, 2.0)


def test_state_is_put_back_after_an_error() -> None:
    HISTORY.clear()
    with pytest.raises(ControlFlowError):
        run_hidden(outer_list_grows, 2.0)
    assert HISTORY == []


def test_unused_one_sided_names_are_no_error() -> None:
    def program(x: Any) -> Any:
        if x > 0:
            y = x
            x = y + 1
        return x

    assert run_hidden(program, 1.0)[0] == 2.0


def test_blocks_without_a_result_make_no_node() -> None:
    def program(x: Any) -> Any:
        if x > 0:
            x = x
        for _ in range(9):
            if x > 0:
                y = x + 1  # noqa: F841
        return x

    got, host = run_hidden(program, 1.0)
    assert got == 1.0
    assert host.made == []


def test_ambiguous_truth_value() -> None:
    def program(x: Any) -> Any:
        if x > 0:
            x = x + 1
        return x

    with pytest.raises(
        ValueError, match=r"truth value of a traced array of shape \(2,\) is ambiguous"
    ):
        run_hidden(program, np.ones(2))
    assert run_hidden(program, np.ones((1, 1)))[0] == [[2.0]]


def test_a_users_error_in_a_branch_is_the_users() -> None:
    def program(x: Any) -> Any:
        if x > 0:
            x = np.ones(3) @ np.ones(4)
        return x

    with pytest.raises(ValueError, match="matmul"):
        run_hidden(program, 1.0)


def test_generator_with_control_flow() -> None:
    def program(x: Any) -> Any:
        def pieces() -> Any:
            if x > 0:
                yield x

        return sum(pieces())

    with pytest.raises(ConcretizationError):
        run_hidden(program, 1.0)
