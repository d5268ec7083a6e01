"""SciPy's names on traced and concrete arrays, each part loaded when it is used."""

from __future__ import annotations

import importlib
from typing import Any

_PARTS = ("linalg", "special", "stats")


def __getattr__(name: str) -> Any:
    if name in _PARTS:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *_PARTS})
