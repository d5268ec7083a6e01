"""Elementary and special functions as vector LLVM IR text.

`emit_inline` writes a function's body into a line collector, which is how a renderer gets it
without LLVM's inliner; `emit` wraps the same body as a function of its own. Every function keeps
within the error published in docs/accuracy.md, gives NumPy's results at special values, never
traps, and has the same bits at every width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from codegen.render.vector_math import (  # noqa: F401  # families register what they define
    error_function,
    exponential,
    gamma,
    hyperbolic,
    inverse_hyperbolic,
    inverse_trigonometric,
    logarithm,
    power,
    rounding,
    trigonometric,
    zeta,
)
from codegen.render.vector_math.builder import LineCollector
from codegen.render.vector_math.lanes import FORMATS, Lanes
from codegen.render.vector_math.registry import FUNCTIONS, Function, apply
from codegen.render.vector_math.target import AVX512, FMA, GENERIC, Target

__all__ = [
    "AVX512",
    "FMA",
    "FUNCTIONS",
    "Function",
    "GENERIC",
    "LineCollector",
    "Target",
    "VectorFunction",
    "emit",
    "emit_inline",
]


@dataclass(frozen=True, slots=True)
class VectorFunction:
    """An LLVM function: its symbol, its definition, and the module text which that needs.

    `requires` (constants, declarations, helpers) is to be written once a module, before or
    after; two functions may share parts of it, so take `collector` where several go together.
    """

    name: str
    definition: str
    collector: LineCollector

    @property
    def requires(self) -> str:
        """Module-level text without which the definition does not parse."""
        return self.collector.module_text()


def _function(name: str, dtype: str, width: int) -> Function:
    if name not in FUNCTIONS:
        raise KeyError(f"no vector function {name!r}; there are: {', '.join(sorted(FUNCTIONS))}")
    if dtype not in FORMATS:
        raise ValueError(f"vector functions are for float64 and float32, not {dtype!r}")
    if width not in (1, 2, 4, 8, 16):
        raise ValueError(f"the width must be 1, 2, 4, 8 or 16, not {width!r}")
    return FUNCTIONS[name]


@dataclass(frozen=True, slots=True)
class _Template:
    """A body with marks in the place of what differs from use to use."""

    text: str
    result: str
    ends_elsewhere: str | None
    collector: LineCollector


# Marks that occur nowhere in IR: of register and label names, operands, and the block around.
_NAMES, _OPERAND, _BLOCK = "QQ", "%OO{}OO", "PP"


@lru_cache(maxsize=1024)
def _template(name: str, dtype: str, width: int, target: Target) -> _Template:
    function = _function(name, dtype, width)
    builder = LineCollector(_BLOCK, _NAMES)
    lanes = Lanes(builder, FORMATS[dtype], width, target)
    operands = [lanes.value(_OPERAND.format(k)) for k in range(function.operand_count)]
    result = apply(function, lanes, *operands).register
    end = None if builder.block == _BLOCK else builder.block
    return _Template("\n".join(builder.lines), result, end, builder)


def emit_inline(
    builder: LineCollector,
    name: str,
    dtype: str,
    width: int,
    operands: Sequence[str],
    target: Target = FMA,
) -> str:
    """Writes the body of a function in place; the register that holds its result.

    `operands` are registers (or literals) of type double or float, as vectors of `width` lanes
    unless that is 1. May open new blocks: phi nodes after it must name `builder.block`.
    Raises KeyError for an unknown name, ValueError for another dtype, width or operand count.
    """
    function = _function(name, dtype, width)
    if len(operands) != function.operand_count:
        raise ValueError(f"{name} takes {function.operand_count} operands, got {len(operands)}")
    template = _template(name, dtype, width, target)
    names = builder.fresh()[1:] + "."
    text = template.text.replace(_NAMES, names)
    if template.ends_elsewhere is not None:
        text = text.replace("%" + _BLOCK, "%" + builder.block)
        builder.block = template.ends_elsewhere.replace(_NAMES, names)
    for k, operand in enumerate(operands):
        text = text.replace(_OPERAND.format(k), operand)
    builder.lines.append(text)
    builder.constants.update(template.collector.constants)
    builder.declarations |= template.collector.declarations
    builder.definitions.update(template.collector.definitions)
    return template.result.replace(_NAMES, names)


def emit(
    name: str,
    dtype: str,
    width: int,
    target: Target = FMA,
    collector: LineCollector | None = None,
) -> VectorFunction:
    """A function `@tracer_<name>_<f64 or f32>x<width>` of its own, for a call.

    Module-level needs are added to `collector` where one is given, so that functions of one
    module share them. Raises as `emit_inline` does.
    """
    function = _function(name, dtype, width)
    form = FORMATS[dtype]
    needs = LineCollector() if collector is None else collector
    body = LineCollector()
    operands = [f"%x{k}" for k in range(function.operand_count)]
    result = emit_inline(body, name, dtype, width, operands, target)
    needs.constants.update(body.constants)
    needs.declarations |= body.declarations
    needs.definitions.update(body.definitions)
    symbol = f"@tracer_{name}_{form.short}x{width}"
    vector = Lanes(body, form, width, target).type_of("float")
    parameters = ", ".join(f"{vector} {operand}" for operand in operands)
    lines = "\n".join(body.lines)
    definition = (
        f"define internal {vector} {symbol}({parameters}) {{\nentry:\n{lines}\n"
        f"  ret {vector} {result}\n}}\n"
    )
    return VectorFunction(symbol, definition, needs)
