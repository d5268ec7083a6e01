"""The tables by which NumPy's functions and ndarray's methods find ours.

`tracer.numpy` fills them; `tracer.array` reads them. That is why neither imports the other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])

FUNCTIONS: dict[Any, Callable[..., Any]] = {}
METHODS: dict[str, Callable[..., Any]] = {}


def implements(*numpy_functions: Any) -> Callable[[Function], Function]:
    """Decorator: our version of these functions of NumPy."""

    def add(function: Function) -> Function:
        for numpy_function in numpy_functions:
            FUNCTIONS[numpy_function] = function
        return function

    return add


def method(*names: str) -> Callable[[Function], Function]:
    """Decorator: what a tracer's operator or method of that name does."""

    def add(function: Function) -> Function:
        for name in names:
            METHODS[name] = function
        return function

    return add
