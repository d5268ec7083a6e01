"""Distributions of vectors: Dirichlet, multinomial, and the multivariate normal one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import tracer.numpy as tnp
from tracer.errors import ShapeError
from tracer.numpy.elementwise import where
from tracer.scipy import special
from tracer.scipy.stats.base import INFINITY, as_float, quiet


class _Dirichlet:
    """Points of the simplex."""

    @quiet
    def logpdf(self, x: Any, alpha: Any) -> Any:
        """log of the density at x: its k components (or the first k − 1) lie along axis 0.

        x: (k,) or (k, n); alpha: (k,). −∞ outside of the simplex, NaN for alpha ≤ 0.
        """
        x, alpha = as_float(x), as_float(alpha)
        if x.shape[0] == alpha.shape[0] - 1:
            x = tnp.concatenate([x, (1.0 - tnp.sum(x, axis=0))[None]])
        if x.shape[0] != alpha.shape[0]:
            raise ShapeError(
                f"x has {x.shape[0]} components along axis 0, alpha {alpha.shape[0]}"
            )
        log_beta = tnp.sum(special.gammaln(alpha)) - special.gammaln(tnp.sum(alpha))
        powers = (alpha - 1.0).reshape((-1,) + (1,) * (len(x.shape) - 1))
        possible = tnp.all((x >= 0.0) & (x <= 1.0), axis=0)
        possible = possible & (tnp.abs(tnp.sum(x, axis=0) - 1.0) <= 1e-9)
        value = tnp.sum(special.xlogy(powers, where(possible, x, 0.5)), axis=0) - log_beta
        value = where(possible, value, -INFINITY)
        return where(tnp.all(alpha > 0.0), value, np.nan)

    def pdf(self, x: Any, alpha: Any) -> Any:
        """The density at x."""
        return tnp.exp(self.logpdf(x, alpha))

    def mean(self, alpha: Any) -> Any:
        """The mean, (k,)."""
        alpha = as_float(alpha)
        return alpha / tnp.sum(alpha)

    def var(self, alpha: Any) -> Any:
        """The variances, (k,)."""
        alpha = as_float(alpha)
        total = tnp.sum(alpha)
        return alpha * (total - alpha) / (total * total * (total + 1.0))

    @quiet
    def entropy(self, alpha: Any) -> Any:
        """The differential entropy, in nats."""
        alpha = as_float(alpha)
        total = tnp.sum(alpha)
        log_beta = tnp.sum(special.gammaln(alpha)) - special.gammaln(total)
        return (
            log_beta
            + (total - alpha.shape[0]) * special.digamma(total)
            - tnp.sum((alpha - 1.0) * special.digamma(alpha))
        )


class _Multinomial:
    """Counts of n draws."""

    @quiet
    def logpmf(self, x: Any, n: Any, p: Any) -> Any:
        """log of the probability of counts x (last axis), which sum to n; −∞ elsewhere.

        p: probabilities along the last axis; its last entry counts as 1 minus the others.
        """
        x, n, p = as_float(x), as_float(n), as_float(p)
        last = 1.0 - tnp.sum(p[..., :-1], axis=-1)
        p = tnp.concatenate([p[..., :-1], last[..., None]], axis=-1)
        possible = tnp.all((x >= 0.0) & (tnp.floor(x) == x), axis=-1)
        possible = possible & (tnp.sum(x, axis=-1) == n)
        counts = where(possible[..., None], x, 0.0)
        value = special.gammaln(n + 1.0) + tnp.sum(
            special.xlogy(counts, p) - special.gammaln(counts + 1.0), axis=-1
        )
        value = where(possible, value, -INFINITY)
        valid = (n >= 0.0) & tnp.all((p >= 0.0) & (p <= 1.0), axis=-1)
        return where(valid, value, np.nan)

    def pmf(self, x: Any, n: Any, p: Any) -> Any:
        """The probability of counts x."""
        return tnp.exp(self.logpmf(x, n, p))


class _MultivariateNormal:
    """Normal vectors."""

    def logpdf(self, x: Any, mean: Any = None, cov: Any = 1) -> Any:
        """log of the density at x, whose last axis has the d components.

        mean: (d,) or a number, 0 by default. cov: (d, d), (d,) for a diagonal, or a number; it
        must be positive definite: LinAlgError elsewhere.
        """
        x, cov = as_float(x), as_float(cov)
        mean = as_float(0.0 if mean is None else mean)
        dimension = max([part.shape[-1] for part in (mean, cov) if part.shape], default=1)
        if not x.shape:
            x = x.reshape((1,))
        elif dimension == 1 and len(x.shape) == 1:
            x = x[:, None]
        if x.shape[-1] != dimension:
            raise ShapeError(f"x has {x.shape[-1]} components, mean and cov have {dimension}")
        shift = x - mean
        if len(cov.shape) < 2:
            scales = cov + np.zeros(dimension)
            squares = tnp.sum(shift * shift / scales, axis=-1)
            half_log = 0.5 * tnp.sum(tnp.log(scales))
        else:
            factor = tnp.linalg.cholesky(cov)
            columns = tnp.reshape(shift, (-1, dimension)).T
            whitened = tnp.linalg.solve(factor, columns)
            squares = tnp.reshape(tnp.sum(whitened * whitened, axis=0), shift.shape[:-1])
            half_log = tnp.sum(tnp.log(tnp.diagonal(factor)))
        result = -0.5 * squares - half_log - 0.5 * dimension * math.log(2 * math.pi)
        return result.reshape(()) if result.shape == (1,) else result

    def pdf(self, x: Any, mean: Any = None, cov: Any = 1) -> Any:
        """The density at x."""
        return tnp.exp(self.logpdf(x, mean, cov))

    def entropy(self, mean: Any = None, cov: Any = 1) -> Any:
        """The differential entropy, in nats."""
        cov = as_float(cov)
        mean = as_float(0.0 if mean is None else mean)
        dimension = max([part.shape[-1] for part in (mean, cov) if part.shape], default=1)
        if len(cov.shape) < 2:
            half_log = 0.5 * tnp.sum(tnp.log(cov + np.zeros(dimension)))
        else:
            half_log = tnp.sum(tnp.log(tnp.diagonal(tnp.linalg.cholesky(cov))))
        return half_log + 0.5 * dimension * (1.0 + math.log(2 * math.pi))


dirichlet = _Dirichlet()
multinomial = _Multinomial()
multivariate_normal = _MultivariateNormal()
