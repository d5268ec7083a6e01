"""From a kernel's text to PTX: our compiler to NVVM's IR, then NVVM. No driver and no GPU needed.

The parameters of a kernel, in order: the 64-bit address of each argument that is memory, and the
value of each that is a number.
"""

from __future__ import annotations

import importlib.util
import os
import tempfile
from collections.abc import Sequence
from functools import cache

from codegen.device.schedule import Argument, Kernel
from tracer.errors import BackendError

MISSING = (
    "the CUDA backend needs NVIDIA's compiler libraries and cuda-bindings, which are not installed "
    "or not whole ({cause}): pip install 'tracer-ad[cuda13]'"
)


def simulated() -> bool:
    """Whether kernels are simulated: NUMBA_ENABLE_CUDASIM is 1, Numba's own switch."""
    return os.environ.get("NUMBA_ENABLE_CUDASIM", "0").strip() not in ("", "0")


@cache
def require_compiler() -> None:
    """Raise BackendError, which says what to install, where NVVM or what it needs is missing."""
    if importlib.util.find_spec("cuda") is None:
        raise BackendError(MISSING.format(cause="no module cuda.bindings"))
    try:
        from cuda.bindings import nvvm

        nvvm.version()
    except Exception as error:
        raise BackendError(MISSING.format(cause=error)) from error


def compile_ptx(
    source: str,
    name: str,
    arguments: Sequence[Argument],
    capability: tuple[int, int],
    places: Sequence[str] = (),
) -> str:
    """The kernel as PTX, whose one entry has the kernel's own name.

    Raises BackendError with the user's `places`, and the file in which the source is kept, where a
    compiler refuses it.
    """
    kernel = Kernel(name, source, tuple(arguments), tuple(places))
    return kernel_ptx(kernel, kernel_ir(kernel), capability)


def kernel_ir(kernel: Kernel) -> str:
    """The kernel in NVVM's IR; BackendError as in `compile_ptx`."""
    # Where machine code is found, nothing is compiled.
    from codegen.nvvm.statements import ir_of
    from codegen.nvvm.values import KernelError

    try:
        return ir_of(kernel.source, kernel.name, kernel.arguments)
    except KernelError as error:
        raise _refused(kernel, error) from error


def kernel_ptx(kernel: Kernel, ir: str, capability: tuple[int, int]) -> str:
    """The PTX of a kernel's IR. Products and sums are fused, as on the CPU, but in kernels with
    complex numbers. Several threads may ask at a time; BackendError as in `compile_ptx`.
    """
    from codegen.nvvm.library import NvvmError, ptx_of

    require_compiler()
    try:
        return ptx_of(ir, capability, fused=not has_complex(kernel.source, kernel.arguments))
    except NvvmError as error:
        raise _refused(kernel, error) from error


def has_complex(source: str, arguments: Sequence[Argument]) -> bool:
    """Whether a kernel computes with complex numbers, whose products are never fused: z·z̄ would
    have an imaginary part.
    """
    return "complex" in source or any(argument.dtype.kind == "c" for argument in arguments)


def _refused(kernel: Kernel, error: Exception) -> BackendError:
    handle, path = tempfile.mkstemp(prefix=f"{kernel.name}-", suffix=".py")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(kernel.source)
    lines = "".join(f"\n  {place}" for place in kernel.places)
    where = f"\nIt computes what these lines ask for:{lines}" if lines else ""
    return BackendError(
        f"the CUDA kernel {kernel.name} does not compile: {error}{where}\nIts source: {path}"
    )
