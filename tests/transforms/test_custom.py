"""custom_vjp, custom_jvp, stop_gradient and black boxes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import special

import tracer
from tests.helpers import assert_near
from tests.transforms.derivatives import check_compiled, check_transforms
from tracer import array_type, custom_jvp, custom_vjp, grad, jit, jvp, primitive, vmap
from tracer.errors import (
    DerivativeError,
    DTypeError,
    ShapeError,
    StructureError,
    UnsupportedFunctionError,
)

START = np.array([0.6, 1.3, -0.8])


@custom_vjp
def product(x: Any, y: Any) -> Any:
    """Its rule says three times the true derivative, which shows that it is used."""
    return x * np.sin(y)


def product_forward(x: Any, y: Any) -> Any:
    return product(x, y), (x, y)


def product_backward(residuals: Any, ct: Any) -> Any:
    x, y = residuals
    return 3.0 * ct * np.sin(y), 3.0 * ct * x * np.cos(y)


product.defvjp(product_forward, product_backward)


@custom_jvp
def cube(x: Any) -> Any:
    return x**3


cube.defjvp(lambda primals, tangents: (cube(primals[0]), 5.0 * primals[0] ** 2 * tangents[0]))


@custom_jvp
def stable(x: Any) -> Any:
    """log(1 + exp(x)), of which the rule gives the derivative that does not overflow."""
    return np.logaddexp(0.0, x)


stable.defjvp(lambda p, t: (stable(p[0]), t[0] / (1.0 + np.exp(-p[0]))))

bessel = primitive(
    special.j0,
    vjp=lambda args, out, ct: (-ct * bessel_one(args[0]),),
    jvp=lambda args, out, tangents: -tangents[0] * bessel_one(args[0]),
    out=lambda x: array_type(x.shape),
)
bessel_one = primitive(
    special.j1,
    jvp=lambda args, out, tangents: tangents[0] * (bessel(args[0]) - out / args[0]),
    out=lambda x: array_type(x.shape),
)


def test_vjp_rule_is_used() -> None:
    due = (3.0 * np.sin(START), 3.0 * 2.0 * np.cos(START))

    def f(x: Any, y: Any) -> Any:
        return np.sum(product(x, y))

    x = np.full(3, 2.0)
    assert_near(product(x, START), 2.0 * np.sin(START), 1e-15, "as it stands outside of a trace")
    for derivative in (grad(f, (0, 1)), jit(grad(f, (0, 1)), backend="numpy")):
        for found, expected in zip(derivative(x, START), due, strict=True):
            assert_near(found, expected, 1e-15)
    rows = vmap(grad(lambda a, b: product(a, b), (0, 1)))(x, START)
    for found, expected in zip(rows, due, strict=True):
        assert_near(found, expected, 1e-15)


def test_vjp_rule_of_an_argument_that_is_not_batched() -> None:
    """Its cotangent is the sum over the lanes."""

    def f(x: Any, y: Any) -> Any:
        return np.sum(vmap(product, in_axes=(None, 0))(x, y))

    by_x, by_y = grad(f, (0, 1))(2.0, START)
    assert_near(by_x, 3.0 * np.sum(np.sin(START)), 1e-14)
    assert_near(by_y, 6.0 * np.cos(START), 1e-14)


def test_second_order_differentiates_the_rule() -> None:
    """The derivative of 3·x·cos(y), whose factors are the rule's, not the function's."""
    second = grad(lambda y: grad(lambda z: product(2.0, z))(y))
    assert_near(second(0.7), -6.0 * np.sin(0.7), 1e-14)
    assert_near(jit(second, backend="numpy")(0.7), -6.0 * np.sin(0.7), 1e-14)


def test_vjp_rule_in_forward_mode_is_an_error() -> None:
    with pytest.raises(DerivativeError, match=r"product has a custom_vjp rule.*reverse mode"):
        jvp(lambda x: product(x, 1.0), (2.0,), (1.0,))


def test_jvp_rule_serves_both_modes() -> None:
    due = 5.0 * START**2
    assert_near(jvp(cube, (START,), (np.ones(3),))[1], due, 1e-15)
    assert_near(grad(lambda x: np.sum(cube(x)))(START), due, 1e-15)
    assert_near(vmap(grad(cube))(START), due, 1e-15)
    assert_near(jit(vmap(grad(cube)), backend="numpy")(START), due, 1e-15)
    assert_near(vmap(grad(grad(cube)))(START), 10.0 * START, 1e-14)
    assert_near(grad(lambda x: np.sum(vmap(cube)(x)))(START), due, 1e-15)


def test_rules_under_every_transform() -> None:
    check_transforms(stable, START)
    check_compiled(stable, START)
    assert grad(stable)(-1000.0) == 0.0
    true = custom_vjp(lambda x: np.sin(x) * x)
    true.defvjp(lambda x: (np.sin(x) * x, x), lambda x, ct: (ct * (np.cos(x) * x + np.sin(x)),))
    check_transforms(true, START, forward=False)
    check_compiled(true, START)


def test_pytrees_none_and_integers() -> None:
    @custom_vjp
    def f(tree: Any, count: Any, unused: Any) -> Any:
        return {"out": tree["a"] * tree["b"][0] * count}

    f.defvjp(
        lambda tree, count, unused: (f(tree, count, unused), (tree, count)),
        lambda res, ct: ({"a": ct["out"] * res[1], "b": (ct["out"] * 7.0,)}, None, None),
    )
    tree = {"a": 2.0, "b": (3.0,)}
    result = grad(lambda t, u: f(t, 4, u)["out"], (0, 1))(tree, 1.5)
    assert result == ({"a": 4.0, "b": (7.0,)}, 0.0)


def test_rules_in_loops_and_branches() -> None:
    def f(x: Any) -> Any:
        y = tracer.fori_loop(0, 3, lambda i, y: stable(y), x)
        return tracer.cond(x[0] > 0, lambda v: cube_true(v), stable, y)

    check_transforms(f, START)


@custom_jvp
def cube_true(x: Any) -> Any:
    return x**3


cube_true.defjvp(
    lambda primals, tangents: (cube_true(primals[0]), 3.0 * primals[0] ** 2 * tangents[0])
)


def test_rule_errors() -> None:
    bare = custom_vjp(lambda x: x * 2)
    with pytest.raises(DerivativeError, match="no rule yet: call its defvjp"):
        grad(bare)(1.0)
    with pytest.raises(DerivativeError, match="no rule yet: call its defjvp"):
        grad(custom_jvp(lambda x: x * 2))(1.0)

    def named(x: Any, y: Any) -> Any:
        return x * y

    def of(forward: Any, backward: Any) -> Any:
        f = custom_vjp(named)
        f.defvjp(forward, backward)
        return grad(lambda x: np.sum(f(x, x)))

    with pytest.raises(StructureError, match=r"the fwd rule of named must return a pair"):
        of(lambda x, y: x * y, None)(START)
    with pytest.raises(StructureError, match=r"the bwd rule of named must return a tuple of 2"):
        of(lambda x, y: (x * y, ()), lambda res, ct: (ct,))(START)
    with pytest.raises(ShapeError, match=r"the bwd rule of named returned shape \(\) where \(3,\)"):
        of(lambda x, y: (x * y, ()), lambda res, ct: (ct[0], None))(START)
    wrong = custom_jvp(lambda x: (x, x))
    wrong.defjvp(lambda p, t: ((p[0], p[0]), t[0]))
    with pytest.raises(StructureError, match="the jvp rule of <lambda> returned"):
        jvp(wrong, (1.0,), (1.0,))


def test_closing_over_what_is_differentiated_is_an_error() -> None:
    def f(x: Any) -> Any:
        inner = custom_jvp(lambda y: y * x)
        inner.defjvp(lambda p, t: (p[0] * x, t[0] * x))
        return inner(x)

    with pytest.raises(DerivativeError, match="closes over a value that is differentiated"):
        grad(f)(2.0)

    def without_traced_arguments(x: Any) -> Any:
        inner = custom_vjp(lambda y: y * x)
        inner.defvjp(lambda y: (y * x, None), lambda res, ct: (ct * 7.0,))
        return inner(3.0)

    with pytest.raises(DerivativeError, match="closes over a value that is differentiated"):
        grad(without_traced_arguments)(2.0)
    assert jit(without_traced_arguments, backend="numpy")(2.0) == 6.0


def test_stop_gradient() -> None:
    def f(x: Any) -> Any:
        return np.sum(tracer.stop_gradient(x) * x)

    assert_near(grad(f)(START), START, 0)
    assert_near(jit(grad(f), backend="numpy")(START), START, 0)
    assert_near(jit(grad(f))(START), START, 0)
    assert_near(vmap(grad(lambda x: tracer.stop_gradient(x) * x))(START), START, 0)
    assert_near(jvp(f, (START,), (np.ones(3),))[1], np.sum(START), 1e-15)
    assert_near(tracer.hessian(f)(START), np.zeros((3, 3)), 0)
    tree = tracer.stop_gradient({"a": START, "b": (1.0, None)})
    assert tree["b"] == (1.0, None)


def test_black_box_under_every_transform() -> None:
    points = np.array([0.6, 1.3, 2.8])
    check_transforms(bessel, points)
    check_compiled(bessel, points)


def test_black_box_with_a_jvp_rule_only_is_transposed() -> None:
    due = (special.jvp(1, START + 2.0),)
    assert_near(grad(lambda x: np.sum(bessel_one(x)))(START + 2.0), due[0], 1e-14)


def test_black_box_sees_arrays_and_each_lane_alone() -> None:
    seen = []

    def f(x: Any) -> Any:
        assert isinstance(x, np.ndarray)
        seen.append(x.shape)
        return x * 2.0

    box = primitive(f, vjp=lambda args, out, ct: (2.0 * ct,), out=array_type(3))
    rows = np.ones((4, 3))
    assert_near(vmap(box)(rows), rows * 2, 0)
    assert seen == [(3,)] * 4
    assert_near(jit(vmap(grad(lambda x: np.sum(box(x)))), backend="numpy")(rows), rows * 2, 0)


def test_black_box_errors() -> None:
    def doubled(x: Any) -> Any:
        return x * 2

    with pytest.raises(DerivativeError, match="doubled is a black box without a rule"):
        grad(lambda x: primitive(doubled)(x))(1.0)
    with pytest.raises(DerivativeError, match="without a jvp rule: no forward mode"):
        jvp(primitive(doubled, vjp=lambda a, o, ct: (ct,)), (1.0,), (1.0,))
    with pytest.raises(UnsupportedFunctionError, match=r"type is not known under jit.*array_type"):
        jit(primitive(doubled), backend="numpy")(1.0)
    with pytest.raises(ShapeError, match=r"doubled returned shape \(3,\), but \(2,\) was said"):
        jit(primitive(doubled, out=array_type(2)), backend="numpy")(START)
    with pytest.raises(DTypeError, match="doubled returned float64, but int64 was said"):
        jit(primitive(doubled, out=array_type(3, np.int64)), backend="numpy")(START)
