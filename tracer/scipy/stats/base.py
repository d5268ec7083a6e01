"""A distribution: its standard form, shifted and scaled, and what lies outside of its support.

Methods take what SciPy's take: `(x, *shapes, loc=0, scale=1)`, shapes by place or by name, all of
which broadcast and may be traced. Results are float64, as SciPy's are. Outside of the support a
density is 0 (its logarithm −∞), for parameters that are none NaN; derivatives are 0 in both places.
At the edge of the support, densities and derivatives are the limits from inside.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import tracer.numpy as tnp
from tracer.numpy.common import as_array, cast_to
from tracer.numpy.elementwise import where

Function = Callable[..., Any]
FLOAT64 = np.dtype(np.float64)
INFINITY = math.inf


def as_float(x: Any) -> Any:
    """`x` as an array of float64."""
    return cast_to(as_array(x), FLOAT64)


def _missing(name: str, method: str) -> Function:
    def raise_error(*_: Any) -> Any:
        from tracer.errors import UnsupportedFunctionError

        raise UnsupportedFunctionError(f"tracer.scipy.stats.{name} has no {method}")

    return raise_error


def quiet(method: Function) -> Function:
    """Decorator: without NumPy's warnings, for values where the result is not taken from."""

    @functools.wraps(method)
    def run(*args: Any, **kwargs: Any) -> Any:
        with np.errstate(all="ignore"):
            return method(*args, **kwargs)

    return run


@dataclass(frozen=True)
class Standard:
    """The standard form of a continuous distribution; each function takes (x, *shapes).

    log_density, cdf, sf   at x in the support; logarithms are taken of the latter two unless given
    ppf                    the inverse of cdf
    low, high              the support: numbers, or functions of the shapes
    inside                 a point in the support for all shapes: a number or a function of them
    valid                  which shapes are; by default the positive ones
    """

    name: str
    shapes: tuple[str, ...]
    log_density: Function
    cdf: Function | None = None
    sf: Function | None = None
    logcdf: Function | None = None
    logsf: Function | None = None
    ppf: Function | None = None
    isf: Function | None = None
    low: float | Function = -INFINITY
    high: float | Function = INFINITY
    inside: float | Function = 1.0
    valid: Function | None = None
    mean: Function | None = None
    var: Function | None = None
    entropy: Function | None = None


def _at(value: float | Function, shapes: list[Any]) -> Any:
    return value(*shapes) if callable(value) else np.float64(value)


def _bound(names: tuple[str, ...], args: Any, options: dict[str, Any], what: str) -> list[Any]:
    """The parameters in order, given by place or by name; loc is 0, scale 1 by default."""
    if len(args) > len(names):
        raise TypeError(f"{what} takes at most {len(names)} parameters, not {len(args)}")
    values = dict(zip(names, args, strict=False))
    for name, value in options.items():
        if name not in names or name in values:
            raise TypeError(f"{what} got {name} twice, or has no such parameter")
        values[name] = value
    defaults = {"loc": 0.0, "scale": 1.0}
    missing = [name for name in names if name not in values and name not in defaults]
    if missing:
        raise TypeError(f"{what} needs {', '.join(missing)}")
    return [as_float(values.get(name, defaults.get(name))) for name in names]


class Continuous:
    """A continuous distribution, as `scipy.stats` has it."""

    def __init__(self, standard: Standard) -> None:
        self.standard = standard
        self.name = standard.name
        self.parameters = (*standard.shapes, "loc", "scale")

    def _shapes(self, args: Any, options: dict[str, Any]) -> tuple[list[Any], Any, Any, Any]:
        """(shapes, loc, scale, which of them are valid)."""
        *shapes, loc, scale = _bound(self.parameters, args, options, self.name)
        valid = (scale > 0.0) & (loc == loc)
        if self.standard.valid is not None:
            valid = valid & self.standard.valid(*shapes)
        else:
            for shape in shapes:
                valid = valid & (shape > 0.0)
        return shapes, loc, scale, valid

    def _apply(
        self,
        function: Function,
        x: Any,
        args: Any,
        options: dict[str, Any],
        below: float,
        above: float,
        *,
        density: bool = False,
    ) -> Any:
        """The function in the support, `below` and `above` beyond it, NaN where nothing is."""
        shapes, loc, scale, valid = self._shapes(args, options)
        y = (as_float(x) - loc) / scale
        low, high = _at(self.standard.low, shapes), _at(self.standard.high, shapes)
        within = (y > low) & (y < high)
        if density:  # the edges belong to it, where they are numbers
            within = (y >= low) & (y <= high) & (tnp.abs(y) < INFINITY)
        usual = within & valid
        safe = where(usual, y, _at(self.standard.inside, shapes))
        value = function(safe, *shapes)
        if density:
            value = value - tnp.log(scale)
        value = where(usual, value, where(y > low, above, below))
        return where(valid & (y == y), value, np.nan)

    def _method(self, name: str) -> Function:
        found: Function | None = getattr(self.standard, name)
        return found or _missing(self.name, name)

    @quiet
    def logpdf(self, x: Any, *args: Any, **options: Any) -> Any:
        """log of the density at x."""
        found = self.standard.log_density
        return self._apply(found, x, args, options, -INFINITY, -INFINITY, density=True)

    @quiet
    def pdf(self, x: Any, *args: Any, **options: Any) -> Any:
        """The density at x."""
        return tnp.exp(self.logpdf(x, *args, **options))

    @quiet
    def cdf(self, x: Any, *args: Any, **options: Any) -> Any:
        """The probability of at most x."""
        return self._apply(self._lower(), x, args, options, 0.0, 1.0)

    def _lower(self) -> Function:
        if self.standard.cdf is None and self.standard.logcdf is not None:
            logarithm = self.standard.logcdf
            return lambda *xs: tnp.exp(logarithm(*xs))
        return self._method("cdf")

    @quiet
    def sf(self, x: Any, *args: Any, **options: Any) -> Any:
        """The probability of more than x."""
        return self._apply(self._upper(), x, args, options, 1.0, 0.0)

    def _upper(self) -> Function:
        if self.standard.sf is not None:
            return self.standard.sf
        if self.standard.logsf is not None:
            logarithm = self.standard.logsf
            return lambda *xs: tnp.exp(logarithm(*xs))
        lower = self._lower()
        return lambda *xs: 1.0 - lower(*xs)

    @quiet
    def logcdf(self, x: Any, *args: Any, **options: Any) -> Any:
        """log of the probability of at most x."""
        lower = self.standard.logcdf or (lambda *xs: tnp.log(self._lower()(*xs)))
        return self._apply(lower, x, args, options, -INFINITY, 0.0)

    @quiet
    def logsf(self, x: Any, *args: Any, **options: Any) -> Any:
        """log of the probability of more than x."""
        upper = self.standard.logsf or (lambda *xs: tnp.log(self._upper()(*xs)))
        return self._apply(upper, x, args, options, 0.0, -INFINITY)

    @quiet
    def ppf(self, q: Any, *args: Any, **options: Any) -> Any:
        """The x that is not exceeded with probability q."""
        return self._inverse(self._method("ppf"), q, args, options, upper=False)

    @quiet
    def isf(self, q: Any, *args: Any, **options: Any) -> Any:
        """The x that is exceeded with probability q."""
        found = self.standard.isf
        if found is None:
            lower = self._method("ppf")
            found = lambda p, *shapes: lower(1.0 - p, *shapes)  # noqa: E731
        return self._inverse(found, q, args, options, upper=True)

    def _inverse(
        self, function: Function, q: Any, args: Any, options: dict[str, Any], *, upper: bool
    ) -> Any:
        shapes, loc, scale, valid = self._shapes(args, options)
        q = as_float(q)
        usual = (q > 0.0) & (q < 1.0) & valid
        value = function(where(usual, q, 0.5), *shapes)
        low, high = _at(self.standard.low, shapes), _at(self.standard.high, shapes)
        start, end = (high, low) if upper else (low, high)
        value = where(usual, value, where(q == 0.0, start, end))
        defined = valid & (q >= 0.0) & (q <= 1.0)
        return where(defined, value * scale + loc, np.nan)

    def _moment(self, name: str, args: Any, options: dict[str, Any], power: int) -> Any:
        shapes, loc, scale, valid = self._shapes(args, options)
        value = self._method(name)(*shapes)
        if power == 1:
            value = value * scale + loc
        elif power == 2:
            value = value * (scale * scale)
        else:
            value = value + tnp.log(scale)
        return where(valid, value, np.nan)

    @quiet
    def mean(self, *args: Any, **options: Any) -> Any:
        """The mean."""
        return self._moment("mean", args, options, 1)

    @quiet
    def var(self, *args: Any, **options: Any) -> Any:
        """The variance."""
        return self._moment("var", args, options, 2)

    def std(self, *args: Any, **options: Any) -> Any:
        """The standard deviation."""
        return tnp.sqrt(self.var(*args, **options))

    @quiet
    def entropy(self, *args: Any, **options: Any) -> Any:
        """The differential entropy, in nats."""
        return self._moment("entropy", args, options, 0)

    def __repr__(self) -> str:
        return f"<tracer.scipy.stats.{self.name}>"
