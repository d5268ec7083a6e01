"""Random loop programs: loops that read, write and accumulate in buffers in every pattern."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from codegen.loops.nodes import (
    Assign,
    Buffer,
    Expression,
    If,
    Literal,
    Load,
    Operation,
    Program,
    Variable,
)
from codegen.lower.context import BOOL, INT64, Context, Indices, add_index, integer, mirror_index
from tests.helpers import Array
from tracer.types import ArrayType

EXTENT = 4
Draw = Callable[[Any], Any]
VECTOR, MATRIX = ArrayType(INT64, (EXTENT,)), ArrayType(INT64, (EXTENT, EXTENT))


class Writer:
    """Statements drawn one after the other; every element is written before it is read."""

    def __init__(self, draw: Draw) -> None:
        self.draw = draw
        self.context = Context()
        self.readable: list[Buffer] = []
        self.writable: list[Buffer] = []
        for type_ in (VECTOR, MATRIX):
            self.readable.append(self.context.new_buffer(type_, "input"))
        for role, type_ in (("workspace", VECTOR), ("workspace", MATRIX), ("workspace", VECTOR),
                            ("output", VECTOR), ("output", MATRIX)):  # fmt: skip
            buffer = self.context.new_buffer(type_, role)
            with self.context.loops(type_.shape) as where:
                source = self.readable[len(type_.shape) - 1]
                self.context.store(buffer, where, self.context.load(source, where))
            self.readable.append(buffer)
            self.writable.append(buffer)
        alias = self.context.alias(self.writable[1], (EXTENT * EXTENT,))
        self.flat = alias
        self.scalars: list[Variable] = []

    def index(self, loops: Indices) -> Expression:
        """An index within the extent: of a loop, mirrored, shifted, or fixed."""
        kind = self.draw(st.sampled_from(("plain", "plain", "plain", "mirror", "shift", "fixed")))
        if not loops or kind == "fixed":
            return integer(self.draw(st.integers(0, EXTENT - 1)))
        index = self.draw(st.sampled_from(loops))
        if kind == "mirror":
            return mirror_index(index, EXTENT)
        if kind == "shift":
            shifted = add_index(index, self.draw(st.integers(1, EXTENT - 1)))
            return self.context.operation("remainder", shifted, integer(EXTENT))
        return index

    def place(self, buffer: Buffer, loops: Indices) -> Indices:
        """An element of the buffer."""
        return tuple(self.index(loops) for _ in buffer.shape)

    def value(self, loops: Indices, depth: int = 2) -> Expression:
        """A scalar from loads, earlier scalars and indices."""
        kind = self.draw(st.sampled_from(("load", "load", "load", "index", "scalar", "pair")))
        if kind == "pair" and depth:
            name = self.draw(st.sampled_from(("add", "subtract", "multiply", "maximum")))
            first, second = self.value(loops, depth - 1), self.value(loops, depth - 1)
            return self.context.operation(name, first, second)
        if kind == "index" and loops:
            return self.draw(st.sampled_from(loops))  # type: ignore[no-any-return]
        if kind == "scalar" and self.scalars:
            return self.context.settled(self.draw(st.sampled_from(self.scalars)))
        buffer = self.draw(st.sampled_from([*self.readable, self.flat]))
        if buffer is self.flat:
            row, column = self.index(loops), self.index(loops)
            scaled = self.context.operation("multiply", row, integer(EXTENT))
            return self.context.let(Load(buffer, (self.context.operation("add", scaled, column),)))
        return self.context.let(Load(buffer, self.place(buffer, loops)))

    def statement(self, loops: Indices, depth: int) -> None:
        """One statement, perhaps a loop or branch of more."""
        kinds = ["store", "store", "store", "update", "loop", "loop", "scalar", "reduce", "branch"]
        kind = self.draw(st.sampled_from(kinds))
        if kind == "loop" and depth:
            self.loop(loops, depth)
        elif kind == "branch" and depth and loops:
            self.branch(loops, depth)
        elif kind == "scalar" and not loops:
            self.scalars.append(self.context.declare("s", self.value(loops)))
        elif kind == "reduce" and self.scalars:
            scalar = self.draw(st.sampled_from(self.scalars))
            if self.draw(st.booleans()):
                self.context.reduce(scalar, "add", self.value(loops))
            else:
                self.context.add(Assign(scalar.name, self.value(loops)))
        else:
            buffer = self.draw(st.sampled_from(self.writable))
            where = self.place(buffer, loops)
            if kind == "update":
                self.context.update(buffer, where, "add", self.value(loops))
            else:
                self.context.store(buffer, where, self.value(loops))

    def loop(self, loops: Indices, depth: int) -> None:
        extent = self.draw(st.sampled_from((EXTENT, EXTENT, EXTENT, 2, 0)))
        reverse = self.draw(st.integers(0, 5)) == 0
        with self.context.loop(extent, "serial", reverse=reverse) as index:
            for _ in range(self.draw(st.integers(1, 3))):
                self.statement((*loops, index), depth - 1)

    def branch(self, loops: Indices, depth: int) -> None:
        first, second = self.value(loops), self.value(loops)
        condition = self.context.let(Operation("less", (first, second), BOOL))
        sides = []
        for _ in range(2):
            with self.context.inner_block() as block:
                self.statement(loops, depth - 1)
            sides.append(tuple(block.statements))
        self.context.add(If(condition, *sides))

    def finish(self) -> Program:
        """The program; what the scalars are in the end is seen in an output."""
        for position, scalar in enumerate(self.scalars[:EXTENT]):
            place = (Literal(position, INT64),)
            self.context.store(self.context.outputs[0], place, self.context.settled(scalar))
        context = self.context
        return Program(
            "random",
            tuple(context.inputs),
            tuple(context.outputs),
            (),
            tuple(context.workspace),
            tuple(context.block.statements),
        )


@st.composite
def programs(draw: Draw) -> Program:
    """A program of integers, so that every order of additions gives the same."""
    writer = Writer(draw)
    for _ in range(draw(st.integers(2, 7))):
        writer.statement((), 3)
    return writer.finish()


def inputs_of(program: Program) -> list[Array]:
    """Small integers."""
    rng = np.random.default_rng(5)
    return [rng.integers(-3, 4, buffer.shape) for buffer in program.inputs]
