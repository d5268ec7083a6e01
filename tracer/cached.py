"""Properties that are computed once.

Python 3.11's `functools.cached_property` holds a lock of the class while it computes: a process
that is forked meanwhile waits for it for ever. Here two threads may compute a value twice instead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

T = TypeVar("T")


class cached_property(Generic[T]):
    """As Python's own, without a lock."""

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self.compute = compute
        self.__doc__ = compute.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, instance: None, owner: type) -> cached_property[T]: ...

    @overload
    def __get__(self, instance: object, owner: type) -> T: ...

    def __get__(self, instance: object | None, owner: type) -> cached_property[T] | T:
        if instance is None:
            return self
        # No data descriptor: from now on the instance's own entry is found first.
        value: T = instance.__dict__.setdefault(self.name, self.compute(instance))
        return value
