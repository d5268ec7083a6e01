"""Calls that sort: what nobody reads is no result, and small sorts are loops.

A sort gives the keys in order and where each stood. Of a function that sorts values nobody asks
where they stood, and of one that wants the permutation nobody reads the keys.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from codegen.device.machine import DeviceMachine
from codegen.device.sort_step import SORT
from codegen.device.work import memory_read, memory_written
from codegen.loops.build import integer
from codegen.loops.linear import constant_trip
from codegen.loops.nodes import (
    Buffer,
    Call,
    Expression,
    Let,
    Load,
    Loop,
    Program,
    Statement,
    Store,
    Variable,
    View,
)
from codegen.loops.walk import buffers_read, statements
from codegen.lower.context import Context, Indices
from codegen.lower.device_sequence import RUN, sort_rows
from codegen.passes.chunks import Names
from codegen.passes.rewrite import Body, map_blocks
from tracer.types import INT64


def prune_sorts(program: Program) -> Program:
    """The program with the results of sorts that something reads."""
    calls = [part for part in statements(program.body) if is_sort(part)]
    if not calls:
        return program
    used = {buffer.root for part in statements(program.body) for buffer in buffers_read(part)}
    used |= {buffer for buffer in program.outputs}
    dropped: set[Buffer] = set()

    def changed(body: Body) -> Body:
        result: list[Statement] = []
        for statement in body:
            if isinstance(statement, Call) and statement.kernel == SORT:
                kept = [view.buffer.root in used for view in statement.results]
                dropped.update(
                    view.buffer.root
                    for view, keep in zip(statement.results, kept, strict=True)
                    if not keep
                )
                if any(kept):
                    result.append(_with_results(statement, kept))
                continue
            result.append(map_blocks(statement, changed))
        return tuple(result)

    body = _redirected(changed(program.body), program, dropped)
    workspace = tuple([buffer for buffer in program.workspace if buffer not in dropped])
    return replace(program, body=body, workspace=workspace)


def _redirected(body: Body, program: Program, dropped: set[Buffer]) -> Body:
    """The block in which a sort writes itself what only copies its result would."""
    result = list(body)
    outputs = set(program.outputs)
    for place, statement in enumerate(body):
        if not isinstance(statement, Call) or statement.kernel != SORT:
            continue
        for view in statement.results:
            held = view.buffer
            copies = [
                (later, part)
                for later, part in enumerate(result)
                if later > place and (target := _copied(part, held)) and target in outputs
            ]
            touched = [
                later
                for later, part in enumerate(result)
                if held in _memory((part,)) and later != place
            ]
            if held.role != "workspace" or len(copies) != 1 or touched != [copies[0][0]]:
                continue
            later, copy = copies[0]
            target = _copied(copy, held)
            between = (*result[:later], *result[later + 1 :])
            assert target is not None, "it was found above"
            if target in _memory(tuple(between)):
                continue
            call = result[place]
            assert isinstance(call, Call), "calls stay where they are"
            views = [View(target) if part is view else part for part in call.results]
            result[place] = replace(call, results=tuple(views))
            result.pop(later)
            dropped.add(held)
    return tuple(result)


def _memory(body: Body) -> set[Buffer]:
    return memory_read(body) | memory_written(body)


def _copied(statement: Statement, source: Buffer) -> Buffer | None:
    """The memory that a nest copies all of another to, which has the same shape."""
    nest: list[Loop] = []
    body: Body = (statement,)
    while len(body) == 1 and isinstance(body[0], Loop):
        nest.append(body[0])
        body = body[0].body
    values: dict[str, Expression] = {}
    for part in body[:-1]:
        if not isinstance(part, Let):
            return None
        values[part.name] = part.value
    last = body[-1] if body else None
    if not nest or not isinstance(last, Store):
        return None
    value = values.get(last.value.name) if isinstance(last.value, Variable) else last.value
    own = tuple([Variable(loop.index, INT64) for loop in nest])
    whole = [loop.start == integer(0) and constant_trip(loop) for loop in nest]
    target = last.buffer
    same = target.shape == source.shape and target.dtype == source.dtype
    if value != Load(source, own) or last.indices != own or whole != list(source.shape):
        return None
    return target if same and target.base is None else None


def is_sort(statement: Statement) -> bool:
    """Whether a statement is such a call."""
    return isinstance(statement, Call) and statement.kernel == SORT


def _with_results(call: Call, kept: Sequence[bool]) -> Call:
    params: Any = call.params
    if all(kept):
        return call
    wanted = [name for name, keep in zip(params["wanted"], kept, strict=True) if keep]
    results = [view for view, keep in zip(call.results, kept, strict=True) if keep]
    return replace(call, results=tuple(results), params={**params, "wanted": tuple(wanted)})


def small_sorts(program: Program, machine: DeviceMachine) -> Program:
    """The program with loops for sorts that one block runs in the time that a kernel takes to
    start."""
    program = prune_sorts(program)
    if not any(is_sort(part) for part in statements(program.body)):
        return program
    names = Names(program)
    context = Context("device")
    context.count = names.last

    def changed(body: Body) -> Body:
        result: list[Statement] = []
        for statement in body:
            if isinstance(statement, Call) and statement.kernel == SORT:
                small = _merging_work(statement.operands[0]) <= machine.small
                result += _loops(context, statement) if small else [statement]
            else:
                result.append(map_blocks(statement, changed))
        return tuple(result)

    body = changed(program.body)
    return replace(program, body=body, workspace=(*program.workspace, *context.workspace))


def _merging_work(view: View) -> int:
    """About how many statements a sort by merging runs."""
    length = view.shape[-1]
    merges = max(0, -(-length // RUN) - 1).bit_length()
    search = sum(RUN.bit_length() + number for number in range(merges))
    return math.prod(view.shape) * (10 * min(length, RUN) + 18 * search)


def _loops(context: Context, call: Call) -> list[Statement]:
    """A sort by merging."""
    (source,) = call.operands
    params: Any = call.params
    results = dict(zip(params["wanted"], call.results, strict=True))

    def key_of(rest: Indices, where: Expression) -> Expression:
        return context.let(Load(source.buffer, (*source.indices, *rest, where)))

    def finish(at: Indices, key: Expression, position: Expression) -> None:
        for name, view in results.items():
            value = key if name == "keys" else position
            if value.dtype != view.buffer.dtype:
                value = context.operation("cast", value, dtype=np.dtype(view.buffer.dtype))
            context.store(view.buffer, (*view.indices, *at), value)

    with context.inner_block() as block:
        sort_rows(context, source.buffer.dtype, source.shape, key_of, finish)
    return list(block.statements)
