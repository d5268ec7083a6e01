"""Trees of arguments and results, and Python and NumPy scalars in them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

from codegen.dispatch import (
    CallSpec,
    CustomNode,
    DictNode,
    ListNode,
    Node,
    ObjectLeaf,
    ScalarLeaf,
    TupleNode,
    result_leaf,
)
from tests.codegen.dispatch.kernels import FLOAT64, VECTOR, SlowPath, copy_kernel, kernel

Make = Callable[..., Any]
NUMPY_SCALARS = [np.dtype(code).type for code in "?bhilqBHILQefdFD"]


class Point(NamedTuple):
    """A tree of two leaves."""

    x: Any
    y: Any


def probe(make: Make, node: Node, slow: SlowPath) -> Any:
    """An entry that returns the first four numbers of each of two arrays in `node`."""
    spec = CallSpec((node,), TupleNode((VECTOR, VECTOR)))
    return make(spec, copy_kernel((0, 32), (1, 32)), slow)


A, B = np.arange(4.0), np.arange(4.0) + 10
DICT = DictNode((("a", VECTOR), ("b", VECTOR)))
NESTED = TupleNode((ListNode((VECTOR,)), DictNode((("k", TupleNode((VECTOR,))),))))
FITTING: dict[str, tuple[Node, Callable[[], Any]]] = {
    "tuple": (TupleNode((VECTOR, VECTOR)), lambda: (A, B)),
    "list": (ListNode((VECTOR, VECTOR)), lambda: [A, B]),
    "dict": (DICT, lambda: {"a": A, "b": B}),
    "dict, other order": (DICT, lambda: {"b": B, "a": A}),
    "dict, made names": (DICT, lambda: {"".join(["a", ""]): A, str(b"b", "ascii"): B}),
    "dict, long made names": (
        DictNode((("left side", VECTOR), ("right side", VECTOR))),
        lambda: {" ".join(["right", "side"]): B, " ".join(["left", "side"]): A},
    ),
    "named tuple": (TupleNode((VECTOR, VECTOR), Point), lambda: Point(A, B)),
    "nested": (NESTED, lambda: ([A], {"k": (B,)})),
    "empty containers": (
        TupleNode((TupleNode(()), ListNode(()), DictNode(()), VECTOR, VECTOR)),
        lambda: ((), [], {}, A, B),
    ),
    "None": (ListNode((ObjectLeaf(None), VECTOR, VECTOR)), lambda: [None, A, B]),
}


@pytest.mark.parametrize("name", sorted(FITTING))
def test_takes_trees(make: Make, slow: SlowPath, name: str) -> None:
    node, argument = FITTING[name]
    first, second = probe(make, node, slow)(argument())
    assert (first.tolist(), second.tolist()) == (A.tolist(), B.tolist())
    assert not slow.seen


class Sneaky:
    """A key that claims to be "b", and would run Python code when compared."""

    compared = 0

    def __hash__(self) -> int:
        return hash("b")

    def __eq__(self, other: object) -> bool:
        Sneaky.compared += 1
        return other == "b"


class Text(str):
    """A str of another class."""


MISFITS: dict[str, tuple[str, Callable[[], Any]]] = {
    "list for tuple": ("tuple", lambda: [A, B]),
    "named tuple for tuple": ("tuple", lambda: Point(A, B)),
    "tuple for named tuple": ("named tuple", lambda: (A, B)),
    "short tuple": ("tuple", lambda: (A,)),
    "long tuple": ("tuple", lambda: (A, B, A)),
    "short list": ("list", lambda: [A]),
    "empty list": ("list", list),
    "list in tuple": ("nested", lambda: ([A, A], {"k": (B,)})),
    "deep shape": ("nested", lambda: ([A], {"k": (B[:3],)})),
    "missing key": ("dict", lambda: {"a": A}),
    "more keys": ("dict", lambda: {"a": A, "b": B, "c": B}),
    "other key": ("dict", lambda: {"a": A, "c": B}),
    "number as key": ("dict", lambda: {"a": A, 1: B}),
    "sneaky key": ("dict", lambda: {"a": A, Sneaky(): B}),
    "str subclass as key": ("dict", lambda: {"a": A, Text("b"): B}),
    "ordered dict": ("dict", lambda: OrderedDict(a=A, b=B)),
    "array for dict": ("dict", lambda: A),
    "not None": ("None", lambda: [0, A, B]),
    "full for empty": ("empty containers", lambda: ((), [], {"x": 1}, A, B)),
}


@pytest.mark.parametrize("name", sorted(MISFITS))
def test_hands_on_other_trees(make: Make, slow: SlowPath, name: str) -> None:
    wanted, argument = MISFITS[name]
    assert probe(make, FITTING[wanted][0], slow)(argument()) == "slow"
    assert Sneaky.compared == 0, "no Python code runs while arguments are checked"


def test_object_leaf_is_identity(make: Make, slow: SlowPath) -> None:
    flag = object()
    entry = make(CallSpec((ObjectLeaf(flag),), ObjectLeaf("yes")), kernel("nothing"), slow)
    assert (entry(flag), entry(object())) == ("yes", "slow")


PYTHON_VALUES: list[Any] = [0.5, -0.0, float("nan"), 3, -1, 0, 2**62, -(2**63), True, False, 2 - 3j]


@pytest.mark.parametrize("value", PYTHON_VALUES, ids=repr)
def test_python_scalars(make: Make, slow: SlowPath, value: Any) -> None:
    leaf = ScalarLeaf(type(value))
    result = ScalarLeaf(leaf.dtype.type)
    entry = make(CallSpec((leaf,), result), copy_kernel((0, leaf.dtype.itemsize)), slow)
    got = entry(value)
    assert type(got) is leaf.dtype.type, "a NumPy scalar"
    assert got.tobytes() == leaf.dtype.type(value).tobytes()
    others = [other for other in (1.5, 2, True, 1j, None, "1") if type(other) is not type(value)]
    assert [entry(other) for other in others] == ["slow"] * len(others)


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 10**400])
def test_large_integers_go_to_the_slow_path(make: Make, slow: SlowPath, value: int) -> None:
    entry = make(CallSpec((ScalarLeaf(int),), ScalarLeaf(np.int64)), copy_kernel((0, 8)), slow)
    assert entry(value) == "slow"
    assert entry(5) == 5, "no error is left behind"


@pytest.mark.parametrize("kind", NUMPY_SCALARS, ids=lambda kind: np.dtype(kind).char)
def test_numpy_scalars(make: Make, slow: SlowPath, kind: type[np.generic]) -> None:
    size = np.dtype(kind).itemsize
    entry = make(CallSpec((ScalarLeaf(kind),), ScalarLeaf(kind)), copy_kernel((0, size)), slow)
    for value in (0, 1, 93):
        scalar = np.dtype(kind).type(value)
        got = entry(scalar)
        assert (type(got), got) == (kind, scalar)
    assert entry(np.zeros((), kind)) == "slow", "an array of no dimensions is none"
    assert entry(1.0) == entry(1) == entry(True) == "slow", "nor is a Python number"


def test_bool_result_is_the_singleton(make: Make, slow: SlowPath) -> None:
    entry = make(CallSpec((ScalarLeaf(bool),), ScalarLeaf(np.bool_)), copy_kernel((0, 1)), slow)
    assert entry(True) is np.True_
    assert entry(False) is np.False_


def test_result_leaf_follows_numpy() -> None:
    assert result_leaf(FLOAT64, ()) == ScalarLeaf(np.float64)
    assert result_leaf(FLOAT64, (4,)) == VECTOR


def test_result_trees(make: Make, slow: SlowPath) -> None:
    flag, number = ScalarLeaf(np.bool_), ScalarLeaf(np.float64)
    result = DictNode(
        (
            ("z", ListNode((flag, VECTOR, ObjectLeaf("note")))),
            ("a", flag),
            ("empty", TupleNode((ListNode(()), DictNode(()), TupleNode(())))),
            ("point", CustomNode(Point, (number, CustomNode(Point, (flag, TupleNode((flag,))))))),
            ("list", ListNode((CustomNode(complex, (number, number)),))),
        )
    )
    spec = CallSpec((VECTOR, ScalarLeaf(bool), ScalarLeaf(float)), result)
    moves = ((1, 1), (0, 32), (1, 1), (2, 8), (1, 1), (1, 1), (2, 8), (2, 8))
    entry = make(spec, copy_kernel(*moves), slow)
    for truth in (True, False):
        got = entry(A, truth, 2.5)
        assert list(got) == ["z", "a", "empty", "point", "list"], "keys in the order of the spec"
        assert got["z"][0] is got["a"] is np.bool_(truth)
        assert got["z"][1].tolist() == A.tolist()
        assert got["z"][2] == "note"
        assert got["empty"] == ([], {}, ())
        assert got["point"] == Point(2.5, Point(truth, (truth,)))
        assert type(got["point"].y) is Point
        assert got["list"] == [2.5 + 2.5j]


def test_custom_root(make: Make, slow: SlowPath) -> None:
    spec = CallSpec((VECTOR, VECTOR), CustomNode(Point, (VECTOR, VECTOR)))
    got = make(spec, copy_kernel((1, 32), (0, 32)), slow)(A, B)
    assert type(got) is Point
    assert (got.x.tolist(), got.y.tolist()) == (B.tolist(), A.tolist())
