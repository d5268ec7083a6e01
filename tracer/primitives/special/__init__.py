"""Special functions as elementwise primitives: each a program of scalars (`programs.py`)."""

from tracer.primitives.special import bessel, error, gamma, incomplete, integrals

__all__ = ["bessel", "error", "gamma", "incomplete", "integrals"]
