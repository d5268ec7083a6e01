"""Elementwise primitives that are small programs: scalar functions with branches and loops.

A program is written once, as a Python function of traced scalars. From its graph come the code of
every backend (each element runs it in registers), and the derivatives of any order in any operand,
by forward mode over the graph. Eagerly NumPy's (SciPy's) own universal function is called.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tracer.errors import DTypeError
from tracer.graph.build import build_closed
from tracer.graph.evaluate import evaluate
from tracer.graph.nodes import Graph
from tracer.graph.primitive import Lowering, Primitive, register
from tracer.late import LateUfunc
from tracer.primitives.lanes import evaluate_lanes
from tracer.primitives.pointwise import (
    Partial,
    align_batched,
    apply_ufunc,
    elementwise_jvp,
    elementwise_type,
    elementwise_vjp,
    pointwise,
)
from tracer.trace import bind
from tracer.types import FLOAT64, ArrayType, broadcast_shapes, kind_of

Source = Any  # a function of tracers
Orders = tuple[int, ...]
SCALAR = ArrayType(FLOAT64, ())

PROGRAMS: dict[str, Program] = {}


class Program:
    """A scalar function: its graph, and the graphs of its derivatives. `types` are those of its
    operands, by default all float64.
    """

    def __init__(
        self, name: str, arity: int, source: Source, types: tuple[ArrayType, ...] = ()
    ) -> None:
        self.types = types or (SCALAR,) * arity
        self.name = name
        self.arity = arity
        self.source = source
        self.graphs: dict[Orders, Graph] = {}
        PROGRAMS[name] = self

    def graph(self, orders: Orders | None = None) -> Graph:
        """The graph of the derivative of these orders in the operands; by default of none."""
        key = orders or (0,) * self.arity
        found = self.graphs.get(key)
        if found is None:
            found = self.graphs[key] = self._build(key)
        return found

    def _build(self, orders: Orders) -> Graph:
        from tracer.source.host import unread
        from tracer.transforms.graphs import jvp_graph
        from tracer.transforms.simplify import simplify

        types = self.types
        place = next((k for k, order in enumerate(orders) if order), None)
        if place is None:
            with unread():  # programs say `cond` and `while_loop` themselves
                return simplify(build_closed(lambda *xs: [self.source(*xs)], types, self.name))
        lower = self.graph(tuple(n - (k == place) for k, n in enumerate(orders)))
        active = tuple(k == place for k in range(self.arity))
        pushed = jvp_graph(lower, active, (True,))
        one = np.float64(1)
        name = f"{self.name}_{'_'.join(map(str, orders))}"
        return simplify(build_closed(lambda *xs: evaluate(pushed, [*xs, one])[1:], types, name))

    def evaluate(self, *operands: Any, orders: Orders | None = None) -> Any:
        """The values at arrays, in the dtype of the operands."""
        arrays = np.broadcast_arrays(*operands)
        dtype = np.result_type(*[x.dtype for x in operands if kind_of(x.dtype) == "f"])
        flat = [np.asarray(array, np.float64).reshape(-1) for array in arrays]
        with np.errstate(all="ignore"):
            (result,) = evaluate_lanes(self.graph(orders), flat)
            return np.broadcast_to(result, flat[0].shape).astype(dtype).reshape(arrays[0].shape)[()]


def graph_of(primitive: Primitive, params: dict[str, Any]) -> Graph:
    """The graph of scalars that a node of this family computes at each element."""
    if primitive is derivative_p:
        return PROGRAMS[params["name"]].graph(params["orders"])
    return PROGRAMS[primitive.name].graph()


def _derivative_type(*operands: ArrayType, name: str, orders: Orders) -> ArrayType:
    dtype = np.result_type(*[x.dtype for x in operands if kind_of(x.dtype) == "f"])
    return ArrayType(dtype, broadcast_shapes(*[operand.shape for operand in operands]))


def _derivative_evaluate(*operands: Any, name: str, orders: Orders) -> Any:
    return PROGRAMS[name].evaluate(*operands, orders=orders)


def derivative(name: str, orders: Orders, *operands: Any) -> Any:
    """The derivative of a program of these orders in its operands."""
    return bind(derivative_p, *operands, name=name, orders=orders)


def _higher(place: int) -> Partial:
    def partial(t: Any, out: Any, *operands: Any, name: str, orders: Orders) -> Any:
        more = tuple([order + (k == place) for k, order in enumerate(orders)])
        return t * derivative(name, more, *operands)

    return partial


def _derivative_jvp(primals: Any, tangents: Any, out: Any, **params: Any) -> Any:
    rule = elementwise_jvp([_higher(place) for place in range(len(primals))])
    return rule(primals, tangents, out, **params)


def _derivative_vjp(ct: Any, primals: Any, out: Any, active: Any, **params: Any) -> Any:
    rule = elementwise_vjp([_higher(place) for place in range(len(primals))])
    return rule(ct, primals, out, active, **params)


def _derivative_batch(size: int, operands: Any, batched: Any, **params: Any) -> Any:
    return bind(derivative_p, *align_batched(operands, batched, size), **params)


derivative_p = register(
    Primitive(
        "program_derivative",
        _derivative_type,
        _derivative_evaluate,
        jvp_rule=_derivative_jvp,
        vjp_rule=_derivative_vjp,
        batch_rule=_derivative_batch,
        lowering=Lowering("elementwise", "program"),
    )
)


def of_scipy(name: str) -> Any:
    """A universal function of `scipy.special`, which is imported when it is first used."""
    return LateUfunc("scipy.special", name)


def program(
    ufunc: Any,
    source: Source,
    *partials: Partial,
    name: str | None = None,
    evaluate: Callable[..., Any] | str | None = None,
) -> Any:
    """Register the elementwise primitive of a program; the function that promotes as the ufunc.

    A partial that is `AUTOMATIC` is the derivative of the program itself. NumPy's evaluation is
    the ufunc, `evaluate`, or with `evaluate="program"` the program on arrays.
    """
    known = name or ufunc.__name__
    arity = source.__code__.co_argcount
    made = Program(known, arity, source)
    rule: Any = made.evaluate if evaluate == "program" else evaluate
    rules = [
        _automatic(known, place, arity) if partial is AUTOMATIC else partial
        for place, partial in enumerate(partials)
    ]
    resolved = elementwise_type(ufunc)

    def type_rule(*operands: ArrayType) -> ArrayType:
        type_: ArrayType = resolved(*operands)
        if type_.dtype not in (np.float32, np.float64):
            raise DTypeError(f"{known} of {type_.dtype} is not traced; it takes real numbers")
        return type_

    primitive = pointwise(
        known, ufunc, *rules, operation="program", type_rule=type_rule, evaluate=rule
    )
    return apply_ufunc(primitive, ufunc)


def AUTOMATIC(t: Any, out: Any, *operands: Any) -> Any:
    """Marks a partial that is made from the program."""
    raise AssertionError("a mark, replaced by the rule it stands for")


def _automatic(name: str, place: int, arity: int) -> Partial:
    orders = tuple(int(k == place) for k in range(arity))
    return lambda t, out, *operands: t * derivative(name, orders, *operands)
