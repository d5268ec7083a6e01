"""Functions applied along axes, over axes, and element by element."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from tracer.numpy.common import any_traced, array_function, as_array, as_arrays, as_dtype, cast_to
from tracer.numpy.creation import from_items
from tracer.numpy.indexing import index_view
from tracer.numpy.joining import stack
from tracer.numpy.shapes import expand_dims, moveaxis
from tracer.primitives.broadcast import broadcast_to, reshape
from tracer.types import broadcast_shapes, normalize_axis


@array_function(np.apply_along_axis)
def apply_along_axis(
    func1d: Callable[..., Any], axis: int, arr: Any, *args: Any, **kwargs: Any
) -> Any:
    """A function applied to each row along an axis; its result's axes take that axis's place."""
    x = as_array(arr)
    place = normalize_axis(axis, x.ndim)
    rows = moveaxis(x, place, -1)
    lead = rows.shape[:-1]
    if 0 in lead:
        raise ValueError("Cannot apply_along_axis when any iteration dimensions are 0")
    results = [
        as_array(func1d(index_view(rows, where) if lead else rows, *args, **kwargs))
        for where in np.ndindex(lead)
    ]
    inner = results[0].shape
    result = reshape(stack(results), (*lead, *inner))
    depth = len(inner)
    return moveaxis(
        result, tuple(range(result.ndim - depth, result.ndim)), tuple(range(place, place + depth))
    )


@array_function(np.apply_over_axes)
def apply_over_axes(func: Callable[..., Any], a: Any, axes: Any) -> Any:
    """A function of (array, axis) applied over several axes one after the other."""
    x = as_array(a)
    for axis in np.atleast_1d(axes):
        place = normalize_axis(int(axis), x.ndim)
        result = as_array(func(x, place))
        if result.ndim != x.ndim:
            result = expand_dims(result, place)
            if result.ndim != x.ndim:
                raise ValueError("function is not returning an array of the correct shape")
        x = result
    return x


def _core_ranks(signature: str | None, arrays: list[Any]) -> list[int]:
    """How many of the last axes of each operand one call takes."""
    if signature is None:
        return [0] * len(arrays)
    groups = re.findall(r"\(([^()]*)\)", signature.partition("->")[0])
    if "->" not in signature or len(groups) != len(arrays):
        raise TypeError(f"signature {signature!r} does not fit {len(arrays)} arguments")
    names = [[name for name in group.split(",") if name.strip()] for group in groups]
    extents: dict[str, int] = {}
    for array, core in zip(arrays, names, strict=True):
        if array.ndim < len(core):
            raise ValueError(f"{array.ndim}-dimensional argument does not have enough dimensions")
        for name, extent in zip(core, array.shape[array.ndim - len(core) :], strict=True):
            if extents.setdefault(name.strip(), extent) != extent:
                raise ValueError(f"inconsistent size for core dimension {name.strip()!r}")
    return [len(core) for core in names]


def _in_shape(items: list[Any], dtype: Any, shape: tuple[int, ...]) -> Any:
    """The results of single calls as one array; their own axes come last."""
    core = as_array(items[0]).shape
    values = cast_to(from_items(items), dtype or as_array(items[0]).dtype)
    return reshape(values, (*shape, *core))


class vectorize:
    """A function of numbers as a function of arrays; called once for each element.

    Takes what `numpy.vectorize` takes. Under `jit` every element's call is traced: prefer array
    operations there, or `tracer.vmap`.
    """

    def __init__(
        self,
        pyfunc: Callable[..., Any],
        otypes: Any = None,
        doc: str | None = None,
        excluded: Any = None,
        cache: bool = False,
        signature: str | None = None,
    ) -> None:
        self.pyfunc, self.otypes, self.excluded = pyfunc, otypes, set(excluded or ())
        self.signature = signature
        self.plain = np.vectorize(pyfunc, otypes, doc, excluded, cache, signature)
        self.__doc__ = doc or pyfunc.__doc__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not any_traced(args, kwargs):
            return self.plain(*args, **kwargs)
        places = [place for place in range(len(args)) if place not in self.excluded]
        names = [name for name in kwargs if name not in self.excluded]
        arrays = as_arrays(*[args[place] for place in places], *[kwargs[name] for name in names])
        cores = _core_ranks(self.signature, arrays)
        shape = broadcast_shapes(
            *[array.shape[: array.ndim - core] for array, core in zip(arrays, cores, strict=True)]
        )
        if 0 in shape and self.otypes is None:
            raise ValueError("cannot call `vectorize` on size 0 inputs unless `otypes` is set")
        wide = [
            broadcast_to(array, (*shape, *array.shape[array.ndim - core :]))
            for array, core in zip(arrays, cores, strict=True)
        ]
        results = []
        for where in np.ndindex(shape):
            chosen = [index_view(array, where) for array in wide]
            positional = list(args)
            for place, value in zip(places, chosen, strict=False):
                positional[place] = value
            named = {**kwargs, **dict(zip(names, chosen[len(places) :], strict=True))}
            results.append(self.pyfunc(*positional, **named))
        return self._assembled(results, shape)

    def _assembled(self, results: list[Any], shape: tuple[int, ...]) -> Any:
        several = isinstance(results[0], tuple)
        columns = list(zip(*results, strict=True)) if several else [results]
        dtypes: list[Any] = [None] * len(columns)
        if self.otypes is not None:
            dtypes = [as_dtype(code) for code in self.otypes]
        arrays = tuple(
            _in_shape(list(column), dtype, shape)
            for column, dtype in zip(columns, dtypes, strict=True)
        )
        return arrays if several else arrays[0]
