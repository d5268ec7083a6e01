"""Rows of primitives with graphs as bodies: loops, branches, custom rules, solutions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import tracer
import tracer.numpy as tnp
from tests.primitives.builders import FULL, LIBRARY, plain
from tests.primitives.row import Case, Interval, Row, Shape, type_of

Function = Callable[..., Any]


def _built(function: Function, *operands: tuple[str, Shape, Interval]) -> Case:
    """A case traced from a function of the public interface."""

    def build(*tracers: Any) -> Sequence[Any]:
        return tracer.tree.leaves(function(*tracers))

    types = tuple(type_of(dtype, shape) for dtype, shape, _ in operands)
    return Case(types, tuple(domain for _, _, domain in operands), {}, build)


def _folded(start: Any, rows: Any, reverse: bool, weight: Any = 1.0) -> tuple[Any, ...]:
    """carry ← sin(carry)·weight + row, with the history of carry²."""
    squares = np.empty_like(rows)
    order = range(len(rows))
    for place in reversed(order) if reverse else order:
        squares[place] = start * start
        start = np.sin(start) * weight + rows[place]
    return start, squares


def _scan(reverse: bool) -> Function:
    def fold(start: Any, rows: Any) -> Any:
        return tracer.scan(lambda c, x: (tnp.sin(c) + x, c * c), start, rows, reverse=reverse)

    return fold


def _repeated(start: Any, weight: Any) -> Any:
    return tracer.fori_loop(0, 4, lambda i, c: tnp.sin(c) * weight + i.astype(c.dtype), start)


def _grown(start: Any, rate: Any) -> Any:
    """A trip count that depends on the data: six steps everywhere in the domains."""
    return tracer.while_loop(
        lambda c: c[0] < 10.0, lambda c: (c[0] * 1.5 + c[1], c[1]), (start, rate)
    )


def _grown_reference(start: Any, rate: Any) -> Any:
    while start < 10.0:
        start = start * 1.5 + rate
    return start, rate


# One row a primitive, so the kinds of loop are told apart by their operands.
def _loop_reference(*operands: Any) -> Any:
    first, second = operands[:2]
    if second.ndim > first.ndim:
        return _folded(first, second, len(operands) > 2)
    if len(operands) > 2:
        return _grown_reference(first, second)
    for place in range(4):
        first = np.sin(first) * second + first.dtype.type(place)
    return first


def _backwards(start: Any, rows: Any, unused: Any) -> Any:
    return _scan(True)(start, rows)


def _until(start: Any, rate: Any, unused: Any) -> Any:
    return _grown(start, rate)


VECTOR = ("f8", (3,), FULL)
SCALAR = ("f8", (), FULL)

LOOPS = {
    "loop": plain(
        _loop_reference,
        _built(_scan(False), VECTOR, ("f8", (4, 3), FULL)),
        _built(_backwards, VECTOR, ("f8", (4, 3), FULL), SCALAR),
        _built(_scan(False), SCALAR, ("f8", (0,), FULL)),
        _built(_repeated, VECTOR, VECTOR),
        _built(_repeated, ("f4", (3,), FULL), ("f4", (3,), FULL)),
        _built(_until, ("f8", (), (1.0, 1.05)), ("f8", (), (0.1, 0.12)), SCALAR),
        ulps=64,
        reason=LIBRARY,
    ),
    "switch": plain(
        lambda index, x: (np.sin(x), x * x, x)[np.clip(index, 0, 2)],
        *(
            _built(
                lambda i, x: tracer.switch(i, (tnp.sin, lambda x: x * x, lambda x: x), x),
                ("i8", (), (float(place), float(place))),
                (dtype, (3,), FULL),
            )
            for place, dtype in ((0, "f8"), (1, "f8"), (2, "f8"), (-1, "f8"), (5, "f8"), (0, "f4"))
        ),
        ulps=4,
        reason=LIBRARY,
    ),
}


@tracer.custom_jvp
def _steep(x: Any) -> Any:
    return tnp.exp(x)


@_steep.defjvp
def _steep_rule(primals: Any, tangents: Any) -> Any:
    out = tnp.exp(primals[0])
    return out, tangents[0] * out


@tracer.custom_vjp
def _product(x: Any, y: Any) -> Any:
    return tnp.sin(x) * y


def _product_forward(x: Any, y: Any) -> Any:
    return tnp.sin(x) * y, (x, y)


def _product_backward(kept: Any, ct: Any) -> Any:
    x, y = kept
    return ct * tnp.cos(x) * y, ct * tnp.sin(x)


_product.defvjp(_product_forward, _product_backward)

_boxed = tracer.primitive(
    lambda x: np.sin(x),
    vjp=lambda primals, out, ct: (ct * tnp.cos(primals[0]),),
    jvp=lambda primals, out, tangents: tangents[0] * tnp.cos(primals[0]),
    out=lambda x: x,
)
FUNCTIONS = "its rules are Python functions, which have no text"


def _solution(diagonal: Any, b: Any) -> Any:
    """Of a matrix that is not symmetric: the diagonal, and ½ beside it."""

    def matvec(x: Any) -> Any:
        return diagonal * x + 0.5 * tnp.concatenate([x[1:], x[:1] * 0])

    return tracer.linear_solve(matvec, b)


CUSTOM: dict[str, Row] = {
    "custom_jvp": plain(
        np.exp, _built(_steep, VECTOR), ulps=4, reason=LIBRARY, unsupported={"text": FUNCTIONS}
    ),
    "custom_vjp": plain(
        lambda x, y: np.sin(x) * y,
        _built(_product, VECTOR, VECTOR),
        ulps=4,
        reason=LIBRARY,
        unsupported={"text": FUNCTIONS, "forward": "a custom_vjp says nothing of forward mode"},
    ),
    "callback": plain(
        np.sin,
        _built(_boxed, VECTOR),
        ulps=4,
        reason=LIBRARY,
        unsupported={"text": FUNCTIONS},
    ),
    "linear_solve": plain(
        lambda diagonal, b: np.linalg.solve(np.diag(diagonal) + 0.5 * np.eye(len(b), k=1), b),
        _built(_solution, ("f8", (3,), (1.0, 2.0)), VECTOR),
        ulps=64,
        reason="elimination in another order",
        scaled=True,
        unsupported={"text": FUNCTIONS},
    ),
}

ROWS: dict[str, Row] = {**LOOPS, **CUSTOM}
