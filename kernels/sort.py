"""Stable sorts along the last axis, NaN last; on the CPU sorts are loops.

The parameters are `wanted`, which results there are: "keys", the elements in order, "order", where
each stood, or both; `order`, the name of the dtype of those places; `bits`, 0 or how many bits hold
any of the keys, none of which is negative then; and `first` and `last`: of each sorted row only the
places from `first` to before `last` are results.
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
    wanted, first, last = values["wanted"], values["first"], values["last"]
    if dtype.kind not in KINDS:
        raise TypeError(f"no sort of {dtype}")
    if not 0 <= first < last <= shape[-1]:
        raise ValueError(f"no places from {first} to {last} in rows of {shape[-1]}")
    shape = (*shape[:-1], last - first)
    specs = {"keys": ArraySpec(dtype, shape), "order": ArraySpec(np.dtype(values["order"]), shape)}
    return tuple([specs[name] for name in wanted])


def evaluate(operands: tuple[Array, ...], params: Params) -> tuple[Array, ...]:
    """NumPy's stable sort."""
    values: Any = params
    part = slice(values["first"], values["last"])
    order = np.argsort(operands[0], axis=-1, kind="stable")[..., part]
    found = {
        "keys": np.take_along_axis(operands[0], order, -1),
        "order": order.astype(values["order"]),
    }
    return tuple([found[name] for name in values["wanted"]])


def no_form(operands: tuple[ArraySpec, ...], params: Params) -> Callable[..., None]:
    """None on a CPU: lowering for it makes loops."""
    raise ValueError("sorts are kernels on devices only")


KERNEL = Kernel("sort", result_spec, evaluate, no_form)
