"""What an optimiser is: two pure functions on pytrees, `init` and `update`.

`init(params)` gives the state; `update(gradients, state, params)` gives the steps to add to the
parameters, and the next state. States are pytrees of arrays of fixed types, so that they can be the
carry of a `scan` or an argument of a jitted function.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import tracer.numpy as tnp
from tracer import tree
from tracer.errors import NotAnArrayError
from tracer.trace import type_of
from tracer.types import FLOAT32, is_brain, real_dtype

Schedule = Callable[[Any], Any]
Rate = float | Schedule


class Optimizer(NamedTuple):
    """A pair of pure functions.

    `init(params)` → state. `update(gradients, state, params=None)` → (steps, state), where steps
    has the structure, shapes and dtypes of the gradients; `apply_updates` adds them. Of bfloat16,
    in which sums of small steps stand still, steps and states are float32.
    """

    init: Callable[[Any], Any]
    update: Callable[..., tuple[Any, Any]]


def apply_updates(params: Any, updates: Any) -> Any:
    """`params + updates`, leaf by leaf, in the dtypes of the parameters."""
    return tree.map(lambda param, step: in_dtype_of(param, param + step), params, updates)


def in_dtype_of(like: Any, value: Any) -> Any:
    """`value` in the dtype of `like`, which may be a Python number."""
    wanted = type_of(like).dtype
    return value if type_of(value).dtype == wanted else tnp.asarray(value).astype(wanted)


def scaled(factor: Any, array: Any) -> Any:
    """`factor * array` in the array's dtype: float32 stays float32 whatever the factor's."""
    if isinstance(factor, (int, float)):
        return factor * array
    return tnp.asarray(factor).astype(real_dtype(type_of(array).dtype)) * array


def zeros_like(params: Any) -> Any:
    """A pytree of zeros, of the parameters' shapes and dtypes; float32 for bfloat16."""

    def zero(leaf: Any) -> Any:
        kind = type_of(leaf)
        return np.zeros(kind.shape, FLOAT32 if is_brain(kind.dtype) else kind.dtype)

    return tree.map(zero, params)


def widened(gradients: Any) -> Any:
    """The gradients, those of bfloat16 as float32."""
    return tree.map(
        lambda leaf: leaf.astype(FLOAT32) if is_brain(type_of(leaf).dtype) else leaf, gradients
    )


def squared(gradient: Any) -> Any:
    """|g|², real also where g is complex."""
    if type_of(gradient).dtype.kind == "c":
        return gradient.real * gradient.real + gradient.imag * gradient.imag
    return gradient * gradient


def first_count() -> Any:
    """The number of steps made so far: an int64 scalar array."""
    return np.zeros((), np.int64)


def rate_at(rate: Rate, count: Any) -> Any:
    """The learning rate of step `count`."""
    return rate(count) if callable(rate) else rate


def stateless(update: Callable[[Any, Any], Any]) -> Optimizer:
    """The optimiser of a function (gradients, params) → steps that needs no state."""
    return Optimizer(
        lambda params: (),
        lambda gradients, state, params=None: (update(widened(gradients), params), state),
    )


def chain(*parts: Optimizer) -> Optimizer:
    """One optimiser after the other: the steps of one are the gradients of the next."""

    def init(params: Any) -> Any:
        return tuple(part.init(params) for part in parts)

    def update(gradients: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        states = []
        for part, own in zip(parts, state, strict=True):
            gradients, new = part.update(gradients, own, params)
            states.append(new)
        return gradients, tuple(states)

    return Optimizer(init, update)


def scale(factor: float) -> Optimizer:
    """Multiplies by a constant."""
    return stateless(
        lambda gradients, params: tree.map(lambda leaf: scaled(factor, leaf), gradients)
    )


def scale_by_rate(rate: Rate) -> Optimizer:
    """Multiplies by −rate, where rate is a number or a function of the count of steps."""

    def init(params: Any) -> Any:
        return first_count()

    def update(gradients: Any, count: Any, params: Any = None) -> tuple[Any, Any]:
        now = rate_at(rate, count)
        return tree.map(lambda leaf: -scaled(now, leaf), widened(gradients)), count + 1

    return Optimizer(init, update)


def add_decayed_weights(decay: float) -> Optimizer:
    """Adds `decay * params` to the gradients; `update` then needs the parameters."""

    def update(gradients: Any, params: Any) -> Any:
        if params is None:
            raise NotAnArrayError(
                "weight decay needs the parameters: write update(gradients, state, params)"
            )
        return tree.map(
            lambda leaf, param: leaf + in_dtype_of(leaf, scaled(decay, param)), gradients, params
        )

    return stateless(update)


def global_norm(values: Any) -> Any:
    """The Euclidean norm of all leaves together."""
    leaves = tree.leaves(values)
    if not leaves:
        return np.float64(0)
    total: Any = None
    for leaf in leaves:
        part = tnp.sum(squared(leaf))
        total = part if total is None else total + part
    return tnp.sqrt(total)


def clip_by_global_norm(limit: float) -> Optimizer:
    """Scales the gradients down where their common norm exceeds `limit`, keeping the direction."""

    def update(gradients: Any, params: Any) -> Any:
        norm = global_norm(gradients)
        factor = tnp.where(norm > limit, limit / tnp.where(norm > limit, norm, 1.0), 1.0)
        return tree.map(lambda leaf: scaled(factor, leaf), gradients)

    return stateless(update)


def clip(limit: float) -> Optimizer:
    """Clips each entry of the gradients to [−limit, limit]."""
    return stateless(
        lambda gradients, params: tree.map(
            lambda leaf: in_dtype_of(leaf, tnp.clip(leaf, -limit, limit)), gradients
        )
    )
