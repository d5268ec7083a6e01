"""Values in a kernel while its text is compiled: what kind they are, and where they are held."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from codegen.nvvm.kinds import BOOL, FLOAT64, INT64, Kind, Scalar, Several


class KernelError(Exception):
    """Kernel text that has no meaning here. `place` is the statement, once it is known."""

    place = ""

    def __str__(self) -> str:
        return f"{self.args[0]} ({self.place})" if self.place else str(self.args[0])


Number = bool | int | float


@dataclass(frozen=True, slots=True)
class Value:
    """`parts` are LLVM's operands, one for each of `leaves(kind)`. `number` is what a value is
    that the compiler knows.
    """

    kind: Kind
    parts: tuple[str, ...]
    number: Number | None = None

    @property
    def text(self) -> str:
        """The operand of a value that has one part."""
        (part,) = self.parts
        return part

    @property
    def scalar(self) -> Scalar:
        """The kind of a number; KernelError where this is none."""
        if not isinstance(self.kind, Scalar):
            raise KernelError(f"a number is expected, not {self.kind}")
        return self.kind


def constant(kind: Scalar, number: Number) -> Value:
    """A number that the compiler knows, as one of a real kind; integers wrap around."""
    if kind is BOOL:
        held = bool(number)
        return Value(kind, ("true" if held else "false",), held)
    if kind.family in "iu":
        whole = int(number) & (2**kind.bits - 1)
        if kind.family == "i" and whole >= 2 ** (kind.bits - 1):
            whole -= 2**kind.bits
        return Value(kind, (str(whole),), whole)
    if kind.family == "c":
        real = "float" if kind.llvm == "float" else "double"
        return Value(kind, (_float_text(real, float(number)), _float_text(real, 0.0)))
    rounded = _rounded(kind.llvm, float(number))
    return Value(kind, (_float_text(kind.llvm, rounded),), rounded)


def _rounded(llvm: str, number: float) -> float:
    """The number of that type next to a number."""
    with np.errstate(over="ignore", invalid="ignore"):
        if llvm == "half":
            return float(np.float16(number))
        return float(np.float32(number)) if llvm == "float" else number


def _float_text(llvm: str, number: float) -> str:
    """A float's bits, which is how LLVM writes exact ones: a float32 as the double it equals."""
    number = _rounded(llvm, number)
    if llvm == "half":
        return f"0xH{np.float16(number).view(np.uint16):04X}"
    return f"0x{struct.unpack('<Q', struct.pack('<d', number))[0]:016X}"


def literal(number: object) -> Value:
    """The value of a Python literal."""
    if isinstance(number, bool):
        return constant(BOOL, number)
    if isinstance(number, int):
        return constant(INT64, number)
    if isinstance(number, float):
        return constant(FLOAT64, number)
    raise KernelError(f"no literal of {type(number).__name__}")


def several(items: list[Value]) -> Value:
    """A tuple of numbers."""
    kinds = tuple(item.scalar for item in items)
    return Value(Several(kinds), tuple(part for item in items for part in item.parts))


def item(value: Value, position: int) -> Value:
    """One item of a tuple."""
    if not isinstance(value.kind, Several):
        raise KernelError("only tuples have items that the compiler knows")
    start = 0
    for kind in value.kind.items[:position]:
        start += 2 if kind.family == "c" else 1
    found = value.kind.items[position]
    return Value(found, value.parts[start : start + (2 if found.family == "c" else 1)])
