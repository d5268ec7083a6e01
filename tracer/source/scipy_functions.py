"""Functions of SciPy that know nothing of traced arrays → those of `tracer.scipy`, for traced
arguments."""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable
from typing import Any

from tracer import tree
from tracer.trace import is_tracer

Function = Callable[..., Any]
_SAME_PLACE = ("special", "linalg")


def substitute(function: Any) -> Function | None:
    """What stands for `function` in traced programs; None where it is not SciPy's, or SciPy's
    alone."""
    module = str(function.__module__)
    if not module.startswith("scipy."):
        return None
    ours = _counterpart(function, module.split(".")[1])
    return None if ours is None else _for_traced(function, ours)


def _counterpart(function: Any, folder: str) -> Function | None:
    name = function.__name__
    owner = getattr(function, "__self__", None)
    if folder == "stats" and owner is not None:
        kind = getattr(owner, "name", "")
        if getattr(sys.modules["scipy.stats"], kind, None) is not owner:
            return None
        distribution = getattr(importlib.import_module("tracer.scipy.stats"), kind, None)
        return getattr(distribution, name, None)
    if getattr(sys.modules.get(f"scipy.{folder}"), name, None) is not function:
        return None
    if folder in _SAME_PLACE:
        return getattr(importlib.import_module(f"tracer.scipy.{folder}"), name, None)
    if folder == "integrate" and name == "trapezoid":
        return importlib.import_module("tracer.numpy").trapezoid  # type: ignore[no-any-return]
    return None


def _for_traced(original: Function, ours: Function) -> Function:
    @functools.wraps(original)
    def follow(*args: Any, **kwargs: Any) -> Any:
        is_traced = any(map(is_tracer, tree.leaves((args, kwargs))))
        return (ours if is_traced else original)(*args, **kwargs)

    return follow
