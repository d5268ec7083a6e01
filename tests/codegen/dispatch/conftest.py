"""Every behaviour is tested on the native entry and on the one in plain Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.codegen.dispatch.kernels import MAKERS, SlowPath


@pytest.fixture(params=sorted(MAKERS))
def make(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """`make_native_entry` and `make_python_entry` in turn."""
    return MAKERS[request.param]


@pytest.fixture
def slow() -> SlowPath:
    """A slow path that answers "slow"."""
    return SlowPath()
