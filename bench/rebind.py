"""Run a workload's own source with another library's namespace in the place of NumPy's."""

from collections.abc import Mapping
from types import FunctionType
from typing import Any

from bench.workload import Function


def rebind(function: Function, namespaces: Mapping[str, Any]) -> Function:
    """A copy of a module-level function which finds `namespaces` under its module's global names.

    The functions of the same module that it calls are copied with it, so that a whole workload
    reads, say, `jax.numpy` wherever its source says `np`. Functions made inside inherit the names.
    """
    if not isinstance(function, FunctionType):
        raise TypeError(f"only a Python function can be rebound, and {function!r} is none")
    module = function.__module__
    names: dict[str, Any] = dict(function.__globals__)
    for name, value in list(names.items()):
        if isinstance(value, FunctionType) and value.__module__ == module:
            names[name] = _with_globals(value, names)
    names.update(namespaces)
    return _with_globals(function, names)


def _with_globals(function: FunctionType, names: dict[str, Any]) -> FunctionType:
    copy = FunctionType(
        function.__code__, names, function.__name__, function.__defaults__, function.__closure__
    )
    copy.__kwdefaults__ = function.__kwdefaults__
    copy.__module__ = function.__module__
    return copy
