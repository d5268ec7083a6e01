"""The twin in NumPy of the sorts that devices have, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kernels.registry import ArraySpec
from kernels.sort import KERNEL

KEYS = np.array([[3.0, np.nan, 1.0, 3.0, 0.0]])
PARAMS: dict[str, Any] = {
    "wanted": ("keys", "order"),
    "order": "int32",
    "bits": 0,
    "parts": ((0, 5),),
    "run": 0,
}


def run(**changes: Any) -> list[Any]:
    params = {**PARAMS, **changes}
    found = KERNEL.evaluate((KEYS,), params)
    expected = KERNEL.results((ArraySpec(KEYS.dtype, KEYS.shape),), params)
    assert [(part.dtype, part.shape) for part in found] == list(expected)
    return [part[0].tolist() for part in found]


def test_keys_and_where_they_stood() -> None:
    keys, order = run()
    assert keys[:4] == [0.0, 1.0, 3.0, 3.0]
    assert order == [4, 2, 0, 3, 1]


def test_parts() -> None:
    assert run(parts=((0, 1), (3, 4))) == [[0.0, 3.0], [4, 3]]
    assert run(wanted=("order",), parts=((1, 3),)) == [[2, 0]]


def test_runs_are_sorted_by_themselves() -> None:
    assert run(wanted=("order",), run=2) == [[0, 1, 2, 3, 4]]
    assert run(wanted=("order",), run=3) == [[2, 0, 1, 4, 3]]


@pytest.mark.parametrize(
    ("dtype", "changes", "message"),
    [
        ("complex64", {}, "no sort of complex64"),
        ("float64", {"parts": ()}, "no parts"),
        ("float64", {"parts": ((0, 6),)}, "rows of 5"),
        ("float64", {"parts": ((2, 4), (0, 1))}, "no parts"),
    ],
)
def test_what_is_no_sort(dtype: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        KERNEL.results((ArraySpec(np.dtype(dtype), (1, 5)),), {**PARAMS, **changes})


def test_there_are_operands_and_no_form_for_a_cpu() -> None:
    with pytest.raises(ValueError, match="one operand"):
        KERNEL.results((), PARAMS)
    with pytest.raises(ValueError, match="on devices only"):
        KERNEL.numba_form((ArraySpec(KEYS.dtype, KEYS.shape),), PARAMS)
