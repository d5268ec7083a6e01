"""Expressions of kernel text as instructions."""

from __future__ import annotations

import ast
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING

from codegen.nvvm import arithmetic, device, functions, vectors
from codegen.nvvm.builder import Builder
from codegen.nvvm.kinds import LOCAL, SCALARS, SHARED, Scalar, Several, leaves
from codegen.nvvm.values import KernelError, Value, item, literal, several

if TYPE_CHECKING:
    from codegen.nvvm.variables import Frame

CALLS: Mapping[str, device.Function] = {
    **functions.FUNCTIONS,
    **device.FUNCTIONS,
    **vectors.FUNCTIONS,
}
ARRAYS = {"cuda.shared.array": SHARED, "cuda.local.array": LOCAL}
SIGNS: Mapping[type[ast.AST], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Pow: "**",
    ast.LShift: "<<",
    ast.RShift: ">>",
    ast.BitAnd: "&",
    ast.BitOr: "|",
    ast.BitXor: "^",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}
HARMLESS = (
    *(ast.Name, ast.Constant, ast.Load, ast.UnaryOp, ast.Compare, ast.IfExp, ast.operator),
    *(ast.unaryop, ast.cmpop, ast.BinOp, ast.BoolOp, ast.boolop, ast.expr_context),
)
"""What may be computed in vain: it reads no memory and calls nothing."""
COSTLY = (ast.Div, ast.FloorDiv, ast.Mod, ast.Pow)


def dotted(node: ast.expr) -> str:
    """The text of a name with dots; "" of anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        start = dotted(node.value)
        return f"{start}.{node.attr}" if start else ""
    return ""


def is_harmless(node: ast.expr) -> bool:
    """Whether an expression may as well be computed where it is not needed."""
    return all(
        isinstance(part, HARMLESS) and not isinstance(part, COSTLY) for part in ast.walk(node)
    )


class Expressions(ABC):
    """Writes the instructions that compute expressions. `frame` has the names."""

    builder: Builder
    frame: Frame
    module: Mapping[str, ast.expr]
    procedures: Mapping[str, ast.FunctionDef]

    def expression(self, node: ast.expr) -> Value:
        """The value of an expression."""
        match node:
            case ast.Constant(value):
                return literal(value)
            case ast.Name(name):
                return self.name(name)
            case ast.BinOp(left, operator, right):
                return self.binary(operator, self.expression(left), self.expression(right))
            case ast.Subscript():
                return self.element(node)
            case ast.Call():
                return self.call(node)
            case ast.Compare():
                return self.comparison(node)
            case ast.UnaryOp(operator, operand):
                return self.unary(operator, self.expression(operand))
            case ast.IfExp():
                return self.conditional(node)
            case ast.BoolOp():
                return self.short_circuit(node)
            case ast.Attribute():
                return self.attribute(node)
            case ast.Tuple(items):
                return several([self.expression(each) for each in items])
        raise KernelError(f"there is no meaning of {ast.unparse(node)}")

    def name(self, name: str) -> Value:
        """What a name of the function's, or of the module's, stands for."""
        if self.frame.has(name):
            return self.frame.read(name)
        if name in self.module:
            return self.expression(self.module[name])
        raise KernelError(f"nothing is called {name}")

    def binary(self, operator: ast.operator, left: Value, right: Value) -> Value:
        """An operator of two numbers."""
        sign = SIGNS.get(type(operator))
        if sign is None:
            raise KernelError(f"there is no operator {type(operator).__name__}")
        if sign == "**":
            return functions.power(self.builder, [left, right])
        return arithmetic.binary(self.builder, sign, left, right)

    def unary(self, operator: ast.unaryop, value: Value) -> Value:
        """An operator of one number."""
        if isinstance(operator, ast.USub):
            return arithmetic.negative(self.builder, value)
        if isinstance(operator, ast.Invert):
            return arithmetic.inverted(self.builder, value)
        if isinstance(operator, ast.Not):
            return arithmetic.inverted(self.builder, arithmetic.truth(self.builder, value))
        return value

    def comparison(self, node: ast.Compare) -> Value:
        """A comparison of two numbers, or of several in a row."""
        left = self.expression(node.left)
        found: Value | None = None
        for operator, other in zip(node.ops, node.comparators, strict=True):
            right = self.expression(other)
            sign = SIGNS.get(type(operator))
            if sign is None:
                raise KernelError(f"there is no comparison {type(operator).__name__}")
            one = arithmetic.compare(self.builder, sign, left, right)
            found = one if found is None else arithmetic.binary(self.builder, "&", found, one)
            left = right
        assert found is not None, "a comparison has an operator"
        return found

    def conditional(self, node: ast.IfExp) -> Value:
        """One of two values: both computed where that does no harm, else a branch."""
        test = arithmetic.truth(self.builder, self.expression(node.test))
        if is_harmless(node.body) and is_harmless(node.orelse):
            then, otherwise = self.expression(node.body), self.expression(node.orelse)
            return arithmetic.select(self.builder, test, then, otherwise)
        return self.branch(test, node.body, node.orelse)

    def branch(self, test: Value, then: ast.expr, otherwise: ast.expr) -> Value:
        """The value of the one expression or of the other, of which one alone is computed."""
        builder = self.builder
        labels = [builder.fresh(word) for word in ("then", "else", "both")]
        builder.jump_if(test.text, labels[0], labels[1])
        builder.start(labels[0])
        first = self.expression(then)
        # What makes both alike comes last in each: the kind of the second is not known yet.
        end = len(builder.lines)
        first_block, builder.block = builder.block, None
        builder.start(labels[1])
        second = self.expression(otherwise)
        kind = arithmetic.joined(first.kind, second.kind)
        second = arithmetic.converted(builder, second, kind)
        second_block = builder.block
        builder.jump(labels[2])
        rest, builder.lines[end:] = builder.lines[end:], []
        builder.block = first_block
        first = arithmetic.converted(builder, first, kind)
        builder.jump(labels[2])
        builder.lines += rest
        builder.start(labels[2])
        parts = tuple(
            builder.value(f"phi {llvm} [{a}, %{first_block}], [{b}, %{second_block}]")
            for llvm, a, b in zip(leaves(kind), first.parts, second.parts, strict=True)
        )
        return Value(kind, parts)

    def short_circuit(self, node: ast.BoolOp) -> Value:
        """`and` and `or` of truths; what follows is computed where it counts, if it may do harm."""
        found = arithmetic.truth(self.builder, self.expression(node.values[0]))
        every = isinstance(node.op, ast.And)
        for part in node.values[1:]:
            if is_harmless(part):
                other = arithmetic.truth(self.builder, self.expression(part))
                found = arithmetic.binary(self.builder, "&" if every else "|", found, other)
                continue
            test = ast.Compare(part, [ast.NotEq()], [ast.Constant(False)])
            settled = ast.Constant(not every)
            first, second = (test, settled) if every else (settled, test)
            found = self.branch(found, first, second)
        return found

    def attribute(self, node: ast.Attribute) -> Value:
        """A part of a complex number, a thread's place, or a number with a name."""
        name = dotted(node)
        space, _, last = name.rpartition(".")
        if space in ("math", "np") and last in functions.CONSTANTS:
            return literal(functions.CONSTANTS[last])
        if space.startswith("cuda.") and space[5:] in device.REGISTERS and last in ("x", "y", "z"):
            return device.special(self.builder, space[5:], last)
        if node.attr in ("real", "imag"):
            value = self.expression(node.value)
            if value.scalar.family != "c":
                return value if node.attr == "real" else literal(0.0)
            return arithmetic.parts_of(value)[node.attr == "imag"]
        raise KernelError(f"there is no {ast.unparse(node)}")

    def element(self, node: ast.Subscript) -> Value:
        """An element of an array, or an item of a tuple."""
        start, place = self.expression(node.value), self.expression(node.slice)
        if isinstance(place.number, int) and isinstance(start.kind, Several):
            return item(start, place.number)
        return device.load(self.builder, start, place)

    def call(self, node: ast.Call) -> Value:
        """A function's result."""
        name = dotted(node.func)
        if node.keywords:
            raise KernelError(f"{name} takes no arguments by name here")
        if name in ARRAYS:
            return self.array(node, ARRAYS[name])
        if name in self.procedures:
            return self.procedure(self.procedures[name], [self.expression(a) for a in node.args])
        known = CALLS.get(name)
        if known is not None:
            values = [self.expression(argument) for argument in node.args]
            try:
                return known(self.builder, values)
            except ValueError as error:
                raise KernelError(f"{name} takes other arguments: {ast.unparse(node)}") from error
        if isinstance(node.func, ast.Attribute) and node.func.attr == "conjugate":
            real, imaginary = arithmetic.parts_of(self.expression(node.func.value))
            return arithmetic.complex_of(real, arithmetic.negative(self.builder, imaginary))
        raise KernelError(f"there is no function {ast.unparse(node.func)}")

    def array(self, node: ast.Call, space: int) -> Value:
        """An array of a thread's own, or of its block's, in the text `(size, dtype)`."""
        size, kind = self.expression(node.args[0]).number, self.dtype(node.args[1])
        if not isinstance(size, int):
            raise KernelError(f"an array has a size that is known: {ast.unparse(node)}")
        return self.builder.array(kind, size, space)

    def dtype(self, node: ast.expr) -> Scalar:
        """The kind that a dtype's text names."""
        name = dotted(node).rpartition(".")[2]
        kind = SCALARS.get("bool" if name == "bool_" else name)
        if kind is None:
            raise KernelError(f"there is no dtype {ast.unparse(node)}")
        return kind

    @abstractmethod
    def procedure(self, function: ast.FunctionDef, values: list[Value]) -> Value:
        """The result of one of the module's own functions, which is put in place."""
