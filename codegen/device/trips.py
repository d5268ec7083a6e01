"""How often loops run at most whose bounds are computed: for estimates."""

from __future__ import annotations

from dataclasses import replace

from codegen.loops.linear import constant_trip, linear_form
from codegen.loops.nodes import (
    Expression,
    Let,
    Literal,
    Loop,
    Operation,
    Program,
    Statement,
    Variable,
)
from codegen.passes.rewrite import Body, map_blocks
from tracer.types import INT64


def note_trips(program: Program) -> Program:
    """The program with `most` of loops set where the definitions around them tell it."""
    return replace(program, body=_block(program.body, {}))


def _block(body: Body, known: dict[str, Expression]) -> Body:
    known = dict(known)
    result: list[Statement] = []
    for statement in body:
        if isinstance(statement, Let) and statement.value.dtype == INT64:
            known[statement.name] = statement.value
        if isinstance(statement, Loop) and constant_trip(statement) is None:
            statement = replace(statement, most=_most(statement.start, statement.stop, known))
        result.append(map_blocks(statement, lambda inner: _block(inner, known)))
    return tuple(result)


def _most(start: Expression, stop: Expression, known: dict[str, Expression]) -> int:
    """The largest `stop - start` that the expressions allow; 0 where they do not tell."""
    stop = _resolved(stop, known)
    match stop:
        case Operation("minimum", (left, right)):
            found = [_most(start, part, known) for part in (left, right)]
            return min((trips for trips in found if trips), default=0)
        case Operation("select", (_, left, right)):
            return max(_most(start, part, known) for part in (left, right))
    form = linear_form(stop, {})
    form.add(linear_form(start, {}), -1)
    return max(0, form.constant) if not form.terms else 0


def _resolved(expression: Expression, known: dict[str, Expression]) -> Expression:
    """What a name was defined as, as far as that is a choice of bounds."""
    while isinstance(expression, Variable) and isinstance(
        known.get(expression.name), (Operation, Variable, Literal)
    ):
        expression = known[expression.name]
    return expression
