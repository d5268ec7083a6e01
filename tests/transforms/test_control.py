"""Control flow under every transform, against the same function in plain Python on ndarrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracer
from tests.helpers import assert_near
from tests.transforms.derivatives import check_compiled, check_transforms
from tracer import cond, fori_loop, scan, switch, while_loop
from tracer.errors import CarryTypeError, NotAnArrayError, ShapeError

MATRIX = np.array([[0.5, 0.3, -0.2], [0.1, 0.7, 0.4], [-0.3, 0.2, 0.6]])
START = np.array([0.6, 1.3, -0.8])


def branch(x: Any) -> Any:
    return cond(x[0] > 0, lambda v: np.sin(v) * v, lambda v: v**3, x)


def branch_not_taken_is_infinite(x: Any) -> Any:
    return cond(x[2] > 0, lambda v: np.log(v), lambda v: v * v, x)


def branch_of_pytrees(x: Any) -> Any:
    result = cond(
        x[1] > 1,
        lambda p: {"a": p["a"] * 2, "b": (p["b"] * p["a"], 1.5)},
        lambda p: {"a": p["b"], "b": (p["a"], p["a"][0])},
        {"a": x, "b": x**2},
    )
    return result["a"] * result["b"][1], result["b"][0]


def three_branches(x: Any) -> Any:
    index = np.int64(0) + (x[0] > 0.5) + (x[1] > 1.0)
    return switch(index, [lambda v: v, lambda v: v * v, lambda v: np.exp(v) * x[0]], x)


def closed_over(x: Any) -> Any:
    weight = x[1] * 2
    return fori_loop(0, 4, lambda i, y: np.sin(y) * weight + x[0], x)


def index_of_the_loop(x: Any) -> Any:
    return fori_loop(2, 7, lambda i, y: y * 0.5 + i * x, x * 0)


def bounds_of_data(x: Any) -> Any:
    count = (x[1] * 4).astype(np.int64) if hasattr(x[1], "astype") else np.int64(x[1] * 4)
    return fori_loop(1, count, lambda i, y: y * 1.1 + np.cos(y), x)


def until_large(x: Any) -> Any:
    return while_loop(lambda y: np.sum(y * y) < 30, lambda y: y * 1.3 + 0.1 * y**2, x)


def counted_while(x: Any) -> Any:
    start = {"y": x, "n": 0}
    end = while_loop(
        lambda s: s["n"] < 5, lambda s: {"y": MATRIX @ s["y"] + x, "n": s["n"] + 1}, start
    )
    return end["y"]


def no_trip(x: Any) -> Any:
    y = while_loop(lambda y: y[0] > 100, lambda y: y * x, x * 2)
    return y + fori_loop(3, 1, lambda i, z: z * z, x)


def nested_while(x: Any) -> Any:
    """Both trip counts are data, and the inner one differs from step to step."""

    def inner(y: Any) -> Any:
        return while_loop(lambda z: np.sum(z * z) < 4, lambda z: z * 1.7, y * 0.4)

    return while_loop(lambda y: np.sum(y) < 12, lambda y: inner(y) + y * 1.2 + x[1], x)


def loop_in_a_branch(x: Any) -> Any:
    return cond(
        x[0] > 0,
        lambda v: fori_loop(0, 3, lambda i, y: np.tanh(y) * x[1] + v, v),
        lambda v: while_loop(lambda y: y[0] < 3, lambda y: y + 1, v),
        x,
    )


def branch_in_a_loop(x: Any) -> Any:
    def step(i: Any, y: Any) -> Any:
        return cond(i % 2 == 0, lambda v: v * x, lambda v: v + np.sin(x), y)

    return fori_loop(0, 5, step, x)


def history(x: Any) -> Any:
    def step(carry: Any, row: Any) -> Any:
        following = np.tanh(MATRIX @ carry + row)
        return following, following * x[0]

    return scan(step, x, np.outer(np.arange(1.0, 5.0), x))


def backwards(x: Any) -> Any:
    return scan(lambda c, r: (c * r + 1, c), x[0], np.concatenate([x, x * x]), reverse=True)


def only_a_length(x: Any) -> Any:
    return scan(lambda c, _: (c * 0.9 + x**2 * 0.1, np.sum(c)), x, None, length=6)


def only_slices(x: Any) -> Any:
    return scan(lambda _, r: (None, r["a"] * r["b"] ** 2), None, {"a": x, "b": x + 1})[1]


def only_a_carry(x: Any) -> Any:
    return scan(lambda c, r: (c * r, None), 1.0, x)[0]


def pytrees(x: Any) -> Any:
    def step(carry: Any, element: Any) -> Any:
        first, (second, count) = carry
        a, b = element["a"], element["b"]
        return (second * a, (first + b, count + 1)), {"sum": first + second, "n": b}

    elements = {"a": np.stack([x, x * 2]), "b": np.stack([x**2, x])}
    carry, ys = scan(step, (x, (x * 3, 0)), elements)
    return carry[0], carry[1][0], ys


def matrix_powers(x: Any) -> Any:
    """A product of 3×3 matrices, each of them scaled by what is closed over."""
    return scan(lambda c, row: (c @ (MATRIX * row), c[0]), np.eye(3) * x[0], np.stack([x] * 4))


def in_place(x: Any) -> Any:
    def step(i: Any, y: Any) -> Any:
        y[i] = y[i] * y[(i + 1) % 3] + x[i]
        return y

    return fori_loop(0, 6, lambda i, y: step(i % 3, y), x * 1.0)


def mapped(x: Any) -> Any:
    return tracer.map(lambda r: np.sin(r) * x, x)


def sums(x: Any) -> Any:
    return tracer.associative_scan(lambda a, b: a * b, np.outer(np.arange(1.0, 6.0), x))


def sums_backwards(x: Any) -> Any:
    rows = np.stack([x, x**2, x + 1, x * 2])
    return tracer.associative_scan(lambda a, b: a + b * a, rows, reverse=True, axis=1)


def recurrence(x: Any) -> Any:
    """A linear recurrence as prefixes of pairs, whose combination does not commute."""
    pairs = (np.concatenate([x, x * 0.5]), np.concatenate([x * x, x]))

    def combine(first: Any, second: Any) -> Any:
        return first[0] * second[0], first[1] * second[0] + second[1]

    return tracer.associative_scan(combine, pairs)


def checkpointed_while(x: Any) -> Any:
    return while_loop(
        lambda y: np.sum(y * y) < 30, lambda y: y * 1.1 + 0.01 * y**2, x, checkpoint_every=3
    )


FUNCTIONS: list[Callable[[Any], Any]] = [
    branch,
    branch_not_taken_is_infinite,
    branch_of_pytrees,
    three_branches,
    closed_over,
    index_of_the_loop,
    bounds_of_data,
    until_large,
    counted_while,
    no_trip,
    nested_while,
    loop_in_a_branch,
    branch_in_a_loop,
    history,
    backwards,
    only_a_length,
    only_slices,
    only_a_carry,
    pytrees,
    matrix_powers,
    in_place,
    mapped,
    sums,
    sums_backwards,
    recurrence,
    checkpointed_while,
]
NAMES = [f.__name__ for f in FUNCTIONS]


@pytest.mark.parametrize("f", FUNCTIONS, ids=NAMES)
def test_every_transform(f: Callable[[Any], Any]) -> None:
    check_transforms(f, START)


@pytest.mark.parametrize("f", FUNCTIONS, ids=NAMES)
def test_compiled(f: Callable[[Any], Any]) -> None:
    check_compiled(f, START)


def test_lanes_of_a_while_stop_on_their_own() -> None:
    """Each lane has its own number of steps, and what a finished lane would compute is no harm."""

    def root(x: Any) -> Any:
        """A further step of a finished lane takes the logarithm of 0, or of a negative number."""
        return while_loop(lambda s: s[0] > 0, lambda s: (np.log(s[0]), s[1] * s[0]), (x, x * x))

    lanes = np.array([0.5, 1.0, 3.0, 20.0, -1.0])
    due = np.array([root(x) for x in lanes]).T
    assert_near(np.array(tracer.vmap(root)(lanes)), due, 1e-14)
    slopes = [tracer.grad(lambda x: root(x)[1])(x) for x in lanes]
    assert np.isfinite(slopes).all()
    found = tracer.vmap(tracer.grad(lambda x: root(x)[1]))(lanes)
    assert_near(found, slopes, 1e-13)
    of_sum = tracer.grad(lambda y: np.sum(tracer.vmap(root)(y)[1]))
    assert_near(of_sum(lanes), slopes, 1e-13)
    assert_near(tracer.jit(of_sum)(lanes), slopes, 1e-12)
    pushed = tracer.jvp(lambda y: tracer.vmap(root)(y)[1], (lanes,), (np.ones(5),))[1]
    assert_near(pushed, slopes, 1e-13)


def test_batched_predicate_takes_no_nan_from_the_other_branch() -> None:
    def f(x: Any) -> Any:
        return cond(x > 0, lambda v: np.log(v), lambda v: v * 0.5, x)

    lanes = np.array([-1.0, 0.0, 2.0])
    assert_near(tracer.vmap(f)(lanes), [-0.5, 0.0, np.log(2.0)], 1e-15)
    slopes = tracer.grad(lambda y: np.sum(tracer.vmap(f)(y)))(lanes)
    assert_near(slopes, [0.5, 0.5, 0.5], 1e-15)


def test_predicate_that_is_not_batched_stays_a_branch() -> None:
    """Only one branch is evaluated: the graph still has its switch, and no select."""

    def f(flag: Any, x: Any) -> Any:
        return cond(flag, lambda v: v * 2, lambda v: v + 1, x)

    batched = tracer.vmap(f, in_axes=(None, 0))
    names = [n.primitive.name for n in tracer.make_graph(batched)(True, np.ones(3)).nodes]
    assert "switch" in names
    assert "select" not in names
    each = tracer.make_graph(tracer.vmap(f))(np.array([True, False, True]), np.ones(3))
    names = [node.primitive.name for node in each.nodes]
    assert "switch" not in names


def test_lanes_of_bounds() -> None:
    """A trip count that differs from lane to lane."""
    counts, x = np.array([0, 3, 1, 5]), np.array([1.1, 1.2, 1.3, 1.4])

    def power(n: Any, x: Any) -> Any:
        return fori_loop(0, n, lambda i, y: y * x, 1.0)

    assert_near(tracer.vmap(power)(counts, x), x**counts, 1e-15)
    slopes = tracer.grad(lambda x: np.sum(tracer.vmap(power)(counts, x)))(x)
    assert_near(slopes, counts * x ** (counts - 1.0), 1e-14)


def test_closed_over_matrix_is_not_carried() -> None:
    """What a body closes over is a constant of the loop, in the adjoint too, where its cotangent is
    summed; nothing of its size is stored step by step."""
    matrix = np.eye(50) * 0.5

    def f(a: Any, x: Any) -> Any:
        return np.sum(scan(lambda c, _: (np.tanh(a @ c), None), x, None, length=40)[0])

    graph = tracer.make_graph(tracer.grad(f))(matrix, np.ones(50))
    largest = max(result.type.size for node in graph.nodes for result in node.results)
    assert largest == 50 * 50
    loops = [node for node in graph.nodes if node.primitive.name == "loop"]
    assert [node.params["constants"] for node in loops] == [1, 1]


def test_graph_does_not_grow_with_the_trip_count() -> None:
    def f(x: Any, n: int) -> Any:
        return fori_loop(0, n, lambda i, y: np.sin(y) * x, x)

    sizes = {len(tracer.make_graph(tracer.grad(lambda x, n=n: f(x, n)))(1.0)) for n in (10, 1000)}
    assert len(sizes) == 1


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_high_orders_through_a_while(order: int) -> None:
    """x¹⁰ by a loop: its derivatives are those of a power."""

    def power(x: Any) -> Any:
        return while_loop(lambda s: s[1] < 10, lambda s: (s[0] * x, s[1] + 1), (1.0, 0))[0]

    f: Any = power
    due = 1.0
    for k in range(order):
        f = tracer.grad(f) if k % 2 else tracer.jacfwd(f)
        due *= 10 - k
    assert_near(f(1.3), due * 1.3 ** (10 - order), 1e-13)
    assert_near(tracer.jit(f, backend="numpy")(1.3), due * 1.3 ** (10 - order), 1e-13)


def scan_of_whiles(x: Any) -> Any:
    """Tapes of tapes: in each step a loop whose trip count is data."""

    def step(carry: Any, element: Any) -> Any:
        grown = while_loop(lambda z: z < 4, lambda z: z * x[0] * 2 + element, carry * 0.3)
        return grown, grown * element

    return scan(step, x[1], np.concatenate([x, x]) ** 2)


def test_tapes_of_tapes() -> None:
    """Eagerly, at second order and in a batch of second derivatives, too."""
    x = np.array([0.7, 1.2, -0.75])  # where no number of steps changes
    check_transforms(scan_of_whiles, x)

    def total(x: Any) -> Any:
        return np.sum(scan_of_whiles(x)[1])

    forward = tracer.jacfwd(tracer.grad(total))(x)
    assert_near(tracer.jacrev(tracer.grad(total))(x), forward, 1e-12)
    lanes = np.stack([x, x * 1.01])
    due = np.stack([tracer.hessian(total)(lane) for lane in lanes])
    assert_near(tracer.vmap(tracer.hessian(total))(lanes), due, 1e-11)


def while_of_whiles(x: Any) -> Any:
    def step(state: Any) -> Any:
        inner = while_loop(lambda z: z < 4, lambda z: z * x, state[0] * 0.3)
        return inner, state[1] + 1

    return while_loop(lambda state: state[1] < 3, step, (2.0, 0))[0]


def scan_of_one_while(x: Any) -> Any:
    def step(carry: Any, _: Any) -> Any:
        return while_loop(lambda z: z < 4, lambda z: z * x, carry * 0.3), None

    return scan(step, 2.0, None, 3)[0]


def one_while(x: Any) -> Any:
    return while_loop(lambda y: y < 10, lambda y: y * 1.5 + x * y, x)


@pytest.mark.parametrize("f", [one_while, scan_of_one_while, while_of_whiles])
def test_reverse_of_reverse_of_reverse(f: Callable[[Any], Any]) -> None:
    """A tape that two adjoints read has two cotangents, and their sum is a loop."""
    due = tracer.jacfwd(tracer.jacfwd(tracer.jacfwd(f)))(1.5)
    third = tracer.grad(tracer.grad(tracer.grad(f)))
    assert_near(third(1.5), due, 1e-13)
    assert_near(tracer.jit(third, backend="numpy")(1.5), due, 1e-13)
    assert_near(tracer.jit(third)(1.5), due, 1e-12)


def test_python_numbers_take_the_dtype_of_the_result() -> None:
    single = np.float32(2.0)
    carried = fori_loop(0, 3, lambda i, y: y * single, 1.0)
    assert carried.dtype == np.float32
    assert scan(lambda c, x: (c + x, c), 0.0, np.ones(3, np.float32))[1].dtype == np.float32
    assert fori_loop(0, 3, lambda i, y: y + i, 0).dtype == np.int64

    def f(x: Any) -> Any:
        return cond(x > 1, lambda: x * single, lambda: 0.0)

    assert tracer.jit(f, backend="numpy")(single).dtype == np.float32


def test_loops_of_no_steps() -> None:
    x = np.array([1.0, 2.0])
    carry, ys = scan(lambda c, r: (c * r, c + 1), x, np.zeros((0, 2)))
    assert_near(carry, x, 0)
    assert ys.shape == (0, 2)
    assert tracer.map(lambda r: r[0] * 2, np.zeros((0, 2))).shape == (0,)
    gradient = tracer.grad(lambda x: np.sum(scan(lambda c, r: (c * r, c), x, x[:0])[0] * x))(x)
    assert_near(gradient, 2 * x, 1e-15)
    assert_near(tracer.grad(no_trip_sum)(x), [5.0, 5.0], 1e-14)


def no_trip_sum(x: Any) -> Any:
    return np.sum(while_loop(lambda y: y[0] > 100, lambda y: y * x, x * 5))


def test_unused_operands_have_zero_gradients() -> None:
    def f(x: Any, y: Any) -> Any:
        return cond(x > 0, lambda a, b: a * 2, lambda a, b: a * 3, x, y)

    assert tracer.jit(tracer.grad(f, (0, 1)), backend="numpy")(1.5, 2.5) == (2.0, 0.0)


def line_of(function: Any, marker: str) -> int:
    """The line of this file where the marker stands in a function's source."""
    import inspect

    lines, start = inspect.getsourcelines(function)
    return start + next(k for k, line in enumerate(lines) if marker in line)


def shape_changes(x: Any) -> Any:
    return while_loop(lambda y: y.sum() < 9, lambda y: np.concatenate([y, y]), x)  # here


def dtype_changes(x: Any) -> Any:
    return fori_loop(0, 3, lambda i, y: y * 1.5, np.arange(3))  # here


def structure_changes(x: Any) -> Any:
    return scan(lambda c, r: ((c, c), r), x, x)  # here


def no_pair(x: Any) -> Any:
    return scan(lambda c, r: c, x, x)  # here


def branches_differ_in_shape(x: Any) -> Any:
    return cond(x[0] > 0, lambda v: v, lambda v: v[:1], x)  # here


def branches_differ_in_dtype(x: Any) -> Any:
    return switch(x[0].astype(int), [lambda v: v, lambda v: v > 0], x)  # here


def branches_differ_in_structure(x: Any) -> Any:
    return cond(x[0] > 0, lambda v: (v, v), lambda v: [v, v], x)  # here


def test_is_no_bool(x: Any) -> Any:
    return while_loop(lambda y: y.sum(), lambda y: y * 2, x)  # here


test_is_no_bool.__test__ = False  # type: ignore[attr-defined]

ERRORS: list[tuple[Callable[[Any], Any], str]] = [
    (shape_changes, r"f64\[3\] before and f64\[6\] after .*convert"),
    (dtype_changes, r"i64\[3\] before and f64\[3\] after .*astype"),
    (structure_changes, r"structure PyTreeSpec\(\*.* into PyTreeSpec\(\(\*, \*\)"),
    (no_pair, r"must return a pair \(carry, y\)"),
    (branches_differ_in_shape, r"f64\[1\].*f64\[3\]"),
    (branches_differ_in_dtype, r"f64\[3\].*bool\[3\]"),
    (branches_differ_in_structure, r"all branches must return one structure"),
    (test_is_no_bool, r"returns f64\[\], not one bool"),
]


@pytest.mark.parametrize(("f", "message"), ERRORS, ids=[f.__name__ for f, _ in ERRORS])
def test_errors_show_both_types_and_the_line(f: Callable[[Any], Any], message: str) -> None:
    with pytest.raises(CarryTypeError, match=message) as caught:
        tracer.jit(f, backend="numpy")(START)
    assert f"test_control.py:{line_of(f, '# here')}" in str(caught.value)
    assert isinstance(caught.value, TypeError)


def test_other_errors() -> None:
    with pytest.raises(ShapeError, match=r"different lengths: \[2, 3\]"):
        scan(lambda c, x: (c, None), 0.0, (np.ones(3), np.ones(2)))
    with pytest.raises(ShapeError, match="give xs, or length"):
        scan(lambda c, x: (c, None), 0.0)
    with pytest.raises(ShapeError, match="is a scalar"):
        scan(lambda c, x: (c, None), 0.0, 1.5)
    with pytest.raises(ShapeError, match=r"predicate of cond has shape \(3,\)"):
        tracer.jit(lambda x: cond(x > 0, lambda: x, lambda: x), backend="numpy")(START)
    with pytest.raises(NotAnArrayError, match="bounds of fori_loop are integers"):
        fori_loop(0.0, 3, lambda i, x: x, 1.0)
    with pytest.raises(ValueError, match="at least one branch"):
        switch(0, [])


def test_index_outside_counts_as_the_nearest_branch() -> None:
    branches = [lambda x: x, lambda x: x * 10, lambda x: x * 100]
    for index, due in ((-5, 2.0), (0, 2.0), (1, 20.0), (2, 200.0), (9, 200.0)):
        assert switch(index, branches, 2.0) == due
        f = tracer.jit(lambda i, x: switch(i, branches, x), backend="numpy")
        assert f(index, 2.0) == due
    lanes = tracer.vmap(lambda i: switch(i, branches, 2.0))(np.array([-5, 0, 1, 2, 9]))
    assert_near(lanes, [2.0, 2.0, 20.0, 200.0, 200.0], 0)
