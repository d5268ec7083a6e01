"""What a `for` runs over, in a form that can be counted and whose items can be asked for by a
traced position."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tracer.source.protocol import Host
from tracer.types import kind_of


@dataclass(frozen=True)
class Counted:
    """`length` items, an int or traced; `item(position)` gives one of them, at an int or a traced
    position."""

    length: Any
    item: Callable[[Any], Any]


class TracedRange:
    """`range` with a traced bound."""

    def __init__(self, host: Host, start: Any, stop: Any, step: Any) -> None:
        if host.is_abstract(step):
            raise host.control_flow_error(
                "the step of a range is traced; whether it counts up or down must be known: make it"
                " a static argument"
            )
        step = int(step)
        if step == 0:
            raise ValueError("range() arg 3 must not be zero")
        self._host = host
        self.start, self.step = start, step
        distance = (stop - start) if step > 0 else (start - stop)
        turns = distance if abs(step) == 1 else (distance + (abs(step) - 1)) // abs(step)
        self.length = host.numpy("maximum")(turns, 0)

    def __iter__(self) -> Iterator[Any]:
        raise self._host.control_flow_error(
            "a range with a traced bound can be run over by a `for` statement only, not in a"
            " comprehension or a call"
        )

    def __reversed__(self) -> Any:
        last = self.start + (self.length - 1) * self.step
        return TracedRange(self._host, last, self.start - self.step, -self.step)


class Enumerated:
    """`enumerate` of something that can be counted."""

    def __init__(self, inner: Any, start: int = 0) -> None:
        self.inner, self.start = inner, start

    def __iter__(self) -> Iterator[Any]:
        return builtins.enumerate(self.inner, self.start)


class Zipped:
    """`zip` of several things, at least one of which can be counted."""

    def __init__(self, *inner: Any, strict: bool = False) -> None:
        self.inner, self.strict = inner, strict

    def __iter__(self) -> Iterator[Any]:
        return builtins.zip(*self.inner, strict=self.strict)


def counted(iterable: Any, host: Host) -> Counted | None:
    """`iterable` counted, or None: lists, iterators and the like, which hold any objects."""
    if isinstance(iterable, range):
        return Counted(len(iterable), _progression(iterable.start, iterable.step))
    if isinstance(iterable, TracedRange):
        return Counted(iterable.length, _progression(iterable.start, iterable.step))
    if host.is_traced(iterable):
        return (
            Counted(iterable.shape[0], lambda position: _entry(iterable, position, host))
            if iterable.shape
            else None
        )
    if isinstance(iterable, np.ndarray) and iterable.ndim and kind_of(iterable.dtype) in "biufc":
        return Counted(len(iterable), lambda position: _row(iterable, position, host))
    if isinstance(iterable, Enumerated):
        inner, start = counted(iterable.inner, host), iterable.start
        if inner is None:
            return None
        item = inner.item
        return Counted(inner.length, lambda position: (position + start, item(position)))
    if isinstance(iterable, Zipped):
        return _zip(iterable, host)
    return None


def _entry(array: Any, position: Any, host: Host) -> Any:
    """An item of a traced array. The first turn of a loop may be run by itself, and meets constant
    integers as Python's own iteration gives them: with their values."""
    is_first = type(position) is int and position == 0
    if is_first and host.dtype_and_shape(array)[0].kind in "iu":
        return next(iter(array))
    return array[position]


def _zip(iterable: Zipped, host: Host) -> Counted | None:
    found = [counted(inner, host) for inner in iterable.inner]
    parts = [part for part in found if part is not None]
    if len(parts) != len(found):
        return None
    lengths = [part.length for part in parts]
    if any(host.is_traced(length) for length in lengths):
        if iterable.strict:
            raise host.control_flow_error(
                "zip(strict=True) needs lengths that are known while tracing"
            )
        shortest = lengths[0]
        for length in lengths[1:]:
            shortest = host.numpy("minimum")(shortest, length)
    else:
        shortest = min(lengths)
        if iterable.strict and len(set(lengths)) > 1:
            return None  # Python's own zip raises the error
    return Counted(shortest, lambda position: tuple(part.item(position) for part in parts))


def _progression(start: Any, step: int) -> Callable[[Any], Any]:
    def item(position: Any) -> Any:
        distance = position if step == 1 else position * step
        return distance if type(start) is int and start == 0 else start + distance

    return item


def _row(array: np.ndarray[Any, Any], position: Any, host: Host) -> Any:
    return host.as_traced(array)[position] if host.is_traced(position) else array[position]
