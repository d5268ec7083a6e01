"""bfloat16 in networks' functions: computed in float32, and the result rounded once."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np

from tracer import tree
from tracer.types import is_brain, is_inexact

Function = TypeVar("Function", bound=Callable[..., Any])


def by_single(function: Function) -> Function:
    """The function with arguments of bfloat16 converted to float32; its results are bfloat16 again
    where all its floating arrays are. Other dtypes are left alone.
    """

    @functools.wraps(function)
    def computed(*args: Any, **kwargs: Any) -> Any:
        dtypes = [
            value.dtype
            for value in (*args, *kwargs.values())
            if isinstance(getattr(value, "dtype", None), np.dtype) and is_inexact(value.dtype)
        ]
        brains = [dtype for dtype in dtypes if is_brain(dtype)]
        if not brains:
            return function(*args, **kwargs)
        wide = {name: _wide(value) for name, value in kwargs.items()}
        result = function(*map(_wide, args), **wide)
        if len(brains) < len(dtypes):
            return result
        return tree.map(lambda value: value.astype(brains[0]), result)

    return cast(Function, computed)


def _wide(value: Any) -> Any:
    dtype = getattr(value, "dtype", None)
    brain = isinstance(dtype, np.dtype) and is_brain(dtype)
    return value.astype(np.float32) if brain else value
