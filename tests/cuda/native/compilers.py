"""Which compiler makes the IR of kernels that tests run here: any function of this type."""

from __future__ import annotations

from collections.abc import Callable

from codegen.device.schedule import Kernel
from codegen.nvvm.statements import ir_of

Compiler = Callable[[Kernel], str]
"""From a kernel to the text of its NVVM IR."""


def product(kernel: Kernel) -> str:
    """What the product gives to NVVM."""
    return ir_of(kernel.source, kernel.name, kernel.arguments)
