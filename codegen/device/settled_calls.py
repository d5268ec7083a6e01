"""Library calls on memory whose place the host knows: indices that only the device has found, as
where a tape of unknown length has got to, are those of copies that kernels make."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

from codegen.loops.build import index, loop
from codegen.loops.nodes import (
    Buffer,
    Call,
    Expression,
    Literal,
    Load,
    Operation,
    Statement,
    Store,
    Variable,
    View,
)
from codegen.loops.operations import DType

NewBuffer = Callable[[DType, tuple[int, ...]], Buffer]


def settle_call(
    call: Call, known: Collection[str], new: NewBuffer
) -> tuple[list[Statement], Call, list[Statement]]:
    """What has to be copied before the call, the call, and what has to be copied after it; the host
    knows the variables `known`."""
    before: list[Statement] = []
    after: list[Statement] = []
    operands, results = [], []
    for view in call.operands:
        own = _own(view, known, new)
        operands.append(own)
        if own is not view:
            before.append(_copy(own.buffer, (), view.buffer, view.indices))
    for view in call.results:
        own = _own(view, known, new)
        results.append(own)
        if own is not view:
            after.append(_copy(view.buffer, view.indices, own.buffer, ()))
    if not before and not after:
        return before, call, after
    return before, replace(call, operands=tuple(operands), results=tuple(results)), after


def _own(view: View, known: Collection[str], new: NewBuffer) -> View:
    """The view, or one of a buffer of its own."""
    if all(_is_known(part, known) for part in view.indices):
        return view
    rest = view.buffer.shape[len(view.indices) :]
    return View(new(view.buffer.dtype, rest), (), view.axes)


def _is_known(value: Expression, known: Collection[str]) -> bool:
    match value:
        case Literal():
            return True
        case Variable(name):
            return name in known
        case Operation(_, operands):
            return all(_is_known(part, known) for part in operands)
    return False


def _copy(
    target: Buffer,
    target_start: tuple[Expression, ...],
    source: Buffer,
    source_start: tuple[Expression, ...],
) -> Statement:
    """Elements of one buffer into another, both from leading indices on; one has none."""
    own = source if target_start else target
    indices = tuple([index(f"i_{own.name}_{axis}") for axis in range(len(own.shape))])
    value = Load(source, (*source_start, *indices))
    made: Statement = Store(target, (*target_start, *indices), value)
    for place, extent in reversed(list(zip(indices, own.shape, strict=True))):
        made = loop(place.name, extent, made)
    return made
