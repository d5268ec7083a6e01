"""Random trees: the native entry, the one in Python and the values themselves agree."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from codegen.dispatch import ArrayLeaf, CallSpec, DictNode, ListNode, Node, ScalarLeaf, TupleNode
from tests.codegen.dispatch.kernels import MAKERS, SlowPath, copy_kernel

DTYPES = st.sampled_from("?bhilBHILefdFD").map(np.dtype)
SHAPES = st.lists(st.integers(0, 3), max_size=3).map(tuple)


def filled(dtype: np.dtype[Any], shape: tuple[int, ...], seed: int) -> Any:
    """An array of any values that the dtype has."""
    return np.random.default_rng(seed).integers(0, 2, shape).astype(dtype)


ARRAYS = st.builds(filled, DTYPES, SHAPES, st.integers(0, 99))
SCALARS = st.one_of(
    st.floats(), st.integers(-(2**63), 2**63 - 1), st.booleans(), st.complex_numbers(),
    st.builds(lambda dtype, value: dtype.type(value), DTYPES, st.integers(0, 1)),
)  # fmt: skip
TREES = st.recursive(
    st.one_of(ARRAYS, SCALARS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.text(max_size=3), inner, max_size=3),
    ),
    max_leaves=6,
)


def describe(value: Any, result: bool) -> Node:
    """The spec's tree of a value; a result's scalars are NumPy's."""
    if isinstance(value, np.ndarray):
        return ArrayLeaf(value.dtype, value.shape)
    if isinstance(value, dict):
        keys = list(value) if result else sorted(value)
        return DictNode(tuple((key, describe(value[key], result)) for key in keys))
    if isinstance(value, list | tuple):
        children = tuple(describe(item, result) for item in value)
        return ListNode(children) if isinstance(value, list) else TupleNode(children)
    leaf = ScalarLeaf(type(value))
    return ScalarLeaf(leaf.dtype.type) if result else leaf


def flat(value: Any, result: bool) -> list[Any]:
    """The leaves, in the order of `describe`."""
    if isinstance(value, dict):
        return flat([value[key] for key in (value if result else sorted(value))], result)
    if isinstance(value, list | tuple):
        return [leaf for item in value for leaf in flat(item, result)]
    return [value]


def entry_pair(value: Any) -> list[tuple[Any, SlowPath]]:
    """Both entries that return a copy of their one argument."""
    leaves = flat(value, False)
    moves = []
    for wanted in flat(value, True):
        index = next(place for place, leaf in enumerate(leaves) if leaf is wanted)
        moves.append((index, np.asarray(wanted).nbytes))
    spec = CallSpec((describe(value, False),), describe(value, True), workspace=len(leaves))
    slow_paths = [SlowPath() for _ in MAKERS]
    pairs = zip(MAKERS.values(), slow_paths, strict=True)
    return [(make(spec, copy_kernel(*moves), slow), slow) for make, slow in pairs]


def assert_same(got: Any, wanted: Any) -> None:
    """Equal in structure, classes, dtypes and bits."""
    if isinstance(wanted, dict):
        assert type(got) is dict
        assert list(got) == list(wanted)
        assert_same(list(got.values()), list(wanted.values()))
    elif isinstance(wanted, list | tuple):
        assert type(got) is type(wanted)
        assert len(got) == len(wanted)
        for one, other in zip(got, wanted, strict=True):
            assert_same(one, other)
    else:
        expected = np.asarray(wanted)
        assert type(got) is (np.ndarray if isinstance(wanted, np.ndarray) else expected.dtype.type)
        assert (got.dtype, got.shape) == (expected.dtype, expected.shape)
        assert got.tobytes() == expected.tobytes()


@given(TREES)
def test_copies_any_tree(value: Any) -> None:
    for entry, slow in entry_pair(value):
        assert_same(entry(value), value)
        assert not slow.seen


@given(TREES, TREES)
def test_both_entries_accept_the_same_arguments(value: Any, other: Any) -> None:
    fits = describe(value, False) == describe(other, False)
    for entry, slow in entry_pair(value):
        answer = entry(other)
        assert bool(slow.seen) != fits, f"{describe(other, False)} for {describe(value, False)}"
        if slow.seen:
            assert answer == "slow"
            assert slow.seen[0][0][0] is other
