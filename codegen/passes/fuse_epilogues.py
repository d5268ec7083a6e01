"""A bias and relu after a large product, as a part of the library's call.

A product that is a library's affair is written to memory, and read again for what is made of it. If
that is no more than a row added to each row, or what is above 0, or both, then the library does it
before it writes (`codegen.cuda.products_lt`): the call has the row as a third operand, or the
parameter `relu`. Any other use of the product keeps it as it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from codegen.device.forms import nest_of
from codegen.device.machine import DeviceMachine
from codegen.device.products import ProductNest, match_made, product_nest
from codegen.device.work import work_of
from codegen.loops.linear import LinearForm, constant_trip, flat_index
from codegen.loops.nodes import (
    Buffer,
    Call,
    Expression,
    Let,
    Literal,
    Load,
    Loop,
    Operation,
    Program,
    Statement,
    Store,
    Variable,
    View,
)
from codegen.loops.walk import expressions, statements, subexpressions
from codegen.passes.chunks import Names
from codegen.passes.contract import accesses
from codegen.passes.fuse_products import place_made
from codegen.passes.rewrite import Body, map_blocks, substitute


def fuse_epilogues(program: Program, machine: DeviceMachine) -> Program:
    """The program with such calls."""
    fuser = _Fuser(program, machine)
    body = fuser.block(program.body, frozenset())
    return replace(program, body=body) if fuser.changed else program


@dataclass(frozen=True, slots=True)
class Epilogue:
    """What is made of a product's elements: `bias` is added, if there is one, of what is below 0
    comes 0 with `relu`, and `target` is written, from what the host knows as `indices` on."""

    target: Buffer
    indices: tuple[Expression, ...]
    bias: View | None
    relu: bool


class _Fuser:
    def __init__(self, program: Program, machine: DeviceMachine) -> None:
        self.machine = machine
        self.names = Names(program)
        self.uses = Counter(buffer.root for buffer, _, _ in accesses(program.body, ()))
        self.changed = False

    def block(self, body: Body, outer: frozenset[str]) -> Body:
        """Statements that run one after the other, inside loops of the host's with these indices.

        A loop around a library's call is the host's, unless the call is its whole body.
        """
        pending = list(body)
        result: list[Statement] = []
        while pending:
            statement = pending.pop(0)
            nest = product_nest(statement)
            if nest is not None and work_of((nest.call,)) > self.machine.small:
                result.append(self.product(nest, statement, pending, outer))
            elif isinstance(statement, Loop) and statement.kind != "serial":
                result.append(statement)
            else:
                index = {statement.index} if isinstance(statement, Loop) else set[str]()
                result.append(map_blocks(statement, partial(self.block, outer=outer | index)))
        return tuple(result)

    def product(
        self,
        nest: ProductNest,
        statement: Statement,
        pending: list[Statement],
        outer: frozenset[str],
    ) -> Statement:
        """A product, with its epilogue where the statements that follow have one."""
        place = place_made(nest, pending)
        made = None if place is None else pending[place]
        if place is None or not isinstance(made, Loop):
            return statement
        own = sum(
            isinstance(part, Load) and part.buffer.root is nest.result
            for part in expressions((made,))
        )
        if nest.result.role != "workspace" or self.uses[nest.result] > own + 1:
            return statement
        epilogue = match_epilogue(nest, made, outer)
        if epilogue is None:
            return statement
        self.changed = True
        del pending[place]
        return _with_call(statement, nest.call, self.call(nest.call, epilogue))

    def call(self, call: Call, epilogue: Epilogue) -> Call:
        """The call, which writes what the epilogue makes."""
        (result,) = call.results
        target, indices = epilogue.target, (*epilogue.indices, *result.indices)
        if target.shape[len(epilogue.indices) :] != result.buffer.shape:
            shape, name = result.buffer.shape, self.names.fresh("w")
            target = replace(target, name=name, shape=shape, base=target.root)
        written = View(target, indices, result.axes)
        bias = () if epilogue.bias is None else (epilogue.bias,)
        params = {**call.params, "relu": True} if epilogue.relu else call.params
        return Call(call.kernel, (written,), (*call.operands, *bias), params)


def match_epilogue(nest: ProductNest, made: Loop, outer: frozenset[str]) -> Epilogue | None:
    """What a parallel nest makes of a product, inside loops of the host's with these indices; None
    where that is anything else, or is not put where the product's elements are."""
    grid, body = nest_of(made)
    found = match_made(nest, grid, body)
    if found is None or len(found.columns) != 1:
        return None
    *definitions, last = found.body
    if not isinstance(last, Store) or not all(isinstance(part, Let) for part in definitions):
        return None
    value = _inlined(definitions, last.value)
    relu, value = _without_relu(value)
    bias, value = _without_bias(value, found.value)
    if not isinstance(value, Variable) or value.name != found.value:
        return None
    indices = _place(nest, grid, body, outer)
    if indices is None:
        return None
    dtype = nest.product.dtype
    if bias is None:
        return Epilogue(last.buffer, indices, None, True) if relu else None
    (column,) = found.columns
    view = _row(bias, column, outer)
    if view is None or view.shape != (nest.product.n,) or bias.dtype != dtype:
        return None
    return Epilogue(last.buffer, indices, view, relu)


def _inlined(definitions: Sequence[Statement], value: Expression) -> Expression:
    """An expression with the definitions in the places of names."""
    names: dict[str, Expression] = {}
    for part in definitions:
        assert isinstance(part, Let), "only definitions stand before the store"
        names[part.name] = substitute(part.value, names)
    return substitute(value, names)


def _without_relu(value: Expression) -> tuple[bool, Expression]:
    """Whether an expression is the larger of 0 and something, and what that is."""
    if isinstance(value, Operation) and value.name == "maximum":
        for other, zero in (value.operands, value.operands[::-1]):
            if isinstance(zero, Literal) and zero.value == 0:
                return True, other
    return False, value


def _without_bias(value: Expression, name: str) -> tuple[Load | None, Expression]:
    """What is loaded and added to the variable of that name, and what is left then."""
    if isinstance(value, Operation) and value.name == "add":
        for own, other in (value.operands, value.operands[::-1]):
            if isinstance(own, Variable) and own.name == name and isinstance(other, Load):
                return other, own
    return None, value


def _place(
    nest: ProductNest, grid: Sequence[Loop], body: Body, outer: frozenset[str]
) -> tuple[Expression, ...] | None:
    """The host's indices of the part of memory that the one store of a nest fills in the order in
    which the product does; None where it does not."""
    stores = [part for outer in body for part in statements((outer,)) if isinstance(part, Store)]
    loads = [
        part
        for part in expressions(body)
        if isinstance(part, Load) and part.buffer.root is nest.result
    ]
    product = nest.call.results[0].buffer
    if len(stores) != 1 or stores[0].buffer.is_tape or stores[0].buffer.dtype != product.dtype:
        return None
    (store,) = stores
    count, rest = 0, store.buffer.size
    while count < len(store.indices) and rest > product.size:
        rest //= store.buffer.shape[count]
        count += 1
    lead = store.indices[:count]
    if rest != product.size or not all(_is_known(index, outer) for index in lead):
        return None
    if count and store.buffer.shape[count:] != product.shape:
        return None
    zeros: dict[str, Expression] = {
        loop.index: Literal(0, loop.start.dtype) for loop in grid if constant_trip(loop) == 1
    }
    place = LinearForm()
    place.add(flat_index(store.buffer, store.indices, zeros))
    place.add(flat_index(store.buffer, lead, zeros), -1)
    place.add(flat_index(loads[0].buffer, loads[0].indices, zeros), -1)
    return None if place.terms or place.constant else lead


def _row(load: Load, column: Loop, outer: frozenset[str]) -> View | None:
    """The row of which an element a column is loaded; the host knows the indices before it."""
    if not load.indices or load.buffer.is_tape:
        return None
    *lead, last = load.indices
    if not isinstance(last, Variable) or last.name != column.index:
        return None
    if any(not _is_known(index, outer) for index in lead):
        return None
    return View(load.buffer, tuple(lead))


def _is_known(index: Expression, outer: frozenset[str]) -> bool:
    return all(
        isinstance(part, Literal | Operation) or (isinstance(part, Variable) and part.name in outer)
        for part in subexpressions(index)
    )


def _with_call(statement: Statement, call: Call, other: Call) -> Statement:
    """A nest around another call."""
    if statement is call:
        return other

    def change(body: Body) -> Body:
        return tuple(_with_call(part, call, other) for part in body)

    return map_blocks(statement, change)
