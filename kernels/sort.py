"""Stable sorts along the last axis, NaN last; on the CPU sorts are loops.

The parameters are `wanted`, which results there are: "keys", the elements in order, "order", where
each stood, or both; `order`, the name of the dtype of those places; `bits`, 0 or how many bits hold
any of the keys, none of which is negative then; `parts`, pairs of places in ascending order: of
each sorted row only what lies from one to before the other is in the results, part behind part; and
`run`, 0 or how many keys are sorted by themselves, one run after the other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from kernels.registry import Array, ArraySpec, Kernel, Params

KINDS = "biufV"
"""Of dtypes; V is bfloat16's."""


def result_spec(operands: tuple[ArraySpec, ...], params: Params) -> tuple[ArraySpec, ...]:
    """The dtypes and shapes of what is wanted."""
    if len(operands) != 1 or not operands[0].shape:
        raise ValueError("a sort has one operand, of one axis at least")
    ((dtype, shape),) = operands
    values: Any = params
    wanted, parts = values["wanted"], values["parts"]
    if dtype.kind not in KINDS:
        raise TypeError(f"no sort of {dtype}")
    bounds = [bound for part in parts for bound in part]
    ascending = all(first < last for first, last in parts) and bounds == sorted(bounds)
    if not parts or not ascending or bounds[0] < 0 or bounds[-1] > shape[-1]:
        raise ValueError(f"no parts {parts} in rows of {shape[-1]}")
    shape = (*shape[:-1], sum(last - first for first, last in parts))
    specs = {"keys": ArraySpec(dtype, shape), "order": ArraySpec(np.dtype(values["order"]), shape)}
    return tuple([specs[name] for name in wanted])


def evaluate(operands: tuple[Array, ...], params: Params) -> tuple[Array, ...]:
    """NumPy's stable sort."""
    values: Any = params
    places = np.concatenate([np.arange(*part) for part in values["parts"]])
    (keys,), length = operands, operands[0].shape[-1]
    run = values["run"] or length
    runs = [
        np.argsort(keys[..., start : start + run], axis=-1, kind="stable") + start
        for start in range(0, length, run)
    ]
    order = np.concatenate(runs, axis=-1)[..., places]
    found = {
        "keys": np.take_along_axis(keys, order, -1),
        "order": order.astype(values["order"]),
    }
    return tuple([found[name] for name in values["wanted"]])


def no_form(operands: tuple[ArraySpec, ...], params: Params) -> Callable[..., None]:
    """None on a CPU: lowering for it makes loops."""
    raise ValueError("sorts are kernels on devices only")


KERNEL = Kernel("sort", result_spec, evaluate, no_form)
