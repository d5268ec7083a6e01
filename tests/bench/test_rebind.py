"""The same source with another namespace."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bench.rebind import rebind

OTHER = SimpleNamespace(sin=lambda x: 100.0)


def helper(x: Any) -> Any:
    return np.sin(x)


def factory(count: int) -> Any:
    def inner(x: Any) -> Any:
        return count + helper(x) + np.sin(x)

    return inner


def test_inner_functions_and_helpers_follow() -> None:
    assert rebind(factory, {"np": OTHER})(5)(0.0) == 205.0


def test_the_original_is_left_alone() -> None:
    rebind(factory, {"np": OTHER})
    assert factory(5)(0.0) == 5.0


def test_only_python_functions() -> None:
    with pytest.raises(TypeError, match="only a Python function can be rebound"):
        rebind(len, {})
