"""What the Python array API standard asks of a namespace, apart from its functions."""

from __future__ import annotations

from typing import Any

import numpy as np

VERSION = "2024.12"


class Info:
    """What this namespace can: NumPy's own answers, but for what a trace cannot have."""

    def capabilities(self) -> dict[str, Any]:
        """Which optional parts of the standard there are."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}

    def default_device(self) -> str:
        """The device on which arrays are made."""
        return "cpu"

    def devices(self) -> list[str]:
        """All devices."""
        return ["cpu"]

    def default_dtypes(self, *, device: str | None = None) -> dict[str, np.dtype[Any]]:
        """The dtypes of Python's numbers, and of indices."""
        _check_device(device)
        return {
            "real floating": np.dtype(np.float64),
            "complex floating": np.dtype(np.complex128),
            "integral": np.dtype(np.int64),
            "indexing": np.dtype(np.int64),
        }

    def dtypes(
        self, *, device: str | None = None, kind: str | tuple[str, ...] | None = None
    ) -> dict[str, np.dtype[Any]]:
        """The dtypes of the standard, of a kind."""
        _check_device(device)
        ours: Any = np.__array_namespace_info__()
        return dict(ours.dtypes(kind=kind))


def _check_device(device: str | None) -> None:
    if device not in (None, "cpu"):
        raise ValueError(f'Device not understood. Only "cpu" is allowed, but received: {device}')


def namespace_info() -> Info:
    """The answers to the standard's questions about the namespace."""
    return Info()
