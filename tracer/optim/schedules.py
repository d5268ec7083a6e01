"""Learning rates that change: functions of the count of steps, which may be traced."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import tracer.numpy as tnp
from tracer.optim.updates import Schedule


def constant(value: float) -> Schedule:
    """The same rate at every step."""
    return lambda count: value


def linear(start: float, end: float, steps: int) -> Schedule:
    """From `start` to `end` in `steps` steps, then `end`."""
    return lambda count: start + (end - start) * _share(count, steps)


def exponential_decay(start: float, factor: float, steps: int = 1) -> Schedule:
    """`start * factor ** (count / steps)`."""
    return lambda count: start * factor ** (count / steps)


def cosine_decay(start: float, steps: int, end: float = 0.0) -> Schedule:
    """Half a cosine from `start` to `end` in `steps` steps, then `end`."""
    return lambda count: end + (start - end) * 0.5 * (1 + tnp.cos(np.pi * _share(count, steps)))


def warmup_cosine(peak: float, warmup: int, steps: int, end: float = 0.0) -> Schedule:
    """From 0 to `peak` in `warmup` steps, then half a cosine to `end` at step `steps`."""
    if not 0 < warmup < steps:
        raise ValueError(f"warmup_cosine needs 0 < warmup < steps, got {warmup} and {steps}")
    decay = cosine_decay(peak, steps - warmup, end)
    return lambda count: tnp.where(
        count < warmup, peak * _share(count, warmup), decay(tnp.maximum(count - warmup, 0))
    )


def piecewise_constant(values: Sequence[float], boundaries: Sequence[int]) -> Schedule:
    """`values[k]`, where k boundaries have been reached: one value more than boundaries."""
    if len(values) != len(boundaries) + 1:
        raise ValueError(
            f"piecewise_constant needs one value more than boundaries, "
            f"got {len(values)} and {len(boundaries)}"
        )

    def rate(count: Any) -> Any:
        result: Any = values[0]
        for value, boundary in zip(values[1:], boundaries, strict=True):
            result = tnp.where(count >= boundary, value, result)
        return result

    return rate


def _share(count: Any, steps: int) -> Any:
    """How much of `steps` is done, at most 1."""
    if steps < 1:
        raise ValueError(f"a schedule needs at least one step, got {steps}")
    return tnp.minimum(count / steps, 1.0)
