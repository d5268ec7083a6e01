"""Blocks of statements that are being written."""

from __future__ import annotations

from collections.abc import Set
from typing import TYPE_CHECKING, Any

from codegen.loops.nodes import Expression, Literal, Statement
from tracer.graph.nodes import Variable as GraphVariable
from tracer.types import INT64

if TYPE_CHECKING:
    from codegen.lower.nest import Nest

ZERO = Literal(0, INT64)
Indices = tuple[Expression, ...]


class Block:
    """Statements being written, and the values already computed in them.

    The last of them may be a nest that is still open; whoever looks at the statements closes it.
    """

    def __init__(self, parent: Block | None = None) -> None:
        self.parent = parent
        self.nest: Nest | None = None
        self.known: dict[Any, Expression] = {}
        self._statements: list[Statement] = []

    @property
    def statements(self) -> list[Statement]:
        """All statements so far; more may be appended."""
        if self.nest is not None:
            self.close_nest()
        return self._statements

    def close_nest(self) -> None:
        """Write the open nest down, where there is one."""
        if self.nest is not None:
            self._statements.append(self.nest.loops())
            self.nest = None

    def forget(self, values: Set[Any]) -> None:
        """Drop, here and in enclosing blocks, what is known of some values of a graph."""
        block: Block | None = self
        while block is not None:
            block.known = {
                key: scalar
                for key, scalar in block.known.items()
                if values.isdisjoint(part for part in key if isinstance(part, GraphVariable))
            }
            block = block.parent

    def find(self, key: Any) -> Expression | None:
        """The scalar that holds the value of that key, here or in an enclosing block."""
        block: Block | None = self
        while block is not None:
            found = block.known.get(key)
            if found is not None:
                return found
            block = block.parent
        return None
