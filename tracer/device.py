"""Where arrays are, and when they are there."""

from __future__ import annotations

from typing import Any


def block_until_ready(values: Any) -> Any:
    """The pytree itself, once all its arrays are computed.

    On the CPU a call returns when its results are there, so that nothing is left to wait for.
    """
    return values
