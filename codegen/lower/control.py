"""Control flow: loops become loops, branches `if`; calls are written out in place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from codegen.loops.nodes import (
    Assign,
    Buffer,
    Declare,
    Expression,
    If,
    Literal,
    Operation,
    Reserve,
    Statement,
    Variable,
    While,
)
from codegen.lower.callback import emit_callback
from codegen.lower.context import (
    BOOL,
    INT64,
    ZERO,
    Block,
    Context,
    Place,
    Scalar,
    Stored,
    Tape,
    TapeStack,
    integer,
)
from codegen.lower.lapack import emit_lapack
from codegen.lower.plan import Plan
from tracer.graph.nodes import Graph, Node
from tracer.graph.nodes import Variable as GraphVariable
from tracer.primitives.loop import LoopShape
from tracer.types import RAGGED, ArrayType

Wanted = dict[GraphVariable, Stored]


def operand_place(context: Context, operand: Any) -> Place:
    """Where an operand of a control-flow node is: in memory, a scalar name, or a tape."""
    from codegen.lower.graph import stored

    if type(operand) is not GraphVariable:
        return Scalar(context.element(operand, ()))
    place = context.places[operand]
    if isinstance(place, (Stored, Tape, TapeStack)):
        return place
    if operand.type.shape == ():
        return Scalar(context.element(operand, ()))
    return stored(context, operand)


def scalar_of(context: Context, place: Place) -> Expression:
    """The value of a 0-d place, under a name that later assignments leave alone."""
    if isinstance(place, Scalar):
        value = place.expression
        return context.settled(value) if isinstance(value, Variable) else value
    assert isinstance(place, Stored), "a scalar is in memory or has a name"
    return context.load(place.buffer, place.prefix)


def emit_call(context: Context, node: Node, position: int, plan: Plan, wanted: Wanted) -> None:
    """A call of a graph: its statements; those of a checkpoint in a block of their own."""
    from codegen.lower.graph import lower_body

    graph: Graph = node.params["graph"]
    context.begin_call(graph)
    for variable, operand in zip(graph.inputs, node.operands, strict=True):
        context.put(variable, operand_place(context, operand))
    targets: list[Stored | None] = [wanted.get(result) for result in node.results]
    if node.params.get("kind") != "checkpoint":
        places = lower_body(context, graph, targets)
    else:
        fixed = [
            target or Stored(context.new_buffer(result.type))
            for target, result in zip(targets, node.results, strict=True)
        ]
        with context.inner_block() as block:
            places = lower_body(context, graph, fixed)
        context.add(If(Literal(True, BOOL), tuple(block.statements)))
    for result, place in zip(node.results, places, strict=True):
        context.put(result, place)


def emit_switch(context: Context, node: Node, position: int, plan: Plan, wanted: Wanted) -> None:
    """One of several blocks runs, and writes the results."""
    from codegen.lower.graph import lower_body

    branches: Sequence[Graph] = node.params["branches"]
    index = scalar_of(context, operand_place(context, node.operands[0]))
    operands = [operand_place(context, operand) for operand in node.operands[1:]]
    names: list[Variable | None] = []
    targets: list[Stored | None] = []
    for result in node.results:
        if result.type.shape == () and result not in wanted:
            start = Literal(np.zeros((), result.type.dtype).item(), result.type.dtype)
            names.append(context.declare("c", start))
            targets.append(None)
        else:
            names.append(None)
            targets.append(wanted.get(result) or Stored(context.new_buffer(result.type)))
    blocks = []
    for branch in branches:
        with context.inner_block() as block, context.inner_graph():
            for variable, place in zip(branch.inputs, operands, strict=True):
                context.put(variable, place)
            places = lower_body(context, branch, targets)
            for name, place in zip(names, places, strict=True):
                if name is not None:
                    context.add(Assign(name.name, scalar_of(context, place)))
            close_tapes(context, block, ())
        blocks.append(block)
    context.add(_chain(context, index, blocks))
    for result, name, target in zip(node.results, names, targets, strict=True):
        if name is not None:
            context.put(result, Scalar(context.settled(name)))
        else:
            assert target is not None, "an array result has a target"
            context.put(result, target)


def _chain(context: Context, index: Expression, blocks: Sequence[Block]) -> Statement:
    """Nested ifs; an index outside goes to the nearest block."""
    body: tuple[Statement, ...] = tuple(blocks[-1].statements)
    for place in range(len(blocks) - 2, -1, -1):
        condition = Operation("less_equal", (index, integer(place)), BOOL)
        body = (If(condition, tuple(blocks[place].statements), body),)
    if len(blocks) == 1:
        return If(Literal(True, BOOL), body)
    (statement,) = body
    return statement


# loops


class _Carry:
    """One carried value: a mutable scalar, or a buffer that is overwritten."""

    def __init__(
        self, context: Context, variable: GraphVariable, start: Place, buffer: Stored | None
    ):
        self.variable = variable
        self.buffer = buffer
        self.name: Variable | None = None
        if buffer is None:
            self.name = context.declare("c", scalar_of(context, start))

    def enter(self, context: Context) -> None:
        """Bind the body's input to the value now."""
        if self.buffer is not None:
            context.put(self.variable, self.buffer)
        else:
            assert self.name is not None, "a carried scalar has a name"
            context.put(self.variable, Scalar(context.settled(self.name)))

    def result(self, context: Context) -> Place:
        """The value after the loop."""
        if self.buffer is not None:
            return self.buffer
        assert self.name is not None, "a carried scalar has a name"
        return Scalar(context.settled(self.name))


def emit_loop(context: Context, node: Node, position: int, plan: Plan, wanted: Wanted) -> None:
    """Write a loop of any kind."""
    params = dict(node.params)
    body: Graph = params.pop("body")
    test: Graph | None = params.pop("test")
    shape = LoopShape(**params)
    parts = shape.split(node.operands)
    constants = [operand_place(context, operand) for operand in parts.constants]
    test_constants = [operand_place(context, operand) for operand in parts.test_constants]
    slices = [operand_place(context, operand) for operand in parts.slices]
    first = 1 + shape.constants
    carries = [
        _make_carry(context, node, place, variable, position, plan, wanted)
        for place, variable in enumerate(body.inputs[first : first + shape.carry])
    ]
    stacks = _Stacks(context, node, body, shape, wanted)

    def iteration(index: Expression, block: Block) -> None:
        with context.inner_graph():
            run_body(index, block)

    def run_body(index: Expression, block: Block) -> None:
        for variable, place in zip(body.inputs[1:first], constants, strict=True):
            context.put(variable, place)
        context.put(body.inputs[0], Scalar(index))
        for variable, place in zip(body.inputs[first + shape.carry :], slices, strict=True):
            context.put(variable, element_place(context, place, index))
        _write_body(context, body, shape, carries, stacks, index, block)

    if test is None:
        trips = integer(shape.length) if shape.length is not None else None
        stop = trips or scalar_of(context, operand_place(context, parts.trips[0]))
        stacks.begin(context, stop)
        _counted(context, stop, shape.reverse, iteration)
        count: Expression = stop
    else:
        stacks.begin(context, None)
        count = _tested(context, test, test_constants, carries, iteration)
    for result, carry in zip(node.results, carries, strict=False):
        context.put(result, carry.result(context))
    stacks.finish(context, node.results[shape.carry : len(body.outputs)])
    if test is not None:
        _finish_count(context, node.results[-1], count, wanted)


def _finish_count(
    context: Context, result: GraphVariable, count: Expression, wanted: Wanted
) -> None:
    target = wanted.get(result)
    if target is None:
        context.put(result, Scalar(count))
    else:
        context.store(target.buffer, target.prefix, count)
        context.put(result, target)


def _make_carry(
    context: Context,
    node: Node,
    place: int,
    variable: GraphVariable,
    position: int,
    plan: Plan,
    wanted: Wanted,
) -> _Carry:
    """Scalars are carried in names, arrays in memory: that of the start value if it is free."""
    from codegen.lower.graph import copy, dying

    shape = LoopShape(**{k: v for k, v in node.params.items() if k not in ("body", "test")})
    start = shape.split(node.operands).carry[place]
    if variable.type.shape == ():
        return _Carry(context, variable, operand_place(context, start), None)
    target = wanted.get(node.results[place])
    if target is None and node.operands.count(start) == 1:
        taken = dying(context, start, position, plan)
        if taken is not None and taken.buffer.role in ("workspace", "output"):
            context.drop(start)
            return _Carry(context, variable, taken, taken)
    target = target or Stored(context.new_buffer(variable.type))
    copy(context, start, target)
    return _Carry(context, variable, target, target)


def _write_body(
    context: Context,
    body: Graph,
    shape: LoopShape,
    carries: Sequence[_Carry],
    stacks: _Stacks,
    index: Expression,
    block: Block,
) -> None:
    from codegen.lower.graph import copy, lower_body

    for carry in carries:
        carry.enter(context)
    targets: list[Stored | None] = [None] * shape.carry
    targets += stacks.targets(context, index)
    owned = [carry.variable for carry in carries if carry.buffer is not None]
    places = lower_body(context, body, targets, owned)
    stacks.keep(context, places[shape.carry :], index)
    memory = {carry.buffer.buffer.root for carry in carries if carry.buffer is not None}
    moves: list[tuple[Any, Stored]] = []
    scalars: list[tuple[str, Expression]] = []
    for carry, place, output in zip(carries, places, body.outputs, strict=False):
        if carry.buffer is None:
            assert carry.name is not None, "a carried scalar has a name"
            scalars.append((carry.name.name, scalar_of(context, place)))
        elif place != carry.buffer:
            if isinstance(place, Stored) and place.buffer.root in memory:
                fresh = Stored(context.new_buffer(output.type))
                copy(context, output, fresh)
                context.put(output, fresh)
            moves.append((output, carry.buffer))
    for output, target in moves:
        copy(context, output, target)
    for name, value in scalars:
        context.add(Assign(name, value))
    close_tapes(context, block, [buffer for place in places for buffer in tape_buffers(place)])


def _counted(
    context: Context,
    stop: Expression,
    reverse: bool,
    iteration: Callable[[Expression, Block], None],
) -> None:
    from codegen.loops.nodes import Loop

    if isinstance(stop, Literal) and stop.value == 0:
        return
    name = context.fresh("i")
    if isinstance(stop, Literal):
        context.ranges[name] = (0, int(stop.value.real) - 1)
    with context.inner_block() as block:
        iteration(Variable(name, INT64), block)
    context.add(Loop(name, ZERO, stop, tuple(block.statements), "serial", reverse))


def _tested(
    context: Context,
    test: Graph,
    constants: Sequence[Place],
    carries: Sequence[_Carry],
    iteration: Callable[[Expression, Block], None],
) -> Expression:
    from codegen.lower.graph import lower_body

    counter = context.declare("n", ZERO)
    with context.inner_block() as before, context.inner_graph():
        for variable, place in zip(test.inputs, constants, strict=False):
            context.put(variable, place)
        for carry, variable in zip(carries, test.inputs[len(constants) :], strict=True):
            carry.enter(context)
            context.put(variable, context.places[carry.variable])
        (found,) = lower_body(context, test, [None])
        condition = scalar_of(context, found)
    with context.inner_block() as block:
        index = context.settled(counter)
        iteration(index, block)
        following = context.operation("add", index, integer(1), dtype=INT64)
        context.add(Assign(counter.name, following))
    context.add(While(tuple(before.statements), condition, tuple(block.statements)))
    return context.settled(counter)


def element_place(context: Context, place: Place, index: Expression) -> Place:
    """Where element `index` of a stack is."""
    if isinstance(place, Stored):
        return Stored(place.buffer, (*place.prefix, index))
    if isinstance(place, Tape):
        return Stored(place.buffer, (context.operation("add", place.start, index, dtype=INT64),))
    assert isinstance(place, TapeStack), "a slice is an array or a tape"
    start = element_place(context, place.starts, index)
    if isinstance(start, Stored):
        if len(start.prefix) < len(start.buffer.shape):
            return TapeStack(place.buffer, start)
        return Tape(place.buffer, context.load(start.buffer, start.prefix))
    assert isinstance(start, (Tape, TapeStack)), "starts are stored or on a tape"
    return TapeStack(place.buffer, start)


# tapes


def new_tape(context: Context, element: ArrayType) -> tuple[Buffer, Variable]:
    """A growing buffer, and the scalar that says how much of it is in use."""
    buffer = context.new_buffer(ArrayType(element.dtype, (RAGGED, *element.shape)))
    top = Variable(context.fresh("t"), INT64)
    context.prologue.append(Declare(top.name, ZERO))
    return buffer, top


def open_tape(context: Context, buffer: Buffer, top: Variable) -> Expression:
    """Where a new tape begins in its buffer; the space is given back when the enclosing block
    ends.
    """
    start = context.settled(top)
    context.open_tapes.append((buffer, top.name, start, context.block))
    return start


def close_tapes(context: Context, block: Block, kept: Sequence[Buffer]) -> None:
    """Give back the space of tapes that were opened in this block and that nobody keeps."""
    still_open = []
    for entry in context.open_tapes:
        buffer, top, start, opened_in = entry
        if opened_in is not block:
            still_open.append(entry)
        elif buffer not in kept:
            context.add(Assign(top, start))
    context.open_tapes = still_open


def tape_buffers(place: Place) -> list[Buffer]:
    """The buffers of a tape, outermost data first."""
    found: list[Buffer] = []
    while isinstance(place, TapeStack):
        found.append(place.buffer)
        place = place.starts
    if isinstance(place, Tape):
        found.append(place.buffer)
    return found


def kept_type(type_: ArrayType) -> ArrayType:
    """What is stacked of a value: a tape's start, or the starts of a stack of tapes."""
    while RAGGED in type_.shape:
        last = max(axis for axis, extent in enumerate(type_.shape) if extent == RAGGED)
        type_ = ArrayType(INT64, type_.shape[:last])
    return type_


class _Stacks:
    """The stacked results of a loop: arrays of static length, tapes, and stacks of tapes."""

    def __init__(
        self, context: Context, node: Node, body: Graph, shape: LoopShape, wanted: Wanted
    ) -> None:
        self.length = shape.length
        results = node.results[shape.carry : len(body.outputs)]
        self.types = body.output_types[shape.carry :]
        self.known_trips = node.params["test"] is None
        self.static: list[Stored | None] = []
        self.tapes: list[tuple[Buffer, Variable] | None] = []
        self.starts: list[Expression | None] = [None] * len(results)
        self.inner: list[list[Buffer]] = [[] for _ in results]
        for result, full_type in zip(results, self.types, strict=True):
            type_ = kept_type(full_type)
            if self.length is not None:
                whole = ArrayType(type_.dtype, (self.length, *type_.shape))
                self.static.append(wanted.get(result) or Stored(context.new_buffer(whole)))
                self.tapes.append(None)
            else:
                self.static.append(None)
                self.tapes.append(new_tape(context, type_))

    def begin(self, context: Context, trips: Expression | None) -> None:
        """Open the tapes; with a known trip count their space is reserved at once."""
        for place, tape in enumerate(self.tapes):
            if tape is None:
                continue
            buffer, top = tape
            start = open_tape(context, buffer, top)
            self.starts[place] = start
            if trips is not None:
                end = context.operation("add", start, trips, dtype=INT64)
                context.add(Reserve(buffer, end))
                context.add(Assign(top.name, end))

    def _slot(self, context: Context, place: int, index: Expression) -> Stored:
        static = self.static[place]
        if static is not None:
            return Stored(static.buffer, (*static.prefix, index))
        tape, start = self.tapes[place], self.starts[place]
        assert tape is not None, "a stack is static or a tape"
        assert start is not None, "the tape was opened"
        where = context.operation("add", start, index, dtype=INT64)
        if not self.known_trips:
            end = context.operation("add", where, integer(1), dtype=INT64)
            context.add(Reserve(tape[0], end))
            context.add(Assign(tape[1].name, end))
        return Stored(tape[0], (where,))

    def targets(self, context: Context, index: Expression) -> list[Stored | None]:
        """Where the elements of this iteration go."""
        self.slots = [self._slot(context, place, index) for place in range(len(self.types))]
        return [
            None if RAGGED in type_.shape else slot
            for type_, slot in zip(self.types, self.slots, strict=True)
        ]

    def keep(self, context: Context, places: Sequence[Place], index: Expression) -> None:
        """Note where the inner tapes of this iteration begin."""
        for number, (type_, place, slot) in enumerate(
            zip(self.types, places, self.slots, strict=True)
        ):
            if RAGGED not in type_.shape:
                continue
            self.inner[number] = tape_buffers(place)
            while isinstance(place, TapeStack):
                place = place.starts
            if isinstance(place, Tape):
                context.store(slot.buffer, slot.prefix, place.start)
                continue
            assert isinstance(place, Stored), "the starts of a stack of tapes are stored"
            with context.loops(kept_type(type_).shape) as indices:
                start = context.load(place.buffer, (*place.prefix, *indices))
                context.store(slot.buffer, (*slot.prefix, *indices), start)

    def finish(self, context: Context, results: Sequence[GraphVariable]) -> None:
        """Say where the stacks are."""
        for number, result in enumerate(results):
            own: Stored | Tape | TapeStack
            static, tape, start = self.static[number], self.tapes[number], self.starts[number]
            if static is not None:
                own = static
            else:
                assert tape is not None, "a stack is static or a tape"
                assert start is not None, "the tape was opened"
                own = Tape(tape[0], start)
            for inner in reversed(self.inner[number]):
                own = TapeStack(inner, own)
            context.put(result, own)


CONTROL: dict[str, Any] = {"call": emit_call, "switch": emit_switch, "loop": emit_loop}
CONTROL |= {"callback": emit_callback, "lapack": emit_lapack}
