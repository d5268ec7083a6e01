"""Members of the user's classes: constructors, properties and operators, which Python calls without
a call in the source, read from their source as functions are."""

from __future__ import annotations

import functools
import operator
from abc import ABC, abstractmethod
from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any, TypeGuard

import numpy as np

from tracer.source.memory import is_library, python_folders
from tracer.source.protocol import Host

BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul, "truediv": operator.truediv,
    "floordiv": operator.floordiv, "mod": operator.mod, "pow": operator.pow,
    "matmul": operator.matmul,
}  # fmt: skip
_IN_PLACE = {name: getattr(operator, f"i{name}") for name in BINARY}
_UNARY: dict[str, Callable[[Any], Any]] = {
    "neg": operator.neg,
    "pos": operator.pos,
    "invert": operator.invert,
}
_OPERATIONS = (*BINARY, *(f"r{name}" for name in BINARY), *_UNARY)
_PLAIN_OWNERS = frozenset({ModuleType, np.ndarray, type})


class Members(ABC):
    """What an attribute, an operator or a class's name leads to."""

    host: Host
    _plain_sum: Callable[..., Any]

    @abstractmethod
    def convert(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """`function` converted, if it is a Python function of the user's."""

    def attribute(self, owner: Any, name: str) -> Any:
        """`owner.name`, where a property of the user's is a function like others."""
        kind = type(owner)
        if kind in _PLAIN_OWNERS or self.host.is_traced(owner):
            return getattr(owner, name)
        found = getattr(kind, name, None)
        if hasattr(kind, "__getattr__"):
            return getattr(owner, name)
        if type(found) is property and type(found.fget) is FunctionType:
            return self.convert(found.fget)(owner)
        if type(found) is functools.cached_property and name not in vars(owner):
            vars(owner)[name] = self.convert(found.func)(owner)
        return getattr(owner, name)

    def binary(self, name: str, left: Any, right: Any) -> Any:
        """`left + right` and its like, where an operand's class may be the user's."""
        if name == "mod" and type(left) is str:
            return left % right  # shows a value, which `__float__` can tell by the operator
        first = getattr(type(left), f"__{name}__", None)
        second = getattr(type(right), f"__r{name}__", None)
        if not (self._is_users(first, left) or self._is_users(second, right)):
            return BINARY[name](left, right)
        tried: list[tuple[Any, Any, Any]] = [(first, left, right)]
        if type(left) is not type(right):
            tried.append((second, right, left))
            if issubclass(type(right), type(left)):
                tried.reverse()  # a subclass is asked first
        for function, owner, other in tried:
            if function is None:
                continue
            method: Any = function
            if self._is_users(method, owner):
                method = self.convert(function)
            result = method(owner, other)
            if result is not NotImplemented:
                return result
        return BINARY[name](left, right)

    def unary(self, name: str, value: Any) -> Any:
        """`-value` and its like."""
        function: Any = getattr(type(value), f"__{name}__", None)
        return (self.convert(function) if self._is_users(function, value) else _UNARY[name])(value)

    def in_place(self, name: str, left: Any, right: Any) -> Any:
        """What `left += right` and its like give to `left`."""
        function = getattr(type(left), f"__i{name}__", None)
        if self._is_users(function, left):
            return self.convert(function)(left, right)
        return self.binary(name, left, right) if function is None else _IN_PLACE[name](left, right)

    def total(self, values: Any, /, start: Any = 0) -> Any:
        """`sum(values, start)` of items that add by a function of the user's."""
        if self.host.is_traced(values):
            return self._plain_sum(values, start)
        items = list(values)
        if items and has_operators(type(items[0])) and not self.host.is_traced(items[0]):
            return functools.reduce(functools.partial(self.binary, "add"), items, start)
        return self._plain_sum(items, start)

    def _is_users(self, function: Any, owner: Any) -> TypeGuard[FunctionType]:
        return type(function) is FunctionType and not self.host.is_traced(owner)

    def construct(self, made: Any) -> Any:
        """What a call of the class `made` calls: its `__init__` is the user's function too."""
        initialise = made.__init__
        is_plain = made.__new__ is object.__new__ and not hasattr(made, "__array_ufunc__")
        if type(initialise) is not FunctionType or not is_plain:
            return made
        converted = self.convert(initialise)
        if converted is initialise:
            return made

        def make(*args: Any, **kwargs: Any) -> Any:
            result = made.__new__(made)
            converted(result, *args, **kwargs)
            return result

        return make


def has_operators(value: Any) -> bool:
    """Whether `value` is a class of the user's whose arithmetic operators are Python functions."""
    if not isinstance(value, type) or hasattr(value, "__array_ufunc__"):
        return False  # a class that takes part in NumPy's dispatch is an array by itself
    found = [getattr(value, f"__{name}__", None) for name in _OPERATIONS]
    folders = python_folders()
    return any(
        type(function) is FunctionType and not is_library(function.__code__.co_filename, folders)
        for function in found
    )
