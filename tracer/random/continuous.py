"""Continuous distributions. Samples are differentiable functions of the parameters wherever such a
function exists: by location, scale and inverse distribution functions, and for the gamma family by
implicit reparameterisation (M. Figurnov, S. Mohamed, A. Mnih, 2018).

Parameters broadcast against `shape`, which is that of the result.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import tracer.numpy as tnp
from tracer.control import while_loop
from tracer.errors import DTypeError, ShapeError
from tracer.random.keys import Shape, as_shape, bits, fold_in, split
from tracer.scipy import special
from tracer.trace import type_of
from tracer.transforms.custom import custom_jvp, stop_gradient

FLOAT64 = np.dtype(np.float64)


def _real(dtype: Any) -> np.dtype[Any]:
    wanted: np.dtype[Any] = np.dtype(dtype)
    if wanted not in (np.float32, np.float64):
        raise DTypeError(f"random numbers are float32 or float64, not {wanted}")
    return wanted


def shape_of(shape: Shape | None, *parameters: Any) -> tuple[int, ...]:
    """The shape of the result: the given one, or what the parameters broadcast to."""
    common = np.broadcast_shapes(*[type_of(parameter).shape for parameter in parameters])
    if shape is None:
        return common
    given = as_shape(shape)
    try:
        fits = np.broadcast_shapes(given, common) == given
    except ValueError:
        fits = False
    if not fits:
        raise ShapeError(f"parameters of shape {common} do not broadcast to the shape {given}")
    return given


def half_open_unit(key: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    """Uniform on [0, 1): multiples of 2⁻⁵³, or of 2⁻²⁴ in float32."""
    digits = 53 if dtype == FLOAT64 else 24
    whole = bits(key, shape) >> np.uint64(64 - digits)
    return whole.astype(dtype) * dtype.type(2.0**-digits)


def open_unit(key: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    """Uniform on (0, 1): the middles of those intervals, one digit coarser."""
    digits = 52 if dtype == FLOAT64 else 23
    whole = bits(key, shape) >> np.uint64(64 - digits)
    return (whole.astype(dtype) + dtype.type(0.5)) * dtype.type(2.0**-digits)


def uniform(
    key: Any, shape: Shape = (), dtype: Any = FLOAT64, low: Any = 0.0, high: Any = 1.0
) -> Any:
    """Uniform on [low, high)."""
    wanted = _real(dtype)
    unit = half_open_unit(key, shape_of(shape, low, high), wanted)
    if type(low) is float and type(high) is float and (low, high) == (0.0, 1.0):
        return unit
    return (low + unit * (high - low)).astype(wanted)


def normal(key: Any, shape: Shape = (), dtype: Any = FLOAT64) -> Any:
    """The standard normal distribution, by the inverse of its distribution function."""
    wanted = _real(dtype)
    unit = open_unit(key, as_shape(shape), wanted)
    return wanted.type(np.sqrt(2.0)) * special.erfinv(wanted.type(2) * unit - wanted.type(1))


def truncated_normal(
    key: Any, low: Any, high: Any, shape: Shape | None = None, dtype: Any = FLOAT64
) -> Any:
    """The standard normal distribution between `low` and `high`."""
    wanted = _real(dtype)
    root = wanted.type(np.sqrt(0.5))
    below = special.erf(tnp.asarray(low).astype(wanted) * root)
    above = special.erf(tnp.asarray(high).astype(wanted) * root)
    unit = open_unit(key, shape_of(shape, low, high), wanted)
    drawn = special.erfinv(below + unit * (above - below)) / root
    return tnp.clip(drawn, low, high).astype(wanted)


def exponential(key: Any, shape: Shape = (), dtype: Any = FLOAT64) -> Any:
    """The exponential distribution of mean 1."""
    return -tnp.log(open_unit(key, as_shape(shape), _real(dtype)))


def gumbel(key: Any, shape: Shape = (), dtype: Any = FLOAT64) -> Any:
    """The standard Gumbel distribution, exp(−exp(−x))."""
    return -tnp.log(exponential(key, shape, dtype))


def logistic(key: Any, shape: Shape = (), dtype: Any = FLOAT64) -> Any:
    """The standard logistic distribution."""
    unit = open_unit(key, as_shape(shape), _real(dtype))
    return tnp.log(unit / (1 - unit))


def laplace(key: Any, shape: Shape = (), dtype: Any = FLOAT64) -> Any:
    """The standard Laplace distribution, ½ exp(−|x|)."""
    signed = 2 * open_unit(key, as_shape(shape), _real(dtype)) - 1
    return -tnp.sign(signed) * tnp.log1p(-tnp.abs(signed))


def cauchy(key: Any, shape: Shape = (), dtype: Any = FLOAT64) -> Any:
    """The standard Cauchy distribution."""
    wanted = _real(dtype)
    return tnp.tan(
        wanted.type(np.pi) * (open_unit(key, as_shape(shape), wanted) - wanted.type(0.5))
    )


def _marsaglia_tsang(key: Any, alpha: Any) -> Any:
    """Gamma variates for alpha ≥ 1. All entries go round until the last is accepted.

    G. Marsaglia, W. W. Tsang, "A simple method for generating gamma variables" (2000).
    """
    d = alpha - 1 / 3
    c = 1 / tnp.sqrt(9 * d)

    def pending(state: Any) -> Any:
        return ~state[1].all()

    def propose(state: Any) -> Any:
        value, accepted, turn = state
        first, second = split(fold_in(key, turn))
        x = normal(first, alpha.shape)
        v = (1 + c * x) ** 3
        chance = open_unit(second, alpha.shape, FLOAT64)
        positive = v > 0
        inside = tnp.log(chance) < 0.5 * x * x + d * (1 - v + tnp.log(tnp.where(positive, v, 1)))
        fits = positive & inside & ~accepted
        return tnp.where(fits, d * v, value), accepted | fits, turn + 1

    start = (0 * alpha, alpha != alpha, np.int64(0))
    return while_loop(pending, propose, start)[0]


@custom_jvp
def _log_gamma_sample(key: Any, alpha: Any) -> Any:
    """The logarithm of a gamma variate, float64; small alpha make variates that underflow."""
    first, second = split(key)
    small = alpha < 1
    drawn = _marsaglia_tsang(first, tnp.where(small, alpha + 1, alpha))
    boost = tnp.log(open_unit(second, alpha.shape, FLOAT64)) / alpha
    return tnp.log(drawn) + tnp.where(small, boost, 0.0)


def _log_gamma_sample_jvp(primals: Any, tangents: Any) -> Any:
    """F(z; α) is constant along the sample: dz/dα = −(∂F/∂α) / (∂F/∂z)."""
    key, alpha = primals
    out = _log_gamma_sample(key, alpha)
    # Where z underflows F(z; α) = z^α / Γ(α + 1) to working precision, and in closed form
    # d log z / dα = (ψ(α + 1) − log z) / α.
    z = tnp.exp(out)
    tiny = z < 1e-10
    safe = tnp.where(tiny, 1.0, z)
    from tracer.transforms.gradient import jvp

    by_alpha = jvp(lambda a: special.gammainc(a, safe), (alpha,), (tnp.ones_like(alpha),))[1]
    density = tnp.exp((alpha - 1) * tnp.log(safe) - safe - special.gammaln(alpha))
    limit = (special.digamma(alpha + 1) - out) / alpha
    slope = tnp.where(tiny, limit, -by_alpha / (density * safe))
    return out, stop_gradient(slope) * tangents[1]


_log_gamma_sample.defjvp(_log_gamma_sample_jvp)


def loggamma(key: Any, alpha: Any, shape: Shape | None = None, dtype: Any = FLOAT64) -> Any:
    """The logarithm of a gamma variate: finite also for alpha so small that the variate is not."""
    wanted = _real(dtype)
    given = shape_of(shape, alpha)
    wide = tnp.broadcast_to(tnp.asarray(alpha).astype(FLOAT64), given)
    return _log_gamma_sample(key, wide).astype(wanted)


def gamma(key: Any, alpha: Any, shape: Shape | None = None, dtype: Any = FLOAT64) -> Any:
    """The gamma distribution of shape `alpha` and scale 1, differentiable in alpha."""
    return tnp.exp(loggamma(key, alpha, shape)).astype(_real(dtype))


def beta(key: Any, a: Any, b: Any, shape: Shape | None = None, dtype: Any = FLOAT64) -> Any:
    """The beta distribution, differentiable in a and b."""
    first, second = split(key)
    given = shape_of(shape, a, b)
    left, right = loggamma(first, a, given), loggamma(second, b, given)
    return special.expit(left - right).astype(_real(dtype))


def chisquare(key: Any, df: Any, shape: Shape | None = None, dtype: Any = FLOAT64) -> Any:
    """The χ² distribution of `df` degrees of freedom, differentiable in df."""
    return (2 * gamma(key, tnp.asarray(df) / 2, shape_of(shape, df))).astype(_real(dtype))


def t(key: Any, df: Any, shape: Shape | None = None, dtype: Any = FLOAT64) -> Any:
    """Student's distribution of `df` degrees of freedom, differentiable in df."""
    first, second = split(key)
    given = shape_of(shape, df)
    half = tnp.asarray(df) / 2
    return (normal(first, given) * tnp.sqrt(half / gamma(second, half, given))).astype(_real(dtype))


def dirichlet(key: Any, alpha: Any, shape: Shape | None = None, dtype: Any = FLOAT64) -> Any:
    """The Dirichlet distribution: alpha has shape (…, k), the result (*shape, k)."""
    kind = type_of(alpha)
    if not kind.shape:
        raise ShapeError("dirichlet needs a vector of concentrations, alpha is a number")
    lead = kind.shape[:-1] if shape is None else as_shape(shape)
    logs = loggamma(key, alpha, (*lead, kind.shape[-1]))
    return special.softmax(logs, axis=-1).astype(_real(dtype))


def multivariate_normal(
    key: Any, mean: Any, cov: Any, shape: Shape | None = None, dtype: Any = FLOAT64
) -> Any:
    """The normal distribution of mean (…, n) and covariance (…, n, n); the result is (*shape, n).

    Raises LinAlgError where the covariance is not positive definite.
    """
    wanted = _real(dtype)
    n = type_of(mean).shape[-1]
    lead = np.broadcast_shapes(type_of(mean).shape[:-1], type_of(cov).shape[:-2])
    given = lead if shape is None else as_shape(shape)
    factor = tnp.linalg.cholesky(tnp.asarray(cov))
    noise = normal(key, (*given, n), wanted)
    return (mean + (factor @ noise[..., None])[..., 0]).astype(wanted)
