"""The exponential, trigonometric, hyperbolic and special functions, elementwise."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tracer.late import LateUfunc
from tracer.primitives.arithmetic import sqrt, square
from tracer.primitives.comparison import equal, isinf, less, select
from tracer.primitives.pointwise import Partial, apply_ufunc, pointwise


def _function(name: str, ufunc: np.ufunc, *partials: Partial) -> Any:
    return apply_ufunc(pointwise(name, ufunc, *partials), ufunc)


def _of_scipy(name: str) -> Any:
    return LateUfunc("scipy.special", name)


def _constant(x: Any, value: float) -> Any:
    return x.dtype.type(value)


exp: Any = _function("exp", np.exp, lambda t, out, x: t * out)
exp2: Any = _function("exp2", np.exp2, lambda t, out, x: t * (out * _constant(x, math.log(2))))
expm1: Any = _function("expm1", np.expm1, lambda t, out, x: t * (out + _constant(x, 1)))
log2: Any = _function("log2", np.log2, lambda t, out, x: t / (x * _constant(x, math.log(2))))
log10: Any = _function("log10", np.log10, lambda t, out, x: t / (x * _constant(x, math.log(10))))
log1p: Any = _function("log1p", np.log1p, lambda t, out, x: t / (x + _constant(x, 1)))

sin: Any = _function("sin", np.sin, lambda t, out, x: t * cos(x))
cos: Any = _function("cos", np.cos, lambda t, out, x: -t * sin(x))
tan: Any = _function("tan", np.tan, lambda t, out, x: t * (square(out) + _constant(x, 1)))
arcsin: Any = _function(
    "arcsin", np.arcsin, lambda t, out, x: t / sqrt(_constant(x, 1) - square(x))
)
arccos: Any = _function(
    "arccos", np.arccos, lambda t, out, x: -t / sqrt(_constant(x, 1) - square(x))
)
arctan: Any = _function("arctan", np.arctan, lambda t, out, x: t / (square(x) + _constant(x, 1)))

sinh: Any = _function("sinh", np.sinh, lambda t, out, x: t * cosh(x))
cosh: Any = _function("cosh", np.cosh, lambda t, out, x: t * sinh(x))
tanh: Any = _function("tanh", np.tanh, lambda t, out, x: t * (_constant(x, 1) - square(out)))
arcsinh: Any = _function(
    "arcsinh", np.arcsinh, lambda t, out, x: t / sqrt(square(x) + _constant(x, 1))
)
arccosh: Any = _function(
    "arccosh",
    np.arccosh,
    lambda t, out, x: t / (sqrt(x - _constant(x, 1)) * sqrt(x + _constant(x, 1))),
)
arctanh: Any = _function("arctanh", np.arctanh, lambda t, out, x: t / (_constant(x, 1) - square(x)))


def _arctan2_part(t: Any, numerator: Any, x: Any, y: Any) -> Any:
    squares = square(x) + square(y)
    origin = equal(squares, _constant(x, 0))  # both derivatives are 0 there
    return select(origin, _constant(x, 0), t * numerator / select(origin, _constant(x, 1), squares))


arctan2: Any = _function(
    "arctan2",
    np.arctan2,
    lambda t, out, y, x: _arctan2_part(t, x, x, y),
    lambda t, out, y, x: _arctan2_part(t, -y, x, y),
)


def _share(t: Any, out: Any, x: Any) -> Any:
    """t · exp(x − out), the weight of x in logaddexp; equal infinities share equally."""
    both = equal(x, out)
    difference = select(both, _constant(x, 0), x - out)
    return t * exp(difference)


def _logaddexp_first(t: Any, out: Any, x: Any, y: Any) -> Any:
    tie = equal(x, y) & isinf(x)  # where it is finite, the share has a derivative of its own
    return select(tie, t * _constant(x, 0.5), _share(t, out, x))


logaddexp: Any = _function(
    "logaddexp",
    np.logaddexp,
    _logaddexp_first,
    lambda t, out, x, y: _logaddexp_first(t, out, y, x),
)


def _logaddexp2_first(t: Any, out: Any, x: Any, y: Any) -> Any:
    tie = equal(x, y) & isinf(x)
    both = equal(x, out)
    weight = exp2(select(both, _constant(x, 0), x - out))
    return select(tie, t * _constant(x, 0.5), t * weight)


logaddexp2: Any = _function(
    "logaddexp2",
    np.logaddexp2,
    _logaddexp2_first,
    lambda t, out, x, y: _logaddexp2_first(t, out, y, x),
)

_ERF = 2 / math.sqrt(math.pi)
erf: Any = _function(
    "erf", _of_scipy("erf"), lambda t, out, x: t * (_constant(x, _ERF) * exp(-square(x)))
)
erfc: Any = _function(
    "erfc", _of_scipy("erfc"), lambda t, out, x: -t * (_constant(x, _ERF) * exp(-square(x)))
)
erfinv: Any = _function(
    "erfinv",
    _of_scipy("erfinv"),
    lambda t, out, x: t * (_constant(x, 1 / _ERF) * exp(square(out))),
)
expit: Any = _function(
    "expit", _of_scipy("expit"), lambda t, out, x: t * (out * (_constant(x, 1) - out))
)
gammaln: Any = _function("gammaln", _of_scipy("gammaln"), lambda t, out, x: t * digamma(x))


def _in_exponent(t: Any, out: Any, s: Any, q: Any) -> Any:
    """−Σ log(q + k)·(q + k)⁻ˢ, for s > 1 and q > 0."""
    from tracer.primitives.programs import derivative

    return t * derivative("zeta", (1, 0), s, q)


_TWO_REALS = _of_scipy("beta")  # takes the dtypes that `zeta`, which is no ufunc, takes
zeta: Any = apply_ufunc(
    pointwise(
        "zeta",
        _TWO_REALS,
        _in_exponent,
        lambda t, out, s, q: -t * (s * zeta(s + _constant(s, 1), q)),
        evaluate=_of_scipy("zeta"),
    ),
    _TWO_REALS,
)
zeta.__doc__ = "Hurwitz's ζ(s, q), the sum of (q + k)**−s."


def _trigamma(x: Any) -> Any:
    """ψ'(x) = ζ(2, x); below 0 by reflection, ψ'(1 − x) + ψ'(x) = π² / sin²(πx)."""
    one, two, pi = _constant(x, 1), _constant(x, 2), _constant(x, math.pi)
    below = less(x, _constant(x, 0))
    folded = zeta(two, select(below, one - x, x))
    sine = sin(pi * select(below, x, _constant(x, 0.5)))
    return select(below, square(pi / sine) - folded, folded)


digamma: Any = _function("digamma", _of_scipy("psi"), lambda t, out, x: t * _trigamma(x))
