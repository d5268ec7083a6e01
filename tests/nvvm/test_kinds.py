"""What kernel text means is what Numba says: each rule of kinds against Numba's own typing."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Callable
from typing import Any

import pytest
from numba.cuda import types
from numba.cuda.descriptor import cuda_target
from numba.cuda.np import numpy_support

from codegen.nvvm.arithmetic import binary, inverted, negative
from codegen.nvvm.builder import Builder
from codegen.nvvm.functions import absolute
from codegen.nvvm.kinds import SCALARS, Scalar, arithmetic_kind, compared_kind, leaves, unified
from codegen.nvvm.values import KernelError, Value

NAMES = [name for name in SCALARS if name not in ("int16", "uint16")]
PAIRS = list(itertools.product(NAMES, NAMES))
OPERATORS: dict[str, Callable[..., Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv,
    "&": operator.and_, "|": operator.or_, "^": operator.xor,
    "<<": operator.lshift, ">>": operator.rshift,
}  # fmt: skip


@pytest.fixture(scope="module")
def numba() -> Any:
    """Numba's knowledge of types on a GPU."""
    context = cuda_target.typing_context
    context.refresh()
    return context


def numba_type(name: str) -> Any:
    return types.boolean if name == "bool" else getattr(types, name)


def result(context: Any, function: Callable[..., Any], *names: str) -> str | None:
    """The name of the dtype of a function's result; None where Numba has none."""
    try:
        found = context.resolve_function_type(function, tuple(map(numba_type, names)), {})
    except Exception:
        return None
    return None if found is None else numpy_support.as_dtype(found.return_type).name


def value(name: str) -> Value:
    """A number that is not known."""
    kind = SCALARS[name]
    return Value(kind, tuple(f"%x{part}" for part in range(len(leaves(kind)))))


@pytest.mark.parametrize("sign", OPERATORS)
def test_operators(numba: Any, sign: str) -> None:
    compared = 0
    for left, right in PAIRS:
        expected = result(numba, OPERATORS[sign], left, right)
        try:
            found = binary(Builder(), sign, value(left), value(right)).scalar.name
        except KernelError:
            continue
        assert found == expected, (left, right)
        compared += 1
    assert compared >= 49


def test_whole_division(numba: Any) -> None:
    whole = [name for name in NAMES if SCALARS[name].family in "biu"]
    for left, right in itertools.product(whole, whole):
        expected = result(numba, operator.floordiv, left, right)
        for sign in ("//", "%"):
            assert binary(Builder(), sign, value(left), value(right)).scalar.name == expected


def test_comparisons(numba: Any) -> None:
    for left, right in PAIRS:
        name = compared_kind(SCALARS[left], SCALARS[right]).name
        found = numba.resolve_function_type(operator.eq, (numba_type(left), numba_type(right)), {})
        given = {numpy_support.as_dtype(each).name for each in found.args}
        assert given == {name}, (left, right)


def test_names_with_values_of_two_kinds(numba: Any) -> None:
    for left, right in PAIRS:
        expected = numba.unify_types(numba_type(left), numba_type(right))
        found = unified(SCALARS[left], SCALARS[right])
        assert found.name == numpy_support.as_dtype(expected).name, (left, right)


@pytest.mark.parametrize(
    ("function", "own"),
    [(operator.neg, negative), (operator.invert, inverted)],
    ids=["-", "~"],
)
def test_operators_of_one_number(
    numba: Any, function: Callable[..., Any], own: Callable[[Builder, Value], Value]
) -> None:
    for name in NAMES:
        expected = result(numba, function, name)
        if expected is None:
            with pytest.raises(KernelError):
                own(Builder(), value(name))
        else:
            assert own(Builder(), value(name)).scalar.name == expected, name


def test_absolute_values(numba: Any) -> None:
    for name in NAMES[1:]:
        assert absolute(Builder(), [value(name)]).scalar.name == result(numba, abs, name)


def test_functions_of_floats_are_of_the_floats_kind(numba: Any) -> None:
    from codegen.nvvm.functions import FUNCTIONS

    for name in ("exp", "sqrt", "lgamma", "floor"):
        own = FUNCTIONS[f"math.{name}"]
        for kind in ("int64", "uint32", "float32", "float64"):
            found = own(Builder(), [value(kind)]).scalar.name
            assert found == result(numba, getattr(math, name), kind)


def test_sums_are_of_the_kind_that_rules_say() -> None:
    for left, right in PAIRS:
        kind = arithmetic_kind(SCALARS[left], SCALARS[right])
        assert isinstance(kind, Scalar)
        assert kind is arithmetic_kind(SCALARS[right], SCALARS[left])
