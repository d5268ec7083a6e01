"""Elements of memory that a serial loop reads and writes at one place again and again, in scalars.

One thread of a device runs a serial loop without loops that threads share. What it carries from one
iteration to the next then lies in registers, not in memory, which takes hundreds of cycles.
"""

from __future__ import annotations

from dataclasses import replace

from codegen.loops.linear import constant_trip
from codegen.loops.nodes import (
    Assign,
    Buffer,
    Call,
    Declare,
    Expression,
    If,
    Let,
    Literal,
    Load,
    Loop,
    Operation,
    Program,
    Reserve,
    Statement,
    Store,
    Update,
    Variable,
    While,
)
from codegen.loops.walk import blocks, own_expressions, statements, subexpressions
from codegen.passes.effects import written_in
from codegen.passes.rewrite import Body, map_blocks, map_own

Place = tuple[Buffer, tuple[Expression, ...]]
MOST_CARRIED = 32


def carried(program: Program) -> Program:
    """The program with what serial loops carry in scalars."""
    writer = _Writer()
    body = writer.block(program.body)
    return replace(program, body=body) if writer.count else program


class _Writer:
    def __init__(self) -> None:
        self.count = 0

    def block(self, body: Body) -> Body:
        result: list[Statement] = []
        for statement in body:
            if isinstance(statement, Loop) and _runs_in_a_thread(statement):
                result.extend(self.loop(statement))
            else:
                result.append(map_blocks(statement, self.block) if blocks(statement) else statement)
        return tuple(result)

    def loop(self, loop: Loop) -> list[Statement]:
        """The loop, between what gives scalars their first values and stores of the last ones."""
        places = _places(loop)
        if not places or len(places) > MOST_CARRIED:
            return [loop]
        names: dict[Place, Variable] = {}
        first: list[Statement] = []
        for buffer, indices in places:
            self.count += 1
            names[buffer, indices] = Variable(f"k{self.count}", buffer.dtype)
            value: Expression = Load(buffer, indices)
            if not _reads_first(loop.body, (buffer, indices)):
                value = Literal(buffer.dtype.type(0).item(), buffer.dtype)
            else:  # which may be known as a scalar
                first.append(Let(f"k{self.count}v", value))
                value = Variable(f"k{self.count}v", buffer.dtype)
            first.append(Declare(names[buffer, indices].name, value))
        last = [Store(*place, name) for place, name in names.items()]
        return [*first, replace(loop, body=_renamed(loop.body, names)), *last]


def _runs_in_a_thread(loop: Loop) -> bool:
    """Whether a serial loop runs at least once, and has nothing inside that threads may share."""
    if loop.kind != "serial" or not constant_trip(loop):
        return False
    return not any(
        isinstance(part, (Loop, While, If, Call, Reserve)) for part in statements(loop.body)
    )


def _places(loop: Loop) -> list[Place]:
    """The elements which the loop writes, whose places do not change, and which are all that the
    loop touches of their memory."""
    touched: dict[Buffer, dict[Place, None]] = {}
    stored: dict[Place, None] = {}
    perhaps: set[Buffer] = set()  # what is read in branches that may not be taken
    for part in loop.body:
        for expression in own_expressions(part):
            for inner in subexpressions(expression):
                if isinstance(inner, Load):
                    touched.setdefault(inner.buffer.root, {})[inner.buffer, inner.indices] = None
                elif isinstance(inner, Operation) and inner.name == "select":
                    perhaps.update(p.buffer.root for p in subexpressions(inner) if type(p) is Load)
        if isinstance(part, (Store, Update)):
            place = (part.buffer, part.indices)
            touched.setdefault(part.buffer.root, {})[place] = None
            stored[place] = None
    varying = {name for name in written_in(loop.body) if isinstance(name, str)} | {loop.index}
    return [
        place
        for place in stored
        if place[0].root not in perhaps
        and _fixed(place[1], varying)
        and _apart(list(touched[place[0].root]))
    ]


def _fixed(indices: tuple[Expression, ...], varying: set[str]) -> bool:
    return not any(
        isinstance(part, Load) or (isinstance(part, Variable) and part.name in varying)
        for index in indices
        for part in subexpressions(index)
    )


def _apart(places: list[Place]) -> bool:
    """Whether no two of these places can be the same."""
    return all(
        one[0] is two[0]
        and any(
            isinstance(a, Literal) and isinstance(b, Literal) and a != b
            for a, b in zip(one[1], two[1], strict=True)
        )
        for number, one in enumerate(places)
        for two in places[:number]
    )


def _reads_first(body: Body, place: Place) -> bool:
    """Whether an element is read before it is written."""
    for part in body:
        for expression in own_expressions(part):
            for load in subexpressions(expression):
                if isinstance(load, Load) and (load.buffer, load.indices) == place:
                    return True
        if isinstance(part, (Store, Update)) and (part.buffer, part.indices) == place:
            return isinstance(part, Update)
    return False


def _renamed(body: Body, names: dict[Place, Variable]) -> Body:
    def change(expression: Expression) -> Expression:
        if isinstance(expression, Load):
            known = names.get((expression.buffer, expression.indices))
            if known is not None:
                return known
            return Load(expression.buffer, tuple([change(part) for part in expression.indices]))
        if isinstance(expression, Operation):
            operands = tuple([change(part) for part in expression.operands])
            return Operation(expression.name, operands, expression.dtype)
        return expression

    result: list[Statement] = []
    for part in body:
        changed = map_own(part, change)
        if isinstance(part, (Store, Update)) and (part.buffer, part.indices) in names:
            assert isinstance(changed, (Store, Update)), "its own expressions change only"
            name = names[part.buffer, part.indices]
            value = changed.value
            if isinstance(part, Update):
                value = Operation(part.operation, (name, value), value.dtype)
            changed = Assign(name.name, value)
        result.append(changed)
    return tuple(result)
