"""Which line of the user's program is running: the innermost frame outside of this library, NumPy,
SciPy, and what wraps functions.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import os
import sys
from types import FrameType

import numpy as np

from tracer.graph.nodes import Source


def _folder(file: str) -> str:
    return os.path.dirname(os.path.abspath(file)) + os.sep


def _scipy_folder() -> str:
    """Where SciPy lies, without importing it, which takes long."""
    found = importlib.util.find_spec("scipy")
    assert found is not None, "SciPy is a dependency"
    assert found.origin is not None, "SciPy has files"
    return _folder(found.origin)


# Where decorated functions pass through.
_WRAPPERS = (contextlib.__file__, functools.__file__)
_OWN = (_folder(__file__), _folder(np.__file__), _scipy_folder(), *_WRAPPERS)
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
