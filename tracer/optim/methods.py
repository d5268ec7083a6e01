"""The first-order methods: gradient descent, momentum, Nesterov, Adam, AdamW, RMSProp, Adagrad."""

from __future__ import annotations

from typing import Any, NamedTuple

import tracer.numpy as tnp
from tracer import tree
from tracer.optim.updates import (
    Optimizer,
    Rate,
    add_decayed_weights,
    chain,
    first_count,
    scale_by_rate,
    scaled,
    squared,
    widened,
    zeros_like,
)


class AdamState(NamedTuple):
    """Steps made so far, and the running means of the gradient and of its square."""

    count: Any
    mean: Any
    square: Any


def gradient_descent(learning_rate: Rate) -> Optimizer:
    """x ← x − η g. The rate is a number, or a function of the count of steps."""
    return scale_by_rate(learning_rate)


def _trace(decay: float, nesterov: bool) -> Optimizer:
    def update(gradients: Any, velocity: Any, params: Any = None) -> tuple[Any, Any]:
        gradients = widened(gradients)
        new = tree.map(lambda old, leaf: scaled(decay, old) + leaf, velocity, gradients)
        if nesterov:
            return tree.map(lambda leaf, v: leaf + scaled(decay, v), gradients, new), new
        return new, new

    return Optimizer(zeros_like, update)


def momentum(learning_rate: Rate, decay: float = 0.9) -> Optimizer:
    """v ← β v + g, x ← x − η v (B. T. Polyak, 1964)."""
    return chain(_trace(decay, False), scale_by_rate(learning_rate))


def nesterov(learning_rate: Rate, decay: float = 0.9) -> Optimizer:
    """v ← β v + g, x ← x − η (g + β v), Nesterov's method as Sutskever et al. (2013) write it."""
    return chain(_trace(decay, True), scale_by_rate(learning_rate))


def _scale_by_adam(beta1: float, beta2: float, epsilon: float) -> Optimizer:
    def init(params: Any) -> Any:
        return AdamState(first_count(), zeros_like(params), real_zeros(params))

    def update(gradients: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        gradients = widened(gradients)
        count = state.count + 1
        mean = tree.map(
            lambda old, leaf: scaled(beta1, old) + scaled(1 - beta1, leaf), state.mean, gradients
        )
        square = tree.map(
            lambda old, leaf: scaled(beta2, old) + scaled(1 - beta2, squared(leaf)),
            state.square,
            gradients,
        )
        first = 1 / (1 - beta1**count)
        second = 1 / (1 - beta2**count)
        steps = tree.map(
            lambda m, v: scaled(first, m) / (tnp.sqrt(scaled(second, v)) + epsilon), mean, square
        )
        return steps, AdamState(count, mean, square)

    return Optimizer(init, update)


def real_zeros(params: Any) -> Any:
    """Zeros of the parameters' shapes, real also where those are complex."""
    return tree.map(squared, zeros_like(params))


def adam(
    learning_rate: Rate, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8
) -> Optimizer:
    """Adam (D. P. Kingma, J. Ba, 2015), with its corrections for the first steps."""
    return chain(_scale_by_adam(beta1, beta2, epsilon), scale_by_rate(learning_rate))


def adamw(
    learning_rate: Rate,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
    weight_decay: float = 1e-4,
) -> Optimizer:
    """Adam with the decay of weights outside the adaptation (I. Loshchilov, F. Hutter, 2019)."""
    return chain(
        _scale_by_adam(beta1, beta2, epsilon),
        add_decayed_weights(weight_decay),
        scale_by_rate(learning_rate),
    )


def _scaled_by_root(gradients: Any, square: Any, epsilon: float) -> Any:
    return tree.map(lambda leaf, v: leaf / (tnp.sqrt(v) + epsilon), gradients, square)


def rmsprop(learning_rate: Rate, decay: float = 0.9, epsilon: float = 1e-8) -> Optimizer:
    """v ← β v + (1 − β) g², x ← x − η g / (√v + ε) (T. Tieleman, G. Hinton, 2012)."""

    def update(gradients: Any, square: Any, params: Any = None) -> tuple[Any, Any]:
        gradients = widened(gradients)
        square = tree.map(
            lambda old, leaf: scaled(decay, old) + scaled(1 - decay, squared(leaf)),
            square,
            gradients,
        )
        return _scaled_by_root(gradients, square, epsilon), square

    return chain(Optimizer(real_zeros, update), scale_by_rate(learning_rate))


def adagrad(learning_rate: Rate, epsilon: float = 1e-8) -> Optimizer:
    """v ← v + g², x ← x − η g / (√v + ε) (J. Duchi, E. Hazan, Y. Singer, 2011)."""

    def update(gradients: Any, square: Any, params: Any = None) -> tuple[Any, Any]:
        gradients = widened(gradients)
        square = tree.map(lambda old, leaf: old + squared(leaf), square, gradients)
        return _scaled_by_root(gradients, square, epsilon), square

    return chain(Optimizer(real_zeros, update), scale_by_rate(learning_rate))
