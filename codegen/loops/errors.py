"""What is raised for a loop program that is not well formed, or that a renderer cannot express."""

from __future__ import annotations

from tracer.errors import TracerError


class ProgramError(TracerError, ValueError):
    """A loop program breaks a rule of `codegen.loops`; the message names the statement."""


class UnsupportedProgramError(TracerError, TypeError):
    """A renderer's target has no such dtype or operation."""
