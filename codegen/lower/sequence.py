"""Running sums and extremes, recurrences, sorting, searching and convolution, as loops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from codegen.loops.build import literal
from codegen.loops.identities import identity as neutral
from codegen.loops.nodes import Assign, Buffer, Expression, Literal, Load, Operation, Variable
from codegen.lower import device_sequence
from codegen.lower.context import (
    BOOL,
    INT64,
    ZERO,
    Context,
    Indices,
    Stored,
    add_index,
    integer,
    mirror_index,
    scale_index,
)
from codegen.lower.reduction import identity
from tracer.errors import BackendError
from tracer.graph.nodes import Node
from tracer.types import ArrayType, kind_of

TRUE, FALSE = Literal(True, BOOL), Literal(False, BOOL)
COMBINERS = {"cumsum": "add", "cumprod": "multiply", "cummax": "maximum", "cummin": "minimum"}


def emit_sequence(context: Context, node: Node, target: Buffer, place: Indices) -> None:
    """Write the loops of a primitive along one axis."""
    assert node.primitive.lowering is not None, f"{node.primitive.name} cannot be lowered"
    operation = node.primitive.lowering.operation
    if operation in COMBINERS or operation == "recurrence":
        _emit_running(context, node, target, place)
    elif operation in (emitters := _DEVICE if context.target == "device" else _EMITTERS):
        emitters[operation](context, node, target, place)
    else:
        raise BackendError(f"{node.source}: {node.primitive.name} cannot be compiled yet")


def _emit_running(context: Context, node: Node, target: Buffer, place: Indices) -> None:
    """Each element from its predecessor; the first is taken as it is, signs of zero included."""
    *factors, terms = node.operands
    shape, axis, reverse = terms.type.shape, node.params["axis"], node.params["reverse"]
    length = shape[axis]
    if length == 0:
        return
    combiner = COMBINERS.get(node.primitive.name, "")

    def following(last: Expression, where: Indices) -> Expression:
        value = context.element(terms, where)
        if not factors:
            return context.operation(combiner, last, value)
        scaled = context.operation("multiply", context.element(factors[0], where), last)
        return context.operation("add", scaled, value)

    with context.loops([extent for number, extent in enumerate(shape) if number != axis]) as rest:

        def at(step: Expression) -> Indices:
            return (*rest[:axis], mirror_index(step, length) if reverse else step, *rest[axis:])

        if context.target == "device" and combiner and terms.type.dtype.kind != "c":
            _emit_alike(context, node, target, place, rest)
            return
        first = at(ZERO)
        last = context.declare("s", context.element(terms, first))
        context.store(target, (*place, *first), context.settled(last))
        with context.loop(length - 1, "serial") as step:
            where = at(add_index(step, 1))
            context.add(Assign(last.name, following(context.settled(last), where)))
            context.store(target, (*place, *where), context.settled(last))


def _emit_alike(
    context: Context, node: Node, target: Buffer, place: Indices, rest: Indices
) -> None:
    """Running values from the neutral element, which keeps signs of zero: a device takes all
    elements alike, and in the order in which they lie in memory."""
    (terms,) = node.operands
    axis, dtype = node.params["axis"], terms.type.dtype
    combiner = COMBINERS[node.primitive.name]
    last = context.declare("s", literal(neutral(combiner, dtype), dtype))
    reverse = node.params["reverse"]
    with context.loop(terms.type.shape[axis], "serial", reverse=reverse) as step:
        where = (*rest[:axis], step, *rest[axis:])
        value = context.operation(combiner, context.settled(last), context.element(terms, where))
        context.add(Assign(last.name, value))
        context.store(target, (*place, *where), context.settled(last))


def _memory(context: Context, operand: Any) -> Stored:
    place = context.places[operand]
    assert isinstance(place, Stored), "operands of a sort or search are stored"
    return place


def _sorts_before(one: Expression, other: Expression) -> Expression:
    """NumPy's order: NaN comes last."""
    less = Operation("less", (one, other), BOOL)
    if kind_of(one.dtype) != "f":
        return less
    number = Operation("logical_not", (Operation("isnan", (one,), BOOL),), BOOL)
    last = Operation("logical_and", (number, Operation("isnan", (other,), BOOL)), BOOL)
    return Operation("logical_or", (less, last), BOOL)


def _select(condition: Expression, if_true: Expression, if_false: Expression) -> Expression:
    return Operation("select", (condition, if_true, if_false), if_true.dtype)


def _less(one: Expression, other: Expression) -> Expression:
    return Operation("less", (one, other), BOOL)


def _emit_argsort(context: Context, node: Node, target: Buffer, place: Indices) -> None:
    """Merge sort from the bottom up: runs of 1, 2, 4, … between two arrays of places."""
    (operand,) = node.operands
    shape, axis = operand.type.shape, node.params["axis"]
    length = shape[axis]
    if operand.type.dtype.kind == "c":
        raise BackendError(f"{node.source}: sorting complex numbers cannot be compiled yet")
    if operand.type.size == 0:
        return
    keys = _memory(context, operand)
    buffers = [context.new_buffer(ArrayType(INT64, (length,))) for _ in range(2)]
    outer = [extent for number, extent in enumerate(shape) if number != axis]
    with context.loops(outer, "serial") as rest:

        def key(position: Expression) -> Expression:
            where = (*keys.prefix, *rest[:axis], position, *rest[axis:])
            return Load(keys.buffer, where)

        with context.loop(length) as position:
            context.store(buffers[0], (position,), position)
        width, source, spare = 1, buffers[0], buffers[1]
        while width < length:
            _emit_merges(context, key, length, width, source, spare)
            source, spare, width = spare, source, 2 * width
        with context.loop(length) as position:
            where = (*place, *rest[:axis], position, *rest[axis:])
            context.store(target, where, context.load(source, (position,)))


def _emit_merges(
    context: Context,
    key: Callable[[Expression], Expression],
    length: int,
    width: int,
    source: Buffer,
    target: Buffer,
) -> None:
    """Merge neighbouring runs of `width` places; equal keys keep their order."""
    with context.loop(-(-length // (2 * width)), "serial") as block:
        low = context.let(scale_index(block, 2 * width))
        middle = _bounded(context, low, width, length)
        high = _bounded(context, low, 2 * width, length)
        left, right = context.declare("l", low), context.declare("r", middle)
        extent = context.operation("subtract", high, low)
        with context.loop(extent, "serial") as step:
            one, other = Load(source, (left,)), Load(source, (right,))
            both = Operation("logical_not", (_sorts_before(key(other), key(one)),), BOOL)
            here = _select(_less(right, high), both, TRUE)
            takes_left = context.let(_select(_less(left, middle), here, FALSE))
            chosen = context.let(_select(takes_left, one, other))
            context.store(target, (context.operation("add", low, step),), chosen)
            _advance(context, left, takes_left, 1, 0)
            _advance(context, right, takes_left, 0, 1)


def _bounded(context: Context, low: Expression, offset: int, length: int) -> Expression:
    moved = context.operation("add", low, integer(offset))
    return context.operation("minimum", moved, integer(length))


def _advance(context: Context, name: Variable, condition: Expression, yes: int, no: int) -> None:
    by = _select(condition, integer(yes), integer(no))
    context.add(Assign(name.name, Operation("add", (name, by), INT64)))


def _emit_search(context: Context, node: Node, target: Buffer, place: Indices) -> None:
    """Bisection with a fixed number of steps."""
    table, values = node.operands
    if context.target == "device":
        context.value_ranges[node.results[0]] = (0, table.type.shape[0])
    length = table.type.shape[0]
    keys = _memory(context, table) if length else None
    with context.loops(values.type.shape) as where:
        value = context.element(values, where)
        low, high = context.declare("l", ZERO), context.declare("h", integer(length))
        if keys is not None:
            with context.loop(length.bit_length(), "serial"):
                begin, end = context.settled(low), context.settled(high)
                total = context.operation("add", begin, end)
                middle = context.operation("right_shift", total, integer(1))
                entry = Load(keys.buffer, (*keys.prefix, middle))
                before = _sorts_before(entry, value)
                if node.params["side"] == "right":
                    before = Operation("logical_not", (_sorts_before(value, entry),), BOOL)
                open_ = context.let(_less(begin, end))
                goes_on = context.let(_select(open_, before, FALSE))
                after = context.operation("add", middle, integer(1))
                context.add(Assign(low.name, _select(goes_on, after, begin)))
                stays = _select(goes_on, end, middle)
                context.add(Assign(high.name, _select(open_, stays, end)))
        context.store(target, (*place, *where), context.settled(low))


def _emit_convolution(context: Context, node: Node, target: Buffer, place: Indices) -> None:
    """Each element of the first times all of the second, added where it belongs."""
    x, y = node.operands
    dtype = node.results[0].type.dtype
    times, plus = ("logical_and", "logical_or") if dtype.kind == "b" else ("multiply", "add")
    with context.loop(target.shape[-1]) as index:
        context.store(target, (*place, index), identity(plus, dtype))
    with context.loop(x.type.size, "serial") as i, context.loop(y.type.size) as j:
        product = context.operation(times, context.element(x, (i,)), context.element(y, (j,)))
        where = i if j is ZERO else (j if i is ZERO else Operation("add", (i, j), INT64))
        context.update(target, (*place, where), plus, product)


_EMITTERS = {
    "argsort": _emit_argsort,
    "searchsorted": _emit_search,
    "convolve": _emit_convolution,
}

_DEVICE = {
    "argsort": device_sequence.emit_argsort,
    "searchsorted": _emit_search,
    "convolve": device_sequence.emit_convolution,
}
