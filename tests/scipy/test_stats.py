"""`tracer.scipy.stats` against `scipy.stats`: values in and outside of the support, parameters that
are none, broadcasting; derivatives in x and every parameter against numerical ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import scipy.stats

import tracer
import tracer.scipy.stats as stats
from tests.helpers import BACKENDS, FAST
from tracer.errors import UnsupportedFunctionError

X = np.array(
    [-np.inf, -3, -1, -0.2, 0, 0.1, 0.35, 0.6, 1, 1.2, 2.5, 7, 40, np.inf, np.nan]
)
K = np.array([-1.0, 0, 0.5, 1, 2, 3, 5, 7, 8, 9, 12, 40, np.inf, np.nan])
Q = np.array([-0.1, 0, 1e-10, 0.1, 0.35, 0.5, 0.6, 0.9, 0.999, 1, 1.1, np.nan])


@dataclass(frozen=True)
class Case:
    """A distribution: shapes, shapes that are none, points at which derivatives are taken."""

    name: str
    shapes: tuple[float, ...] = ()
    wrong: tuple[float, ...] = ()
    points: tuple[float, ...] = (0.4, 0.7, 1.3)
    whole: tuple[int, ...] = ()  # shapes that are counts, without a derivative

    def __str__(self) -> str:
        return self.name

    @property
    def ours(self) -> Any:
        return getattr(stats, self.name)

    @property
    def theirs(self) -> Any:
        return getattr(scipy.stats, self.name)


CONTINUOUS = (
    Case("norm"),
    Case("laplace"),
    Case("logistic"),
    Case("cauchy"),
    Case("gumbel_r"),
    Case("gumbel_l"),
    Case("t", (2.5,), (-1.0,)),
    Case("vonmises", (1.3,), (-1.0,)),
    Case("skewnorm", (0.7,), (np.nan,)),
    Case("genextreme", (0.3,), (np.nan,)),
    Case("expon"),
    Case("uniform", points=(0.2, 0.4, 0.7)),
    Case("gamma", (2.2,), (-1.0,)),
    Case("chi2", (3.1,), (0.0,)),
    Case("invgamma", (2.7,), (-1.0,)),
    Case("beta", (1.4, 2.3), (-1.0, 2.0), (0.2, 0.4, 0.7)),
    Case("f", (3.0, 5.5), (3.0, -1.0)),
    Case("lognorm", (0.8,), (-1.0,)),
    Case("pareto", (2.4,), (-1.0,), (1.2, 1.7, 3.3)),
    Case("weibull_min", (1.6,), (-1.0,)),
    Case("rayleigh"),
    Case("maxwell"),
    Case("halfnorm"),
    Case("loglaplace", (1.7,), (-1.0,)),
    Case("invgauss", (0.9,), (-1.0,)),
    Case("triang", (0.35,), (1.5,), (0.2, 0.6, 0.7)),
    Case("truncnorm", (-0.5, 1.7), (1.0, 0.5), (-0.2, 0.3, 1.2)),
)
DISCRETE = (
    Case("bernoulli", (0.3,), (1.2,), (0.0,)),
    Case("binom", (9, 0.3), (9, -0.1), (1.0, 4.0), (0,)),
    Case("poisson", (2.5,), (-1.0,), (1.0, 4.0)),
    Case("geom", (0.3,), (0.0,), (1.0, 4.0)),
    Case("nbinom", (3.5, 0.4), (-1.0, 0.4), (1.0, 4.0)),
    Case("betabinom", (8, 1.5, 2.5), (8, -1.5, 2.5), (1.0, 4.0), (0,)),
    Case("hypergeom", (20, 7, 12), (20, 21, 12), (1.0, 4.0), (0, 1, 2)),
)
DENSITIES = ("logpdf", "pdf")
MASSES = ("logpmf", "pmf")
SUMS = ("cdf", "sf", "logcdf", "logsf")
QUANTILES = ("ppf", "isf")
WITHOUT = {
    **dict.fromkeys(("vonmises", "skewnorm"), SUMS + QUANTILES),
    **dict.fromkeys(("betabinom", "hypergeom"), SUMS),
    "invgauss": QUANTILES,
}
"""Methods that are not there: SciPy has them by numerical integration or by sums."""


def methods(case: Case) -> list[str]:
    """What the distribution has."""
    names = MASSES + SUMS if case in DISCRETE else DENSITIES + SUMS + QUANTILES
    return [name for name in names if name not in WITHOUT.get(case.name, ())]


PAIRS = [(case, name) for case in CONTINUOUS + DISCRETE for name in methods(case)]
IDS = [f"{case}.{name}" for case, name in PAIRS]


def expected(case: Case, name: str, *args: Any) -> Any:
    with np.errstate(all="ignore"):
        return getattr(case.theirs, name)(*args)


@pytest.mark.parametrize(("case", "name"), PAIRS, ids=IDS)
def test_values(case: Case, name: str) -> None:
    """Over the line: in the support, at its edges, outside, at infinities and NaN."""
    points = Q if name in QUANTILES else K if case in DISCRETE else X
    moved = () if case in DISCRETE else (0.1, 2.0)
    due = expected(case, name, points, *case.shapes, *moved)
    chosen = np.ones(len(points), bool)
    if name in DENSITIES:  # SciPy's formulas meet ∞ − ∞ at infinities; ours is 0 there
        chosen = ~(np.isnan(due) & np.isinf(points))
    if name == "logsf" and case.name == "halfnorm":  # SciPy's tail underflows
        chosen = ~(points > 30)
    if name == "isf":  # SciPy's are often ppf(1 − q)
        chosen = points != 1e-10
    function = getattr(case.ours, name)
    eager = function(points, *case.shapes, *moved)
    compiled = tracer.jit(lambda x: function(x, *case.shapes, *moved), backend=FAST)(points)
    for found in (eager, compiled):
        assert found.dtype == np.float64
        np.testing.assert_allclose(found[chosen], due[chosen], rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize(
    "case", [case for case in CONTINUOUS if "isf" in methods(case)], ids=str
)
def test_quantiles_of_both_tails(case: Case) -> None:
    """The inverse of cdf and of sf, far out as well."""
    q = np.array([1e-6, 1e-3, 0.2, 0.7])
    for forth, back in (("ppf", "cdf"), ("isf", "sf")):
        x = getattr(case.ours, forth)(q, *case.shapes)
        np.testing.assert_allclose(getattr(case.ours, back)(x, *case.shapes), q, rtol=1e-8)


@pytest.mark.parametrize("case", CONTINUOUS + DISCRETE, ids=str)
def test_parameters_that_are_none(case: Case) -> None:
    """NaN, as SciPy says."""
    for name in methods(case):
        if case.wrong:
            assert np.isnan(getattr(case.ours, name)(0.5, *case.wrong))
        if case not in DISCRETE:
            assert np.isnan(getattr(case.ours, name)(0.5, *case.shapes, 0.0, -1.0))
            assert np.isnan(getattr(case.ours, name)(0.5, *case.shapes, np.nan, 1.0))


def _differentiable(case: Case, name: str) -> list[int]:
    """The places of arguments with a derivative."""
    shapes = [1 + k for k in range(len(case.shapes)) if k not in case.whole]
    if case in DISCRETE:
        return shapes
    return [0, *shapes, 1 + len(case.shapes), 2 + len(case.shapes)]


GRADIENTS = [
    (case, name)
    for case, name in PAIRS
    if name in ("logpdf", "cdf", "logsf", "ppf", "logpmf", "sf") and _differentiable(case, name)
]


@pytest.mark.parametrize(
    ("case", "name"), GRADIENTS, ids=[f"{case}.{name}" for case, name in GRADIENTS]
)
def test_derivatives_in_every_argument(case: Case, name: str) -> None:
    """Reverse and forward mode against differences."""
    points = np.array((0.2, 0.45, 0.8) if name in QUANTILES else case.points)
    last = () if case in DISCRETE else (0.05, 1.1)
    args: list[Any] = [points, *map(float, case.shapes), *last]
    places = _differentiable(case, name)

    def function(*chosen: Any) -> Any:
        full = list(args)
        for place, value in zip(places, chosen, strict=True):
            full[place] = value
        return getattr(case.ours, name)(*full)

    primals = tuple(np.asarray(args[place]) for place in places)
    tracer.check_grads(function, primals, order=1, rtol=1e-6, atol=1e-7)
    eager = tracer.grad(lambda *xs: function(*xs).sum(), tuple(range(len(places))))
    compiled = tracer.jit(eager, backend=FAST)(*primals)
    for one, other in zip(compiled, eager(*primals), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("case", [c for c in CONTINUOUS if c.name != "vonmises"], ids=str)
def test_derivatives_outside_of_the_support_are_zero(case: Case) -> None:
    """Not NaN: a sample outside leaves the gradient of the others alone."""
    points = np.array([-1e3, case.points[0]])
    args = (points, *map(float, case.shapes), 0.0, 1.0)
    gradient = tracer.grad(lambda *xs: case.ours.pdf(*xs).sum(), tuple(range(len(args))))(*args)
    alone = (points[1:], *args[1:])
    due = tracer.grad(lambda *xs: case.ours.pdf(*xs).sum(), tuple(range(len(args))))(*alone)
    assert abs(gradient[0][0]) < 1e-7
    for one, other in zip(gradient[1:], due[1:], strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("case", CONTINUOUS + DISCRETE, ids=str)
def test_parameters_broadcast_and_have_names(case: Case) -> None:
    name = "logpmf" if case in DISCRETE else "logpdf"
    points = np.array(case.points)[:, None]
    shapes = [np.full((1, 2), shape) for shape in case.shapes]
    due = expected(case, name, points, *shapes, np.zeros(2))
    found = getattr(case.ours, name)(points, *shapes, np.zeros(2))
    assert found.shape == due.shape
    np.testing.assert_allclose(found, due, rtol=1e-12)
    named = dict(zip(case.ours.parameters, [*case.shapes, 0.0], strict=False))
    np.testing.assert_allclose(getattr(case.ours, name)(points, **named)[:, 0], due[:, 0])


MOMENTS = [
    (case, name)
    for case in CONTINUOUS + DISCRETE
    for name in ("mean", "var", "std", "entropy")
    if getattr(getattr(case.ours, "standard", None) or case.ours.masses,
               "var" if name == "std" else name, None) is not None
]  # fmt: skip


@pytest.mark.parametrize(
    ("case", "name"), MOMENTS, ids=[f"{case}.{name}" for case, name in MOMENTS]
)
def test_moments(case: Case, name: str) -> None:
    with np.errstate(all="ignore"):
        due = getattr(case.theirs, name)(*case.shapes)
    np.testing.assert_allclose(getattr(case.ours, name)(*case.shapes), due, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_likelihood_on_every_backend(backend: str) -> None:
    data = np.array([0.3, 1.2, 2.5])

    def loss(shape: Any, scale: Any) -> Any:
        return -stats.gamma.logpdf(data, shape, scale=scale).sum() - stats.norm.logcdf(shape)

    due = -scipy.stats.gamma.logpdf(data, 2.0, scale=1.5).sum() - scipy.stats.norm.logcdf(2.0)
    value, gradient = tracer.jit(tracer.value_and_grad(loss, (0, 1)), backend=backend)(2.0, 1.5)
    np.testing.assert_allclose(value, due, rtol=1e-13)
    tracer.check_grads(loss, (2.0, 1.5), order=2)
    assert len(gradient) == 2


def test_dirichlet() -> None:
    alpha, x = np.array([1.5, 2.5, 0.7]), np.array([0.2, 0.5, 0.3])
    for point in (x, x[:2], np.stack([x, x[::-1]], 1)):
        found = tracer.jit(stats.dirichlet.logpdf, backend=FAST)(point, alpha)
        np.testing.assert_allclose(found, scipy.stats.dirichlet.logpdf(point, alpha), rtol=1e-13)
    assert stats.dirichlet.logpdf(np.array([0.5, 0.6, 0.2]), alpha) == -np.inf
    np.testing.assert_allclose(stats.dirichlet.mean(alpha), scipy.stats.dirichlet.mean(alpha))
    np.testing.assert_allclose(stats.dirichlet.var(alpha), scipy.stats.dirichlet.var(alpha))
    np.testing.assert_allclose(
        stats.dirichlet.entropy(alpha), scipy.stats.dirichlet.entropy(alpha)
    )
    tracer.check_grads(lambda a: stats.dirichlet.logpdf(x, a), (alpha,))
    tracer.check_grads(lambda y: stats.dirichlet.logpdf(y, alpha), (x[:2],))


def test_multinomial() -> None:
    x, p = np.array([[2, 1, 3], [6, 0, 0], [1, 1, 1]]), np.array([0.2, 0.3, 0.5])
    due = scipy.stats.multinomial.logpmf(x, 6, p)
    found = tracer.jit(lambda p: stats.multinomial.logpmf(x, 6, p), backend=FAST)(p)
    np.testing.assert_allclose(found, due, rtol=1e-13)
    tracer.check_grads(lambda p: stats.multinomial.logpmf(x[:2], 6, p), (p,))


@pytest.mark.parametrize("cov", [np.array([[2.0, 0.5], [0.5, 1.0]]), np.array([2.0, 0.5]), 1.7])
def test_multivariate_normal(cov: Any) -> None:
    mean = np.array([0.3, -0.2])
    plain = np.diag(cov) if np.ndim(cov) == 1 else cov
    for x in (np.array([0.1, 0.5]), np.arange(6.0).reshape(3, 2)):
        due = scipy.stats.multivariate_normal.logpdf(x, mean, plain)
        np.testing.assert_allclose(stats.multivariate_normal.logpdf(x, mean, cov), due, rtol=1e-13)

    def function(x: Any, mean: Any, cov: Any) -> Any:
        whole = 0.5 * (cov + cov.T) if np.ndim(cov) == 2 else cov
        return stats.multivariate_normal.logpdf(x, mean, whole)

    tracer.check_grads(function, (np.arange(6.0).reshape(3, 2), mean, np.asarray(cov)), order=1)


def test_what_is_missing_says_so() -> None:
    with pytest.raises(UnsupportedFunctionError, match=r"vonmises has no cdf"):
        stats.vonmises.cdf(0.5, 1.0)
    with pytest.raises(TypeError, match="needs a"):
        stats.gamma.logpdf(0.5)
    with pytest.raises(TypeError, match="no such parameter"):
        stats.norm.logpdf(0.5, sigma=2.0)
