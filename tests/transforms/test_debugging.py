"""tracer.debug: which line and which operation made the first NaN or infinity."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

import tracer
from tracer.errors import NonFiniteError


def logarithm(x: Any) -> Any:
    y = x * 2.0
    z = np.log(y - 2.0)  # here
    return np.sum(z)


def root_at_zero(x: Any) -> Any:
    return np.sum(np.sqrt(x))  # here


def overflow_in_a_loop(x: Any) -> Any:
    return tracer.fori_loop(0, 20, lambda i, y: np.exp(y), x)  # here


def fine(x: Any) -> Any:
    return np.sum(np.where(x > 0, x, 0.0) ** 2)


def line_of(function: Any) -> str:
    lines, start = inspect.getsourcelines(function)
    return (
        f"test_debugging.py:{start + next(k for k, text in enumerate(lines) if '# here' in text)}"
    )


def ways(f: Any) -> list[Any]:
    """Eagerly, and compiled by the reference and by the configured backend."""
    return [f, tracer.jit(f, backend="numpy"), tracer.jit(f)]


@pytest.mark.parametrize("way", range(3), ids=["eager", "numpy", "compiled"])
def test_value(way: int) -> None:
    x = np.array([2.0, 1.0])
    with np.errstate(all="ignore"), tracer.debug(), pytest.raises(NonFiniteError) as caught:
        ways(tracer.value_and_grad(logarithm))[way](x)
    message = str(caught.value)
    assert message.startswith(f"{line_of(logarithm)}: this line gave an infinity: log of")
    assert "[2.0, 0.0]" in message
    assert isinstance(caught.value, FloatingPointError)


@pytest.mark.parametrize("way", range(3), ids=["eager", "numpy", "compiled"])
def test_derivative(way: int) -> None:
    """The value is finite; its derivative is not."""
    x = np.array([4.0, 0.0])
    with tracer.debug():
        assert root_at_zero(x) == 2.0
    with np.errstate(all="ignore"), tracer.debug(), pytest.raises(NonFiniteError) as caught:
        ways(tracer.grad(root_at_zero))[way](x)
    assert f"{line_of(root_at_zero)}: the derivative of this line gave" in str(caught.value)


@pytest.mark.parametrize("way", range(3), ids=["eager", "numpy", "compiled"])
def test_inside_of_a_loop(way: int) -> None:
    with np.errstate(all="ignore"), tracer.debug(), pytest.raises(NonFiniteError) as caught:
        ways(tracer.value_and_grad(overflow_in_a_loop))[way](1.0)
    assert f"{line_of(overflow_in_a_loop)}: this line gave an infinity: exp of" in str(caught.value)


def test_derivative_in_forward_mode() -> None:
    x = np.array([4.0, 0.0])
    with np.errstate(all="ignore"), tracer.debug(), pytest.raises(NonFiniteError) as caught:
        tracer.jvp(root_at_zero, (x,), (np.ones(2),))
    assert f"{line_of(root_at_zero)}: the derivative of this line gave" in str(caught.value)


def test_nan_is_told_from_infinity() -> None:
    with np.errstate(all="ignore"), tracer.debug():
        with pytest.raises(NonFiniteError, match="gave NaN: log of"):
            tracer.jit(np.log, backend="numpy")(-1.0)
        with pytest.raises(NonFiniteError, match="gave NaN and an infinity: divide of"):
            tracer.jit(np.divide, backend="numpy")(np.array([0.0, 1.0]), np.zeros(2))


def test_finite_functions_pass_and_given_infinities_are_no_fault() -> None:
    x = np.array([-1.0, 2.0])
    with tracer.debug():
        assert fine(x) == 4.0
        for function in ways(tracer.grad(fine)):
            assert function(x).tolist() == [0.0, 4.0]
        assert tracer.jit(lambda y: y * 2.0, backend="numpy")(np.inf) == np.inf


def test_it_ends_with_its_block() -> None:
    with np.errstate(all="ignore"):
        with tracer.debug(), tracer.debug():
            pass
        assert tracer.jit(np.log, backend="numpy")(0.0) == -np.inf
        with pytest.raises(NonFiniteError), tracer.debug():
            tracer.jit(np.log, backend="numpy")(0.0)
        assert tracer.jit(np.log, backend="numpy")(0.0) == -np.inf
