"""Products of matrices that a device's kernels make, each with what is made of its elements.

A product of middling size (`codegen.device.products.is_ours`) is put into a loop of the kind
"product", which runs once: a kernel of its own. If the next statement that uses the product is a
parallel nest which walks through its elements once, and the order of that nest and of what stands
between may change, the nest moves into the loop too. Where nothing else uses the product then, the
parameter `kept` of the call says that it need not be in memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from codegen.device.forms import nest_of
from codegen.device.machine import DeviceMachine
from codegen.device.products import PRODUCT, ProductNest, is_ours, match_made, product_nest
from codegen.loops.build import loop
from codegen.loops.nodes import Call, Load, Loop, Program, Statement
from codegen.loops.walk import expressions
from codegen.passes.chunks import Names
from codegen.passes.contract import accesses
from codegen.passes.effects import effects
from codegen.passes.rewrite import Body, map_blocks

FARTHEST = 16
"""How many statements may stand between a product and what is made of it."""


def fuse_products(program: Program, machine: DeviceMachine) -> Program:
    """The program with such products in loops of their own."""
    fuser = _Fuser(program, machine)
    body = fuser.block(program.body)
    return replace(program, body=body) if fuser.changed else program


class _Fuser:
    def __init__(self, program: Program, machine: DeviceMachine) -> None:
        self.machine = machine
        self.names = Names(program)
        self.uses = Counter(buffer.root for buffer, _, _ in accesses(program.body, ()))
        self.changed = False

    def block(self, body: Body) -> Body:
        """Statements that run one after the other."""
        pending = list(body)
        result: list[Statement] = []
        while pending:
            statement = pending.pop(0)
            nest = product_nest(statement)
            if nest is not None and is_ours(nest.product, self.machine):
                self.changed = True
                result.append(self.product(nest, statement, pending))
            elif isinstance(statement, Loop) and statement.kind != "serial":
                result.append(statement)
            else:
                result.append(map_blocks(statement, self.block))
        return tuple(result)

    def product(
        self, nest: ProductNest, statement: Statement, pending: list[Statement]
    ) -> Statement:
        """A product's own loop; what is made of it is taken from the statements that follow."""
        place = place_made(nest, pending)
        inside: Body = ()
        kept = True
        if place is not None:
            made = pending.pop(place)
            inside = (made,)
            own = sum(
                isinstance(part, Load) and part.buffer.root is nest.result
                for part in expressions(inside)
            )
            kept = nest.result.role != "workspace" or self.uses[nest.result] > own + 1
        marked = _with_params(statement, nest.call, {"kept": kept})
        return loop(self.names.fresh("i"), 1, marked, *inside, kind=PRODUCT)


def place_made(nest: ProductNest, pending: Sequence[Statement]) -> int | None:
    """Which of the statements that follow is made of the product, and may come right after it."""
    for place, statement in enumerate(pending[:FARTHEST]):
        facts = effects(statement)
        if nest.result not in facts.reads and nest.result not in facts.writes:
            continue
        if not isinstance(statement, Loop) or statement.kind != "parallel":
            return None
        if match_made(nest, *nest_of(statement)) is None:
            return None
        earlier = [effects(before) for before in pending[:place]]
        return None if any(before.conflicts(facts) for before in earlier) else place
    return None


def _with_params(statement: Statement, call: Call, params: dict[str, object]) -> Statement:
    """A nest around a call, which gets parameters."""
    if statement is call:
        return replace(call, params=params)
    return map_blocks(statement, lambda body: tuple(_with_params(p, call, params) for p in body))
