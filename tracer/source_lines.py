"""Which line of the user's program is running: the innermost frame outside of this library, NumPy
and SciPy.
"""

from __future__ import annotations

import os
import sys
from types import FrameType

import numpy as np
import scipy

from tracer.graph.nodes import Source

_OWN = (
    os.path.dirname(os.path.abspath(__file__)) + os.sep,
    os.path.dirname(os.path.abspath(np.__file__)) + os.sep,
    os.path.dirname(os.path.abspath(scipy.__file__)) + os.sep,
)
_is_own: dict[str, bool] = {}


def user_source() -> Source | None:
    """The user's line that is running now."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        name = code.co_filename
        own = _is_own.get(name)
        if own is None:
            own = _is_own[name] = name.startswith(_OWN)
        if not own:
            return Source(name, frame.f_lineno, code.co_name)
        frame = frame.f_back
    return None
