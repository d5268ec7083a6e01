"""Special functions as elementwise primitives: each a program of scalars (`programs.py`)."""

from tracer.primitives.special import (
    bessel,
    dispatch,
    entropy,
    error,
    gamma,
    incomplete,
    integrals,
    inverse,
)

__all__ = [
    "bessel", "dispatch", "entropy", "error", "gamma", "incomplete", "integrals", "inverse",
]  # fmt: skip
