"""Distributions of `scipy.stats` on traced and concrete arrays, in SciPy's parameters.

`norm.logpdf(x, loc=0, scale=1)` and its like: derivatives in x and every parameter, natively in
compiled code. Results are float64, as SciPy's are.
"""

from tracer.scipy.stats.continuous import (
    cauchy,
    genextreme,
    gumbel_l,
    gumbel_r,
    laplace,
    logistic,
    norm,
    skewnorm,
    t,
    vonmises,
)
from tracer.scipy.stats.discrete import (
    bernoulli,
    betabinom,
    binom,
    geom,
    hypergeom,
    nbinom,
    poisson,
)
from tracer.scipy.stats.multivariate import dirichlet, multinomial, multivariate_normal
from tracer.scipy.stats.positive import (
    beta,
    chi2,
    expon,
    f,
    gamma,
    halfnorm,
    invgamma,
    invgauss,
    loglaplace,
    lognorm,
    maxwell,
    pareto,
    rayleigh,
    triang,
    truncnorm,
    uniform,
    weibull_min,
)

__all__ = [
    "bernoulli", "beta", "betabinom", "binom", "cauchy", "chi2", "dirichlet", "expon", "f",
    "gamma", "genextreme", "geom", "gumbel_l", "gumbel_r", "halfnorm", "hypergeom", "invgamma",
    "invgauss", "laplace", "logistic", "loglaplace", "lognorm", "maxwell", "multinomial",
    "multivariate_normal", "nbinom", "norm", "pareto", "poisson", "rayleigh", "skewnorm", "t",
    "triang", "truncnorm", "uniform", "vonmises", "weibull_min",
]  # fmt: skip
