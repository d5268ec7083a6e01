"""The verifier rejects each kind of malformed graph, and says what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

import tracer
from tracer.errors import GraphError
from tracer.graph.nodes import Constant, Graph, Node, Source, Variable
from tracer.graph.primitive import REGISTRY, Lowering, Primitive
from tracer.graph.text import parse_graph
from tracer.types import ArrayType

VECTOR = ArrayType(np.dtype(np.float64), (3,))
SCALAR = ArrayType(np.dtype(np.float64), ())
EMPTY = np.zeros((3, 2))
PLACE = Source("somewhere/model.py", 12, "loss")


def node(name: str, *operands: object, type_: ArrayType = VECTOR, **params: object) -> Node:
    """A node with one result of that type."""
    return Node(REGISTRY[name], operands, params, (Variable(type_),), PLACE)


def graph_of(inputs: list[Variable], nodes: list[Node], **options: object) -> Graph:
    """A graph whose output is the last result."""
    outputs = (nodes[-1].results[0],) if nodes else tuple(inputs)
    return Graph(tuple(inputs), (), tuple(nodes), outputs, "broken", **options)


def good() -> Graph:
    x = Variable(VECTOR)
    return graph_of([x], [node("multiply", x, x)])


def undefined_operand() -> Graph:
    return graph_of([Variable(VECTOR)], [node("sin", Variable(VECTOR))])


def used_before_defined() -> Graph:
    x = Variable(VECTOR)
    late = node("sin", x)
    return graph_of([x], [node("cos", late.results[0]), late])


def defined_twice() -> Graph:
    x = Variable(VECTOR)
    first = node("sin", x)
    again = Node(REGISTRY["cos"], (x,), {}, first.results, PLACE)
    return graph_of([x], [first, again])


def input_twice() -> Graph:
    x = Variable(VECTOR)
    return graph_of([x, x], [])


def result_is_an_input() -> Graph:
    x = Variable(VECTOR)
    return graph_of([x], [Node(REGISTRY["sin"], (x,), {}, (x,), PLACE)])


def undefined_output() -> Graph:
    return replace(good(), outputs=(Variable(VECTOR),))


def wrong_result_shape() -> Graph:
    x = Variable(VECTOR)
    return graph_of([x], [node("sin", x, type_=SCALAR)])


def wrong_result_dtype() -> Graph:
    x = Variable(VECTOR)
    return graph_of([x], [node("less", x, x)])


def wrong_result_count() -> Graph:
    x = Variable(VECTOR)
    twice = Node(REGISTRY["sin"], (x,), {}, (Variable(VECTOR), Variable(VECTOR)), PLACE)
    return graph_of([x], [twice])


def shapes_that_do_not_fit() -> Graph:
    x, y = Variable(VECTOR), Variable(ArrayType(VECTOR.dtype, (4,)))
    return graph_of([x, y], [node("add", x, y)])


def missing_operand() -> Graph:
    x = Variable(VECTOR)
    return graph_of([x], [node("add", x)])


def missing_param() -> Graph:
    x = Variable(VECTOR)
    return graph_of([x], [node("reduce_sum", x, type_=SCALAR)])


def unknown_param() -> Graph:
    x = Variable(VECTOR)
    return graph_of([x], [node("sin", x, axis=0)])


def raw_operand() -> Graph:
    x = Variable(VECTOR)
    return graph_of([x], [node("add", x, 1.0)])


def large_constant_operand() -> Graph:
    x = Variable(VECTOR)
    return graph_of([x], [node("add", x, Constant(np.zeros(3)))])


def unregistered() -> Graph:
    x = Variable(VECTOR)
    stranger = Primitive("sin", lambda t: t, np.sin, lowering=Lowering("elementwise", "sin"))
    return graph_of([x], [Node(stranger, (x,), {}, (Variable(VECTOR),), PLACE)])


def constant_of_another_type() -> Graph:
    return replace(good(), constants=((Variable(VECTOR), np.zeros(4)),))


def broken_body() -> Graph:
    x = Variable(VECTOR)
    called = Node(
        REGISTRY["call"],
        (x,),
        {"graph": undefined_operand(), "backend": "numpy", "kind": "jit"},
        (Variable(VECTOR),),
        PLACE,
    )
    return graph_of([x], [called])


BROKEN: list[tuple[Callable[[], Graph], str]] = [
    (
        undefined_operand,
        r"broken: sin at model.py:12: an operand, of type f64\[3\], is used before",
    ),
    (used_before_defined, "used before it is defined"),
    (defined_twice, "defined twice"),
    (input_twice, "defined twice"),
    (result_is_an_input, "defined twice"),
    (undefined_output, "an output, of type f64"),
    (wrong_result_shape, r"results are f64\[\], but the rule gives f64\[3\]"),
    (wrong_result_dtype, r"results are f64\[3\], but the rule gives bool\[3\]"),
    (wrong_result_count, r"results are f64\[3\], f64\[3\], but the rule gives f64\[3\]"),
    (shapes_that_do_not_fit, r"broadcast together with shapes \(3,\) \(4,\)"),
    (missing_operand, "add"),
    (missing_param, "axes"),
    (unknown_param, "axis"),
    (raw_operand, "an operand is a float, not a variable or constant"),
    (large_constant_operand, "an operand is a constant of shape"),
    (unregistered, "the primitive is not registered"),
    (constant_of_another_type, "a constant of type"),
    (broken_body, "sin at model.py:12: an operand"),
]


def test_a_good_graph_passes() -> None:
    graph = good()
    assert graph.check() is graph


@pytest.mark.parametrize(("make", "message"), BROKEN, ids=[make.__name__ for make, _ in BROKEN])
def test_malformed(make: Callable[[], Graph], message: str) -> None:
    with pytest.raises(GraphError, match=message):
        make().check()


def test_a_traced_graph_passes_and_names_its_lines() -> None:
    graph = tracer.make_graph(lambda x: np.sin(x) * x)(np.zeros(3)).check()
    assert "test_check.py:" in str(graph)
    assert graph.input_types == (VECTOR,)
    assert graph.output_types == (VECTOR,)


MALFORMED_TEXT = [
    ("graph f(%0: f64[3]) {\n return %1\n}", "used before it is defined"),
    ("graph f(%0: f64[3]) {\n return %0\n", "ends before"),
    ("graph f(%0: f64[3]) {\n %1: f64[3] = nonsense %0\n return %1\n}", "nonsense"),
    ("graph f(%0: f99[3]) {\n return %0\n}", "not a type"),
    ("function f() {\n}", "begins with"),
    ("graph f(%0: f64[3]) {\n return %0\n}\nmore", "after the end"),
]


@pytest.mark.parametrize(("text", "message"), MALFORMED_TEXT)
def test_malformed_text(text: str, message: str) -> None:
    with pytest.raises(GraphError, match=message):
        parse_graph(text)


def test_literals_round_trip() -> None:
    """Numbers that are easily lost in text: NaN, infinities, −0, subnormals, complex, booleans."""
    for value in (np.nan, np.inf, -np.inf, -0.0, 5e-324, 1 / 3, 1 + 2j, complex(np.nan, -0.0)):
        graph = tracer.make_graph(lambda x, value=value: x * np.asarray(value)[()])(np.zeros(2))
        again = parse_graph(str(graph))
        assert str(again) == str(graph)
        (mine,) = [op.value for op in graph.nodes[-1].operands if isinstance(op, Constant)]
        (other,) = [op.value for op in again.nodes[-1].operands if isinstance(op, Constant)]
        assert mine.dtype == other.dtype
        assert mine.tobytes() == other.tobytes(), value


def test_constant_arrays_round_trip() -> None:
    for dtype in ("f8", "f4", "c16", "i8", "u1", "?"):
        array = np.array([[0, 1], [1, 0], [1, 1]], dtype)
        graph = tracer.make_graph(lambda x, array=array: x.astype(array.dtype) * array)(EMPTY)
        again = parse_graph(str(graph)).check()
        assert str(again) == str(graph)
        np.testing.assert_array_equal(again.constants[0][1], array, strict=True)
