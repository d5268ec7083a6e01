"""Distributions on whole numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import tracer.numpy as tnp
from tracer.numpy.elementwise import where
from tracer.scipy import special
from tracer.scipy.stats.base import INFINITY, Function, _at, _bound, _missing, as_float, quiet


@dataclass(frozen=True)
class Masses:
    """The standard form of a discrete distribution; functions take (k, *shapes).

    log_mass, cdf and sf at k in the support, whole; `low`, `high` and `valid` as of `Standard`.
    """

    name: str
    shapes: tuple[str, ...]
    log_mass: Function
    valid: Function
    cdf: Function | None = None
    sf: Function | None = None
    low: float | Function = 0.0
    high: float | Function = INFINITY
    mean: Function | None = None
    var: Function | None = None


class Discrete:
    """A discrete distribution, as `scipy.stats` has it; k is not differentiated."""

    def __init__(self, masses: Masses) -> None:
        self.masses = masses
        self.name = masses.name
        self.parameters = (*masses.shapes, "loc")

    def _parts(self, k: Any, args: Any, options: dict[str, Any]) -> tuple[Any, Any, Any, Any, Any]:
        *shapes, loc = _bound(self.parameters, args, options, self.name)
        valid = self.masses.valid(*shapes) & (loc == loc)
        return (
            as_float(k) - loc,
            shapes,
            valid,
            _at(self.masses.low, shapes),
            _at(self.masses.high, shapes),
        )

    @quiet
    def logpmf(self, k: Any, *args: Any, **options: Any) -> Any:
        """log of the probability of k: −∞ where k is not whole, or outside of the support."""
        k, shapes, valid, low, high = self._parts(k, args, options)
        possible = (k >= low) & (k <= high) & (tnp.floor(k) == k) & valid
        value = self.masses.log_mass(where(possible, k, low), *shapes)
        value = where(possible, value, -INFINITY)
        return where(valid & (k == k), value, np.nan)

    @quiet
    def pmf(self, k: Any, *args: Any, **options: Any) -> Any:
        """The probability of k."""
        return tnp.exp(self.logpmf(k, *args, **options))

    def _sum(
        self, function: Function, k: Any, args: Any, options: dict[str, Any], ends: Any
    ) -> Any:
        k, shapes, valid, low, high = self._parts(k, args, options)
        k = tnp.floor(k)
        inside = (k >= low) & (k < high) & valid
        value = function(where(inside, k, low), *shapes)
        value = where(inside, value, where(k < low, ends[0], ends[1]))
        return where(valid & (k == k), value, np.nan)

    @quiet
    def cdf(self, k: Any, *args: Any, **options: Any) -> Any:
        """The probability of at most k."""
        found = self.masses.cdf or _missing(self.name, "cdf")
        return self._sum(found, k, args, options, (0.0, 1.0))

    @quiet
    def sf(self, k: Any, *args: Any, **options: Any) -> Any:
        """The probability of more than k."""
        found = self.masses.sf or _missing(self.name, "sf")
        return self._sum(found, k, args, options, (1.0, 0.0))

    @quiet
    def logcdf(self, k: Any, *args: Any, **options: Any) -> Any:
        """log of the probability of at most k."""
        return tnp.log(self.cdf(k, *args, **options))

    @quiet
    def logsf(self, k: Any, *args: Any, **options: Any) -> Any:
        """log of the probability of more than k."""
        return tnp.log(self.sf(k, *args, **options))

    def _moment(self, name: str, args: Any, options: dict[str, Any]) -> Any:
        *shapes, loc = _bound(self.parameters, args, options, self.name)
        found = getattr(self.masses, name) or _missing(self.name, name)
        value = found(*shapes) + (loc if name == "mean" else 0.0 * loc)
        return where(self.masses.valid(*shapes), value, np.nan)

    @quiet
    def mean(self, *args: Any, **options: Any) -> Any:
        """The mean."""
        return self._moment("mean", args, options)

    @quiet
    def var(self, *args: Any, **options: Any) -> Any:
        """The variance."""
        return self._moment("var", args, options)

    def std(self, *args: Any, **options: Any) -> Any:
        """The standard deviation."""
        return tnp.sqrt(self.var(*args, **options))

    def __repr__(self) -> str:
        return f"<tracer.scipy.stats.{self.name}>"


def _whole(n: Any) -> Any:
    return (n >= 0.0) & (tnp.floor(n) == n)


def _share(p: Any) -> Any:
    return (p >= 0.0) & (p <= 1.0)


def _positive_share(p: Any) -> Any:
    return (p > 0.0) & (p <= 1.0)


def _log_ways(n: Any, k: Any) -> Any:
    """log of n over k."""
    return -tnp.log(n + 1.0) - special.betaln(n - k + 1.0, k + 1.0)


def _hypergeom_log_mass(k: Any, M: Any, n: Any, N: Any) -> Any:
    return _log_ways(n, k) + _log_ways(M - n, N - k) - _log_ways(M, N)


bernoulli = Discrete(
    Masses(
        "bernoulli",
        ("p",),
        lambda k, p: special.xlogy(k, p) + special.xlog1py(1.0 - k, -p),
        _share,
        cdf=lambda k, p: where(k < 1.0, 1.0 - p, 1.0),
        sf=lambda k, p: where(k < 1.0, p, 0.0),
        high=1.0,
        mean=lambda p: p,
        var=lambda p: p * (1.0 - p),
    )
)
binom = Discrete(
    Masses(
        "binom",
        ("n", "p"),
        lambda k, n, p: (
            _log_ways(n, k) + special.xlogy(k, p) + special.xlog1py(n - k, -p)
        ),
        lambda n, p: _whole(n) & _share(p),
        cdf=lambda k, n, p: special.betaincc(k + 1.0, tnp.maximum(n - k, 1.0), p),
        sf=lambda k, n, p: special.betainc(k + 1.0, tnp.maximum(n - k, 1.0), p),
        high=lambda n, p: n,
        mean=lambda n, p: n * p,
        var=lambda n, p: n * p * (1.0 - p),
    )
)
poisson = Discrete(
    Masses(
        "poisson",
        ("mu",),
        lambda k, mu: special.xlogy(k, mu) - special.gammaln(k + 1.0) - mu,
        lambda mu: mu >= 0.0,
        cdf=lambda k, mu: special.gammaincc(k + 1.0, mu),
        sf=lambda k, mu: special.gammainc(k + 1.0, mu),
        mean=lambda mu: mu,
        var=lambda mu: mu,
    )
)
geom = Discrete(
    Masses(
        "geom",
        ("p",),
        lambda k, p: special.xlog1py(k - 1.0, -p) + tnp.log(p),
        _positive_share,
        cdf=lambda k, p: -tnp.expm1(tnp.log1p(-p) * k),
        sf=lambda k, p: tnp.exp(tnp.log1p(-p) * k),
        low=1.0,
        mean=lambda p: 1.0 / p,
        var=lambda p: (1.0 - p) / (p * p),
    )
)
nbinom = Discrete(
    Masses(
        "nbinom",
        ("n", "p"),
        lambda k, n, p: (
            -special.betaln(n, k + 1.0)
            - tnp.log(n + k)
            + n * tnp.log(p)
            + special.xlog1py(k, -p)
        ),
        lambda n, p: (n > 0.0) & _positive_share(p),
        cdf=lambda k, n, p: special.betainc(n, k + 1.0, p),
        sf=lambda k, n, p: special.betaincc(n, k + 1.0, p),
        mean=lambda n, p: n * (1.0 - p) / p,
        var=lambda n, p: n * (1.0 - p) / (p * p),
    )
)
betabinom = Discrete(
    Masses(
        "betabinom",
        ("n", "a", "b"),
        lambda k, n, a, b: (
            _log_ways(n, k) + special.betaln(k + a, n - k + b) - special.betaln(a, b)
        ),
        lambda n, a, b: _whole(n) & (a > 0.0) & (b > 0.0),
        high=lambda n, a, b: n,
        mean=lambda n, a, b: n * a / (a + b),
        var=lambda n, a, b: (
            n * a * b * (a + b + n) / ((a + b) * (a + b) * (a + b + 1.0))
        ),
    )
)
hypergeom = Discrete(
    Masses(
        "hypergeom",
        ("M", "n", "N"),
        _hypergeom_log_mass,
        lambda M, n, N: _whole(M) & _whole(n) & _whole(N) & (n <= M) & (N <= M),
        low=lambda M, n, N: tnp.maximum(N - (M - n), 0.0),
        high=lambda M, n, N: tnp.minimum(n, N),
        mean=lambda M, n, N: N * n / M,
        var=lambda M, n, N: N * n / M * ((M - n) / M) * ((M - N) / (M - 1.0)),
    )
)
