"""Python's builtins, `math`, and NumPy's creation functions, in versions that follow traced
values."""

from __future__ import annotations

import builtins
import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tracer.source.iterables import TracedRange
from tracer.source.protocol import Host

_SAME_IN_NUMPY = (
    *("sin", "cos", "tan", "sinh", "cosh", "tanh", "asin", "acos", "atan", "atan2", "prod"),
    *("asinh", "acosh", "atanh", "exp", "expm1", "exp2", "log2", "log10", "log1p", "sqrt", "cbrt"),
    *(
        "hypot",
        "copysign",
        "fabs",
        "degrees",
        "radians",
        "isnan",
        "isinf",
        "isfinite",
        "fmod",
        "pow",
    ),
    *("remainder", "ldexp", "nextafter"),
)
_RENAMED = {
    "asin": "arcsin", "acos": "arccos", "atan": "arctan", "atan2": "arctan2", "asinh": "arcsinh",
    "acosh": "arccosh", "atanh": "arctanh", "pow": "power", "erf": "special.erf",
    "erfc": "special.erfc",
    "gamma": "special.gamma", "lgamma": "special.gammaln", "fsum": "sum",
}  # fmt: skip
_BUILTINS = (
    *("range", "min", "max", "sum", "int", "float", "bool", "complex", "round", "any", "all"),
    *("sorted", "isinstance"),
)
_SEQUENCES = (list, tuple)
_TO_INTEGER = {"floor": "floor", "ceil": "ceil", "trunc": "trunc"}
_SCALAR_TYPES = (
    np.bool_, np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64,
    np.float32, np.float64, np.complex64, np.complex128,
)  # fmt: skip


class Callees:
    """Finds what a call in converted code really calls."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.table: dict[int, tuple[Any, Callable[..., Any]]] = {}
        for function, ours in host.of_lists().items():
            self._add(function, self._of_list(function, ours))
        for function, ours in host.substitutes().items():
            self._add(function, ours)
        for name in _BUILTINS:
            self._add(getattr(builtins, name), getattr(self, f"_{name}"))
        for name in (*_SAME_IN_NUMPY, "erf", "erfc", "gamma", "lgamma", "fsum"):
            if hasattr(math, name):
                self._add(getattr(math, name), self._mathematical(name, _RENAMED.get(name, name)))
        for name in _TO_INTEGER:
            self._add(getattr(math, name), self._whole(name))
        self._add(math.log, self._log)
        self._add(math.dist, self._dist)
        self._add(math.isclose, self._isclose)
        for scalar_type in _SCALAR_TYPES:
            self._add(scalar_type, self._scalar(scalar_type))

    def _add(self, function: Any, ours: Callable[..., Any]) -> None:
        self.table[id(function)] = function, ours  # keeps the function alive, and its id with it

    def _traced(self, *values: Any) -> bool:
        return any(self.host.is_traced(value) for value in values)

    def _of_list(self, original: Any, ours: Callable[..., Any]) -> Callable[..., Any]:
        """`np.sum([a, b])`, `np.dot(matrix, [a, b])`: dispatch does not look into lists."""
        is_traced = self.host.is_traced

        def holds(values: Any) -> bool:
            return any(
                holds(value) if type(value) in _SEQUENCES else is_traced(value) for value in values
            )

        def follow(*args: Any, **kwargs: Any) -> Any:
            for value in args[:2]:
                if type(value) in _SEQUENCES and holds(value):
                    return ours(*args, **kwargs)
            return original(*args, **kwargs)

        return follow

    def _mathematical(self, name: str, numpy_name: str) -> Callable[..., Any]:
        original = getattr(math, name)

        @functools.wraps(original)
        def follow(*args: Any, **kwargs: Any) -> Any:
            if any(self.host.is_traced(part) for part in args) or (
                args and isinstance(args[0], (list, tuple)) and self._traced(*args[0])
            ):
                parts = [
                    self.host.as_traced(a) if isinstance(a, (list, tuple)) else a for a in args
                ]
                return self.host.numpy(numpy_name)(*parts)
            return original(*args, **kwargs)

        return follow

    def _whole(self, name: str) -> Callable[[Any], Any]:
        original = getattr(math, name)

        @functools.wraps(original)
        def follow(value: Any) -> Any:
            if self.host.is_traced(value):
                return self.host.cast(self.host.numpy(name)(value), np.int64)
            return original(value)

        return follow

    def _log(self, value: Any, base: Any = None) -> Any:
        if not self._traced(value, base):
            return math.log(value) if base is None else math.log(value, base)
        log = self.host.numpy("log")
        return log(value) if base is None else log(value) / log(base)

    def _dist(self, first: Any, second: Any, /) -> Any:
        if not self._traced(first, second, *first, *second):
            return math.dist(first, second)
        change = self.host.as_traced(first) - self.host.as_traced(second)
        return self.host.numpy("sqrt")(self.host.numpy("sum")(change * change))

    def _isclose(self, a: Any, b: Any, *, rel_tol: Any = 1e-9, abs_tol: Any = 0.0) -> Any:
        if not self._traced(a, b):
            return math.isclose(a, b, rel_tol=rel_tol, abs_tol=abs_tol)
        size = self.host.numpy("maximum")(abs(a), abs(b))
        near = abs(a - b) <= self.host.numpy("maximum")(rel_tol * size, abs_tol)
        return (a == b) | (near & self.host.numpy("isfinite")(size))

    def _scalar(self, scalar_type: type[np.generic]) -> Callable[..., Any]:
        def follow(value: Any = 0, *rest: Any) -> Any:
            return (
                self.host.cast(value, scalar_type)
                if self._traced(value)
                else scalar_type(value, *rest)
            )

        return follow

    def _range(self, *bounds: Any) -> Any:
        if not any(map(self.host.is_abstract, bounds)):
            return range(*bounds)
        start, stop, step = (0, bounds[0], 1) if len(bounds) == 1 else (*bounds, 1)[:3]
        return TracedRange(self.host, start, stop, step)

    def _extreme(self, name: str, original: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        values = args
        if len(args) == 1:
            if self._traced(args[0]):
                return self.host.numpy("max" if name == "maximum" else "min")(args[0])
            values = args[0] if isinstance(args[0], (list, tuple)) else list(args[0])
            args = (values,)
        if kwargs or not self._traced(*values):
            return original(*args, **kwargs)
        return functools.reduce(self.host.numpy(name), values)

    def _min(self, *args: Any, **kwargs: Any) -> Any:
        return self._extreme("minimum", min, args, kwargs)

    def _max(self, *args: Any, **kwargs: Any) -> Any:
        return self._extreme("maximum", max, args, kwargs)

    def _sum(self, values: Any, /, start: Any = 0) -> Any:
        if self._traced(values) and values.shape:
            total = self.host.numpy("sum")(values, axis=0)
            return total if type(start) is int and start == 0 else start + total
        return sum(values, start)

    def _sorted(self, values: Any, /, **kwargs: Any) -> Any:
        if self._traced(values) and not kwargs and self.host.is_abstract(values):
            return self.host.numpy("sort")(values)
        return sorted(values, **kwargs)

    def _int(self, *args: Any) -> Any:
        if len(args) == 1 and self.host.is_abstract(args[0]):
            return self.host.cast(args[0], np.int64)
        return int(*args)

    def _float(self, *args: Any) -> Any:
        if len(args) == 1 and self._traced(args[0]):
            return self.host.cast(args[0], np.float64)
        return float(*args)

    def _complex(self, *args: Any) -> Any:
        if not self._traced(*args):
            return complex(*args)
        value = args[0] if len(args) == 1 else args[0] + 1j * args[1]
        return self.host.cast(value, np.complex128)

    def _bool(self, *args: Any) -> Any:
        if len(args) == 1 and self.host.is_abstract(args[0]):
            return self.host.cast(args[0], np.bool_)
        return bool(*args)

    def _round(self, number: Any, ndigits: Any = None) -> Any:
        if not self._traced(number):
            return round(number) if ndigits is None else round(number, ndigits)
        rounded = self.host.numpy("round")
        return (
            self.host.cast(rounded(number), np.int64)
            if ndigits is None
            else rounded(number, ndigits)
        )

    def _any(self, values: Any, /) -> Any:
        return self._every(values, any, "any", "logical_or")

    def _all(self, values: Any, /) -> Any:
        return self._every(values, all, "all", "logical_and")

    def _every(self, values: Any, original: Callable[..., Any], name: str, joining: str) -> Any:
        if self.host.is_abstract(values):
            return self.host.numpy(name)(values)
        if self._traced(values) or not self.host.is_tracing():
            return original(values)
        items = list(values)
        if not any(map(self.host.is_abstract, items)):
            return original(items)
        return functools.reduce(self.host.numpy(joining), items)

    def _isinstance(self, value: Any, kinds: Any, /) -> bool:
        if isinstance(value, kinds):
            return True
        if not self._traced(value):
            return False
        dtype, shape = self.host.dtype_and_shape(value)
        model = np.empty((0,) * len(shape), dtype) if shape else np.zeros((), dtype)
        return isinstance(model, kinds) or (not shape and isinstance(model[()], kinds))
