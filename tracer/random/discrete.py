"""Discrete distributions, permutations and choices. Their samples have no derivative; `gumbel`
perturbation or `tracer.scipy.stats`' log-probabilities are the ways to one.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import tracer.numpy as tnp
from tracer.control import while_loop
from tracer.errors import DTypeError, ShapeError
from tracer.random.continuous import FLOAT64, gumbel, half_open_unit, open_unit, shape_of
from tracer.random.keys import Shape, as_shape, bits, fold_in, split
from tracer.scipy import special
from tracer.trace import type_of
from tracer.transforms.custom import stop_gradient


def bernoulli(key: Any, p: Any = 0.5, shape: Shape | None = None) -> Any:
    """True with probability p."""
    return half_open_unit(key, shape_of(shape, p), FLOAT64) < stop_gradient(p)


def rademacher(key: Any, shape: Shape = (), dtype: Any = np.int64) -> Any:
    """1 or −1, equally likely."""
    flag = bits(key, shape) >> np.uint64(63)
    return (2 * flag.astype(np.int64) - 1).astype(dtype)


def randint(key: Any, shape: Shape, low: Any, high: Any, dtype: Any = np.int64) -> Any:
    """Integers of [low, high), equally likely (but for 2⁻⁶⁴ of the range's length)."""
    wanted = np.dtype(dtype)
    if wanted.kind not in "iu":
        raise DTypeError(f"randint makes integers, not {wanted}")
    given = shape_of(shape, low, high)
    start = tnp.asarray(low).astype(np.int64)
    span = (tnp.asarray(high).astype(np.int64) - start).astype(np.uint64)
    if isinstance(low, int) and isinstance(high, int) and high <= low:
        raise ValueError(f"randint needs low < high, got {low} and {high}")
    offset = bits(key, given) % span
    return (start + offset.astype(np.int64)).astype(wanted)


def categorical(key: Any, logits: Any, axis: int = -1, shape: Shape | None = None) -> Any:
    """The index along `axis` of a category whose logarithmic weight is `logits`.

    The result has the shape of logits without that axis, or `shape`, whose end it must be.
    """
    kind = type_of(logits)
    if not kind.shape:
        raise ShapeError("categorical needs an axis of categories, logits is a number")
    moved = tnp.moveaxis(stop_gradient(tnp.asarray(logits)), axis, -1)
    lead = moved.shape[:-1]
    given = lead if shape is None else shape_of(shape, np.zeros(lead, bool))
    noise = gumbel(key, (*given, moved.shape[-1]))
    return (moved + noise).argmax(axis=-1)


def permutation(key: Any, x: Any, axis: int = 0) -> Any:
    """`arange(x)` for an integer x, or the array with its rows (along `axis`) in random order."""
    if isinstance(x, (int, np.integer)) and not isinstance(x, bool):
        return tnp.argsort(bits(key, int(x)), stable=True)
    length = type_of(x).shape[axis] if type_of(x).shape else None
    if length is None:
        raise ShapeError("permutation takes an integer or an array of at least one dimension")
    order = tnp.argsort(bits(key, length), stable=True)
    return tnp.take(x, order, axis=axis)


def choice(
    key: Any, a: Any, shape: Shape = (), replace: bool = True, p: Any = None, axis: int = 0
) -> Any:
    """Elements of `a` (or of `arange(a)`), with or without replacement, with probabilities `p`."""
    given = as_shape(shape)
    count = math.prod(given)
    items = tnp.arange(a) if isinstance(a, (int, np.integer)) else a
    length = type_of(items).shape[axis]
    if length == 0 and count:
        raise ValueError("choice from an empty array")
    if not replace and count > length:
        raise ValueError(f"{count} elements cannot be drawn from {length} without replacement")
    if p is not None and type_of(p).shape != (length,):
        raise ShapeError(
            f"choice needs one probability an element: ({length},), not {type_of(p).shape}"
        )
    if p is None:
        places = (
            randint(key, count, 0, length)
            if replace and count
            else tnp.argsort(bits(key, length), stable=True)[:count]
        )
    elif replace:
        places = categorical(key, tnp.log(tnp.asarray(p)), shape=(count,))
    else:
        # The largest of perturbed logarithms are a sample without replacement (T. Vieira, 2014).
        keys = tnp.log(stop_gradient(tnp.asarray(p))) + gumbel(key, length)
        places = tnp.argsort(-keys, stable=True)[:count]
    picked = tnp.take(items, places, axis=axis)
    lead = type_of(items).shape
    return picked.reshape(*lead[:axis], *given, *lead[axis + 1 :])


def poisson(key: Any, rate: Any, shape: Shape | None = None, dtype: Any = np.int64) -> Any:
    """The Poisson distribution of mean `rate`.

    Small rates by multiplying uniform numbers (D. Knuth), large ones by transformed rejection
    (W. Hörmann, "The transformed rejection method for generating Poisson random variables", 1993).
    """
    given = shape_of(shape, rate)
    wide = tnp.broadcast_to(stop_gradient(tnp.asarray(rate).astype(FLOAT64)), given)
    first, second = split(key)
    small = wide < 10
    few = _poisson_by_products(first, tnp.where(small, wide, 1.0))
    many = _poisson_by_rejection(second, tnp.where(small, 10.0, wide))
    return tnp.where(small, few, many).astype(dtype)


def _poisson_by_products(key: Any, rate: Any) -> Any:
    limit = tnp.exp(-rate)

    def pending(state: Any) -> Any:
        return (state[1] > limit).any()

    def multiply(state: Any) -> Any:
        count, product, turn = state
        running = product > limit
        product = product * open_unit(fold_in(key, turn), rate.shape, FLOAT64)
        return count + (running & (product > limit)), product, turn + 1

    start = (0.0 * rate, 1.0 + 0.0 * rate, np.int64(0))
    return while_loop(pending, multiply, start)[0]


def _poisson_by_rejection(key: Any, rate: Any) -> Any:
    b = 0.931 + 2.53 * tnp.sqrt(rate)
    a = -0.059 + 0.02483 * b
    inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
    quick = 0.9277 - 3.6224 / (b - 2)

    def pending(state: Any) -> Any:
        return ~state[1].all()

    def propose(state: Any) -> Any:
        value, accepted, turn = state
        first, second = split(fold_in(key, turn))
        u = open_unit(first, rate.shape, FLOAT64) - 0.5
        v = open_unit(second, rate.shape, FLOAT64)
        room = 0.5 - tnp.abs(u)
        k = tnp.floor((2 * a / room + b) * u + rate + 0.43)
        at_once = (room >= 0.07) & (v <= quick)
        safe = tnp.where(k < 0, 0.0, k)
        left = tnp.log(v * inverse_alpha / (a / (room * room) + b))
        right = safe * tnp.log(rate) - rate - special.gammaln(safe + 1)
        possible = (k >= 0) & ((room >= 0.013) | (v <= room))
        fits = (at_once | (possible & (left <= right))) & ~accepted
        return tnp.where(fits, k, value), accepted | fits, turn + 1

    return while_loop(pending, propose, (0.0 * rate, rate != rate, np.int64(0)))[0]


def geometric(key: Any, p: Any, shape: Shape | None = None, dtype: Any = np.int64) -> Any:
    """The number of trials up to the first success: 1, 2, 3 …"""
    unit = open_unit(key, shape_of(shape, p), FLOAT64)
    return (tnp.floor(tnp.log(unit) / tnp.log1p(-stop_gradient(tnp.asarray(p)))) + 1).astype(dtype)


def binomial(key: Any, n: Any, p: Any, shape: Shape | None = None, dtype: Any = np.int64) -> Any:
    """Successes in n trials of probability p, by the waiting times between them (L. Devroye, "Non-
    Uniform Random Variate Generation", 1986, X.4.3): in time of about n · min(p, 1 − p).
    """
    given = shape_of(shape, n, p)
    trials = tnp.broadcast_to(tnp.asarray(n).astype(FLOAT64), given)
    chance = tnp.broadcast_to(stop_gradient(tnp.asarray(p).astype(FLOAT64)), given)
    rare = tnp.minimum(chance, 1 - chance)
    slope = tnp.log1p(-rare)
    never = slope == 0

    def pending(state: Any) -> Any:
        return (state[1] <= trials).any()

    def wait(state: Any) -> Any:
        count, place, turn = state
        unit = open_unit(fold_in(key, turn), given, FLOAT64)
        step = tnp.floor(tnp.log(unit) / tnp.where(never, -1.0, slope)) + 1
        place = tnp.where(never, trials + 1, place + step)
        return count + (place <= trials), place, turn + 1

    count = while_loop(pending, wait, (0.0 * trials, 0.0 * trials, np.int64(0)))[0]
    return tnp.where(chance > 0.5, trials - count, count).astype(dtype)
