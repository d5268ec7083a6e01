"""What `fit.py` fits: one row a polynomial or a split constant.

A name ends in the format it is for: `_f64` or `_f32`.
"""

from __future__ import annotations

from mpmath import mp, mpf  # type: ignore[import-untyped,unused-ignore]

from codegen.render.vector_math.fit import Entry, Fit, Real, Samples, Split

LN2_HALF = 0.3467


def exp_tail(r: Real) -> Real:
    """(eʳ − 1 − r)/r²."""
    return (mp.exp(r) - 1 - r) / r**2


def atanh_tail(z: Real) -> Real:
    """(log((1 + s)/(1 − s)) − 2s)/s³ of z = s²: what follows 2s."""
    s = mp.sqrt(z)
    return (mp.log((1 + s) / (1 - s)) - 2 * s) / s**3


def sin_tail(z: Real) -> Real:
    """(sin r − r)/r³ of z = r²."""
    r = mp.sqrt(z)
    return (mp.sin(r) - r) / r**3


def sinh_tail(z: Real) -> Real:
    """(sinh r − r)/r³ of z = r²."""
    r = mp.sqrt(z)
    return (mp.sinh(r) - r) / r**3


def atanh_tail_after(z: Real) -> Real:
    """What follows 2/3 in atanh_tail, divided by z."""
    return (atanh_tail(z) - mpf(2) / 3) / z


def tan_tail(z: Real) -> Real:
    """(tan r − r)/r³ of z = r²."""
    r = mp.sqrt(z)
    return (mp.tan(r) - r) / r**3


def arcsin_tail(z: Real) -> Real:
    """(arcsin s − s)/s³ of z = s²."""
    s = mp.sqrt(z)
    return (mp.asin(s) - s) / s**3


def arctan_tail(z: Real) -> Real:
    """(arctan t − t)/t³ of z = t²."""
    t = mp.sqrt(z)
    return (mp.atan(t) - t) / t**3


def erf_excess(z: Real) -> Real:
    """erf(x)/x − 1 of z = x²."""
    x = mp.sqrt(z)
    return mp.erf(x) / x - 1


def minus_log_erfc(x: Real) -> Real:
    """−log(erfc x); its errors count by erfc x in erf x = 1 − e^−(…)."""
    return -mp.log(mp.erfc(x))


ERFC_POLE = mpf("3.75")
ERFC_RANGE = (28 - 3.75) / (28 + 3.75)


def scaled_erfc(t: Real) -> Real:
    """e^x²·erfc(x)·(1 + 2x) of t = (x − 3.75)/(x + 3.75) (Shepherd and Laframboise 1981)."""
    x = ERFC_POLE * (1 + t) / (1 - t)
    return mp.exp(x * x) * mp.erfc(x) * (1 + 2 * x)


def erfinv_ratio(w: Real) -> Real:
    """erfinv(y)/y of w = −log(1 − y²)."""
    y = mp.sqrt(-mp.expm1(-w))
    if w < 1:
        return mp.erfinv(y) / y
    complement = mp.exp(-w) / (1 + y)
    root = mp.sqrt(w)
    for _ in range(60):  # Halley's method for erfc(root) = complement
        step = (mp.erfc(root) - complement) / (-2 / mp.sqrt(mp.pi) * mp.exp(-root * root))
        step /= 1 + root * step
        root -= step
        if abs(step) < mpf(10) ** (10 - mp.dps):
            break
    return root / y


def erfinv_excess(root: Real) -> Real:
    """erfinv(y)/y − √w of √w."""
    return erfinv_ratio(root**2) - root


def loggamma_near_two(d: Real) -> Real:
    """log Γ(2 + d)/d."""
    return mp.loggamma(2 + d) / d


def stirling_tail(z: Real) -> Real:
    """x·(log Γ(x) − ((x − ½)·log x − x + ½·log 2π)) of z = 1/x²."""
    x = 1 / mp.sqrt(z)
    return (mp.loggamma(x) - ((x - mpf(1) / 2) * mp.log(x) - x + mp.log(2 * mp.pi) / 2)) * x


def digamma_root() -> Real:
    """The positive zero of the digamma function."""
    return mp.findroot(mp.digamma, mpf("1.46163214496836234126"))


def digamma_near_root(d: Real) -> Real:
    """ψ(3/2 + d) divided by the distance from its root."""
    y = mpf(3) / 2 + d
    return mp.digamma(y) / (y - digamma_root())


def digamma_tail(z: Real) -> Real:
    """x²·(ψ(x) − log x + 1/(2x)) of z = 1/x²."""
    x = 1 / mp.sqrt(z)
    return (mp.digamma(x) - mp.log(x) + 1 / (2 * x)) * x * x


TABLE: dict[str, Entry] = {
    "ln2_f64": Split(lambda: mp.ln(2), (42, 53)),
    "ln2_f32": Split(lambda: mp.ln(2), (15, 24)),
    "log2e_f64": Split(lambda: 1 / mp.ln(2), (53,)),
    "log2e_f32": Split(lambda: 1 / mp.ln(2), (24,)),
    "exp_tail_f64": Fit(exp_tail, -LN2_HALF, LN2_HALF, 9),
    "exp_tail_f32": Fit(exp_tail, -LN2_HALF, LN2_HALF, 4, 32),
    "exp_table_f64": Samples(lambda k: mpf(2) ** (mpf(k) / 16), 16),
    "exp_table_tail_f64": Fit(exp_tail, -LN2_HALF / 16, LN2_HALF / 16, 4),
    "atanh_tail_f64": Fit(atanh_tail, 0.0, 0.0295, 6),
    "atanh_tail_f32": Fit(atanh_tail, 0.0, 0.0295, 2, 32),
    "log2e_parts_f64": Split(lambda: 1 / mp.ln(2), (53, 53)),
    "log2e_parts_f32": Split(lambda: 1 / mp.ln(2), (24, 24)),
    "one_f64": Split(lambda: mpf(1), (53, 53)),
    "one_f32": Split(lambda: mpf(1), (24, 24)),
    "log10e_parts_f64": Split(lambda: 1 / mp.ln(10), (53, 53)),
    "log10e_parts_f32": Split(lambda: 1 / mp.ln(10), (24, 24)),
    "log10_2_f64": Split(lambda: mp.log10(2), (42, 53)),
    "log10_2_f32": Split(lambda: mp.log10(2), (15, 24)),
    "two_thirds_f64": Split(lambda: mpf(2) / 3, (53, 53)),
    "atanh_tail_after_f64": Fit(atanh_tail_after, 0.0, 0.0295, 6),
    "sinh_tail_f64": Fit(sinh_tail, 0.0, 1.0, 6),
    "sinh_tail_f32": Fit(sinh_tail, 0.0, 1.0, 2, 32),
    "cbrt_f64": Fit(lambda f: mp.cbrt(1 + f), -0.2929, 0.4143, 9),
    "pi_f64": Split(lambda: +mp.pi, (53, 53, 53)),
    "pi_f32": Split(lambda: +mp.pi, (24, 24, 24)),
    "inverse_pi_f64": Split(lambda: 1 / mp.pi, (53,)),
    "inverse_pi_f32": Split(lambda: 1 / mp.pi, (24,)),
    "sin_tail_f64": Fit(sin_tail, 0.0, 2.4676, 7, compensate=True),
    "sin_tail_f32": Fit(sin_tail, 0.0, 2.4676, 4, 32, compensate=True),
    "tan_tail_f64": Fit(tan_tail, 0.0, 0.6169, 13),
    "tan_tail_f32": Fit(tan_tail, 0.0, 0.6169, 6, 32),
    "arcsin_tail_f64": Fit(arcsin_tail, 0.0, 0.25, 12),
    "arcsin_tail_f32": Fit(arcsin_tail, 0.0, 0.25, 5, 32),
    "arctan_tail_f64": Fit(arctan_tail, 0.0, 0.1716, 11),
    "arctan_tail_f32": Fit(arctan_tail, 0.0, 0.1716, 4, 32),
    # Few enough digits that small multiples of the first part are exact.
    "quarter_pi_f64": Split(lambda: mp.pi / 4, (48, 53)),
    "quarter_pi_f32": Split(lambda: mp.pi / 4, (20, 24)),
    "erf_small_f64": Fit(erf_excess, 0.0, 1.0, 11),
    "erf_small_f32": Fit(erf_excess, 0.0, 1.0, 6, 32),
    "erf_large_f64": Fit(minus_log_erfc, 1.0, 6.0, 16, 64, mp.erfc),
    "erf_large_f32": Fit(minus_log_erfc, 1.0, 4.0, 6, 32, mp.erfc),
    # Rows for results in float32 that are worked out in float64 have 64 bits.
    "erfc_f64": Fit(scaled_erfc, -1.0, ERFC_RANGE, 22),
    "erfc_f32": Fit(scaled_erfc, -1.0, ERFC_RANGE, 12),
    "erfinv_middle_f64": Fit(erfinv_ratio, 0.0, 5.0, 21),
    "erfinv_middle_f32": Fit(erfinv_ratio, 0.0, 5.0, 11),
    "erfinv_tail_f64": Fit(lambda v: erfinv_excess(v + 3), -0.77, 1.0, 22),
    "erfinv_tail_f32": Fit(lambda v: erfinv_excess(v + 3), -0.77, 1.1, 11),
    "erfinv_far_f64": Fit(lambda v: erfinv_excess(v + 5), -1.0, 1.1, 19),
    "loggamma_f64": Fit(loggamma_near_two, -0.5, 0.5, 17),
    "loggamma_f32": Fit(loggamma_near_two, -0.5, 0.5, 9),
    "stirling_f64": Fit(stirling_tail, 1e-12, 1 / 64, 5),
    "half_log_two_pi_f64": Split(lambda: mp.log(2 * mp.pi) / 2, (53, 53)),
    "log_pi_f64": Split(lambda: mp.log(mp.pi), (53, 53)),
    "digamma_f64": Fit(digamma_near_root, -0.5, 0.5, 21),
    "digamma_f32": Fit(digamma_near_root, -0.5, 0.5, 11),
    "digamma_tail_f64": Fit(digamma_tail, 1e-12, 1 / 64, 5),
    "digamma_root_f64": Split(digamma_root, (53, 53)),
    "zeta_f64": Samples(lambda k: mp.bernoulli(2 * k + 2) / mp.factorial(2 * k + 2), 12),
}
