"""The table of functions, filled by the families as they are imported."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from codegen.render.vector_math.lanes import FLOAT64, Lanes, Value

Kernel = Callable[..., Value]


@dataclass(frozen=True, slots=True)
class Function:
    """One function: `kernel(lanes, *operands)` writes it and returns its result.

    `native_single` says that the kernel also works in float32 arithmetic; otherwise float32
    operands are widened, and the result is rounded once more.
    """

    name: str
    operand_count: int
    native_single: bool
    kernel: Kernel


FUNCTIONS: dict[str, Function] = {}


def vector_function(
    name: str, operand_count: int = 1, *, native_single: bool = False
) -> Callable[[Kernel], Kernel]:
    """Registers a kernel under the name by which renderers ask for it."""

    def register(kernel: Kernel) -> Kernel:
        if name in FUNCTIONS:
            raise ValueError(f"two kernels for the vector function {name!r}")
        FUNCTIONS[name] = Function(name, operand_count, native_single, kernel)
        return kernel

    return register


def apply(function: Function, lanes: Lanes, *operands: Value) -> Value:
    """Writes a function in `lanes`, by way of wider arithmetic where its kernel needs that."""
    if function.native_single or lanes.form is FLOAT64:
        return function.kernel(lanes, *operands)
    wide = Lanes(lanes.builder, FLOAT64, lanes.width, lanes.target, rounds_to_single=True)
    return lanes.convert(function.kernel(wide, *map(wide.convert, operands)))
