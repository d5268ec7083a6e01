"""How a universal function of `scipy.special` becomes ours: promotion, options, plain arrays."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from tracer.dispatch import METHODS
from tracer.numpy.common import any_traced, as_operand, cast_to
from tracer.primitives.pointwise import converted, promotion_key
from tracer.primitives.programs import of_scipy
from tracer.types import resolve_ufunc

Function = Callable[..., Any]

COMPOSED: dict[str, Function] = {}
"""What traced operands of a universal function go to, by SciPy's name of it."""


def public(name: str, traced: Function) -> Function:
    """The function that users call: SciPy's own where nothing is traced."""
    theirs = of_scipy(name)

    @functools.wraps(traced)
    def function(*operands: Any, **options: Any) -> Any:
        if not any_traced(operands, options):
            return theirs(*operands, **options)
        if options:
            return METHODS["__ufunc_method__"](theirs.function, "__call__", operands, options)
        return traced(*operands)

    function.__name__ = function.__qualname__ = name
    return function


def composed(name: str) -> Callable[[Function], Function]:
    """Decorator: a universal function composed of others; it gets operands promoted as SciPy's."""
    theirs = of_scipy(name)

    def wrap(body: Function) -> Function:
        @functools.wraps(body)
        def traced(*operands: Any) -> Any:
            arrays = [as_operand(operand) for operand in operands]
            dtypes = resolve_ufunc(theirs, tuple(promotion_key(array) for array in arrays))
            return body(
                *[
                    cast_to(converted(array, dtype), dtype)
                    for array, dtype in zip(arrays, dtypes, strict=False)
                ]
            )

        COMPOSED[name] = traced
        return public(name, traced)

    return wrap


def of_float(x: Any) -> Any:
    """`x` as a floating array: whole numbers as float64."""
    x = as_operand(x)
    kind = getattr(getattr(x, "dtype", None), "kind", "i")
    return x if kind == "f" and not isinstance(x, float) else cast_to(x, "f8")
