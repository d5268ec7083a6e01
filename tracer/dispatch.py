"""The tables by which NumPy's functions and ndarray's methods find ours.

`tracer.numpy` fills them; `tracer.array` reads them. That is why neither imports the other.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])

FUNCTIONS: dict[Any, Callable[..., Any]] = {}
METHODS: dict[str, Callable[..., Any]] = {}
LATE: dict[str, tuple[str, Callable[..., Any]]] = {}
"""Our versions of functions whose module may not be imported yet, by their names: the module, and
ours."""


def find(function: Any) -> Callable[..., Any] | None:
    """Our version of a function of NumPy or SciPy, where there is one."""
    ours = FUNCTIONS.get(function)
    name = getattr(function, "__name__", "")
    if ours is None and name in LATE:
        module, late = LATE[name]
        if getattr(sys.modules.get(module), name, None) is function:
            ours = FUNCTIONS[function] = late
    return ours


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
