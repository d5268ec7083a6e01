"""Random numbers as pure functions of a key: the same bits on every backend, in any order.

    key = tracer.random.key(0)
    first, second = tracer.random.split(key)
    x = tracer.random.normal(first, (3,))

A key is used once: `split` makes new ones, `fold_in` one for each step of a loop.
"""

from tracer.random.continuous import (
    beta,
    cauchy,
    chisquare,
    dirichlet,
    exponential,
    gamma,
    gumbel,
    laplace,
    loggamma,
    logistic,
    multivariate_normal,
    normal,
    t,
    truncated_normal,
    uniform,
)
from tracer.random.discrete import (
    bernoulli,
    binomial,
    categorical,
    choice,
    geometric,
    permutation,
    poisson,
    rademacher,
    randint,
)
from tracer.random.keys import bits, fold_in, key, split

__all__ = [
    "bernoulli",
    "beta",
    "binomial",
    "bits",
    "categorical",
    "cauchy",
    "chisquare",
    "choice",
    "dirichlet",
    "exponential",
    "fold_in",
    "gamma",
    "geometric",
    "gumbel",
    "key",
    "laplace",
    "loggamma",
    "logistic",
    "multivariate_normal",
    "normal",
    "permutation",
    "poisson",
    "rademacher",
    "randint",
    "split",
    "t",
    "truncated_normal",
    "uniform",
]
