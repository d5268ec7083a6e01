"""Programs as users of NumPy write them, with inputs, some of them by transforms of functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import tracer
from tracer import random


class Program(NamedTuple):
    """A function, what it is called with, and whether its gradient is compared, too."""

    function: Callable[..., Any]
    inputs: tuple[Any, ...]
    smooth: bool = True


PROGRAMS: dict[str, Program] = {}
RNG = np.random.default_rng(11)


def on(*inputs: Any, smooth: bool = True) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add a function to the programs."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        PROGRAMS[function.__name__] = Program(function, inputs, smooth)
        return function

    return register


VECTOR = RNG.normal(size=7)
MATRIX = RNG.normal(size=(4, 5))
SQUARE = RNG.normal(size=(4, 4)) + 4.0 * np.eye(4)
PLACES = np.array([3, 0, 3, 5, 1])


@on(VECTOR, 0.7)
def updates_in_place(x: Any, rate: float) -> Any:
    y = x.copy()
    y[1:] += rate * x[:-1]
    y[::2] *= 2.0
    y[-3:] -= y[:3]
    y[2] = y[2] ** 2
    return y


@on(MATRIX, VECTOR)
def slices_and_steps(a: Any, v: Any) -> Any:
    return a[1:, ::-2] @ v[:3], a[..., None, 2], a[:, [0, 3]].T, v[::-1][2:5]


@on(VECTOR, PLACES)
def fancy_indices_twice_the_same(x: Any, places: Any) -> Any:
    y = np.zeros(6) + x[:6]
    np.add.at(y, places, x[places] * 2.0)
    z = x * 1.0
    z[places[:3]] = 5.0 * x[1]
    return y, z, x[places][:, None] * x[None, places]


@on(MATRIX)
def where_and_masks(a: Any) -> Any:
    b = np.where(a > 0, np.sqrt(np.abs(a)), a * 3.0)
    b[b > 1.0] = 1.0
    c = np.clip(a, -0.5, 0.5)
    return b, c * (a < 0), np.sum(a, where=a > 0), np.count_nonzero(a > 0.1)


@on(RNG.permutation(9) * 1.0, MATRIX)
def sorting(x: Any, a: Any) -> Any:
    order = np.argsort(-x)
    return np.sort(x), x[order] * np.arange(9.0), np.sort(a, axis=0), np.median(a, axis=1)


@on(VECTOR, MATRIX)
def running_sums(x: Any, a: Any) -> Any:
    return np.cumsum(x), np.cumsum(a, axis=0), np.cumprod(x[:4]), np.diff(np.cumsum(a, axis=1))


@on(RNG.normal(size=(3, 4)), RNG.normal(size=(4, 2, 3)), RNG.normal(size=(2,)))
def sums_of_products(a: Any, b: Any, c: Any) -> Any:
    return np.einsum("ij,jkl,k->il", a, b, c), np.einsum("ij,ij->i", a, a), np.tensordot(a, b, 1)


@on(3.7)
def newton_with_break(a: float) -> Any:
    x = a * 1.0
    count = 0
    while True:
        new = 0.5 * (x + a / x)
        count += 1
        if abs(new - x) < 1e-12 or count > 50:
            break
        x = new
    return x, count


@on(RNG.uniform(0.5, 2.0, 5), 1.3)
def loop_with_continue(x: Any, limit: float) -> Any:
    total = 0.0
    for k in range(5):
        if x[k] > limit:
            continue
        total = total + x[k] * k
        if total > 4.0:
            return total * 2.0
    return total


@on(RNG.uniform(0.2, 0.9, (3, 2)))
def whiles_of_data_in_a_scan(rows: Any) -> Any:
    """Each step's inner loop runs as often as its data say: tapes of tapes in reverse mode."""

    def step(carry: Any, row: Any) -> Any:
        grown = tracer.while_loop(lambda v: np.sum(v) < 3.0, lambda v: v * 1.6 + row, carry * 0.3)
        return np.tanh(grown), grown[0] * row[1]

    return tracer.scan(step, np.ones(2), rows)


@on(RNG.uniform(0.2, 0.9, (2, 3)))
def scans_of_scans(a: Any) -> Any:
    def inner(c: Any, x: Any) -> Any:
        c = np.where(c > 1.0, c * 0.5, c + x)
        return c, np.sin(c)

    def outer(c: Any, row: Any) -> Any:
        c, ys = tracer.scan(inner, c, row)
        count = tracer.while_loop(lambda n: n * 0.3 < c, lambda n: n + 1, 0)
        return c * 0.9, np.sum(ys) * count

    return tracer.scan(outer, 0.1, a)


@on(SQUARE, RNG.normal(size=4))
def solving_in_a_loop(a: Any, b: Any) -> Any:
    x = b
    for _ in range(3):
        x = np.linalg.solve(a, x + b)
    return x, np.linalg.norm(a @ x - b)


@on(SQUARE)
def decompositions(a: Any) -> Any:
    s = a @ a.T
    factor = np.linalg.cholesky(s)
    values, vectors = np.linalg.eigh(s)
    return factor, values, np.abs(vectors), np.linalg.det(a), np.linalg.inv(a)


@on(np.array([0.3, 1.1]), 5)
def random_walk(start: Any, seed: int) -> Any:
    key = random.key(seed)

    def step(carry: Any, index: Any) -> Any:
        noise = random.normal(random.fold_in(key, index), (2,))
        return carry * 0.9 + 0.1 * noise * carry, noise[0]

    return tracer.scan(step, start, np.arange(4))


@on(RNG.normal(size=4) + 1j * RNG.normal(size=4), smooth=False)
def complex_numbers(z: Any) -> Any:
    w = np.exp(1j * z.real) * z.conj()
    return w, np.abs(w) ** 2, np.angle(z), np.fft.fft(z), (z * w).sum(), np.sqrt(z), z**3


@on(np.array([7, -8, 3, -1, 12], np.int32), np.array([2, 3, -2, 5, 7], np.int32), smooth=False)
def integers(a: Any, b: Any) -> Any:
    return a // b, a % b, a << 2, a ^ b, np.gcd(a, b), a / b, (a * b).astype(np.int8), a.sum()


@on(RNG.random((3, 4)) < 0.5, smooth=False)
def booleans(mask: Any) -> Any:
    every = mask.all(axis=0), mask.any(axis=1), ~mask & mask[::-1], mask.sum(), mask.argmax(axis=1)
    return *every, np.logical_xor.reduce(mask, axis=0), mask * 2.5, np.cumsum(mask, axis=1)


@on(np.zeros((0, 3)), np.zeros(0))
def empty_arrays(a: Any, b: Any) -> Any:
    return a.sum(axis=0), a @ np.ones(3), np.concatenate([b, np.ones(2)]), b.sum(), np.cumsum(b)


@on(np.array(1.7), 2.5, np.array(0.3))
def scalars(x: Any, y: float, z: Any) -> Any:
    return x * y, np.maximum(x, z), x[()] + 1.0, np.stack([x, z]) / y, z.reshape(1, 1)


@on(RNG.normal(size=(4, 5)).astype(np.float32), np.float32(0.3))
def single_precision(a: Any, b: Any) -> Any:
    c = (a - a.mean(axis=0)) / np.sqrt(a.var(axis=0) + b)
    return c, np.exp(-a * a).sum(), a @ c.T, a.astype(np.float64) * 2


@on(RNG.normal(size=(3, 1, 2)), RNG.normal(size=(4, 1)), RNG.normal(size=2))
def broadcasting(a: Any, b: Any, c: Any) -> Any:
    return a * b + c, (a - b).max(axis=(0, 2)), np.broadcast_to(c, (3, 2)) * a[:, 0]


@on(RNG.normal(size=(3, 4)), RNG.normal(size=4))
def gradients_of_lanes(rows: Any, w: Any) -> Any:
    def loss(w: Any, x: Any) -> Any:
        return np.log1p(np.exp(-np.dot(w, x))) + 0.1 * np.sum(w**2)

    return tracer.vmap(tracer.grad(loss), in_axes=(None, 0))(w, rows)


@on(np.array([0.6, -0.4, 1.1]))
def curvature(x: Any) -> Any:
    def f(x: Any) -> Any:
        return np.sum(np.sin(x[1:] * x[:-1])) + np.prod(x)

    return tracer.hessian(f)(x), tracer.jacobian(lambda x: np.outer(x, x)[0] * x)(x)


@on(np.array([0.6, -0.4]), np.array([1.0, 0.5]))
def tangent_of_a_scan(x: Any, v: Any) -> Any:
    def f(x: Any) -> Any:
        return tracer.scan(lambda c, k: (np.sin(c) * x + k, c[0]), x, np.arange(4.0))

    return tracer.jvp(f, (x,), (v,))


@on(RNG.normal(size=6), RNG.normal(size=3))
def convolution(x: Any, kernel: Any) -> Any:
    windows = np.lib.stride_tricks.sliding_window_view(x, 3)
    return np.convolve(x, kernel, "same"), windows @ kernel, np.roll(x, 2) - x, np.pad(x, (1, 2))


@on(RNG.normal(size=(5, 3)), np.array([0, 1, 1, 0, 2]))
def k_means_step(points: Any, labels: Any) -> Any:
    sums = np.zeros((3, 3))
    np.add.at(sums, labels, points)
    counts = np.sum(labels[:, None] == np.arange(3), axis=0)
    centres = sums / np.maximum(counts, 1)[:, None]
    distance = ((points[:, None] - centres) ** 2).sum(-1)
    return centres, distance.min(axis=1), np.argmin(distance, axis=1)


@on(RNG.normal(size=(4, 4)))
def game_on_a_grid(u: Any) -> Any:
    for _ in range(3):
        u[1:-1, 1:-1] = 0.25 * (u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:])
    return u


@on(RNG.normal(size=5), 3)
def powers_by_squaring(x: Any, n: int) -> Any:
    result, base = np.ones(5), x
    while n > 0:
        if n % 2 == 1:
            result = result * base
        base = base * base
        n = n // 2
    return result


@on(RNG.normal(size=(3, 5)))
def softmax_and_entropy(logits: Any) -> Any:
    shifted = logits - logits.max(axis=-1, keepdims=True)
    p = np.exp(shifted) / np.exp(shifted).sum(axis=-1, keepdims=True)
    return p, -(p * np.log(p)).sum(axis=-1), np.argmax(p, axis=-1)


@on(RNG.uniform(-2, 2, 5), np.array([-1.0, 0.0, 1.0]), np.array([2.0, -1.0, 0.5]))
def tables(x: Any, xs: Any, ys: Any) -> Any:
    return np.interp(x, xs, ys), np.searchsorted(xs, x), np.polyval(ys, x)


@on({"w": RNG.normal(size=(3, 2)), "b": np.zeros(2)}, RNG.normal(size=(4, 3)))
def perceptron_of_a_dict(p: Any, x: Any) -> Any:
    h = np.maximum(x @ p["w"] + p["b"], 0.0)
    return {"hidden": h, "loss": np.mean((h.sum(axis=1) - 1.0) ** 2)}


@on(np.array([2.0, -1.0, 0.5]))
def fixed_point_under_cond(x: Any) -> Any:
    def grow(y: Any) -> Any:
        return tracer.while_loop(lambda z: np.max(z) < 10.0, lambda z: z * 1.5 + 0.1, np.abs(y))

    return tracer.cond(x[0] > 1.0, grow, lambda y: y * 2.0, x), tracer.cond(
        x[1] > 1.0, grow, lambda y: y * 2.0, x
    )


@on(RNG.normal(size=(2, 3)))
def batch_of_whiles(a: Any) -> Any:
    def one(row: Any) -> Any:
        return tracer.while_loop(lambda v: np.sum(v * v) < 20.0, lambda v: v * 1.4, row)

    return tracer.vmap(one)(a)


@on(np.linspace(0.1, 1.0, 6))
def checkpointed_steps(x: Any) -> Any:
    step = tracer.checkpoint(lambda c: np.tanh(c * 1.3 + x) * c)
    return tracer.fori_loop(0, 3, lambda _, c: step(c), x)


@on(RNG.normal(size=5))
def extremes(x: Any) -> Any:
    top = np.partition(x, 2)[:2].sum()
    return x.max() - x.min(), np.ptp(x), top, np.maximum.accumulate(x), np.quantile(x, 0.3)


LONG = RNG.uniform(0.2, 0.9, 12)


@on(np.diag(np.linspace(1.0, 3.0, 11)) + 0.1, RNG.normal(size=11))
def conjugate_gradients(a: Any, b: Any) -> Any:
    def step(state: Any) -> Any:
        x, r, p, count = state
        ap = a @ p
        alpha = (r @ r) / (p @ ap)
        following = r - alpha * ap
        beta = (following @ following) / (r @ r)
        return x + alpha * p, following, following + beta * p, count + 1

    start = (np.zeros(11), b, b, 0)
    x, *_, count = tracer.while_loop(lambda s: (s[1] @ s[1] > 1e-12) & (s[3] < 4), step, start)
    return x, count


@on(LONG)
def long_whiles_in_a_scan(x: Any) -> Any:
    def step(carry: Any, rate: Any) -> Any:
        grown = tracer.while_loop(
            lambda v: np.sum(v) < 14.0, lambda v: np.sort(v) * 1.5 + rate * x, carry * 0.4
        )
        return np.tanh(np.cumsum(grown) * 0.2), grown[::5]

    return tracer.scan(step, x, np.array([0.2, 0.7, 0.1]))


@on(LONG)
def branches_in_a_long_while(x: Any) -> Any:
    def step(state: Any) -> Any:
        y, k = state
        y = tracer.cond(k % 2 == 0, lambda v: v * 1.3, lambda v: np.roll(v, 1) + x[:1], y)
        return y, k + 1

    return tracer.while_loop(lambda s: np.max(s[0]) < 3.0, step, (x, 0))


@on(LONG, np.array([4, 0, 11, 4, 7, 7, 2, 9, 4, 1]))
def long_updates_in_a_loop(x: Any, places: Any) -> Any:
    y = x * 1.0
    for k in range(3):
        np.add.at(y, places, x[:10] * (k + 1.0))
        y[places[k]] *= 0.5
        y = y / np.sqrt(np.sum(y * y))
    return y


@on(RNG.normal(size=(3, 10)))
def batch_of_long_whiles(a: Any) -> Any:
    def one(row: Any) -> Any:
        return tracer.while_loop(lambda v: v @ v < 40.0, lambda v: v * 1.4 + row[::-1] * 0.1, row)

    return tracer.vmap(one)(a)


@on(RNG.normal(size=(2, 3, 10)))
def normalised_rows(a: Any) -> Any:
    mean = a.mean(axis=-1, keepdims=True)
    scaled = (a - mean) / np.sqrt(a.var(axis=-1, keepdims=True) + 1e-5)
    return scaled, scaled.transpose(2, 0, 1).reshape(10, 6) @ np.ones(6), np.cumsum(a, axis=1)


@on(LONG)
def loop_as_long_as_data_say(x: Any) -> Any:
    y, k = x, 0
    while np.sum(y) < 30.0:
        y = y * 1.2 + x[k % 12]
        if np.max(y) > 6.0:
            break
        k = k + 1
    return y, k


@on(LONG, 9)
def recurrences_over_an_array(x: Any, n: int) -> Any:
    y = np.zeros(12)
    y[0] = x[0]
    for k in range(1, n):
        y[k] = 0.5 * y[k - 1] + x[k] * y[k // 2]
    return y, np.maximum.accumulate(y)
