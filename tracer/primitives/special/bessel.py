"""Bessel functions of orders 0 and 1 by Chebyshev series, and Iᵥ of real order by its series.

Up to 8 (2 for K) functions are series in x or x², beyond in 1/x, times their asymptotic behaviour.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tracer.primitives.arithmetic import absolute, log, sign, sqrt
from tracer.primitives.comparison import equal, select
from tracer.primitives.programs import AUTOMATIC, of_scipy, program
from tracer.primitives.special import coefficients as fitted
from tracer.primitives.special.common import NEGLIGIBLE, branch, clenshaw, repeat, where
from tracer.primitives.transcendental import cos, exp, gammaln, sin

Series = Sequence[float]


def _scaled_first_kind(x: Any, small: Series, large: Series) -> Any:
    """exp(−|x|)·I(|x|), of which `small` holds that, or that over x."""
    size = absolute(x)
    low = size <= 8.0
    inside = where(low, size, 8.0)
    outside = where(low, 8.0, size)
    near = clenshaw(0.25 * inside - 1.0, small)
    if small is fitted.I1_SMALL:
        near = near * inside
    far = clenshaw(16.0 / outside - 1.0, large) / sqrt(outside)
    return where(low, near, far)


def i0e_program(x: Any) -> Any:
    """exp(−|x|)·I₀(x)."""
    return _scaled_first_kind(x, fitted.I0_SMALL, fitted.I0_LARGE)


def i1e_program(x: Any) -> Any:
    """exp(−|x|)·I₁(x)."""
    value = _scaled_first_kind(x, fitted.I1_SMALL, fitted.I1_LARGE)
    return where(x < 0.0, -value, value)


def _unscaled(x: Any, value: Any) -> Any:
    """exp(|x|)·value; in two factors, since the exponential overflows first."""
    half = exp(0.5 * absolute(x))
    return where(value == 0.0, value, half * value * half)


def _finite(x: Any, value: Any) -> Any:
    """NaN at infinities, as SciPy's I₀ and I₁."""
    return where(absolute(x) == float("inf"), float("nan"), value)


def _second_kind(x: Any, order: int, *, scaled: bool) -> Any:
    """K₀ or K₁, or those times exp(x)."""
    low = x <= 2.0
    inside = where(low & (x > 0.0), x, 1.0)
    outside = where(low, 2.0, x)
    t = 0.5 * inside * inside - 1.0
    logarithm = log(0.5 * inside)
    if order == 0:
        near = clenshaw(t, fitted.K0_SMALL) - logarithm * _i_small(inside, 0)
    else:
        near = clenshaw(t, fitted.K1_SMALL) / inside + logarithm * _i_small(inside, 1)
    far = clenshaw(4.0 / outside - 1.0, fitted.K1_LARGE if order else fitted.K0_LARGE)
    far = far / sqrt(outside)
    if scaled:
        near = near * exp(inside)
    else:
        far = far * exp(-outside)
    value = where(low, near, far)
    value = where(x == 0.0, float("inf"), value)
    return where((x < 0.0) | (x != x), float("nan"), value)


def _i_small(x: Any, order: int) -> Any:
    series = fitted.I1_SMALL if order else fitted.I0_SMALL
    value = exp(x) * clenshaw(0.25 * x - 1.0, series)
    return x * value if order else value


def _hankel(x: Any, order: int) -> tuple[Any, Any, Any]:
    """(P, Q, √(2/πx)) of Hankel's expansion for x ≥ 8 (Abramowitz and Stegun 9.2.5)."""
    inverse = 8.0 / x
    t = 2.0 * inverse * inverse - 1.0
    p = clenshaw(t, fitted.P1 if order else fitted.P0)
    q = clenshaw(t, fitted.Q1 if order else fitted.Q0) / x
    return p, q, sqrt(2.0 / (math.pi * x))


def _phase(x: Any, order: int) -> tuple[Any, Any]:
    """Cosine and sine of x − (2·order + 1)·π/4."""
    c, s, half = cos(x), sin(x), math.sqrt(0.5)
    if order == 0:
        return half * (c + s), half * (s - c)
    return half * (s - c), -half * (c + s)


def _j(x: Any, order: int) -> Any:
    size = absolute(x)
    low = size <= 8.0
    inside = where(low, size, 8.0)
    outside = where(low, 8.0, size)
    near = clenshaw(inside * inside / 32.0 - 1.0, fitted.J1_SMALL if order else fitted.J0_SMALL)
    if order:
        near = near * inside
    outside = where(outside == float("inf"), 8.0, outside)
    p, q, scale = _hankel(outside, order)
    c, s = _phase(outside, order)
    far = scale * (p * c - q * s)
    far = where(size == float("inf"), float("nan"), far)  # as SciPy
    value = where(low, near, far)
    if order:
        value = where(x < 0.0, -value, value)
    return where(x != x, x, value)


def _y(x: Any, order: int) -> Any:
    low = x <= 8.0
    inside = where(low & (x > 0.0), x, 1.0)
    outside = where(low | (x == float("inf")), 8.0, x)
    t = inside * inside / 32.0 - 1.0
    twice = 2.0 / math.pi
    if order == 0:
        near = clenshaw(t, fitted.Y0_SMALL) + twice * log(inside) * clenshaw(t, fitted.J0_SMALL)
    else:
        smooth = clenshaw(t, fitted.Y1_SMALL) + twice * log(inside) * clenshaw(t, fitted.J1_SMALL)
        near = inside * smooth - twice / inside
    p, q, scale = _hankel(outside, order)
    c, s = _phase(outside, order)
    far = where(x == float("inf"), float("nan"), scale * (p * s + q * c))
    value = where(low, near, far)
    value = where(x == 0.0, float("-inf"), value)
    return where((x < 0.0) | (x != x), float("nan"), value)


def _modified_series(v: Any, x: Any, *, scaled: bool) -> Any:
    """Σ (x/2)²ᵏ⁺ᵛ/(k!·Γ(v + k + 1)), all of whose terms are positive (9.6.10)."""
    quarter = 0.25 * x * x

    def step(k: Any, term: Any, total: Any) -> Any:
        term = term * (quarter / (k * (k + v)))
        return k + 1.0, term, total + term

    start = exp(v * log(0.5 * x) - gammaln(v + 1.0) - (x if scaled else 0.0))
    _, _, total = repeat(
        lambda k, term, total: (term > total * NEGLIGIBLE) | (k < 0.5 * x), step, 1.0, 1.0, 1.0
    )
    return start * total


def _modified_asymptotic(v: Any, x: Any, *, scaled: bool) -> Any:
    """eˣ/√(2πx)·(1 − (4v² − 1)/8x + …) for x > 40, x > v² (9.7.1)."""
    square = 4.0 * v * v

    def step(k: Any, term: Any, total: Any) -> Any:
        odd = 2.0 * k - 1.0
        term = -term * ((square - odd * odd) / (8.0 * k * x))
        return k + 1.0, term, total + term

    _, _, total = repeat(
        # For half of an odd v the series ends, but its derivative in v does not.
        lambda k, term, total: ((absolute(term) > NEGLIGIBLE) | (k < v + 16.0)) & (k < 40.0),
        step, 1.0, 1.0, 1.0,
    )  # fmt: skip
    value = total / sqrt(2.0 * math.pi * x)
    return value if scaled else _unscaled(x, value)


def _iv_program(v: Any, x: Any, *, scaled: bool) -> Any:
    """Iᵥ(x) for x ≥ 0, v > −1 or whole; NaN for x < 0 unless v is whole."""
    from tracer.primitives.arithmetic import floor

    whole = floor(v) == v
    order = where(whole, absolute(v), v)
    size = absolute(x)
    odd = whole & (floor(order * 0.5) * 2.0 != order)

    def inside() -> Any:
        return branch(
            (size > 40.0) & (size > order * order),
            lambda: _modified_asymptotic(order, size, scaled=scaled),
            lambda: _modified_series(order, size, scaled=scaled),
        )

    limit = where(order == 0.0, 1.0, where(order > 0.0, 0.0, float("inf")))
    value = branch((size > 0.0) & (size < float("inf")), inside, lambda: limit)
    value = where((size == float("inf")) & (order == order), 0.0 if scaled else size, value)
    value = where((x < 0.0) & odd, -value, value)
    undefined = ((x < 0.0) & ~whole) | (v != v) | (x != x)
    return where(undefined, float("nan"), value)


def _over(numerator: Any, x: Any) -> Any:
    """numerator/x, or ½ at 0: the slope of I₁ and J₁ there."""
    zero = equal(x, x.dtype.type(0))
    return select(zero, x.dtype.type(0.5), numerator / select(zero, x.dtype.type(1), x))


i0e: Any = program(
    of_scipy("i0e"), i0e_program, lambda t, out, x: t * (i1e(x) - sign(x) * out)
)
i1e: Any = program(
    of_scipy("i1e"),
    i1e_program,
    lambda t, out, x: t * (i0e(x) - sign(x) * out - _over(out, x)),
)
i0: Any = program(
    of_scipy("i0"), lambda x: _finite(x, _unscaled(x, i0e_program(x))), lambda t, out, x: t * i1(x)
)
i1: Any = program(
    of_scipy("i1"),
    lambda x: _finite(x, _unscaled(x, i1e_program(x))),
    lambda t, out, x: t * (i0(x) - _over(out, x)),
)
k0: Any = program(
    of_scipy("k0"), lambda x: _second_kind(x, 0, scaled=False), lambda t, out, x: -t * k1(x)
)
k1: Any = program(
    of_scipy("k1"),
    lambda x: _second_kind(x, 1, scaled=False),
    lambda t, out, x: -t * (k0(x) + out / x),
)
k0e: Any = program(
    of_scipy("k0e"),
    lambda x: _second_kind(x, 0, scaled=True),
    lambda t, out, x: t * (out - k1e(x)),
)
k1e: Any = program(
    of_scipy("k1e"),
    lambda x: _second_kind(x, 1, scaled=True),
    lambda t, out, x: t * (out - k0e(x) - out / x),
)
j0: Any = program(of_scipy("j0"), lambda x: _j(x, 0), lambda t, out, x: -t * j1(x))
j1: Any = program(
    of_scipy("j1"), lambda x: _j(x, 1), lambda t, out, x: t * (j0(x) - _over(out, x))
)
y0: Any = program(of_scipy("y0"), lambda x: _y(x, 0), lambda t, out, x: -t * y1(x))
y1: Any = program(of_scipy("y1"), lambda x: _y(x, 1), lambda t, out, x: t * (y0(x) - out / x))
iv: Any = program(
    of_scipy("iv"),
    lambda v, x: _iv_program(v, x, scaled=False),
    AUTOMATIC,
    lambda t, out, v, x: t * (iv(v + v.dtype.type(1), x) + _ratio(v, x) * out),
)
ive: Any = program(
    of_scipy("ive"),
    lambda v, x: _iv_program(v, x, scaled=True),
    AUTOMATIC,
    lambda t, out, v, x: t * (ive(v + v.dtype.type(1), x) + (_ratio(v, x) - sign(x)) * out),
)


def _ratio(v: Any, x: Any) -> Any:
    """v/x, 0 where v is."""
    zero = v.dtype.type(0)
    nothing = equal(v, zero)
    return select(nothing, zero, v / select(nothing, x.dtype.type(1), x))
