"""A graph as a loop program: stored values one after the other, the rest inlined into them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from codegen.loops.nodes import Buffer, Expression, Load, Program
from codegen.loops.walk import subexpressions
from codegen.lower import device_sequence
from codegen.lower.constants import without_arrays
from codegen.lower.context import Context, Indices, Inline, Place, Scalar, Stored
from codegen.lower.contraction import emit_contraction
from codegen.lower.elementwise import emit_elementwise
from codegen.lower.index import emit_gather, emit_scatter, take_in_order
from codegen.lower.nest import write_elements
from codegen.lower.plan import Plan
from codegen.lower.reduction import emit_arg_reduction, emit_reduction
from codegen.lower.sequence import emit_sequence
from codegen.lower.views import PIECEWISE, copy_into, emit_pieces, emit_view, is_index_map
from tracer.errors import BackendError
from tracer.graph.nodes import Graph, Node, Variable

Emitter = Callable[[Context, Node, Buffer, Indices], None]

_EMITTERS: dict[str, Emitter] = {
    "reduction": emit_reduction,
    "arg_reduction": emit_arg_reduction,
    "contraction": emit_contraction,
    "gather": emit_gather,
    "scatter": emit_scatter,
    "kernel": emit_sequence,
}


def emit_inline(context: Context, node: Node, indices: Indices) -> Expression:
    """The scalar at `indices` of an inlined value."""
    assert node.primitive.lowering is not None, f"{node.primitive.name} cannot be lowered"
    if node.primitive.lowering.kind == "elementwise":
        return emit_elementwise(context, node, indices)
    return emit_view(context, node, indices)


def lower_graph(graph: Graph, target: str = "cpu") -> Program:
    """The loop program of a graph: its inputs and outputs are buffers in the same order.

    For the target "device" sorts, searches and the like are parallel loops.
    """
    return lower_with_places(graph, target)[0]


def lower_with_places(graph: Graph, target: str = "cpu") -> tuple[Program, dict[Variable, Place]]:
    """The loop program, and where it keeps, or kept, each value of the graph and of its bodies."""
    context = Context(target)
    context.emit_inline = emit_inline
    for variable in graph.inputs:
        context.put(variable, Stored(context.new_buffer(variable.type, "input")))
    targets = [context.new_buffer(output.type, "output") for output in graph.outputs]
    lower_body(context, graph, [Stored(target) for target in targets])
    program = Program(
        _identifier(graph.name),
        tuple(context.inputs),
        tuple(context.outputs),
        tuple(context.constants),
        tuple(context.workspace),
        (*context.prologue, *context.block.statements),
        tuple(context.errors),
    )
    return program, {**context.dropped, **context.places}


def _identifier(name: str) -> str:
    cleaned = "".join(letter if letter.isalnum() else "_" for letter in name).strip("_")
    return cleaned if cleaned and not cleaned[0].isdigit() else f"f_{cleaned}"


def lower_body(
    context: Context,
    graph: Graph,
    targets: Sequence[Stored | None],
    carried: Sequence[Variable] = (),
) -> list[Place]:
    """Write the statements of a graph, whose inputs have places; where its outputs are.

    An output goes to its target, or where it falls. `carried` inputs may be overwritten after
    their last use.
    """
    if context.target == "device":
        graph = without_arrays(context, graph)
    for variable, array in graph.constants:
        context.put(variable, Stored(context.constant(array)))
    plan = Plan(graph, carried, context.target)
    wanted: dict[Variable, Stored] = {}
    for output, target in zip(graph.outputs, targets, strict=True):
        if type(output) is Variable and output not in wanted and target is not None:
            wanted[output] = target
    for position, node in enumerate(graph.nodes):
        if node.results and node.results[0] in plan.inlined:
            context.places[node.results[0]] = Inline(node)
        else:
            _emit_stored(context, node, position, plan, wanted)
    places: list[Place] = []
    for output, target in zip(graph.outputs, targets, strict=True):
        place = (
            context.places[output]
            if type(output) is Variable
            else Scalar(context.element(output, ()))
        )
        if target is not None and place != target:
            copy(context, output, target)
            place = target
        places.append(place)
    return places


def copy(context: Context, operand: Any, target: Stored) -> None:
    """Write the elements of a value to its target."""
    offsets = [0] * len(operand.type.shape)
    copy_into(context, operand, target.buffer, target.prefix, offsets, [1] * len(offsets))


def _emit_stored(
    context: Context, node: Node, position: int, plan: Plan, wanted: dict[Variable, Stored]
) -> None:
    """Write the statements of one stored node."""
    lowering = node.primitive.lowering
    if lowering is None:
        raise BackendError(f"{node.source}: {node.primitive.name} cannot be compiled")
    if lowering.kind in CONTROL:
        CONTROL[lowering.kind](context, node, position, plan, wanted)
        return
    result = node.results[0]
    if node.primitive.name == "reshape" and not is_index_map(node):
        context.put(result, _alias(context, node))
        return
    if lowering.kind == "elementwise" and result.type.shape == () and result not in wanted:
        context.put(result, Scalar(emit_elementwise(context, node, ())))
        return
    target = wanted.get(result)
    if target is None:
        in_order = take_in_order(context, node)
        if in_order is not None:
            context.put(result, in_order)
            return
        target = reusable(context, node, position, plan) or Stored(context.new_buffer(result.type))
    _emit_node(context, node, target)
    context.put(result, target)


def _emit_node(context: Context, node: Node, target: Stored) -> None:
    assert node.primitive.lowering is not None, f"{node.primitive.name} cannot be lowered"
    kind = node.primitive.lowering.kind
    if node.primitive.name in PIECEWISE:
        emit_pieces(context, node, target.buffer, target.prefix)
    elif kind in ("elementwise", "view"):
        write_elements(
            context,
            node.results[0].type.shape,
            target.buffer,
            target.prefix,
            lambda indices: emit_inline(context, node, indices),
        )
    elif kind == "arg_reduction" and context.target == "device":
        device_sequence.emit_arg_reduction(context, node, target.buffer, target.prefix)
    elif kind in _EMITTERS:
        _EMITTERS[kind](context, node, target.buffer, target.prefix)
    else:
        raise BackendError(f"{node.source}: {node.primitive.name} cannot be compiled yet")


def _alias(context: Context, node: Node) -> Place:
    """A reshape of stored data is the same memory."""
    operand = node.operands[0]
    place = stored(context, operand)
    prefix_shape = place.buffer.shape[: len(place.prefix)]
    shape = (*prefix_shape, *node.results[0].type.shape)
    return Stored(context.alias(place.buffer, shape), place.prefix)


def stored(context: Context, operand: Any) -> Stored:
    """Where a value lies in memory; it is written there if it was not."""
    place = context.places[operand] if type(operand) is Variable else None
    if isinstance(place, Stored):
        return place
    fresh = Stored(context.new_buffer(operand.type))
    copy(context, operand, fresh)
    if type(operand) is Variable:
        context.put(operand, fresh)
    return fresh


def reusable(context: Context, node: Node, position: int, plan: Plan) -> Stored | None:
    """The memory of the first operand, where the node may overwrite it: it is ours, and dead
    afterwards.
    """
    if node.primitive.name not in ("slice_update", "scatter"):
        return None
    x, part, *where = node.operands
    place = dying(context, x, position, plan)
    if place is None or part.type.size <= 1:
        return place
    root = place.buffer.root
    return None if any(_reads(context, operand, root) for operand in (part, *where)) else place


def _reads(context: Context, operand: Any, root: Buffer) -> bool:
    """Whether elements of an operand are found from what is in that memory when they are wanted."""
    pending, seen = [operand], set[Variable]()
    while pending:
        value = pending.pop()
        if type(value) is not Variable or value in seen:
            continue
        seen.add(value)
        place = context.places.get(value)
        if isinstance(place, Inline):
            pending += place.node.operands
        elif isinstance(place, Scalar):
            parts = subexpressions(place.expression)
            if any(isinstance(part, Load) and part.buffer.root is root for part in parts):
                return True
        elif not isinstance(place, Stored) or place.buffer.root is root:
            return True
    return False


def dying(context: Context, x: Any, position: int, plan: Plan) -> Stored | None:
    """The memory of a value that nothing reads after the node at `position`, if it may be
    overwritten.
    """
    place = context.places.get(x) if type(x) is Variable else None
    if not isinstance(place, Stored) or place.prefix or place.buffer.base is not None:
        return None
    for sharer in context.holders.get(place.buffer, ()):
        other = context.places.get(sharer)
        if not (isinstance(other, Stored) and other.buffer.root is place.buffer):
            continue
        if sharer not in plan.local or plan.last_use.get(sharer, -1) > position:
            return None
    return place


from codegen.lower.control import CONTROL  # noqa: E402
