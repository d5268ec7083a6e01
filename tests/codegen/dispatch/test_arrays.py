"""Which arrays an entry takes, which it hands on, and what it returns."""

from __future__ import annotations

import ctypes
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from codegen.dispatch import ArrayLeaf, CallSpec, ScalarLeaf, TupleNode
from tests.codegen.dispatch.kernels import (
    FLOAT64,
    MATRIX,
    VECTOR,
    SlowPath,
    copy_kernel,
    integers,
    kernel,
)

DTYPES = "?bhilqBHILQefdFD"
Make = Callable[..., Any]


def copier(make: Make, leaf: ArrayLeaf, slow: SlowPath) -> Any:
    """An entry that copies one array."""
    size = leaf.dtype.itemsize * int(np.prod(leaf.shape, dtype=int))
    return make(CallSpec((leaf,), ArrayLeaf(leaf.dtype, leaf.shape)), copy_kernel((0, size)), slow)


@pytest.mark.parametrize("code", DTYPES)
@pytest.mark.parametrize("shape", [(), (1,), (5,), (2, 3), (0,), (3, 0, 2), (2,) * 9])
def test_copies_every_dtype_and_shape(
    make: Make, slow: SlowPath, code: str, shape: tuple[int, ...]
) -> None:
    dtype = np.dtype(code)
    entry = copier(make, ArrayLeaf(dtype, shape), slow)
    array = (np.arange(np.prod(shape, dtype=int)) % 2).astype(dtype).reshape(shape)
    result = entry(array)
    assert type(result) is np.ndarray, "a plain ndarray is promised, for 0-d leaves too"
    assert result.dtype == dtype, "the dtype of the spec"
    assert result.shape == shape, "the shape of the spec"
    assert result.flags.c_contiguous, "results are C-contiguous"
    assert result.flags.writeable, "and the caller's to write"
    assert result.flags.owndata, "and own their memory"
    np.testing.assert_array_equal(result, array)
    assert not slow.seen, "the arguments fit"


class Derived(np.ndarray[Any, Any]):
    """A subclass, whose methods the kernel would not know."""


def misaligned() -> Any:
    """A float64 matrix at an odd address."""
    memory = np.zeros(6 * 8 + 1, np.uint8)
    return memory[1:].view(np.float64).reshape(2, 3)


def read_only() -> Any:
    """An array that may not be written."""
    array = np.zeros((2, 3))
    array.flags.writeable = False
    return array


MISFITS: dict[str, Callable[[], Any]] = {
    "list": lambda: [[0.0] * 3] * 2,
    "float": lambda: 1.0,
    "None": lambda: None,
    "scalar": lambda: np.float64(1),
    "float32": lambda: np.zeros((2, 3), np.float32),
    "int64": lambda: np.zeros((2, 3), np.int64),
    "complex128": lambda: np.zeros((2, 3), np.complex128),
    "longdouble": lambda: np.zeros((2, 3), np.longdouble),
    "object": lambda: np.zeros((2, 3), object),
    "datetime": lambda: np.zeros((2, 3), "M8[s]"),
    "swapped": lambda: np.zeros((2, 3), FLOAT64.newbyteorder()),
    "record": lambda: np.zeros((2, 3), [("x", "f8")]),
    "fewer dimensions": lambda: np.zeros(6),
    "more dimensions": lambda: np.zeros((2, 3, 1)),
    "no dimensions": lambda: np.zeros(()),
    "first size": lambda: np.zeros((3, 3)),
    "last size": lambda: np.zeros((2, 4)),
    "transposed": lambda: np.zeros((3, 2)).T,
    "strided": lambda: np.zeros((2, 6))[:, ::2],
    "broadcast": lambda: np.broadcast_to(np.zeros(3), (2, 3)),
    "backwards": lambda: np.zeros((2, 3))[::-1],
    "misaligned": misaligned,
    "read-only": read_only,
    "subclass": lambda: np.zeros((2, 3)).view(Derived),
    "masked": lambda: np.ma.zeros((2, 3)),
    "matrix of characters": lambda: np.zeros((2, 3), "S8"),
}


@pytest.mark.parametrize("name", sorted(MISFITS))
def test_hands_on_what_does_not_fit(make: Make, slow: SlowPath, name: str) -> None:
    argument = MISFITS[name]()
    assert copier(make, MATRIX, slow)(argument) == "slow", "the slow path's own answer"
    ((args, kwargs),) = slow.seen
    assert [id(value) for value in args] == [id(argument)], "the very same arguments"
    assert not kwargs, "and no others"


def test_hands_on_calls_of_another_form(make: Make, slow: SlowPath) -> None:
    entry, array = copier(make, MATRIX, slow), np.zeros((2, 3))
    assert entry() == entry(array, array) == entry(array, out=1) == entry(x=array) == "slow"
    assert [(len(args), sorted(names)) for args, names in slow.seen] == [
        (0, []), (2, []), (1, ["out"]), (0, ["x"]),
    ]  # fmt: skip


def test_keywords(make: Make, slow: SlowPath) -> None:
    spec = CallSpec((VECTOR, VECTOR, VECTOR), VECTOR, keywords=("left", "right"))
    entry = make(spec, copy_kernel((2, 32)), slow)
    arrays = [np.full(4, float(index)) for index in range(3)]
    assert entry(arrays[0], left=arrays[1], right=arrays[2]).tolist() == [2.0] * 4
    misfits = [
        entry(*arrays),
        entry(arrays[0], arrays[1], right=arrays[2]),
        entry(arrays[0], left=arrays[1]),
        entry(arrays[0], left=arrays[1], right=arrays[2], more=1),
        entry(arrays[0], left=arrays[1], wrong=arrays[2]),
        entry(arrays[0], right=arrays[1], left=arrays[2]),
        entry(arrays[0], left=arrays[1], right=arrays[2][:2]),
        entry(left=arrays[1], right=arrays[2]),
    ]
    assert misfits == ["slow"] * 8
    assert slow.seen[5][1] == {"right": arrays[1], "left": arrays[2]}
    entry = make(CallSpec((VECTOR,), VECTOR, keywords=("x",)), copy_kernel((0, 32)), slow)
    assert entry(x=arrays[2]).tolist() == [2.0] * 4
    with pytest.raises(ValueError, match="cannot have the names"):
        CallSpec((VECTOR,), VECTOR, keywords=("x", "y"))


def test_accepts_other_dtype_objects_of_the_same_meaning(make: Make, slow: SlowPath) -> None:
    array = np.arange(6.0).reshape(2, 3)
    unpickled = pickle.loads(pickle.dumps(array))
    noted = np.arange(6.0).reshape(2, 3).view(np.dtype(FLOAT64, metadata={"unit": "m"}))
    assert noted.dtype is not array.dtype, "the case that is meant"
    for other in (unpickled, noted):
        np.testing.assert_array_equal(copier(make, MATRIX, slow)(other), array)
    long_long = np.arange(4, dtype=np.longlong)
    entry = copier(make, ArrayLeaf(np.dtype(np.int64), (4,)), slow)
    np.testing.assert_array_equal(entry(long_long), long_long)
    assert not slow.seen, "all of them fit"


def test_rejects_swapped_array_whose_dtype_object_is_new(make: Make, slow: SlowPath) -> None:
    swapped = np.ones(4, np.dtype(FLOAT64.newbyteorder(), metadata={"unit": "m"}))
    assert not swapped.dtype.isnative, "the case that is meant"
    assert copier(make, VECTOR, slow)(swapped) == "slow"


def test_takes_read_only_arrays_where_the_spec_says_so(make: Make, slow: SlowPath) -> None:
    entry = copier(make, ArrayLeaf(FLOAT64, (2, 3), writeable=False), slow)
    np.testing.assert_array_equal(entry(read_only()), np.zeros((2, 3)))
    np.testing.assert_array_equal(entry(np.ones((2, 3))), np.ones((2, 3)))


def test_takes_known_strides(make: Make, slow: SlowPath) -> None:
    base = np.arange(6.0).reshape(3, 2)
    leaf = ArrayLeaf(FLOAT64, (2, 3), strides=(8, 16))
    entry = make(CallSpec((leaf,), ArrayLeaf(FLOAT64, (3, 2))), copy_kernel((0, 48)), slow)
    np.testing.assert_array_equal(entry(base.T), base)
    assert entry(np.zeros((2, 3))) == "slow", "contiguous, which is another layout"


def test_passes_constants_after_the_inputs(make: Make, slow: SlowPath) -> None:
    rows = [integers(index, -index, 7) for index in range(20)]
    result = ArrayLeaf(np.dtype(np.int64), (3,))
    for count in (1, 16, 17, 20):
        constants = tuple(ctypes.addressof(row) for row in rows[:count])
        spec = CallSpec((VECTOR,), TupleNode((result,) * 2), constants=constants)
        entry = make(spec, copy_kernel((1, 24), (count, 24)), slow, keep_alive=rows)
        first, last = entry(np.zeros(4))
        assert (first.tolist(), last.tolist()) == ([0, 0, 7], [count - 1, 1 - count, 7])


def test_no_arguments_and_many_arguments(make: Make, slow: SlowPath) -> None:
    value = integers(41)
    spec = CallSpec((), ScalarLeaf(np.int64), constants=(ctypes.addressof(value),))
    entry = make(spec, copy_kernel((0, 8)), slow, keep_alive=value)
    assert entry() == 41
    arrays = [np.full(4, float(index)) for index in range(60)]
    entry = make(CallSpec((VECTOR,) * 60, VECTOR), copy_kernel((59, 32)), slow)
    assert entry(*arrays).tolist() == [59.0] * 4
    arrays[31] = arrays[31][:3]
    assert entry(*arrays) == "slow"


def test_results_do_not_share_memory(make: Make, slow: SlowPath) -> None:
    spec = CallSpec((VECTOR,), TupleNode((VECTOR, VECTOR)))
    entry = make(spec, copy_kernel((0, 32), (0, 32)), slow)
    argument = np.arange(4.0)
    arrays = [argument, *entry(argument), *entry(argument)]
    for array in arrays[1:]:
        array += 1
    assert [array.tolist() for array in arrays] == [[0, 1, 2, 3]] + [[1, 2, 3, 4]] * 4


def test_runs_the_kernel_once_a_call(make: Make, slow: SlowPath) -> None:
    counter = integers(0)
    spec = CallSpec((), VECTOR, constants=(ctypes.addressof(counter),))
    entry = make(spec, kernel("count"), slow, keep_alive=counter)
    for _ in range(3):
        entry()
    entry(1)
    assert counter[0] == 3, "the slow path does not run it"
