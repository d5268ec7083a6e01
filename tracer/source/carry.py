"""One place that a loop carries: its leaves before the loop, and the types that they keep in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tracer.source.protocol import Host
from tracer.source.slots import Slot
from tracer.source.values import (
    Type,
    default_type,
    describe,
    flatten,
    frozen,
    is_array,
    is_number,
    is_same,
    unflatten,
    widens,
)


@dataclass
class Types:
    """What a trace of the body has taught about the types of a place.

    dtypes  by leaf, for Python numbers before the loop: the dtype that the body makes of them. What
            is not here stays as weak as a Python number is.
    fill    the structure and types that the body gives to a variable which is unbound before
    """

    dtypes: dict[int, np.dtype[Any]] = field(default_factory=dict)
    fill: tuple[Any, tuple[Type, ...]] | None = None


class Carried:
    """A place that a loop carries."""

    def __init__(self, host: Host, slot: Slot, before: Any, types: Types) -> None:
        self.host = host
        self.slot = slot
        self.before = before
        self.types = types
        if types.fill is not None:
            self.structure, kinds = types.fill
            self.leaves: list[Any] = [np.zeros(shape, dtype) for dtype, shape in kinds]
        else:
            self.leaves, self.structure = flatten(before)
        self.arrays = [is_array(leaf, host) for leaf in self.leaves]
        self.numbers = [is_number(leaf, host) for leaf in self.leaves]

    def start(self) -> list[Any]:
        """The arrays before the first turn."""
        return [self._start(place) for place, array in enumerate(self.arrays) if array]

    def _start(self, place: int) -> Any:
        leaf = self.leaves[place]
        dtype = self.types.dtypes.get(place)
        if dtype is None and not self.host.is_traced(leaf):
            dtype = default_type(leaf, self.host)[0]
        return leaf if dtype is None else self.host.cast(leaf, dtype)

    def value(self, arrays: list[Any]) -> Any:
        """The value of the place when its arrays are these; takes them from the front of the
        list."""
        leaves = []
        for place, array in enumerate(self.arrays):
            leaf = arrays.pop(0) if array else self.leaves[place]
            if self.numbers[place] and place not in self.types.dtypes and self.host.is_traced(leaf):
                self.host.make_number(leaf)
            leaves.append(leaf)
        return unflatten(self.structure, leaves)

    def collect(self, where: str) -> tuple[list[Any], dict[int, np.dtype[Any]]]:
        """The arrays after a turn, and dtypes of numbers that were learned; an error if types
        change."""
        value = frozen(self.slot.read(), self.host)
        leaves, structure = flatten(value)
        if structure != self.structure:
            raise self._changes(where, unflatten(self.structure, self.leaves), value)
        result = []
        lessons: dict[int, np.dtype[Any]] = {}
        for place, leaf in enumerate(leaves):
            before = self.leaves[place]
            if not self.arrays[place] or not is_array(leaf, self.host):
                if not is_same(before, leaf):
                    raise self._changes(where, before, leaf)
                continue
            result.append(self._after(where, place, leaf, lessons))
        return result, lessons

    def _after(self, where: str, place: int, leaf: Any, lessons: dict[int, np.dtype[Any]]) -> Any:
        before = self.leaves[place]
        dtype, shape = default_type(before, self.host)
        dtype = self.types.dtypes.get(place, dtype)
        found, new_shape = default_type(leaf, self.host)
        if new_shape != shape:
            raise self._changes(where, before, leaf)
        stays_number = self.numbers[place] and place not in self.types.dtypes
        if is_number(leaf, self.host) and widens(found, dtype):
            return self.host.cast(leaf, dtype)
        if stays_number and widens(dtype, found):
            lessons[place] = found
        elif found != dtype:
            raise self._changes(where, before, leaf)
        return leaf

    def _changes(self, where: str, before: Any, after: Any) -> Exception:
        return self.host.carry_type_error(
            f"{where}: '{self.slot.path}' is {describe(before, self.host)} before the loop and"
            f" {describe(after, self.host)} after one turn of it; what a traced loop carries must"
            " keep its dtype and shape: give it that type before the loop"
        )
