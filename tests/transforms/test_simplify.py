"""Each rewrite of `simplify` at the numbers for which algebra on reals is wrong: NaN, ±inf, ±0."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.helpers import assert_same, run_numpy
from tests.primitives.row import special_values, type_of
from tracer.graph.build import build_closed
from tracer.graph.nodes import Graph
from tracer.primitives import arithmetic, comparison, shape
from tracer.primitives.arithmetic import add, divide, multiply, negative, positive, subtract
from tracer.primitives.broadcast import broadcast_to, full, reshape
from tracer.trace import bind
from tracer.transforms.simplify import simplify

DTYPES = ("f8", "f4", "i8", "u1", "c16", "?")
NUMBERS = (0.0, -0.0, 1.0, -1.0, 2.0, np.inf, -np.inf, np.nan)
BINARY = (arithmetic.add_p, arithmetic.subtract_p, arithmetic.multiply_p, arithmetic.divide_p)


def check_simplified(graph: Graph, *inputs: Any) -> Graph:
    """The simplified graph, which must give the same bits (NaNs aside) for these inputs."""
    simple = simplify(graph).check()
    for result, due in zip(run_numpy(simple, inputs), run_numpy(graph, inputs), strict=True):
        assert_same(result, due, 0, str(graph))
        if due.dtype.kind == "c":
            np.testing.assert_array_equal(np.signbit(result.real), np.signbit(due.real))
            np.testing.assert_array_equal(np.signbit(result.imag), np.signbit(due.imag))
    return simple


def constants_of(dtype: str) -> list[Any]:
    """The numbers that a dtype holds."""
    kind = np.dtype(dtype).kind
    if kind in "fc":
        return [np.dtype(dtype).type(number) for number in NUMBERS]
    return [np.dtype(dtype).type(number) for number in (0, 1, 2)]


@pytest.mark.parametrize("dtype", ["f8", "f4", "c16", "i8", "u1"])
@pytest.mark.parametrize("primitive", BINARY, ids=lambda primitive: primitive.name)
def test_binary_operations_with_a_constant(primitive: Any, dtype: str) -> None:
    """x ∘ c and c ∘ x for all special x and c: a scalar constant, and a broadcast one."""
    if primitive is arithmetic.divide_p and np.dtype(dtype).kind in "iu":
        return
    values = special_values(np.dtype(dtype))
    type_ = type_of(dtype, values.shape)
    for constant, wide, first in itertools.product(
        constants_of(dtype), (False, True), (False, True)
    ):

        def f(x: Any, c: Any = constant, wide: bool = wide, first: bool = first) -> list[Any]:
            other = full(x.shape, c, x.dtype) if wide else c
            return [bind(primitive, *((other, x) if first else (x, other)))]

        with np.errstate(all="ignore"):
            check_simplified(build_closed(f, [type_]), values)


UNCHANGED: dict[str, Callable[[Any], Any]] = {
    "x · 1": lambda x: multiply(x, x.dtype.type(1)),
    "1 · x": lambda x: multiply(x.dtype.type(1), x),
    "x / 1": lambda x: divide(x, x.dtype.type(1)),
    "x − 0": lambda x: subtract(x, x.dtype.type(0)),
    "x + (−0)": lambda x: add(x, x.dtype.type(-0.0)),
    "(−0) + x": lambda x: add(x.dtype.type(-0.0), x),
    "−(−x)": lambda x: negative(negative(x)),
    "+x": positive,
    "reshaped and back": lambda x: reshape(reshape(x, (x.shape[0], 1)), x.shape),
    "transposed twice": lambda x: reshape(
        shape.transpose(shape.transpose(reshape(x, (1, x.shape[0])), (1, 0)), (1, 0)), x.shape
    ),
    "broadcast to itself": lambda x: broadcast_to(x, x.shape),
}
KEPT: dict[str, Callable[[Any], Any]] = {
    "x · 0": lambda x: multiply(x, x.dtype.type(0)),
    "x + 0": lambda x: add(x, x.dtype.type(0)),
    "0 + x": lambda x: add(x.dtype.type(0), x),
    "x − (−0)": lambda x: subtract(x, x.dtype.type(-0.0)),
    "0 − x": lambda x: subtract(x.dtype.type(0), x),
    "x − x": lambda x: subtract(x, x),
    "x / x": lambda x: divide(x, x),
    "x / 2 · 2": lambda x: multiply(divide(x, x.dtype.type(2)), x.dtype.type(2)),
    "x + 1 − 1": lambda x: subtract(add(x, x.dtype.type(1)), x.dtype.type(1)),
    "x = x": lambda x: comparison.equal(x, x),
}


@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize("name", UNCHANGED)
def test_identities_vanish(name: str, dtype: str) -> None:
    values = special_values(np.dtype(dtype))
    graph = build_closed(lambda x: [UNCHANGED[name](x)], [type_of(dtype, values.shape)])
    assert len(check_simplified(graph, values)) == 0


@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize("name", KEPT)
def test_what_only_looks_like_an_identity_stays(name: str, dtype: str) -> None:
    """Each of these differs from the obvious for NaN, an infinity, −0, or in rounding."""
    values = special_values(np.dtype(dtype))
    graph = build_closed(lambda x: [KEPT[name](x)], [type_of(dtype, values.shape)])
    assert len(check_simplified(graph, values)) >= 1


@pytest.mark.parametrize("dtype", DTYPES)
def test_logical_not_twice(dtype: str) -> None:
    """It is the value itself for booleans only."""
    values = special_values(np.dtype(dtype))

    def f(x: Any) -> list[Any]:
        return [comparison.logical_not(comparison.logical_not(x))]

    simple = check_simplified(build_closed(f, [type_of(dtype, values.shape)]), values)
    assert (len(simple) == 0) == (dtype == "?")


def test_constants_are_folded_as_numpy_computes_them() -> None:
    for x, y in itertools.product(NUMBERS, repeat=2):

        def f(z: Any, x: float = x, y: float = y) -> list[Any]:
            one = broadcast_to(z, ())
            results = []
            for primitive in BINARY:
                first, second = full((), x, z.dtype), full((), y, z.dtype)
                results.append(add(bind(primitive, first, second), one))
            return results

        graph = build_closed(f, [type_of("f8")])
        simple = check_simplified(graph, np.float64(-0.0))
        assert len(simple) <= len(BINARY)


def test_equal_nodes_are_merged_unless_they_differ_in_bits() -> None:
    """0 and −0 are equal numbers, and not the same constant; nor are dtypes or parameters."""

    def f(x: Any) -> list[Any]:
        zero, minus = x.dtype.type(0.0), x.dtype.type(-0.0)
        return [
            divide(x, zero),
            divide(x, minus),
            divide(x, zero),
            shape.flip(reshape(x, (2, 2)), (0,)),
            shape.flip(reshape(x, (2, 2)), (1,)),
        ]

    graph = build_closed(f, [type_of("f8", (4,))])
    simple = check_simplified(graph, np.array([1.0, -1.0, 0.0, np.nan]))
    assert [node.primitive.name for node in simple.nodes].count("divide") == 2
    assert [node.primitive.name for node in simple.nodes].count("flip") == 2


def test_dead_nodes_and_constants_go() -> None:
    unused = np.arange(4.0)

    def f(x: Any) -> list[Any]:
        multiply(x, unused)
        return [x]

    simple = simplify(build_closed(f, [type_of("f8", (4,))]))
    assert len(simple) == 0
    assert not simple.constants


def test_inputs_stay_in_place() -> None:
    """An input that nothing reads is still an input."""
    types = [type_of("f8"), type_of("f8", (3,))]
    simple = simplify(build_closed(lambda x, y: [y], types))
    assert simple.input_types == tuple(types)
