"""Expressions of the loop program as Numba's Python."""

from __future__ import annotations

import builtins
import keyword
import math
import re
from collections.abc import Callable, Mapping

import numpy as np

from codegen.loops.linear import LinearForm, flat_index
from codegen.loops.nodes import Buffer, Expression, Literal, Load, Operation, Variable
from codegen.loops.operations import OPERATIONS, DType
from codegen.loops.walk import contains_load
from codegen.render.numba_functions import FUNCTIONS
from codegen.render.numba_runtime import INTRINSICS
from codegen.render.numba_scalars import (
    Template,
    constructor,
    find_cast,
    find_template,
    require_dtype,
)
from codegen.render.numba_vector import VectorSource, vector_source
from tracer.types import SHORT_NAMES

LONGEST_TEXT = 76
VECTORIZED = {np.dtype(np.float32), np.dtype(np.float64)}
# A function of n lines takes about 4n milliseconds to compile and saves some 8 ns an element.
TRIPS_A_LINE = 32
CALL_TEMPLATE = re.compile(r"[\w.]+\(\{0\}(, \{\d\})*\)")
NATIVE = {np.dtype(np.int64), np.dtype(np.float64), np.dtype(np.bool_), np.dtype(np.complex128)}
RESERVED = {
    *keyword.kwlist,
    *keyword.softkwlist,
    *dir(builtins),
    *(function.__name__ for function in (*INTRINSICS, *FUNCTIONS)),
    *(f"vector_{operation}" for operation in OPERATIONS),
    *("np", "math", "numba", "kernel", "run", "status", "cgutils", "types", "arrayobj"),
}


class ExpressionWriter:
    """Writes expressions, and keeps what the program needs besides: helpers, literals, names.

    `place[buffer]` is the name of the flat array that holds a buffer, and the buffer's offset in
    it. Lines that an expression needs before it go to `lines`, at the present `indent`.
    """

    def __init__(self, place: Mapping[Buffer, tuple[str, int]]) -> None:
        self.place = place
        self.lines: list[str] = []
        self.arrays_used: set[str] = set()
        self.vector_functions: dict[str, VectorSource] = {}
        self.trips = 1
        self.indent = "    "
        self.helpers: set[str] = set()
        self.literals: dict[tuple[DType, str], str] = {}
        self.substitution: dict[str, Expression] = {}
        self.names: dict[str, str] = {}
        self.taken = set(RESERVED) | {name for name, _ in place.values()}
        self.temporaries = 0

    # Names and lines

    def name(self, name: str) -> str:
        """The Python name for a program's name, the same one each time."""
        if name not in self.names:
            self.names[name] = self.fresh(name)
        return self.names[name]

    def fresh(self, wanted: str) -> str:
        """`wanted`, with underscores until nothing else has the name."""
        while wanted in self.taken:
            wanted += "_"
        self.taken.add(wanted)
        return wanted

    def line(self, text: str) -> None:
        """One line at the present indentation."""
        self.lines.append(self.indent + text)

    def temporary(self, text: str) -> str:
        """A new name for the value of `text`."""
        self.temporaries += 1
        name = self.fresh(f"t{self.temporaries}")
        self.line(f"{name} = {text}")
        return name

    # Expressions

    def value(self, expression: Expression) -> str:
        """The text of an expression, without parentheses around it."""
        match expression:
            case Literal(value, dtype):
                return self.literal(value, dtype)
            case Variable(name):
                if name in self.substitution:
                    return self.value(self.substitution[name])
                return self.name(name)
            case Load(buffer, indices):
                return self.element(buffer, indices)
            case Operation():
                return self.operation(expression)

    def atom(self, expression: Expression) -> str:
        """The text of an expression that can stand as an operand."""
        text = self.value(expression)
        return f"({text})" if needs_parentheses(text) else text

    def operation(self, operation: Operation) -> str:
        """An operation: its template filled in, on a line of its own where that would grow
        long.
        """
        if operation.name == "select":
            return self.select(operation)
        operands, dtype = operation.operands, operation.dtype
        require_dtype(dtype)
        source = operands[0].dtype
        if operation.name == "cast":
            template = find_cast(source, dtype)
        elif operation.name == "power" and is_two(operands[1]) and source.kind in "fc":
            template = Template("{0} * {0}")
        else:
            template = self.vector_template(operation.name, source) or find_template(
                operation.name, source
            )
        self.helpers.update(template.helpers)
        write = self.value if CALL_TEMPLATE.fullmatch(template.text) else self.atom
        return self.fill(template, [write(operand) for operand in operands], source, dtype)

    def vector_template(self, name: str, dtype: DType) -> Template | None:
        """A call of the function without branches, where enough elements make up for compiling
        it.
        """
        if dtype not in VECTORIZED:
            return None
        function = vector_source(name)
        if function is None or self.trips < TRIPS_A_LINE * function.length:
            return None
        self.vector_functions[name] = function
        template = find_template(name, dtype)
        arity = 2 if "{1}" in template.text else 1
        if dtype.itemsize == 8:
            arguments = ", ".join(f"{{{position}}}" for position in range(arity))
            return Template(f"{function.name}({arguments})", helpers=function.helpers)
        arguments = ", ".join(f"np.float64({{{position}}})" for position in range(arity))
        return Template(f"np.float32({function.name}({arguments}))", helpers=function.helpers)

    def fill(self, template: Template, atoms: list[str], source: DType, dtype: DType) -> str:
        """The template's text for these operands."""
        for position, text in enumerate(atoms):
            used_twice = template.text.count(f"{{{position}}}") > 1
            if (used_twice and not is_name(text)) or len(text) > LONGEST_TEXT:
                atoms[position] = self.temporary(text)
        extra = {}
        for key, make in SPECIAL_LITERALS.items():
            if f"{{{key}}}" in template.text:
                extra[key] = make(self, source)
        text = template.text.format(*atoms, type=constructor(dtype), **extra)
        if template.narrow and dtype.itemsize < 8:
            text = f"{constructor(dtype)}({text})"
        return text

    def select(self, operation: Operation) -> str:
        """`where` if both sides may be computed; an `if` if one of them reads memory."""
        condition, if_true, if_false = operation.operands
        require_dtype(operation.dtype)
        if not contains_load(if_true) and not contains_load(if_false):
            self.helpers.add("where")
            parts = [self.short(part) for part in operation.operands]
            return f"where({', '.join(parts)})"
        test = self.value(condition)
        self.temporaries += 1
        name = self.fresh(f"t{self.temporaries}")
        self.line(f"if {test}:")
        self.branch(name, if_true)
        self.line("else:")
        self.branch(name, if_false)
        return name

    def branch(self, name: str, expression: Expression) -> None:
        """One side of an `if` that gives `name` its value."""
        outer, self.indent = self.indent, self.indent + "    "
        self.line(f"{name} = {self.value(expression)}")
        self.indent = outer

    def short(self, expression: Expression) -> str:
        """The text of an expression, on a line of its own where it is long."""
        text = self.value(expression)
        return text if len(text) <= LONGEST_TEXT else self.temporary(text)

    # Literals

    def literal(self, value: complex, dtype: DType) -> str:
        """A literal; where Python has none of this dtype, a global name for it."""
        require_dtype(dtype)
        text = literal_text(value)
        if dtype in NATIVE:
            return text
        if dtype.kind == "u" and isinstance(value, int):
            text = str(value)
        key = (dtype, text)
        if key not in self.literals:
            short = SHORT_NAMES[dtype.name].upper()
            number = sum(1 for other, _ in self.literals if other == dtype)
            self.literals[key] = self.fresh(f"{short}_{number}")
        return self.literals[key]

    def number(self, value: int, dtype: DType) -> str:
        """The literal for a whole number in any dtype."""
        kinds = {"b": bool, "i": int, "u": int, "f": float, "c": complex}
        return self.literal(kinds[dtype.kind](value), dtype)

    # Memory

    def element(self, buffer: Buffer, indices: tuple[Expression, ...]) -> str:
        """`array[index]` for one element of a buffer."""
        return f"{self.array(buffer)}[{self.offset(buffer, indices)}]"

    def array(self, buffer: Buffer) -> str:
        """The flat array that holds a buffer."""
        require_dtype(buffer.dtype)
        array, _ = self.place[buffer.root]
        self.arrays_used.add(array)
        return array

    def offset(self, buffer: Buffer, indices: tuple[Expression, ...]) -> str:
        """The position of an element, or of a part, in its flat array."""
        form = flat_index(buffer, indices, self.substitution)
        form.constant += self.place[buffer.root][1]
        return self.linear(form)

    def linear(self, form: LinearForm) -> str:
        """A linear form: large strides first, the constant last."""
        text = ""
        for term, scale in sorted(form.terms.items(), key=lambda item: -abs(item[1])):
            part = self.atom(term) if abs(scale) == 1 else f"{self.atom(term)} * {abs(scale)}"
            if text:
                text += f" - {part}" if scale < 0 else f" + {part}"
            else:
                text = f"-{part}" if scale < 0 else part
        if not text:
            return str(form.constant)
        if form.constant:
            text += f" {'-' if form.constant < 0 else '+'} {abs(form.constant)}"
        return text


SPECIAL_LITERALS: dict[str, Callable[[ExpressionWriter, DType], str]] = {
    "zero": lambda writer, dtype: writer.number(0, dtype),
    "one": lambda writer, dtype: writer.number(1, dtype),
    "inf": lambda writer, dtype: writer.literal(math.inf, dtype),
    "two_to_63": lambda writer, dtype: writer.literal(2.0**63, dtype),
    "unsigned_one": lambda writer, dtype: writer.number(1, np.dtype(np.uint64)),
    "reciprocal_of_zero": lambda writer, dtype: writer.number(reciprocal_of_zero(dtype), dtype),
}


def reciprocal_of_zero(dtype: DType) -> int:
    """What NumPy makes of 1 / 0 in an integer dtype."""
    with np.errstate(all="ignore"):
        return int(np.reciprocal(np.zeros(2, dtype))[0])


def is_two(expression: Expression) -> bool:
    """Whether the expression is the literal 2."""
    return isinstance(expression, Literal) and expression.value == 2


def is_name(text: str) -> bool:
    """Whether text may be repeated without computing anything twice."""
    return text.isidentifier() or text.replace(".", "", 1).isdigit()


def needs_parentheses(text: str) -> bool:
    """Whether an operand needs parentheses: anything but a name, a number, a call or an
    element.
    """
    depth = 0
    for character in text:
        if character in "([":
            depth += 1
        elif character in ")]":
            depth -= 1
        elif depth == 0 and (character == " " or character in "-~"):
            return True
    return False


def literal_text(value: complex) -> str:
    """A Python expression with this value, NaN, infinities and signed zeros included."""
    if isinstance(value, bool | int):
        return repr(value)
    if isinstance(value, float):
        if math.isnan(value):
            return "np.nan"
        if math.isinf(value):
            return "np.inf" if value > 0 else "-np.inf"
        return repr(value)
    return f"complex({literal_text(value.real)}, {literal_text(value.imag)})"
