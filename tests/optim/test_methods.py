"""The first-order methods against their formulas, written out with NumPy."""

from __future__ import annotations

import numpy as np
import pytest

import tracer
from tracer import optim
from tracer.errors import NotAnArrayError

TARGET = np.array([1.0, -2.0, 0.5])


def loss(params):
    return 0.5 * ((params["w"] - TARGET) ** 2).sum() + 0.25 * params["b"] ** 4


def start(dtype=np.float64):
    return {"w": np.array([0.0, 1.0, 2.0], dtype), "b": np.asarray(1.5, dtype)}


def run(optimizer, steps=7, jitted=False):
    slope = tracer.grad(loss)

    def step(params, state):
        updates, state = optimizer.update(slope(params), state, params)
        return optim.apply_updates(params, updates), state

    if jitted:
        step = tracer.jit(step)
    params = start()
    state = optimizer.init(params)
    for _ in range(steps):
        params, state = step(params, state)
    return params


class Written:
    """Each method for one array, as its paper states it."""

    @staticmethod
    def gradient_descent(x, g, s, t):
        return x - 0.1 * g, s

    @staticmethod
    def momentum(x, g, s, t):
        v = 0.9 * s.get("v", 0) + g
        return x - 0.1 * v, {"v": v}

    @staticmethod
    def nesterov(x, g, s, t):
        v = 0.9 * s.get("v", 0) + g
        return x - 0.1 * (g + 0.9 * v), {"v": v}

    @staticmethod
    def adam(x, g, s, t):
        m = 0.9 * s.get("m", 0) + 0.1 * g
        v = 0.999 * s.get("v", 0) + 0.001 * g * g
        step = (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        return x - 0.1 * step, {"m": m, "v": v}

    @staticmethod
    def adamw(x, g, s, t):
        new, s = Written.adam(x, g, s, t)
        return new - 0.1 * 1e-4 * x, s

    @staticmethod
    def rmsprop(x, g, s, t):
        v = 0.9 * s.get("v", 0) + 0.1 * g * g
        return x - 0.1 * g / (np.sqrt(v) + 1e-8), {"v": v}

    @staticmethod
    def adagrad(x, g, s, t):
        v = s.get("v", 0) + g * g
        return x - 0.1 * g / (np.sqrt(v) + 1e-8), {"v": v}


NAMES = ["gradient_descent", "momentum", "nesterov", "adam", "adamw", "rmsprop", "adagrad"]


@pytest.mark.parametrize("jitted", [False, True], ids=["eager", "jit"])
@pytest.mark.parametrize("name", NAMES)
def test_the_formula(name, jitted):
    got = run(getattr(optim, name)(0.1), jitted=jitted)
    formula = getattr(Written, name)
    for leaf, gradient in (("w", lambda x: x - TARGET), ("b", lambda x: x**3)):
        x, state = start()[leaf], {}
        for turn in range(1, 8):
            x, state = formula(x, gradient(x), state, turn)
        np.testing.assert_allclose(got[leaf], x, rtol=1e-12, err_msg=f"{name} of {leaf}")


@pytest.mark.parametrize("dtype", [np.float32, np.complex64, np.complex128])
@pytest.mark.parametrize("name", NAMES)
def test_dtypes_are_kept_and_a_scan_carries_the_state(name, dtype):
    optimizer = getattr(optim, name)(optim.schedules.exponential_decay(0.05, 0.9))
    params = {"a": np.array([1.0, -1.0], dtype)}

    def step(carry, _):
        params, state = carry
        updates, state = optimizer.update(params, state, params)
        return (optim.apply_updates(params, updates), state), None

    def many(params, state):
        return tracer.scan(step, (params, state), None, length=30)[0][0]

    got = tracer.jit(many)(params, optimizer.init(params))["a"]
    assert got.dtype == dtype
    assert (abs(got) < 0.9).all(), f"{name} does not descend: {got}"


def test_clipping():
    gradients = {"a": np.array([3.0, 0.0], np.float32), "b": np.array(-4.0)}
    whole, _ = optim.clip_by_global_norm(1.0).update(gradients, ())
    np.testing.assert_allclose(whole["a"], [0.6, 0.0], rtol=1e-6)
    np.testing.assert_allclose(whole["b"], -0.8)
    assert whole["a"].dtype == np.float32
    short, _ = optim.clip_by_global_norm(10.0).update(gradients, ())
    np.testing.assert_array_equal(short["a"], gradients["a"])
    entries, _ = optim.clip(2.0).update(gradients, ())
    np.testing.assert_array_equal(entries["a"], [2.0, 0.0])
    np.testing.assert_array_equal(entries["b"], -2.0)
    assert optim.global_norm(gradients) == 5.0


def test_clipping_a_zero_gradient_has_a_derivative():
    optimizer = optim.clip_by_global_norm(1.0)
    slope = tracer.grad(lambda g: optimizer.update(g, ())[0].sum())(np.zeros(3))
    assert np.isfinite(slope).all()


def test_weight_decay_without_parameters_says_so():
    optimizer = optim.adamw(0.1)
    with pytest.raises(NotAnArrayError, match="needs the parameters"):
        optimizer.update(np.ones(2), optimizer.init(np.ones(2)))


def test_schedules():
    s = optim.schedules
    counts = np.arange(12)

    def table(schedule):
        return np.array([float(schedule(count)) for count in counts])

    np.testing.assert_allclose(table(s.constant(0.3)), 0.3)
    np.testing.assert_allclose(table(s.linear(1, 0, 10)), np.maximum(1 - counts / 10, 0))
    np.testing.assert_allclose(table(s.exponential_decay(2.0, 0.5, 2)), 2 * 0.5 ** (counts / 2))
    cosine = 0.5 * (1 + np.cos(np.pi * np.minimum(counts / 8, 1)))
    np.testing.assert_allclose(table(s.cosine_decay(1.0, 8)), cosine, atol=1e-15)
    np.testing.assert_array_equal(
        table(s.piecewise_constant([3, 2, 1], [4, 9])), [3] * 4 + [2] * 5 + [1] * 3
    )
    warm = table(s.warmup_cosine(1.0, 4, 10))
    np.testing.assert_allclose(warm[:5], [0, 0.25, 0.5, 0.75, 1])
    assert (np.diff(warm[4:11]) < 0).all()
    assert abs(warm[10]) < 1e-15
    compiled = tracer.jit(s.warmup_cosine(1.0, 4, 10))
    np.testing.assert_allclose([compiled(count) for count in counts], warm, atol=1e-15)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: optim.schedules.piecewise_constant([1.0], [3]),
        lambda: optim.schedules.warmup_cosine(1.0, 5, 5),
        lambda: optim.schedules.linear(1, 0, 0)(3),
    ],
)
def test_wrong_schedules(wrong):
    with pytest.raises(ValueError, match="needs"):
        wrong()
