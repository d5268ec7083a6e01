"""Calls for one matrix of a stack after the other, as one call for the whole stack.

A loop that does nothing but call becomes a call whose views keep the axes of the stack: how many
says the parameter `batch`. Of LAPACK these are the routines that a device's libraries have for
stacks, up to a size of the matrices.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from codegen.device.machine import DeviceMachine
from codegen.device.products import PRODUCT
from codegen.device.work import work_of
from codegen.loops.linear import constant_trip
from codegen.loops.nodes import Call, Literal, Loop, Program, Statement, Variable, View
from codegen.loops.walk import subexpressions
from codegen.passes.rewrite import Body, map_blocks

BATCHED = frozenset({"potrf", "getrf", "trsm", "trsv"})
LARGEST = 256
"""Rows from which on a matrix keeps a device busy alone, and routines for one are faster."""


def batch_routines(program: Program) -> Program:
    """The program with such calls of LAPACK."""
    return replace(program, body=_block(program.body, _is_routine_of_stacks))


def batch_products(program: Program, machine: DeviceMachine) -> Program:
    """The program with such calls of `matmul`, of matrices that no kernel multiplies."""

    def is_large(call: Call) -> bool:
        shapes = [view.shape for view in (*call.results, *call.operands[:2])]
        return (
            call.kernel == "matmul"
            and work_of((call,)) > machine.small
            and all(len(shape) == 2 for shape in shapes)
        )

    return replace(program, body=_block(program.body, is_large))


def _is_routine_of_stacks(call: Call) -> bool:
    """Whether a library takes stacks of that call."""
    if call.kernel != "lapack":
        return False
    routine: Any = call.params["routine"]
    shape = call.operands[0].shape
    square = routine[1:] != "getrf" or shape[-1] == shape[-2]
    return routine[1:] in BATCHED and square and max(shape) <= LARGEST


def _block(body: Body, is_taken: Callable[[Call], bool]) -> Body:
    return tuple([_statement(part, is_taken) for part in body])


def _statement(statement: Statement, is_taken: Callable[[Call], bool]) -> Statement:
    if isinstance(statement, Loop):
        if statement.kind == PRODUCT:
            return statement
        batched = _batched(statement, is_taken)
        if batched is not None:
            return batched
    return map_blocks(statement, lambda body: _block(body, is_taken))


def _batched(statement: Statement, is_taken: Callable[[Call], bool]) -> Call | None:
    """The one call that a nest is."""
    loops: list[Loop] = []
    while isinstance(statement, Loop):
        if len(statement.body) != 1 or not isinstance(statement.start, Literal):
            return None
        if statement.start.value != 0 or not constant_trip(statement):
            return None
        loops.append(statement)
        (statement,) = statement.body
    if not isinstance(statement, Call) or not is_taken(statement):
        return None
    shared = statement.kernel == "matmul"
    results = [_whole(view, loops, False) for view in statement.results]
    operands = [_whole(view, loops, shared) for view in statement.operands]
    found = [view for view in (*results, *operands) if view is not None]
    if len(found) != len(results) + len(operands):
        return None
    count = len(results)
    params = {**statement.params, "batch": len(loops)}
    return Call(statement.kernel, tuple(found[:count]), tuple(found[count:]), params)


def _whole(view: View, loops: Sequence[Loop], shared: bool) -> View | None:
    """A view with the axes of the stack; itself where it is one for all, and that is allowed."""
    names = [loop.index for loop in loops]
    used = {
        part.name
        for index in view.indices
        for part in subexpressions(index)
        if isinstance(part, Variable)
    }
    if used.isdisjoint(names):
        return view if shared else None
    place = len(view.indices) - len(loops)
    if place < 0:
        return None
    for index, loop, extent in zip(
        view.indices[place:], loops, view.buffer.shape[place:], strict=False
    ):
        if not isinstance(index, Variable) or index.name != loop.index:
            return None
        if constant_trip(loop) != extent:
            return None
    before = {
        part.name
        for index in view.indices[:place]
        for part in subexpressions(index)
        if isinstance(part, Variable)
    }
    if not before.isdisjoint(names):
        return None
    axes = view.axes
    if axes is not None:
        axes = (*range(len(loops)), *(axis + len(loops) for axis in axes))
    return View(view.buffer, view.indices[:place], axes)
