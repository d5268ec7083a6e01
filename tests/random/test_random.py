"""Random numbers: known answers, the same bits everywhere, distributions, derivatives, errors."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats as stats

import tracer
from tests.helpers import COMPILED
from tracer import random
from tracer.errors import DTypeError, ShapeError
from tracer.primitives.threefry import random_bits

KEY = random.key(11)
N = 20_000

CONTINUOUS = {
    "uniform": (lambda k: random.uniform(k, N), stats.uniform()),
    "uniform between": (lambda k: random.uniform(k, N, low=-2.0, high=5.0), stats.uniform(-2, 7)),
    "normal": (lambda k: random.normal(k, N), stats.norm()),
    "truncated normal": (lambda k: random.truncated_normal(k, -1, 2, N), stats.truncnorm(-1, 2)),
    "exponential": (lambda k: random.exponential(k, N), stats.expon()),
    "gumbel": (lambda k: random.gumbel(k, N), stats.gumbel_r()),
    "logistic": (lambda k: random.logistic(k, N), stats.logistic()),
    "laplace": (lambda k: random.laplace(k, N), stats.laplace()),
    "cauchy": (lambda k: random.cauchy(k, N), stats.cauchy()),
    "gamma 2.5": (lambda k: random.gamma(k, 2.5, N), stats.gamma(2.5)),
    "gamma 0.3": (lambda k: random.gamma(k, 0.3, N), stats.gamma(0.3)),
    "log gamma 0.05": (lambda k: random.loggamma(k, 0.05, N), stats.loggamma(0.05)),
    "beta": (lambda k: random.beta(k, 0.7, 2.0, N), stats.beta(0.7, 2.0)),
    "chi square": (lambda k: random.chisquare(k, 3.0, N), stats.chi2(3)),
    "t": (lambda k: random.t(k, 4.0, N), stats.t(4)),
    "dirichlet": (
        lambda k: random.dirichlet(k, np.array([0.5, 1.5, 2.0]), N)[:, 1],
        stats.beta(1.5, 2.5),
    ),
}

DISCRETE = {
    "bernoulli": (lambda k: random.bernoulli(k, 0.3, N), stats.bernoulli(0.3)),
    "poisson 3": (lambda k: random.poisson(k, 3.0, N), stats.poisson(3)),
    "poisson 40": (lambda k: random.poisson(k, 40.0, N), stats.poisson(40)),
    "binomial": (lambda k: random.binomial(k, 20, 0.7, N), stats.binom(20, 0.7)),
    "geometric": (lambda k: random.geometric(k, 0.25, N), stats.geom(0.25)),
    "randint": (lambda k: random.randint(k, N, -3, 7), stats.randint(-3, 7)),
    "categorical": (
        lambda k: random.categorical(k, np.log(np.array([0.2, 0.5, 0.3])), shape=N),
        stats.rv_discrete(values=([0, 1, 2], [0.2, 0.5, 0.3])),
    ),
    "choice": (
        lambda k: random.choice(k, 4, N, p=np.array([0.1, 0.2, 0.3, 0.4])),
        stats.rv_discrete(values=([0, 1, 2, 3], [0.1, 0.2, 0.3, 0.4])),
    ),
}


def test_known_answers_of_threefry():
    """The test vectors that come with the paper's own library."""
    ones, word = 2**32 - 1, np.uint32
    for (first, second, counter), expected in {
        (0, 0, 0): 0x6B20015999BA4EFE,
        (ones, ones, 2**64 - 1): 0x1CB996FCBB002BE7,
        (0x13198A2E, 0x03707344, 0x243F6A8885A308D3): 0xC4923A9C483DF7A0,
    }.items():
        assert random_bits(word(first), word(second), np.uint64(counter)) == expected


@pytest.mark.parametrize("backend", COMPILED)
def test_the_same_bits_on_every_backend(backend):
    def several(k):
        a, b, c = random.split(k, 3)
        return (
            random.bits(a, (3, 5)),
            random.bits(b, 7, np.uint8),
            random.uniform(c, (4,)),
            random.uniform(c, (4,), np.float32),
            random.randint(random.fold_in(k, 9), 6, 0, 1000),
            random.permutation(k, 12),
        )

    for got, expected in zip(tracer.jit(several, backend=backend)(KEY), several(KEY), strict=True):
        assert got.dtype == expected.dtype
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("name", sorted(CONTINUOUS))
def test_continuous_distributions(name):
    draw, distribution = CONTINUOUS[name]
    sample = np.asarray(tracer.jit(draw)(KEY))
    assert sample.shape == (N,)
    assert stats.kstest(sample, distribution.cdf).pvalue > 1e-3, name


@pytest.mark.parametrize("name", sorted(DISCRETE))
def test_discrete_distributions(name):
    draw, distribution = DISCRETE[name]
    sample = np.asarray(tracer.jit(draw)(KEY)).astype(int)
    values, counts = np.unique(sample, return_counts=True)
    expected = distribution.pmf(values) * N
    kept = expected >= 8
    assert kept.sum() >= 2
    statistic = ((counts[kept] - expected[kept]) ** 2 / expected[kept]).sum()
    assert stats.chi2.sf(statistic, kept.sum() - 1) > 1e-3, name


def test_streams_of_split_keys_are_unrelated():
    keys = random.split(KEY, 200)
    samples = np.asarray(tracer.vmap(lambda k: random.normal(k, 1000))(keys))
    assert len({tuple(k) for k in keys.tolist()}) == 200
    correlation = np.corrcoef(samples)
    off = correlation[~np.eye(200, dtype=bool)]
    assert np.abs(off).max() < 6 / np.sqrt(1000)
    assert stats.kstest(samples.ravel(), "norm").pvalue > 1e-3
    assert stats.kstest(samples.mean(0) * np.sqrt(200), "norm").pvalue > 1e-3


def test_bits_are_balanced_and_uncorrelated():
    words = random.bits(KEY, 50_000)
    table = (words[:, None] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)
    assert np.abs(table.mean(0) - 0.5).max() < 5 * 0.5 / np.sqrt(50_000)
    lagged = np.corrcoef(table[:-1, 0], table[1:, 0])[0, 1]
    assert abs(lagged) < 5 / np.sqrt(50_000)


def test_keys_and_their_children_differ():
    children = [KEY, *random.split(KEY, 4), *(random.fold_in(KEY, step) for step in range(4))]
    assert len({tuple(child.tolist()) for child in children}) == 9
    np.testing.assert_array_equal(random.key(-1), [2**32 - 1] * 2)
    np.testing.assert_array_equal(random.key(2**40 + 3), [256, 3])
    np.testing.assert_array_equal(tracer.jit(random.key)(7), random.key(7))
    assert random.split(KEY, (2, 3)).shape == (2, 3, 2)


def test_a_loop_folds_its_step_in():
    def walk(key):
        def step(x, turn):
            x = x + random.normal(random.fold_in(key, turn))
            return x, x

        return tracer.scan(step, 0.0, np.arange(5))[1]

    expected = np.cumsum([random.normal(random.fold_in(KEY, turn)) for turn in range(5)])
    np.testing.assert_allclose(tracer.jit(walk)(KEY), expected, rtol=1e-14)


def test_permutations_and_choices():
    order = random.permutation(KEY, 50)
    np.testing.assert_array_equal(np.sort(order), np.arange(50))
    rows = np.arange(12.0).reshape(4, 3)
    shuffled = random.permutation(KEY, rows)
    np.testing.assert_array_equal(shuffled[np.argsort(shuffled[:, 0])], rows)
    few = random.choice(KEY, 10, 10, replace=False)
    np.testing.assert_array_equal(np.sort(few), np.arange(10))
    weighted = random.choice(KEY, 5, (2, 2), replace=False, p=np.full(5, 0.2))
    assert len(set(weighted.ravel().tolist())) == 4
    np.testing.assert_array_equal(random.choice(KEY, rows, 2, axis=1).shape, (4, 2))


def test_samples_are_differentiable_in_their_parameters():
    """E[x] of gamma(a) is a, of beta(a, b) a / (a + b): the derivatives of sample means."""
    count = 40_000

    def mean_gamma(a):
        return random.gamma(KEY, a, count).mean()

    for a in (0.4, 2.5):
        slope = tracer.jit(tracer.grad(mean_gamma))(a)
        assert slope == pytest.approx(1, abs=0.05)
    by_a, by_b = tracer.jit(
        tracer.grad(lambda a, b: random.beta(KEY, a, b, count).mean(), argnums=(0, 1))
    )(2.0, 3.0)
    assert by_a == pytest.approx(3 / 25, rel=0.05)
    assert by_b == pytest.approx(-2 / 25, rel=0.05)
    slope = tracer.grad(lambda s: (s * random.normal(KEY, 5)).sum())(2.0)
    assert slope == pytest.approx(random.normal(KEY, 5).sum())


def test_the_implicit_derivative_follows_the_sample():
    """Along one sample F(z; a) stays what it is, so z(a) can be found by the inverse of F."""
    for a in (0.3, 1.7, 6.0):
        z = random.gamma(KEY, a)
        level = stats.gamma(a).cdf(z)
        step = 1e-5 * a
        moved = (stats.gamma(a + step).ppf(level) - stats.gamma(a - step).ppf(level)) / (2 * step)
        slope = tracer.jvp(lambda a: random.gamma(KEY, a), (a,), (1.0,))[1]
        assert slope == pytest.approx(moved, rel=1e-5)


def test_batches_of_keys_and_parameters():
    keys = random.split(KEY, 3)
    rates = np.array([0.5, 5.0, 50.0])
    got = tracer.vmap(lambda k, a: random.gamma(k, a, 4))(keys, rates)
    expected = np.stack([random.gamma(k, a, 4) for k, a in zip(keys, rates, strict=True)])
    np.testing.assert_allclose(got, expected, rtol=1e-12)
    assert random.poisson(KEY, rates).shape == (3,)


def test_float32():
    for draw in (random.normal, random.uniform, random.exponential, random.gumbel):
        sample = draw(KEY, 1000, np.float32)
        assert sample.dtype == np.float32
        assert np.isfinite(sample).all()
    unit = random.uniform(KEY, 100_000, np.float32)
    assert 0 <= unit.min() < unit.max() < 1


def test_multivariate_normal():
    cov = np.array([[2.0, 0.6], [0.6, 0.5]])
    sample = random.multivariate_normal(KEY, np.array([1.0, -1.0]), cov, N)
    np.testing.assert_allclose(sample.mean(0), [1, -1], atol=0.05)
    np.testing.assert_allclose(np.cov(sample.T), cov, atol=0.08)
    with pytest.raises(np.linalg.LinAlgError):
        random.multivariate_normal(KEY, np.zeros(2), -cov, 3)


def test_empty_shapes():
    assert random.normal(KEY, 0).shape == (0,)
    assert random.uniform(KEY, (3, 0)).shape == (3, 0)
    assert random.permutation(KEY, 0).shape == (0,)
    assert np.ndim(random.normal(KEY)) == 0


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda: random.normal(np.arange(2)), DTypeError, "a key is a uint32 array"),
        (lambda: random.normal(3), DTypeError, "a key is"),
        (lambda: random.key(1.5), DTypeError, "a seed is one integer"),
        (lambda: random.bits(KEY, 3, np.int32), DTypeError, "unsigned"),
        (lambda: random.normal(KEY, 3, np.float16), DTypeError, "float32 or float64"),
        (lambda: random.normal(KEY, -1), ShapeError, "negative dimensions"),
        (lambda: random.gamma(KEY, np.ones(3), (2,)), ShapeError, "do not broadcast"),
        (lambda: random.randint(KEY, 3, 5, 5), ValueError, "low < high"),
        (lambda: random.choice(KEY, 3, 4, replace=False), ValueError, "without replacement"),
        (lambda: random.choice(KEY, 3, 4, p=np.ones(2)), ShapeError, "one probability"),
        (lambda: random.categorical(KEY, 1.0), ShapeError, "an axis of categories"),
        (lambda: random.dirichlet(KEY, 1.0), ShapeError, "a vector"),
        (lambda: random.permutation(KEY, 1.5), ShapeError, "permutation takes"),
        (lambda: random.fold_in(KEY, 1.5), DTypeError, "one integer"),
        (lambda: random.randint(KEY, 3, 0, 5, float), DTypeError, "makes integers"),
    ],
)
def test_bad_input(call, error, said):
    with pytest.raises(error, match=said):
        call()
