"""The gamma function, its reciprocal, the beta function, and quotients of gamma functions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tracer.primitives.arithmetic import absolute, floor, log, maximum, minimum, power
from tracer.primitives.programs import AUTOMATIC, of_scipy, program
from tracer.primitives.special.common import (
    branch,
    sine_of_half_turns,
    stirling_error,
    times,
    where,
)
from tracer.primitives.transcendental import digamma, exp, gammaln, log1p

ROOT_TWO_PI = math.sqrt(2 * math.pi)


def _factors(z: Any) -> tuple[Any, Any, Any, Any]:
    """(low, p, q, r) with Γ(z) = p·q where z ≥ 10, p·q/(z·r) below; r is 1/z where z ≥ 10.

    By Stirling's formula, of z + 10 where z is low. Two factors, since the power alone overflows
    before Γ does; r apart, since z may be tiny.
    """
    low = z < 10.0
    product = z + 1.0
    for k in range(2, 10):
        product = product * (z + float(k))
    raised = where(low, z + 10.0, z)
    p = power(raised, raised * 0.5 - 0.25)
    q = p * exp(-raised) * (ROOT_TWO_PI * exp(stirling_error(raised)))
    return low, p, q, where(low, product, 1.0 / z)


def gamma_program(x: Any) -> Any:
    """Γ(x); by reflection below 0."""
    z = absolute(x)
    low, p, q, rest = _factors(where(z < 180.0, z, 180.0))
    positive = where(low, (p * q) / rest / z, p * q)
    negative = -((math.pi / sine_of_half_turns(z)) / p) / q * rest
    value = where(x < 0.0, negative, positive)
    pole = (x < 0.0) & (floor(x) == x)
    value = where(x == 0.0, 1.0 / x, value)
    return where(pole | (x != x), float("nan"), value)


def rgamma_program(x: Any) -> Any:
    """1/Γ(x), 0 at the poles of Γ."""
    z = absolute(x)
    low, p, q, rest = _factors(where(z < 200.0, z, 200.0))
    negative = -((sine_of_half_turns(z) / math.pi) * (p / rest)) * q
    positive = where(low, z * (rest / (p * q)), 1.0 / p / q)
    value = where(x < 0.0, negative + 0.0, where(x == 0.0, x, positive))
    value = where(x == float("-inf"), 0.0, value)
    return where(x != x, x, value)


def log_beta_positive(a: Any, b: Any) -> Any:
    """log B(a, b) for positive a and b, without the cancellation of log Γ's."""
    small, large = minimum(a, b), maximum(a, b)

    def both_large() -> Any:
        error = stirling_error(small) + stirling_error(large) - stirling_error(small + large)
        ratio = small / large
        return (
            -0.5 * log(large)
            + math.log(ROOT_TWO_PI)
            + error
            + (small - 0.5) * log(ratio / (1.0 + ratio))
            - large * log1p(ratio)
        )

    def one_large() -> Any:
        error = stirling_error(large) - stirling_error(small + large)
        total = small + large
        return (
            gammaln(small)
            + error
            + small
            - small * log(total)
            + (large - 0.5) * log1p(-small / total)
        )

    return branch(
        small >= 10.0,
        both_large,
        lambda: branch(
            large >= 10.0,
            one_large,
            lambda: gammaln(small) + (gammaln(large) - gammaln(small + large)),
        ),
    )


def _betaln_program(a: Any, b: Any) -> Any:
    positive = (a > 0.0) & (b > 0.0)
    general = gammaln(a) + gammaln(b) - gammaln(a + b)
    return branch(positive, lambda: log_beta_positive(a, b), lambda: general)


def beta_program(a: Any, b: Any) -> Any:
    """B(a, b): a quotient of gamma functions where they are in range, else by logarithms."""
    positive = (a > 0.0) & (b > 0.0)
    small = (absolute(a) < 80.0) & (absolute(b) < 80.0) & (minimum(a, b) > 1e-150)

    def quotient() -> Any:
        return gamma_program(a) * rgamma_program(a + b) * gamma_program(b)

    return branch(
        small | ~positive,
        quotient,
        lambda: exp(log_beta_positive(a, b)),
    )


def _binom_product(n: Any, k: Any) -> Any:
    """n·(n − 1)…/k! for whole k from 0 to 20."""

    def step(place: Any, total: Any) -> tuple[Any]:
        used = place < k
        factor = (n - place) / (place + 1.0)
        return (where(used, total * factor, total),)

    return times(20, step, 1.0)[0]


def _binom_program(n: Any, k: Any) -> Any:
    """n over k: a product for small whole k, else 1/((n + 1)·B(n − k + 1, k + 1))."""
    whole = (floor(k) == k) & (k >= 0.0) & (k <= 20.0)
    mirrored = where((floor(n) == n) & (n > 0.0) & (k > n * 0.5) & (floor(k) == k), n - k, k)
    whole = whole | ((mirrored >= 0.0) & (mirrored <= 20.0) & (floor(mirrored) == mirrored))

    def general() -> Any:
        first, second = 1.0 + n - k, 1.0 + k
        outside = (floor(k) == k) & ((k < 0.0) | ((n >= 0.0) & (k > n)))
        inside = (first > 0.0) & (second > 0.0)
        value = branch(
            inside,
            lambda: exp(-log_beta_positive(first, second)) / (n + 1.0),
            lambda: gamma_program(n + 1.0) * rgamma_program(first) * rgamma_program(second),
        )
        return where(outside, 0.0, value)

    return branch(whole, lambda: _binom_product(n, mirrored), general)


def _poch_program(a: Any, m: Any) -> Any:
    """Γ(a + m)/Γ(a)."""
    near = (absolute(a) < 80.0) & (absolute(a + m) < 80.0)

    def far() -> Any:
        rising = (m > 0.0) & (a > 0.0)
        return branch(
            rising,
            lambda: exp(gammaln(m) - log_beta_positive(a, m)),
            lambda: exp(gammaln(a + m) - gammaln(a)),
        )

    return branch(near, lambda: gamma_program(a + m) * rgamma_program(a), far)


gamma: Any = program(
    of_scipy("gamma"), gamma_program, lambda t, out, x: t * (out * digamma(x))
)
rgamma: Any = program(of_scipy("rgamma"), rgamma_program, AUTOMATIC)
betaln: Any = program(
    of_scipy("betaln"),
    _betaln_program,
    lambda t, out, a, b: t * (digamma(a) - digamma(a + b)),
    lambda t, out, a, b: t * (digamma(b) - digamma(a + b)),
)
beta: Any = program(
    of_scipy("beta"),
    beta_program,
    lambda t, out, a, b: t * (out * (digamma(a) - digamma(a + b))),
    lambda t, out, a, b: t * (out * (digamma(b) - digamma(a + b))),
)
binom: Any = program(
    of_scipy("binom"),
    _binom_program,
    lambda t, out, n, k: t * (out * (digamma(n + _one(n)) - digamma(n - k + _one(n)))),
    lambda t, out, n, k: t * (out * (digamma(n - k + _one(n)) - digamma(k + _one(n)))),
)
poch: Any = program(
    of_scipy("poch"),
    _poch_program,
    lambda t, out, a, m: t * (out * (digamma(a + m) - digamma(a))),
    lambda t, out, a, m: t * (out * digamma(a + m)),
)


def _one(x: Any) -> Any:
    return np.dtype(x.dtype).type(1)
