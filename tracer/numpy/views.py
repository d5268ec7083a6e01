"""Views, and writing to a traced array, which gets a new variable."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tracer.primitives.shape import slice_update
from tracer.trace import Tracer

Read = Callable[[Any], Any]
Write = Callable[[Any, Any], Any]


def as_view(base: Any, read: Read, write: Write) -> Any:
    """`read(base)`, as a view: what is written to one shows in the other.

    `write(base, view)` is the base with what the view shows replaced.
    """
    return read(base)


def rebind(target: Tracer, value: Any) -> None:
    """Let `target` be `value`, of the same type, from here on."""
    if type(value) is not Tracer:
        nothing = (0,) * len(target.shape)
        value = slice_update(target, value, nothing, (1,) * len(target.shape))
    target.variable = value.variable
