"""The public face of a compiled function: an object with attributes, called like a built-in.

`function_class()` gives the class to derive from. Its instances have a `target`, which takes every
call, keyword arguments included, and a number of `calls`. They are method descriptors: as class
attributes they bind like functions. Derived classes may not set `__call__` after they are made.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from types import MethodType
from typing import Any

from codegen.dispatch import runtime_text as at
from codegen.dispatch.runtime import (
    TYPE_METHOD_DESCRIPTOR,
    TYPE_VECTORCALL,
    Runtime,
    load,
    native_entry_available,
)

_TYPE_FLAGS = 168  # tp_flags, compared with `__flags__` before it is touched


class PythonFunction:
    """`function_class()` where native entries are not available."""

    target: Callable[..., Any]
    calls: int

    def __init__(self, target: Callable[..., Any]) -> None:
        self.target = target
        self.calls = 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the target."""
        self.calls += 1
        return self.target(*args, **kwargs)

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        """Bind to an instance, as a function does."""
        return self if instance is None else MethodType(self, instance)


def _mark(cls: type, base: type) -> None:
    """Give a derived class the two flags of its base, which CPython does not hand down."""
    if cls.__dict__.get("__call__") or cls.__call__ is not base.__call__:
        return
    wanted = TYPE_VECTORCALL
    if cls.__get__ is base.__get__:  # type: ignore[attr-defined]
        wanted |= TYPE_METHOD_DESCRIPTOR
    flags = ctypes.c_ulong.from_address(id(cls) + _TYPE_FLAGS)
    if flags.value != cls.__flags__:
        return
    flags.value |= wanted
    ctypes.pythonapi.PyType_Modified(ctypes.py_object(cls))


def _native_class(runtime: Runtime) -> type:
    base: Any = runtime.function_type

    class NativeFunction(base):  # type: ignore[misc]
        """A callable that enters its `target` at the speed of a built-in function."""

        def __new__(cls, *args: Any, **kwargs: Any) -> Any:
            made = base.__new__(cls)
            place = ctypes.c_void_p.from_address(id(made) + at.VECTORCALL)
            place.value = runtime.function_call
            return made

        def __init__(self, target: Callable[..., Any]) -> None:
            self.target = target

        def __init_subclass__(cls, **options: Any) -> None:
            super().__init_subclass__(**options)
            _mark(cls, base)

    _mark(NativeFunction, base)
    return NativeFunction


@cache
def function_class() -> type[PythonFunction]:
    """The class for public compiled functions: native, or `PythonFunction` with the same interface.

    A derived class whose `__init__` is its own sets `self.target` itself.
    """
    if not native_entry_available():
        return PythonFunction
    native: Any = _native_class(load())
    return native  # type: ignore[no-any-return]
