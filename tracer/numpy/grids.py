"""Grids of coordinates, and index arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from tracer.numpy.common import (
    array_function,
    as_array,
    as_arrays,
    cast_to,
    is_traced,
    renewed,
    result_dtype,
    unsupported,
)
from tracer.numpy.gathering import nonzero
from tracer.numpy.joining import concatenate
from tracer.primitives.broadcast import broadcast_to, reshape
from tracer.trace import Tracer
from tracer.types import BOOL


@array_function(np.meshgrid)
def meshgrid(
    *xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy"
) -> tuple[Any, ...]:
    """The coordinates of a grid, one array an axis."""
    if indexing not in ("xy", "ij"):
        raise ValueError("Valid values for `indexing` are 'xy' and 'ij'.")
    arrays = as_arrays(*xi)
    rank = len(arrays)
    places = list(range(rank))
    if indexing == "xy" and rank > 1:
        places[0], places[1] = 1, 0
    sizes = [int(np.prod(array.shape)) for array in arrays]
    columns = []
    for array, size, place in zip(arrays, sizes, places, strict=True):
        shape = tuple(size if axis == place else 1 for axis in range(rank))
        columns.append(reshape(array, shape))
    if not sparse:
        whole = tuple(sizes[places.index(axis)] for axis in range(rank))
        columns = [broadcast_to(column, whole) for column in columns]
    return tuple(renewed(column) for column in columns)


@array_function(np.ix_)
def ix_(*args: Any) -> tuple[Any, ...]:
    """Index arrays that name the rows, columns, … of a grid."""
    result = []
    for place, array in enumerate(as_arrays(*args)):
        if len(array.shape) != 1:
            raise ValueError("Cross index must be 1 dimensional")
        places = nonzero(array)[0] if array.dtype == BOOL else array
        if not places.shape[0]:
            places = np.zeros(0, np.int64)
        shape = tuple(places.shape[0] if axis == place else 1 for axis in range(len(args)))
        result.append(reshape(places, shape))
    return tuple(result)


class Joined:
    """`r_` and `c_`: arrays, numbers and slices written as an index, joined into one array."""

    def __init__(self, name: str, rank: int) -> None:
        self.name, self.rank = name, rank

    def __getitem__(self, key: Any) -> Any:
        items = key if isinstance(key, tuple) else (key,)
        if not is_traced(list(items)):
            return getattr(np, self.name)[key]
        if any(isinstance(item, str) for item in items):
            raise unsupported(f"numpy.{self.name}", "with a directive", "use concatenate")
        parts = [self._part(item) for item in items]
        rank = max([self.rank, *[part.ndim for part in parts]])
        parts = [self._grown(part, rank) for part in parts]
        dtype = result_dtype(*[item for item in items if not isinstance(item, slice)], *_of(items))
        return concatenate([cast_to(part, dtype) for part in parts], self.rank - 1)

    def _part(self, item: Any) -> Any:
        return np.r_[item] if isinstance(item, slice) else as_array(item)

    def _grown(self, part: Any, rank: int) -> Any:
        missing = (1,) * (rank - part.ndim)
        if self.rank == 1:
            return reshape(part, (*missing, *part.shape))
        return reshape(part, (*part.shape, *missing)) if part.ndim else reshape(part, (1,) * rank)


def _of(items: Any) -> list[Any]:
    """The dtypes of the slices among what is joined."""
    return [np.r_[item].dtype for item in items if isinstance(item, slice)]


r_, c_ = Joined("r_", 1), Joined("c_", 2)


def _sample(arr: Any) -> Any:
    return np.broadcast_to(np.int8(0), arr.shape)


@array_function(np.tril_indices_from)
def tril_indices_from(arr: Any, k: int = 0) -> tuple[Any, ...]:
    """The places of the lower triangle of a matrix."""
    return np.tril_indices_from(_sample(arr), k)


@array_function(np.triu_indices_from)
def triu_indices_from(arr: Any, k: int = 0) -> tuple[Any, ...]:
    """The places of the upper triangle of a matrix."""
    return np.triu_indices_from(_sample(arr), k)


@array_function(np.diag_indices_from)
def diag_indices_from(arr: Any) -> tuple[Any, ...]:
    """The places of the main diagonal."""
    return np.diag_indices_from(_sample(arr))


def _of_type(value: Any) -> Any:
    return np.empty((0,) * len(value.shape), value.dtype) if type(value) is Tracer else value


@array_function(np.result_type)
def result_type(*arrays_and_dtypes: Any) -> np.dtype[Any]:
    """The dtype that NumPy's promotion gives."""
    from tracer.numpy.common import result_dtype

    return result_dtype(*[v if type(v) is Tracer else _key(v) for v in arrays_and_dtypes])


def _key(value: Any) -> Any:
    if isinstance(value, (np.ndarray, np.generic, bool, int, float, complex)):
        return value
    return np.dtype(value)


@array_function(np.can_cast)
def can_cast(from_: Any, to: Any, casting: Any = "safe") -> bool:
    """Whether a conversion keeps to the rule."""
    return np.can_cast(from_.dtype if type(from_) is Tracer else from_, to, casting)


@array_function(np.min_scalar_type)
def min_scalar_type(a: Any, /) -> np.dtype[Any]:
    """The smallest dtype that holds the value, which must be known; of an array, its own."""
    return np.min_scalar_type(a.concrete("min_scalar_type") if not a.shape else _of_type(a))


@array_function(np.common_type)
def common_type(*arrays: Any) -> Any:
    """The inexact type common to the arrays."""
    return np.common_type(*[_of_type(array) for array in arrays])


@array_function(np.shares_memory)
def shares_memory(a: Any, b: Any, /, max_work: Any = None) -> bool:
    """Whether two names are of one traced array."""
    return a is b


@array_function(np.may_share_memory)
def may_share_memory(a: Any, b: Any, /, max_work: Any = None) -> bool:
    """Whether two names are of one traced array."""
    return a is b
