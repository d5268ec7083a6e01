"""A collector of LLVM IR lines: what families of functions write into."""

from __future__ import annotations

import math
import struct
from functools import cache, lru_cache


class LineCollector:
    """Body lines of one function, and the module-level text which they need.

    `lines` is the body, an item of it one line or several. `constants` maps a global's name to
    its definition, `declarations` holds `declare` lines, and `definitions` maps the name of an
    out-of-line helper function to its text; all three are to be written once a module. `block`
    is the label of the block that is being written: some functions branch to a rare slow path
    and leave another block open than they found, so a caller's phi nodes must name `block` as it
    is afterwards.
    """

    def __init__(self, block: str = "entry", prefix: str = "v") -> None:
        self.lines: list[str] = []
        self.constants: dict[str, str] = {}
        self.declarations: set[str] = set()
        self.definitions: dict[str, str] = {}
        self.block = block
        self._prefix = prefix
        self._count = 0

    def fresh(self) -> str:
        """A register name that this collector has not given out yet."""
        self._count += 1
        return f"%{self._prefix}{self._count}"

    def fresh_label(self, stem: str) -> str:
        """A block label that this collector has not given out yet."""
        self._count += 1
        return f"{stem}.{self._prefix}{self._count}"

    def line(self, text: str) -> None:
        """Adds one instruction to the body."""
        self.lines.append("  " + text)

    def start_block(self, label: str) -> None:
        """Opens a block; the one before must have ended with a terminator."""
        self.lines.append(f"{label}:")
        self.block = label

    def module_text(self) -> str:
        """Constants, declarations and helper definitions, in a stable order."""
        parts = [self.constants[name] for name in sorted(self.constants)]
        parts += sorted(self.declarations)
        parts += [self.definitions[name] for name in sorted(self.definitions)]
        return "\n".join(parts) + "\n" if parts else ""


def float_literal(value: float) -> str:
    """The exact LLVM literal of a float; a float32 is written as the double of equal value."""
    # -0.0 equals 0.0: a memory of values would give one of them for the other
    return _float_bits(value) if value else _BITS_OF_ZERO[math.copysign(1.0, value) < 0]


_BITS_OF_ZERO = ("0x0000000000000000", "0x8000000000000000")


@lru_cache(maxsize=4096)
def _float_bits(value: float) -> str:
    return "0x" + struct.pack(">d", value).hex().upper()


@cache
def splat_is_known() -> bool:
    """Whether this LLVM reads `splat (double 1.0)`, which version 19 brought."""
    import llvmlite.binding

    return bool(llvmlite.binding.llvm_version_info[0] >= 19)


def splat(element_type: str, literal: str, width: int) -> str:
    """A constant operand (without its type) with `literal` in every lane."""
    if width == 1:
        return literal
    if splat_is_known():
        return f"splat ({element_type} {literal})"
    return "<" + ", ".join([f"{element_type} {literal}"] * width) + ">"
