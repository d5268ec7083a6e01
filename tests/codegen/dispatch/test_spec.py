"""A spec that no kernel could serve is refused when it is made."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

from codegen.dispatch import (
    ArrayLeaf,
    CallSpec,
    CustomNode,
    DictNode,
    ListNode,
    ObjectLeaf,
    ScalarLeaf,
    TupleNode,
    leaves,
)
from tests.codegen.dispatch.kernels import FLOAT64, MATRIX, VECTOR


class Pair(NamedTuple):
    """A named tuple."""

    x: Any
    y: Any


@pytest.mark.parametrize("dtype", [">i4", "O", "S3", "U2", "M8[s]", "m8[s]", "V4", "g", "f8,f8"])
def test_dtypes_without_machine_arithmetic(dtype: str) -> None:
    with pytest.raises(ValueError, match="cannot take or give arrays of dtype"):
        ArrayLeaf(np.dtype(dtype), (2,))


@pytest.mark.parametrize("kind", [str, object, np.str_, np.object_, np.longdouble, np.ndarray])
def test_classes_that_are_no_scalars(kind: type) -> None:
    with pytest.raises(ValueError, match=r"no class of scalars|cannot take or give"):
        ScalarLeaf(kind)


def test_shapes_and_strides() -> None:
    with pytest.raises(ValueError, match="negative dimension"):
        ArrayLeaf(FLOAT64, (2, -1))
    with pytest.raises(ValueError, match="do not fit the shape"):
        ArrayLeaf(FLOAT64, (2, 3), strides=(8,))


def test_trees() -> None:
    with pytest.raises(ValueError, match="distinct strings"):
        DictNode((("a", VECTOR), ("a", VECTOR)))
    with pytest.raises(ValueError, match="distinct strings"):
        DictNode(((1, VECTOR),))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no class of tuples"):
        TupleNode((VECTOR,), list)  # type: ignore[arg-type]


def test_arguments_and_results() -> None:
    with pytest.raises(ValueError, match="results only"):
        CallSpec((ListNode((CustomNode(complex, ()),)),), VECTOR)
    with pytest.raises(ValueError, match="always C-contiguous"):
        CallSpec((), TupleNode((ArrayLeaf(FLOAT64, (2,), strides=(16,)),)))
    with pytest.raises(ValueError, match="not a float"):
        CallSpec((), ScalarLeaf(float))
    with pytest.raises(ValueError, match="is a CustomNode"):
        CallSpec((), TupleNode((VECTOR, VECTOR), Pair))
    with pytest.raises(ValueError, match="workspace of -1 bytes"):
        CallSpec((), VECTOR, workspace=-1)


def test_leaves_come_from_left_to_right() -> None:
    number = ScalarLeaf(float)
    tree = TupleNode((ListNode((VECTOR,)), ObjectLeaf(3), DictNode((("b", MATRIX), ("a", number)))))
    assert list(leaves(tree)) == [VECTOR, MATRIX, number]
    spec = CallSpec((tree, number), TupleNode((MATRIX, ObjectLeaf(None))))
    assert (len(spec.inputs), spec.outputs) == (4, (MATRIX,))


def test_specs_are_keys() -> None:
    def spec(value: object) -> CallSpec:
        return CallSpec((ArrayLeaf(np.dtype("f8"), (3,)), ObjectLeaf(value)), VECTOR, 5)

    key, other = object(), object()
    assert len({spec(key): 1, spec(key): 2, spec(other): 3}) == 2
    assert ObjectLeaf(1) != ObjectLeaf(True), "identity, not equality"
