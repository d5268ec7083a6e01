"""What the tests of control flow and of rules share: one function through every transform."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tracer
from tests.helpers import assert_near

Function = Callable[..., Any]
STEP = 2.0**-9


def difference(f: Function, x: Any, direction: Any) -> Any:
    """The derivative of f at x along a direction, by central differences of the sixth order."""
    total: Any = 0.0
    for weight, multiple in ((45, 1), (-9, 2), (1, 3)):
        step = multiple * STEP
        total = total + weight * (np.asarray(f(x + step * direction)))
        total = total - weight * (np.asarray(f(x - step * direction)))
    return total / (60 * STEP)


def direction_at(x: Any) -> Any:
    """A fixed direction of the shape of x."""
    return np.cos(np.arange(1.0, np.size(x) + 1)).reshape(np.shape(x))[()]


def weighted(f: Function) -> Function:
    """f as a function that returns one number."""

    def total(x: Any) -> Any:
        leaves = tracer.tree.leaves(f(x))
        parts = [np.sum(leaf * direction_at(leaf)) for leaf in leaves]
        return sum(parts[1:], parts[0])

    return total


def check_transforms(
    f: Function, x: Any, *, order: int = 2, tolerance: float = 1e-9, forward: bool = True
) -> None:
    """Forward, reverse, second order, vmap and jit of f: values by Python, derivatives by
    differences.

    f takes one array; it works on ndarrays, so what it returns for them is what is expected.
    """
    scalar = weighted(f)
    v = direction_at(x)
    slope = difference(scalar, x, v)
    gradient = tracer.grad(scalar)(x)
    assert_near(np.sum(gradient * v), slope, tolerance, "grad")
    out, pullback = tracer.vjp(scalar, x)
    assert_near(out, scalar(x), 1e-14, "value of vjp")
    assert_near(pullback(1.0)[0], gradient, 1e-14, "vjp")
    if forward:
        out, tangent = tracer.jvp(scalar, (x,), (v,))
        assert_near(out, scalar(x), 1e-14, "value of jvp")
        assert_near(tangent, slope, tolerance, "jvp")
        assert_near(tracer.linearize(scalar, x)[1](v), tangent, 1e-13, "linearize")
    lanes = np.stack([x, x * 1.1, x * 0.9])
    due = np.stack([tracer.grad(scalar)(lane) for lane in lanes])
    assert_near(tracer.vmap(scalar)(lanes), [scalar(lane) for lane in lanes], 1e-13, "vmap")
    assert_near(tracer.vmap(tracer.grad(scalar))(lanes), due, 1e-12, "vmap of grad")
    of_sum = tracer.grad(lambda y: np.sum(tracer.vmap(scalar)(y)))
    assert_near(of_sum(lanes), due, 1e-12, "grad of vmap")
    jitted = tracer.jit(tracer.value_and_grad(scalar), backend="numpy")(x)
    assert_near(jitted[0], scalar(x), 1e-13, "jit")
    assert_near(jitted[1], gradient, 1e-12, "jit of grad")
    if order > 1:
        check_second_order(scalar, x, v, tolerance, forward=forward)


def check_second_order(
    scalar: Function, x: Any, v: Any, tolerance: float, *, forward: bool
) -> None:
    """The second derivative along v, by differences of the gradient and every pair of modes."""
    curve = difference(tracer.grad(scalar), x, v)

    def along(y: Any) -> Any:
        return np.sum(tracer.grad(scalar)(y) * v)

    assert_near(tracer.grad(along)(x), curve, tolerance, "reverse over reverse")
    jitted = tracer.jit(tracer.grad(along), backend="numpy")
    assert_near(jitted(x), curve, tolerance, "jit of reverse over reverse")
    if forward:
        pushed = tracer.jvp(tracer.grad(scalar), (x,), (v,))[1]
        assert_near(pushed, curve, tolerance, "forward over reverse")
        pulled = tracer.grad(lambda y: tracer.jvp(scalar, (y,), (v,))[1])(x)
        assert_near(pulled, curve, tolerance, "reverse over forward")


def check_compiled(f: Function, x: Any) -> None:
    """Value and gradient on the configured compiled backend."""
    scalar = weighted(f)
    value, gradient = tracer.jit(tracer.value_and_grad(scalar))(x)
    assert_near(value, scalar(x), 1e-12, "compiled value")
    assert_near(gradient, tracer.grad(scalar)(x), 1e-11, "compiled gradient")
