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
    "pi_f64": Split(lambda: +mp.pi, (53, 53, 53)),
    "pi_f32": Split(lambda: +mp.pi, (24, 24, 24)),
    "inverse_pi_f64": Split(lambda: 1 / mp.pi, (53,)),
    "inverse_pi_f32": Split(lambda: 1 / mp.pi, (24,)),
    "sin_tail_f64": Fit(sin_tail, 0.0, 2.4676, 7),
    "sin_tail_f32": Fit(sin_tail, 0.0, 2.4676, 4, 32),
}
