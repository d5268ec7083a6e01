"""Calls that sort: what nobody reads is no result, and small sorts are loops.

A sort gives the keys in order and where each stood. Of a function that sorts values nobody asks
where they stood, and of one that wants the permutation nobody reads the keys.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from codegen.device.machine import DeviceMachine
from codegen.device.sort_step import SORT
from codegen.device.sorting import leaves_few, merged_run
from codegen.loops.nodes import Buffer, Call, Expression, Load, Program, Statement, View
from codegen.loops.walk import buffers_read, statements
from codegen.lower.context import ZERO, Context, Indices
from codegen.lower.device_sequence import RUN, merge_runs, new_runs, sort_rows
from codegen.passes.chunks import Names
from codegen.passes.rewrite import Body, map_blocks
from codegen.passes.sorted_parts import all_accesses, copied, narrowed


def prune_sorts(program: Program) -> Program:
    """The program with the results of sorts that something reads."""
    calls = [part for part in statements(program.body) if is_sort(part)]
    if not calls:
        return program
    used = {buffer.root for part in statements(program.body) for buffer in buffers_read(part)}
    used |= set(program.outputs)
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
    """The block in which a sort reads and writes itself what is only copied for it."""
    fixed, outputs = {*program.inputs, *program.constants}, set(program.outputs)
    used = Counter(all_accesses(body))
    result: list[Statement | None] = list(body)
    copies = {place: copied(part) for place, part in enumerate(body)}
    straight = {place: copy for place, copy in copies.items() if copy and copy.straight}
    for place, call in enumerate(body):
        if not isinstance(call, Call) or call.kernel != SORT:
            continue
        operands, results = list(call.operands), list(call.results)
        for other, copy in straight.items():
            if other < place and copy.source.root in fixed and operands[0] == View(copy.target):
                operands[0] = View(copy.source)
                if used[copy.target] == 2:
                    result[other] = None
                    dropped.add(copy.target)
            only = used[copy.source] == 2 and used[copy.target] == 1 and copy.target in outputs
            for number, view in enumerate(results):
                if other > place and only and view == View(copy.source):
                    results[number] = View(copy.target)
                    result[other] = None
                    dropped.add(copy.source)
        result[place] = replace(call, operands=tuple(operands), results=tuple(results))
    return tuple([part for part in result if part is not None])


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


def settle_sorts(program: Program, machine: DeviceMachine) -> Program:
    """The program with loops for sorts that one block runs in the time that a kernel takes to
    start; the others are asked for what is read."""
    program = prune_sorts(program)
    if not any(is_sort(part) for part in statements(program.body)):
        return program
    context = Context("device")
    context.count = Names(program).last
    outputs = frozenset(program.outputs)
    memory: dict[Buffer, Buffer | None] = {}
    tables: list[Buffer] = []
    used = Counter(all_accesses(program.body))

    def changed(body: Body) -> Body:
        place = 0
        while place < len(body):
            statement = body[place]
            if not isinstance(statement, Call) or statement.kernel != SORT:
                body = (*body[:place], map_blocks(statement, changed), *body[place + 1 :])
            elif _merging_work(statement.operands[0]) <= machine.small:
                loops = _loops(context, statement)
                body = (*body[:place], *loops, *body[place + 1 :])
                place += len(loops) - 1
            else:
                fits = partial(leaves_few, machine, statement)
                found = narrowed(body, place, outputs, used, fits)
                if found is not None:
                    body = found[0]
                    memory.update(found[1])
                    tables.extend(found[2])
                elif (run := merged_run(statement, machine)) > 0:
                    merging = _merges(context, statement, run)
                    body = (*body[:place], *merging, *body[place + 1 :])
                    place += len(merging) - 1
            place += 1
        return body

    body = changed(program.body)
    kept = [memory.get(buffer, buffer) for buffer in program.workspace]
    workspace = [buffer for buffer in kept if buffer is not None]
    return replace(
        program,
        body=body,
        workspace=(*workspace, *context.workspace),
        constants=(*program.constants, *tables),
    )


def _merging_work(view: View) -> int:
    """About how many statements a sort by merging runs."""
    length = view.shape[-1]
    merges = max(0, -(-length // RUN) - 1).bit_length()
    search = sum(RUN.bit_length() + number for number in range(merges))
    return math.prod(view.shape) * (10 * min(length, RUN) + 18 * search)


def _loops(context: Context, call: Call) -> list[Statement]:
    """A sort by merging."""
    (source,) = call.operands

    def key_of(rest: Indices, where: Expression) -> Expression:
        return context.let(Load(source.buffer, (*source.indices, *rest, where)))

    with context.inner_block() as block:
        finish = partial(_finish, context, call)
        sort_rows(context, source.buffer.dtype, source.shape, key_of, finish)
    return list(block.statements)


def _merges(context: Context, call: Call, run: int) -> list[Statement]:
    """A sort of runs by blocks, and loops that merge them."""
    (source,) = call.operands
    params: Any = call.params
    runs = new_runs(context, source.buffer.dtype, source.shape, ordered="order" in params["wanted"])
    first = [View(buffer, (ZERO,)) for buffer in (runs.keys, runs.order) if buffer is not None]
    order = params["order"] if runs.order is None else runs.order.dtype.name
    own = {**params, "wanted": ("keys", "order")[: len(first)], "order": order, "run": run}
    with context.inner_block() as block:
        context.add(Call(SORT, tuple(first), call.operands, own))
        merge_runs(context, runs, run, partial(_finish, context, call))
    return list(block.statements)


def _finish(
    context: Context, call: Call, at: Indices, key: Expression, position: Expression | None
) -> None:
    """Write what becomes of a key, which goes to `at`."""
    params: Any = call.params
    for name, view in zip(params["wanted"], call.results, strict=True):
        value = key if name == "keys" else position
        assert value is not None, "positions are at hand where they are wanted"
        if value.dtype != view.buffer.dtype:
            value = context.operation("cast", value, dtype=np.dtype(view.buffer.dtype))
        context.store(view.buffer, (*view.indices, *at), value)
