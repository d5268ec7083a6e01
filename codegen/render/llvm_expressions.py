"""Expressions of the loop program as LLVM instructions, on scalars or on all lanes at once."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from codegen.loops.errors import UnsupportedProgramError
from codegen.loops.nodes import Expression, Literal, Load, Operation, Statement, Variable
from codegen.loops.operations import DType
from codegen.loops.sizes import is_number
from codegen.loops.walk import contains_load
from codegen.render.llvm_complex import COMPLEX, TESTS
from codegen.render.llvm_composite import COMPOSITES
from codegen.render.llvm_emit import (
    BOOL,
    SINGLE,
    Value,
    literal_value,
    of_width,
    part_dtype,
    require_dtype,
    vector_type,
)
from codegen.render.llvm_halves import double_to_single_odd, from_single, to_single
from codegen.render.llvm_integer import INTEGER, bitwise_count
from codegen.render.llvm_memory import MemoryWriter
from codegen.render.llvm_operands import Lanes
from codegen.render.llvm_real import BOOLEAN, FLOATING, binary_exponent
from codegen.render.vector_math import Target
from tracer.types import is_half

REAL_TABLES = {"b": BOOLEAN, "i": INTEGER, "u": INTEGER, "f": FLOATING}


class ExpressionWriter(MemoryWriter):
    """Writes expressions; `scalars` holds the value of every name, `halves` the bits that a
    register of float32 was made from, and their dtype.
    """

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self.scalars: dict[str, Value] = {}
        self.halves: dict[str, tuple[str, DType]] = {}
        self.composites = 0

    @abstractmethod
    def statement(self, statement: Statement) -> None:
        """Write a statement; the statement writer's."""

    def value(self, expression: Expression) -> Value:
        """The value of an expression: a vector only if it differs between lanes."""
        match expression:
            case Literal(value, dtype):
                require_dtype(dtype)
                if is_number(value):
                    return self.number(value, dtype)
                return literal_value(value, dtype)
            case Variable(name):
                lane = self.lane_state
                if lane is not None and name == lane.index:
                    return self.lane_numbers()
                return self.scalars[name]
            case Load(buffer, indices):
                require_dtype(buffer.dtype)
                return self.load(buffer, indices)
            case Operation("select"):
                return self.select(expression)
            case Operation("power", (base, Literal(2.0 | 2))) if base.dtype.kind in "fc":
                return self.operate("square", [self.value(base)], expression.dtype)
            case Operation(name, operands, dtype):
                return self.operate(name, [self.value(part) for part in operands], dtype)

    def operate(self, name: str, values: list[Value], dtype: DType) -> Value:
        """An operation on values, all made as wide as the widest."""
        require_dtype(dtype)
        width = max(value.width for value in values)
        values = [self.widened(value, width) for value in values]
        source = values[0].dtype
        if name == "cast":
            return self.cast(values[0], dtype)
        half = source if is_half(source) else dtype
        if is_half(half):
            raise UnsupportedProgramError(
                f"the llvm backend has no {name} of {half.name}; compute in float32 "
                "(x.astype(np.float32))"
            )
        if name in COMPOSITES and (name != "power" or source.kind in "iu"):
            return self.composite(name, values, dtype)
        if source.kind == "c":
            return self.operate_complex(name, values, dtype)
        lanes = Lanes(self, source, width)
        texts = [value.text for value in values]
        if name == "complex":
            return self.made(dtype, width, *texts)
        if name == "binary_exponent":
            return self.resized(binary_exponent(lanes, texts[0]), source, dtype, width)
        if name == "bitwise_count":
            return self.resized(bitwise_count(lanes, texts[0]), source, dtype, width)
        rule = REAL_TABLES[source.kind].get(name)
        if rule is None:
            raise UnsupportedProgramError(f"the llvm backend has no {name} of {source.name}")
        return self.made(dtype, width, rule(lanes, *texts))

    def operate_complex(self, name: str, values: list[Value], dtype: DType) -> Value:
        """An operation on complex numbers."""
        width, source = values[0].width, values[0].dtype
        lanes = Lanes(self, source, width)
        if name in ("real", "imag"):
            return self.made(dtype, width, values[0].parts[name == "imag"])
        if name == "absolute":
            return self.made(dtype, width, lanes.function("hypot", *values[0].parts))
        table = TESTS if dtype == BOOL else COMPLEX
        if name not in table:
            raise UnsupportedProgramError(f"the llvm backend has no {name} of {source.name}")
        pairs = [(value.parts[0], value.parts[1]) for value in values]
        result = table[name](lanes, *pairs)
        parts = (result,) if isinstance(result, str) else result
        return self.made(dtype, width, *parts)

    def composite(self, name: str, values: list[Value], dtype: DType) -> Value:
        """An operation with loops of its own, one lane at a time."""
        results = []
        lane, self.lane_state = self.lane_state, None
        for number in range(values[0].width):
            self.composites += 1
            prefix = f"_{name}{self.composites}"
            names = [
                Variable(f"{prefix}_{place}", value.dtype) for place, value in enumerate(values)
            ]
            for variable, value in zip(names, values, strict=True):
                self.scalars[variable.name] = self.lane(value, number)
            statements, result = COMPOSITES[name](prefix, dtype, *names)
            for statement in statements:
                self.statement(statement)
            results.append(self.value(result))
        self.lane_state = lane
        return results[0] if len(results) == 1 else self.gathered(results)

    # Choices

    def select(self, operation: Operation) -> Value:
        """`select` where both sides may be computed, a branch where one of them reads memory.

        In lanes, each side reads only where it is chosen.
        """
        condition, if_true, if_false = operation.operands
        test = self.value(condition)
        if not contains_load(if_true) and not contains_load(if_false):
            return self.blend(test, self.value(if_true), self.value(if_false))
        if test.width == 1:
            return self.branched(test, if_true, if_false)
        lanes = Lanes(self, BOOL, test.width)
        outer = self.guard
        chosen = test.text if outer is None else lanes.mask_op("and", outer, test.text)
        self.guard = chosen
        first = self.value(if_true)
        others = lanes.inverted(test.text)
        self.guard = others if outer is None else lanes.mask_op("and", outer, others)
        second = self.value(if_false)
        self.guard = outer
        return self.blend(test, first, second)

    def blend(self, test: Value, if_true: Value, if_false: Value) -> Value:
        """One of two values, by lane where the test differs between lanes."""
        width = max(test.width, if_true.width, if_false.width)
        mask = test.text if test.width == 1 and width == 1 else self.widened(test, width).text
        return self.chosen(mask, self.widened(if_true, width), self.widened(if_false, width))

    def branched(self, test: Value, if_true: Expression, if_false: Expression) -> Value:
        """One side alone is computed."""
        out = self.out
        labels = [out.fresh_label(stem) for stem in ("then", "else", "after")]
        self.line(f"br i1 {test.text}, label %{labels[0]}, label %{labels[1]}")
        values, ends = [], []
        lane = self.lane_state
        for label, side in zip(labels, (if_true, if_false), strict=False):
            out.start_block(label)
            value = self.value(side)
            if lane is not None:
                value = self.widened(value, lane.width)
            values.append(value)
            ends.append(out.block)
            self.line(f"br label %{labels[2]}")
        out.start_block(labels[2])
        return self.merged(values, ends)

    def merged(self, values: list[Value], ends: list[str]) -> Value:
        """The value of the block that was left last."""
        kind = vector_type(values[0].dtype, values[0].width)
        parts = []
        for alternatives in zip(*(value.parts for value in values), strict=True):
            pairs = ", ".join(
                f"[ {text}, %{end} ]" for text, end in zip(alternatives, ends, strict=True)
            )
            parts.append(self.write(f"phi {kind} {pairs}"))
        return self.made(values[0].dtype, values[0].width, *parts)

    # Conversions

    def resized(self, register: str, source: DType, target: DType, width: int) -> Value:
        """An integer as wide as `source` as one of dtype `target`."""
        integer = np.dtype(f"i{source.itemsize}")
        return self.cast(self.made(integer, width, register), target)

    def cast(self, value: Value, target: DType) -> Value:
        """What `astype` gives."""
        source, width = value.dtype, value.width
        require_dtype(source)
        if source == target:
            return value
        if is_half(source):
            text = to_single(self, value.text, source, width)
            self.halves[text] = value.text, source
            return self.cast(self.made(SINGLE, width, text), target)
        if target.kind == "b":
            lanes = Lanes(self, source, width)
            if source.kind == "c":
                return self.made(target, width, TESTS["to_bool"](lanes, value.parts))
            return self.made(target, width, lanes.not_zero(value.text))
        if target.kind == "c":
            part = part_dtype(target)
            parts = [self.convert(text, part_dtype(source), part, width) for text in value.parts]
            if len(parts) == 1:
                parts.append(Lanes(self, part, width).number(0.0))
            return self.made(target, width, *parts)
        return self.made(target, width, self.convert(value.text, source, target, width))

    def convert(self, text: str, source: DType, target: DType, width: int) -> str:
        """A real number in another dtype than bool."""
        if source == target:
            return text
        if is_half(target):
            if source == SINGLE and self.halves.get(text, ("", source))[1] == target:
                return self.halves[text][0]
            if source == np.float64 and target == np.float16:
                single = double_to_single_odd(self, text, width)
            else:  # ml_dtypes rounds a float64 twice
                single = self.convert(text, source, SINGLE, width)
            return from_single(self, single, target, width)
        if source.kind == "f" and target.kind in "iu":
            return self.to_integer(text, source, target, width)
        if source.kind == "f":
            name = "fpext" if target.itemsize > source.itemsize else "fptrunc"
        elif target.kind == "f":
            name = "sitofp" if source.kind == "i" else "uitofp"
        elif source.kind != "b" and target.itemsize == source.itemsize:
            return text
        elif source.kind != "b" and target.itemsize < source.itemsize:
            name = "trunc"
        else:
            name = "sext" if source.kind == "i" else "zext"
        return self.converted(name, text, vector_type(source, width), vector_type(target, width))

    def converted(self, name: str, text: str, source: str, target: str) -> str:
        """One conversion instruction."""
        return self.write(f"{name} {source} {text} to {target}")

    def to_integer(self, text: str, source: DType, target: DType, width: int) -> str:
        """NumPy's conversion on x86-64: narrow integers by way of wider ones, wrapping there."""
        kind, bits = vector_type(source, width), target.itemsize * 8
        signed = {8: 32, 16: 32, 32: 64 if target.kind == "u" else 32, 64: 64}[bits]
        wide = of_width(f"i{signed}", width)
        register = self.converted("fptosi", text, kind, wide)
        if bits < signed:
            return self.converted("trunc", register, wide, of_width(f"i{bits}", width))
        if target.kind == "i" or bits < 64:
            return register
        lanes = Lanes(self, source, width)
        unsigned = self.converted("fptoui", text, kind, wide)
        small = lanes.compare("olt", text, lanes.number(2.0**63))
        return self.write(f"select {lanes.mask_type} {small}, {wide} {register}, {wide} {unsigned}")
