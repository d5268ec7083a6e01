"""What every function here does first: arrays that are not traced go to SciPy itself."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

from tracer.numpy.common import any_traced

Function = TypeVar("Function", bound=Callable[..., Any])


def linalg_function(ours: Function) -> Function:
    """Decorator: our version of the function of `scipy.linalg` of that name."""

    @functools.wraps(ours)
    def function(*args: Any, **kwargs: Any) -> Any:
        if any_traced(args, kwargs):
            return ours(*args, **kwargs)
        import scipy.linalg

        return getattr(scipy.linalg, ours.__name__)(*args, **kwargs)

    return cast(Function, function)
