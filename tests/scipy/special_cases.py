"""What `tracer.scipy.special` has: for each function arguments, and its exact value by mpmath."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np
from mpmath import mp

Interval = tuple[float, float]


@dataclass(frozen=True)
class Case:
    """A function of real arguments.

    exact      its value by mpmath
    ranges     where arguments are drawn from: for each region one interval an argument; a pair of
               strings such as ("1e-3", "1e4") is drawn evenly in the logarithm
    smooth     the arguments in which it has a derivative
    relative   the largest relative error of values; `slope` of derivatives
    scale      what errors count in, where values pass through 0
    """

    name: str
    exact: Callable[..., Any]
    ranges: tuple[tuple[Any, ...], ...]
    smooth: tuple[int, ...] = (0,)
    relative: float = 2e-15
    slope: float = 1e-12
    scale: Callable[..., float] | None = None

    def __str__(self) -> str:
        return self.name

    def points(self, count: int) -> list[np.ndarray]:
        """`count` arguments of each region."""
        rng = np.random.default_rng(sum(map(ord, self.name)))
        columns: list[list[Any]] = [[] for _ in self.ranges[0]]
        for region in self.ranges:
            for column, (low, high) in zip(columns, region, strict=True):
                if isinstance(low, str):
                    logs = np.log([float(low), float(high)])
                    column.append(np.exp(rng.uniform(*logs, count)))
                else:
                    column.append(rng.uniform(low, high, count))
        return [np.concatenate(column) for column in columns]

    def values(self, arguments: list[np.ndarray]) -> np.ndarray:
        """The exact values, rounded to float64."""
        with mp.workdps(40):
            return np.array([float(self.exact(*row)) for row in _rows(arguments)])

    def slopes(self, arguments: list[np.ndarray], place: int) -> np.ndarray:
        """The exact derivatives in one argument, by differences of 120 digits."""
        found = []
        with mp.workdps(120):
            for row in _rows(arguments):
                step = mp.mpf(10) ** -30 * (abs(row[place]) or 1)
                above, below = list(row), list(row)
                above[place], below[place] = row[place] + step, row[place] - step
                found.append(float((self.exact(*above) - self.exact(*below)) / (2 * step)))
        return np.array(found)


def _rows(arguments: list[np.ndarray]) -> list[tuple[Any, ...]]:
    return [tuple(map(mpmath.mpf, map(float, row))) for row in zip(*arguments, strict=True)]


def _gammainc(a: Any, x: Any) -> Any:
    return mp.gammainc(a, 0, x, regularized=True)


def _gammaincc(a: Any, x: Any) -> Any:
    return mp.gammainc(a, x, mp.inf, regularized=True)


def _betainc(a: Any, b: Any, x: Any) -> Any:
    return mp.betainc(a, b, 0, x, regularized=True)


def _betaincc(a: Any, b: Any, x: Any) -> Any:
    return mp.betainc(a, b, x, 1, regularized=True)


def _stdtr(df: Any, t: Any) -> Any:
    tail = mp.betainc(df / 2, mp.mpf(1) / 2, 0, df / (df + t * t), regularized=True) / 2
    return tail if t < 0 else 1 - tail


def _ndtr(x: Any) -> Any:
    return mp.erfc(-x / mp.sqrt(2)) / 2


def _boxcox(x: Any, power: Any) -> Any:
    return mp.expm1(power * mp.log(x)) / power


def _amplitude(order: int) -> Callable[[float], float]:
    return lambda x: min(1.0, (2 / (np.pi * x)) ** 0.5)


def _one(_: float) -> float:
    return 1.0


CASES = (
    Case("gamma", mp.gamma, (((0.5, 170),), ((-15.3, -0.2),)), relative=1e-14),
    Case("rgamma", mp.rgamma, (((0.0, 170),), ((-15.3, 0),)), relative=1e-14),
    Case("gammaln", mp.loggamma, (((2.5, 1e4),),)),
    Case("digamma", mp.digamma, (((2, 100),),)),
    Case("beta", mp.beta, (((0.1, 20), (0.1, 20)), ((50, 200), (50, 200))), (0, 1), 2e-13),
    Case(
        "betaln",
        lambda a, b: mp.log(mp.beta(a, b)),
        ((("1e-3", "1e4"), ("1e-3", "1e4")),),
        (0, 1),
        5e-14,
        scale=lambda a, b: 0.1,
    ),
    Case("binom", mp.binomial, (((10, 60), (1, 9)),), (0, 1), 5e-14),
    Case("poch", mp.rf, (((0.5, 20), (0.5, 30)), ((100, 200), (0.5, 3))), (0, 1), 5e-13),
    Case("gammainc", _gammainc, ((("1e-2", "1e3"), ("1e-1", "1e1")), ((20, 200), (20, 200))),
         (0, 1), 1e-12, 1e-10),
    Case("gammaincc", _gammaincc, ((("1e-2", "1"), ("1e-2", "5")), ((20, 200), (20, 200))),
         (0, 1), 1e-12, 1e-10),
    Case("betainc", _betainc,
         (((0.1, 5), (0.1, 5), (0.05, 0.95)), ((20, 90), (20, 90), (0.3, 0.6))),
         (0, 1, 2), 1e-12, 1e-10),
    Case("betaincc", _betaincc, (((0.1, 5), (0.1, 5), (0.05, 0.95)),), (0, 1, 2), 1e-12, 1e-10),
    Case("stdtr", _stdtr, (((0.5, 50), (-9, 9)),), (0, 1), 1e-12, 1e-10),
    Case("erf", mp.erf, (((-3, 3),),)),
    Case("erfc", mp.erfc, (((-3, 10),),), relative=4e-15),
    Case("erfcx", lambda x: mp.exp(x * x) * mp.erfc(x), (((-5, 12),), (("12", "1e6"),))),
    Case("log_ndtr", lambda x: mp.log(_ndtr(x)), (((-40, 3),),), relative=1e-14),
    Case("ndtr", _ndtr, (((-30, 8),),), relative=1e-12),
    Case("dawsn", lambda x: mp.sqrt(mp.pi) / 2 * mp.exp(-x * x) * mp.erfi(x), (((-12, 12),),)),
    Case("expit", lambda x: 1 / (1 + mp.exp(-x)), (((-30, 3),),)),
    Case("logit", lambda x: mp.log(x / (1 - x)), (((0.001, 0.999),),), relative=4e-15),
    Case("log_expit", lambda x: -mp.log1p(mp.exp(-x)), (((-30, 30),),), relative=4e-15),
    Case("xlogy", lambda x, y: x * mp.log(y), (((-2, 2), (1.5, 9)),), (0, 1)),
    Case("xlog1py", lambda x, y: x * mp.log1p(y), (((-2, 2), (-0.5, 9)),), (0, 1), 4e-15),
    Case("entr", lambda x: -x * mp.log(x), (((0.01, 0.9),),), relative=4e-15),
    Case("rel_entr", lambda x, y: x * mp.log(x / y), (((2, 3), (0.1, 1)),), (0, 1)),
    Case("kl_div", lambda x, y: x * mp.log(x / y) - x + y, (((2, 3), (0.1, 1)),), (0, 1), 4e-15),
    Case("huber", lambda d, r: r * r / 2 if abs(r) < d else d * (abs(r) - d / 2),
         (((1, 2), (-4, 4)),), (0, 1)),
    Case("pseudo_huber", lambda d, r: d * d * (mp.sqrt(1 + (r / d) ** 2) - 1),
         (((1, 2), (-4, 4)),), (0, 1), 4e-15),
    Case("boxcox", _boxcox, (((1.5, 9), (-2, 2)),), (0, 1), 5e-15),
    Case("boxcox1p", lambda x, p: _boxcox(1 + x, p), (((0.5, 9), (-2, 2)),), (0, 1), 5e-15),
    Case("exprel", lambda x: mp.expm1(x) / x, (((-30, 30),), (("1e-12", "1"),))),
    Case("powm1", lambda x, y: x**y - 1, (((1.1, 3), (0.1, 2)),), (0, 1), 1e-14),
    Case("cosm1", lambda x: mp.cos(x) - 1, (((-1, 1),),), relative=4e-15),
    Case("exp10", lambda x: mp.mpf(10) ** x, (((-300, 300),),)),
    Case("cosdg", lambda x: mp.cos(x * mp.pi / 180), (((-400, 400),),), scale=_one),
    Case("i0", lambda x: mp.besseli(0, x), (((-20, 20),), ((20, 700),))),
    Case("i1", lambda x: mp.besseli(1, x), (((-20, 20),), ((20, 700),))),
    Case("i0e", lambda x: mp.exp(-abs(x)) * mp.besseli(0, x), (((-20, 20),),)),
    Case("i1e", lambda x: mp.exp(-abs(x)) * mp.besseli(1, x), (((-20, 20),),)),
    Case("k0", lambda x: mp.besselk(0, x), (((0.01, 20),),)),
    Case("k1", lambda x: mp.besselk(1, x), (((0.01, 20),),)),
    Case("k0e", lambda x: mp.exp(x) * mp.besselk(0, x), (((0.01, 20),),)),
    Case("k1e", lambda x: mp.exp(x) * mp.besselk(1, x), (((0.01, 20),),)),
    Case("j0", lambda x: mp.besselj(0, x), (((0, 30),), ((30, 1000),)), scale=_amplitude(0)),
    Case("j1", lambda x: mp.besselj(1, x), (((0, 30),), ((30, 1000),)), scale=_amplitude(1)),
    Case("y0", lambda x: mp.bessely(0, x), (((0.5, 30),), ((30, 1000),)), scale=_amplitude(0)),
    Case("y1", lambda x: mp.bessely(1, x), (((1, 30),), ((30, 1000),)), scale=_amplitude(1)),
    Case("iv", mp.besseli, (((0, 20), (0.1, 60)),), (0, 1), 1e-13, 1e-10),
    Case("ive", lambda v, x: mp.besseli(v, x) * mp.exp(-x), (((0, 20), (0.1, 60)),), (0, 1),
         1e-13, 1e-10),
    Case("exp1", mp.e1, (((0.01, 3),), ((3, 700),)), relative=2e-14),
    Case("expi", mp.ei, (((0.5, 60),), ((-9, -0.1),)), relative=2e-14),
    Case("spence", lambda z: mp.re(mp.polylog(2, 1 - z)), (((0.01, 0.9),), ((1.1, 50),))),
    Case("hyp1f1", mp.hyp1f1, (((0.5, 2), (2.5, 4), (-30, 30)),), (0, 1, 2), 1e-13, 1e-10),
    Case("lambertw", lambda x: mp.re(mp.lambertw(x)), (((-0.36, 0.5),), (("0.5", "1e100"),))),
    Case("zeta", lambda s, q: mp.zeta(s, q), (((1.5, 9), (0.5, 9)),), (0, 1), 1e-14, 1e-11),
)  # fmt: skip
"""Values and derivatives over the ranges in which the functions are accurate."""
