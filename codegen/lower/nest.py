"""Loop nests that stay open: elementwise values of one shape, one after the other, in one body.

What a nest has written is known in its body by its scalar, so that a value which is used by the
next needs no load, and no pass has to find that out. A value that reads other elements of what the
nest writes, or writes where the nest has read, begins a nest of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from codegen.loops.nodes import Buffer, Expression, Literal, Loop, Statement, Store, Variable
from codegen.lower.block import ZERO, Block, Indices
from tracer.types import INT64

if TYPE_CHECKING:
    from codegen.lower.context import Context

MOST_STATEMENTS = 800


class ElsewhereError(Exception):
    """An element is read that another iteration of the nest writes."""


class Nest:
    """A nest over a shape, its innermost body, and the memory that it touches."""

    def __init__(self, context: Context, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self.block = Block(context.block)
        self.read: set[Buffer] = set()
        self.written: dict[Buffer, tuple[Buffer, Indices, Expression]] = {}
        indices: list[Expression] = []
        for extent in shape:
            if extent == 1:
                indices.append(ZERO)
                continue
            name = context.fresh("i")
            context.ranges[name] = (0, max(0, extent - 1))
            indices.append(Variable(name, INT64))
        self.indices = tuple(indices)

    def takes(self, shape: tuple[int, ...], target: Buffer) -> bool:
        """Whether values of a shape may be written to a buffer here."""
        root = target.root
        return (
            shape == self.shape
            and root not in self.read
            and root not in self.written
            and len(self.block.statements) < MOST_STATEMENTS
        )

    def load(self, buffer: Buffer, indices: Indices) -> Expression | None:
        """The scalar that was written to an element; None where memory holds it."""
        root = buffer.root
        found = self.written.get(root)
        if found is None:
            self.read.add(root)
            return None
        if found[0] is buffer and found[1] == indices:
            return found[2]
        raise ElsewhereError

    def loops(self) -> Statement:
        """The nest as a statement."""
        body: tuple[Statement, ...] = tuple(self.block.statements)
        for extent, index in zip(reversed(self.shape), reversed(self.indices), strict=True):
            if isinstance(index, Variable):
                body = (Loop(index.name, ZERO, Literal(extent, INT64), body),)
        (statement,) = body
        return statement


def write_elements(
    context: Context,
    shape: tuple[int, ...],
    target: Buffer,
    place: Indices,
    value: Callable[[Indices], Expression],
) -> None:
    """Write `value` at all indices of a shape to `target[place]`."""
    if all(extent == 1 for extent in shape):
        indices = (ZERO,) * len(shape)
        context.store(target, (*place, *indices), value(indices))
        return
    outer = context.block
    nest = outer.nest
    if nest is not None and nest.takes(shape, target):
        try:
            _add(context, nest, target, place, value)
        except ElsewhereError:
            pass
        else:
            return
    outer.close_nest()
    nest = Nest(context, shape)
    _add(context, nest, target, place, value)
    outer.nest = nest


def _add(
    context: Context,
    nest: Nest,
    target: Buffer,
    place: Indices,
    value: Callable[[Indices], Expression],
) -> None:
    """Add a value to a nest; ElsewhereError leaves the nest as it was."""
    outer = context.block
    draft = Block(nest.block)
    context.block, context.nest = draft, nest
    try:
        result = value(nest.indices)
    finally:
        context.block, context.nest = outer, None
    indices = (*place, *nest.indices)
    draft.statements.append(Store(target, indices, result))
    nest.block.statements.extend(draft.statements)
    nest.block.known.update(draft.known)
    nest.written[target.root] = (target, indices, result)
