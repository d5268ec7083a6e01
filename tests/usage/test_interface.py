"""What the public interface promises, statement by statement, where no other test says it."""

import numpy as np
import pytest

import tracer
import tracer.numpy as tnp
from tracer import grad, jit, vmap

POINT = np.linspace(0.1, 1.0, 4)


@pytest.mark.parametrize("transform", [jit, vmap, grad, lambda f: jit(grad(f))])
def test_spaced_numbers_are_traced_inside_a_trace(transform):
    seen = []

    def f(x):
        made = [tnp.linspace(0, 1, 3), tnp.logspace(0, 1, 3), tnp.geomspace(1.0, 8.0, 3)]
        made[0][1] = x
        seen.extend(made)
        return tnp.sum(made[0])

    transform(f)(POINT if transform is vmap else 0.25)
    assert all(type(item) is tracer.Tracer for item in seen)
    values, step = tnp.linspace(0, 1, 3, retstep=True)
    assert type(values) is np.ndarray
    assert step == 0.5


def test_none_has_no_leaves_for_vmap():
    def double(x, nothing):
        assert nothing is None
        return x * 2, None

    for axes in (0, (0, None), (0, 0)):
        made, nothing = vmap(double, in_axes=axes)(POINT, None)
        np.testing.assert_array_equal(made, POINT * 2)
        assert nothing is None
    table = {"a": POINT, "b": None}
    made = vmap(lambda d: d["a"] + 1, in_axes=({"a": 0, "b": None},))(table)
    np.testing.assert_array_equal(made, POINT + 1)


def test_nothing_is_waited_for_on_the_cpu():
    tree = {"a": POINT, "b": (1.0, None)}
    assert tracer.block_until_ready(tree) is tree


def test_sizes_that_only_the_run_knows_name_the_users_line():
    with pytest.raises(tracer.errors.ConcretizationError, match=r"test_interface\.py:\d+.*size=n"):
        jit(lambda x: x[x > 0.5] * 2)(POINT)


def test_a_static_argument_that_the_function_has_not_raises():
    with pytest.raises(ValueError, match="static_argnums has 2, and <lambda> takes 2 positional"):
        jit(lambda x, n: x * n, static_argnums=2)
    with pytest.raises(ValueError, match="static_argnames has 'm', and the arguments of"):
        jit(lambda x, n: x * n, static_argnames=("n", "m"))
    assert jit(lambda *args: args[0] * args[3], static_argnums=3)(2.0, 0, 0, 5) == 10.0
    assert jit(lambda x, **names: x * names["n"], static_argnames="n")(2.0, n=5) == 10.0
