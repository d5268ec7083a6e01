"""How often loops run at most whose bounds are computed: for estimates."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

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

Ranges = dict[str, tuple[int, int]]
"""The least and the largest values of loops' indices."""


def note_trips(program: Program) -> Program:
    """The program with `most` of loops set where the definitions and loops around them tell it."""
    return replace(program, body=_block(program.body, {}, {}))


def _block(body: Body, known: dict[str, Expression], ranges: Ranges) -> Body:
    known = dict(known)
    result: list[Statement] = []
    for statement in body:
        if isinstance(statement, Let) and statement.value.dtype == INT64:
            known[statement.name] = statement.value
        if isinstance(statement, Loop) and constant_trip(statement) is None:
            most = _most(statement.start, statement.stop, known, ranges)
            statement = replace(statement, most=most)
        inside = {**ranges, **_range(statement)} if isinstance(statement, Loop) else ranges
        result.append(map_blocks(statement, partial(_block, known=known, ranges=inside)))
    return tuple(result)


def _range(loop: Loop) -> Ranges:
    """That of a loop between numbers, or of one from a number on that runs so often at most."""
    trips = constant_trip(loop) or loop.most
    if not trips or not isinstance(loop.start, Literal):
        return {}
    start = int(loop.start.value.real)
    return {loop.index: (start, start + trips - 1)}


def _most(start: Expression, stop: Expression, known: dict[str, Expression], ranges: Ranges) -> int:
    """The largest `stop - start` that the expressions allow; 0 where they do not tell."""
    stop = _resolved(stop, known)
    match stop:
        case Operation("minimum", (left, right)):
            found = [_most(start, part, known, ranges) for part in (left, right)]
            return min((trips for trips in found if trips), default=0)
        case Operation("select", (_, left, right)):
            return max(_most(start, part, known, ranges) for part in (left, right))
    form = linear_form(stop, {})
    form.add(linear_form(start, {}), -1)
    total = form.constant
    for term, scale in form.terms.items():
        if not isinstance(term, Variable) or term.name not in ranges:
            return 0
        total += max(scale * end for end in ranges[term.name])
    return max(0, total)


def _resolved(expression: Expression, known: dict[str, Expression]) -> Expression:
    """What a name was defined as, as far as that is a choice of bounds."""
    while isinstance(expression, Variable) and isinstance(
        known.get(expression.name), (Operation, Variable, Literal)
    ):
        expression = known[expression.name]
    return expression
