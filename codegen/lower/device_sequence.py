"""Sorting, extremes' places and convolution for devices: every element finds its place by itself.

A sort ranks runs of a few elements by counting, then merges runs two by two: an element's place in
the merged run is its place in its own plus how many elements of the other stand before it, which a
search by halves finds. Keys and their positions move from one pair of buffers to another, so that
an element reads its neighbours' keys, not places of keys. Equal keys keep their order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from codegen.loops.nodes import (
    Assign,
    Buffer,
    Call,
    Expression,
    Literal,
    Load,
    Loop,
    Operation,
    Variable,
    View,
)
from codegen.lower.context import (
    BOOL,
    INT64,
    ZERO,
    Context,
    Indices,
    Stored,
    add_index,
    integer,
)
from codegen.lower.index import index_range
from codegen.lower.reduction import identity
from tracer.errors import BackendError
from tracer.graph.nodes import Node
from tracer.types import ArrayType, kind_of

RUN = 32
"""Elements that are ranked by counting before the first merge: a power of two."""

INT32 = np.dtype(np.int32)


@dataclass(frozen=True, slots=True)
class Runs:
    """Two copies of rows of sorted runs: the keys, and where each stood at first, if that is
    wanted."""

    keys: Buffer
    order: Buffer | None

    def store(
        self, context: Context, at: Indices, key: Expression, position: Expression | None
    ) -> None:
        """Write a key and its position."""
        context.store(self.keys, at, key)
        if self.order is not None and position is not None:
            context.store(self.order, at, _converted(context, position, self.order.dtype))

    def position(self, context: Context, at: Indices) -> Expression | None:
        """Where a key stood."""
        return None if self.order is None else context.load(self.order, at)


def new_runs(
    context: Context, dtype: np.dtype, shape: tuple[int, ...], *, ordered: bool = True
) -> Runs:
    """Memory for runs."""
    small = INT32 if shape[-1] <= np.iinfo(np.int32).max else INT64
    order = context.new_buffer(ArrayType(small, (2, *shape))) if ordered else None
    return Runs(context.new_buffer(ArrayType(dtype, (2, *shape))), order)


def emit_argsort(context: Context, node: Node, target: Buffer, place: Indices) -> None:
    """The stable permutation that sorts along an axis, NaN last."""
    (operand,) = node.operands
    shape, axis = operand.type.shape, node.params["axis"]
    length, dtype = shape[axis], operand.type.dtype
    if dtype.kind == "c":
        raise BackendError(f"{node.source}: sorting complex numbers cannot be compiled yet")
    context.value_ranges[node.results[0]] = (0, max(0, length - 1))
    context.distinct[node.results[0]] = frozenset((axis,))
    if operand.type.size == 0:
        return
    stored = context.places[operand]
    assert isinstance(stored, Stored), "operands of a sort or search are stored"
    outer = tuple(extent for number, extent in enumerate(shape) if number != axis)

    def along(rest: Indices, where: Expression) -> Indices:
        return (*rest[:axis], where, *rest[axis:])

    if length > 2 * RUN:
        _call_sort(context, node, (target, place), stored, along)
        return

    def key_of(rest: Indices, where: Expression) -> Expression:
        return context.let(Load(stored.buffer, (*stored.prefix, *along(rest, where))))

    def finish(at: Indices, key: Expression, position: Expression) -> None:
        at = (*place, *along(at[:-1], at[-1]))
        context.store(target, at, _converted(context, position, INT64))

    sort_rows(context, dtype, (*outer, length), key_of, finish)


def _call_sort(
    context: Context,
    node: Node,
    target: tuple[Buffer, Indices],
    stored: Stored,
    along: Callable[[Indices, Expression], Indices],
) -> None:
    """Write a call for rows that are too long to rank each key among all; other axes than the last
    are turned. The keys in order are at hand for a gather by the permutation."""
    (operand,) = node.operands
    shape, axis, dtype = operand.type.shape, node.params["axis"], operand.type.dtype
    outer, length = [*shape[:axis], *shape[axis + 1 :]], shape[axis]
    source = View(stored.buffer, stored.prefix)
    order = View(*target)
    turned = axis < len(shape) - 1
    if turned:
        source = View(context.new_buffer(ArrayType(dtype, (*outer, length))))
        with context.loops(shape) as at:
            key = context.load(stored.buffer, (*stored.prefix, *at))
            context.store(source.buffer, (*at[:axis], *at[axis + 1 :], at[axis]), key)
    if turned or order.buffer.root is source.buffer.root:
        order = View(context.new_buffer(ArrayType(INT64, (*outer, length))))
    keys = context.new_buffer(ArrayType(dtype, (*outer, length)))
    known = index_range(context, operand) if dtype.kind in "iu" else None
    bits = max(1, known[1].bit_length()) if known is not None and known[0] >= 0 else 0
    add_sort(context, source, View(keys), order, bits)
    if order.buffer is not target[0]:
        with context.loops(outer) as rest, context.loop(length) as where:
            position = context.load(order.buffer, (*rest, where))
            context.store(target[0], (*target[1], *along(rest, where)), position)
    context.sorted[node.results[0]] = (operand, axis, keys)


def add_sort(context: Context, source: View, keys: View, order: View, bits: int = 0) -> None:
    """Write a call that sorts rows, of integers from 0 of so many `bits` where these are given."""
    params = {
        "wanted": ("keys", "order"),
        "order": order.buffer.dtype.name,
        "bits": bits,
        "parts": ((0, source.shape[-1]),),
        "run": 0,
    }
    context.add(Call("sort", (keys, order), (source,), params))


def sort_rows(
    context: Context,
    dtype: np.dtype,
    shape: tuple[int, ...],
    key_of: Callable[[Indices, Expression], Expression],
    finish: Callable[[Indices, Expression, Expression], None],
) -> None:
    """Write loops that sort rows, of which `key_of(row, position)` writes and names the keys.

    `finish(at, key, position)` writes what becomes of a key, which goes to `at`: a row, and a
    place in it.
    """
    *outer, length = shape
    if length <= 2 * RUN:
        with context.loops(outer) as rest, context.loop(length) as position:
            key, where = _counted(context, partial(key_of, rest), position, length, length)
            finish((*rest, where), key, position)
        return
    runs = new_runs(context, dtype, shape)
    with context.loops(outer) as rest, context.loop(length) as position:
        key, where = _counted(context, partial(key_of, rest), position, length, RUN)
        runs.store(context, (ZERO, *rest, where), key, position)

    def finish_both(at: Indices, key: Expression, position: Expression | None) -> None:
        assert position is not None, "runs have positions"
        finish(at, key, position)

    merge_runs(context, runs, RUN, finish_both)


def merge_runs(
    context: Context,
    runs: Runs,
    run: int,
    finish: Callable[[Indices, Expression, Expression | None], None],
) -> None:
    """Write loops that merge the runs of `run` keys, a power of two, in the first copy. `finish` as
    for `sort_rows`."""
    *outer, length = runs.keys.shape[1:]
    merges = (-(-length // run) - 1).bit_length()
    if merges > 1:
        with (
            context.loop(merges - 1, "serial") as number,
            context.loops(outer) as rest,
            context.loop(length) as position,
        ):
            source: Expression = ZERO
            other: Expression = integer(1)
            if merges > 2:
                source = context.operation("bitwise_and", number, integer(1))
                other = context.operation("bitwise_xor", source, integer(1))
            at = (source, *rest, position)
            key, where = _merged(context, runs.keys, at, number, run)
            runs.store(context, (other, *rest, where), key, runs.position(context, at))
    with context.loops(outer) as rest, context.loop(length) as position:
        at = (integer((merges - 1) % 2), *rest, position)
        key, where = _merged(context, runs.keys, at, integer(merges - 1), run)
        finish((*rest, where), key, runs.position(context, at))


def _converted(context: Context, value: Expression, dtype: np.dtype) -> Expression:
    if value.dtype == dtype:
        return value
    return context.let(Operation("cast", (value,), dtype))


def _counted(
    context: Context,
    key_at: Callable[[Expression], Expression],
    position: Expression,
    length: int,
    width: int,
) -> tuple[Expression, Expression]:
    """The key at a position, and its place in the sorted run of `width` that it belongs to."""
    key = key_at(position)
    low: Expression = ZERO
    high: Expression = integer(length)
    if width < length:
        low = context.operation("bitwise_and", position, integer(-width))
        high = _least(context, context.operation("add", low, integer(width)), length)
    count = context.declare("n", low)
    name = context.fresh("i")
    with context.inner_block() as block:
        other = Variable(name, INT64)
        earlier = context.operation("less", other, position, dtype=BOOL)
        _count_if(context, count, _stands_before(context, key_at(other), key, earlier))
    context.add(Loop(name, low, high, tuple(block.statements), "serial"))
    return key, context.settled(count)


def _least(context: Context, value: Expression, length: int) -> Expression:
    if isinstance(value, Literal):
        return integer(min(int(value.value.real), length))
    return context.operation("minimum", value, integer(length))


def _count_if(context: Context, count: Variable, condition: Expression) -> None:
    one = Operation("select", (condition, integer(1), ZERO), INT64)
    context.add(Assign(count.name, Operation("add", (count, one), INT64)))


def _merged(
    context: Context, keys: Buffer, at: Indices, number: Expression, run: int
) -> tuple[Expression, Expression]:
    """The key at `at`, and its place after merge `number`, of its run with the one beside it."""
    key = context.load(keys, at)
    position, length = at[-1], keys.shape[-1]
    width: Expression
    if isinstance(number, Literal):
        width = integer(run << int(number.value.real))
        mask: Expression = integer(-(run << int(number.value.real)))
    else:
        width = context.operation("left_shift", integer(run), number)
        mask = context.operation("negative", width)
    low = context.operation("bitwise_and", position, mask)
    other = context.operation("bitwise_xor", low, width)
    is_right = context.operation("less", other, low, dtype=BOOL)
    missing = context.operation("subtract", integer(length), other)
    extent = context.operation("minimum", missing, width)
    steps = add_index(number, run.bit_length())

    def follows(place: Expression) -> Expression:
        # Outside of the run some key of the row is read, and not used.
        where = _least(context, context.operation("add", other, place), length - 1)
        probe = context.load(keys, (*at[:-1], where))
        return _stands_before(context, probe, key, is_right)

    count = bisect(context, width, steps, extent, follows)
    begin = context.operation("minimum", low, other)
    offset = context.operation("subtract", position, low)
    own = context.operation("add", begin, offset)
    return key, context.operation("add", own, count)


def bisect(
    context: Context,
    width: Expression,
    steps: Expression,
    extent: Expression,
    holds: Callable[[Expression], Expression],
) -> Expression:
    """How many of the first `extent` numbers have a property which no number has after one that
    has not. `width` is a power of two, `steps` the number of its bits, and `extent` less than
    twice `width`; `holds` is also asked for greater numbers, but no negative ones.
    """
    count = context.declare("n", ZERO)
    jump = context.declare("j", width)
    with context.loop(steps, "serial"):
        before, ahead = context.settled(count), context.settled(jump)
        reached = context.operation("add", before, ahead)
        inside = context.operation("less_equal", reached, extent, dtype=BOOL)
        found = holds(context.operation("subtract", reached, integer(1)))
        goes_on = context.operation("logical_and", inside, found, dtype=BOOL)
        context.add(Assign(count.name, Operation("select", (goes_on, reached, before), INT64)))
        context.add(Assign(jump.name, Operation("right_shift", (ahead, integer(1)), INT64)))
    return context.settled(count)


def _stands_before(
    context: Context, other: Expression, key: Expression, earlier: Expression
) -> Expression:
    """Whether another key sorts before a key, where `earlier` says that it comes first of two
    equal ones; NaN comes last."""

    def test(name: str, *operands: Expression) -> Expression:
        return context.operation(name, *operands, dtype=BOOL)

    tie = test("logical_and", earlier, test("equal", other, key))
    before = test("logical_or", test("less", other, key), tie)
    if kind_of(key.dtype) != "f":
        return before
    number = test("equal", other, other)
    after_all = test("logical_and", test("isnan", key), test("logical_or", earlier, number))
    return test("logical_or", before, after_all)


def emit_arg_reduction(context: Context, node: Node, target: Buffer, place: Indices) -> None:
    """The first place of the largest or smallest along an axis, a NaN winning: the extreme by one
    reduction, the first of its places by another."""
    operand = node.operands[0]
    shape, axis, dtype = operand.type.shape, node.params["axis"], operand.type.dtype
    combiner = "maximum" if node.primitive.name == "argmax" else "minimum"
    context.value_ranges[node.results[0]] = (0, shape[axis] - 1)

    def at(outer: Indices, index: Expression) -> Expression:
        return context.element(operand, (*outer[:axis], index, *outer[axis:]))

    with context.loops([extent for a, extent in enumerate(shape) if a != axis]) as outer:
        best = context.declare("b", identity(combiner, dtype))
        with context.loop(shape[axis], "reduce") as index:
            context.reduce(best, combiner, at(outer, index))
        extreme = context.settled(best)
        first = context.declare("w", integer(shape[axis] - 1))
        with context.loop(shape[axis], "reduce") as index:
            value = at(outer, index)
            wins = context.operation("equal", value, extreme, dtype=BOOL)
            if kind_of(dtype) == "f":
                is_nan = context.operation("isnan", value, dtype=BOOL)
                wins = context.operation("logical_or", wins, is_nan, dtype=BOOL)
            none = integer(shape[axis] - 1)
            chosen = context.let(Operation("select", (wins, index, none), INT64))
            context.reduce(first, "minimum", chosen)
        context.store(target, (*place, *outer), context.settled(first))


def emit_convolution(context: Context, node: Node, target: Buffer, place: Indices) -> None:
    """Each element a sum of its own, its terms in the order of the first operand."""
    x, y = node.operands
    dtype = node.results[0].type.dtype
    times, plus = ("logical_and", "logical_or") if dtype.kind == "b" else ("multiply", "add")
    with context.loop(target.shape[-1]) as index:
        total = context.declare("s", identity(plus, dtype))
        past = context.operation("subtract", index, integer(y.type.size - 1))
        low = context.operation("maximum", past, ZERO)
        high = _least(context, context.operation("add", index, integer(1)), x.type.size)
        name = context.fresh("i")
        with context.inner_block() as block:
            i = Variable(name, INT64)
            one = context.element(x, (ZERO if x.type.size == 1 else i,))
            j = context.operation("subtract", index, i)
            other = context.element(y, (ZERO if y.type.size == 1 else j,))
            context.reduce(total, plus, context.operation(times, one, other))
        context.add(Loop(name, low, high, tuple(block.statements), "reduce"))
        context.store(target, (*place, index), context.settled(total))
