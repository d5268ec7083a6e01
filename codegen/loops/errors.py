"""What is raised for a loop program that is not well formed, or that a renderer cannot express."""

from __future__ import annotations

from tracer.errors import TracerError
from tracer.errors import UnsupportedProgramError as UnsupportedProgramError


class ProgramError(TracerError, ValueError):
    """A loop program breaks a rule of `codegen.loops`; the message names the statement."""
