"""Discrete Fourier transforms of devices; on the CPU compiled code calls NumPy's back.

The parameters are `transform` ("fft", "rfft" or "irfft") and those of the transform: `norm` of all,
`axes` and `inverse` of the complex one, which is of complex numbers, and `n`, the length of irfft's
result along the last axis.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from kernels.registry import Array, ArraySpec, Kernel, Params

COMPLEX: dict[int, np.dtype[Any]] = {4: np.dtype(np.complex64), 8: np.dtype(np.complex128)}
REAL: dict[int, np.dtype[Any]] = {8: np.dtype(np.float32), 16: np.dtype(np.float64)}


def result_spec(operands: tuple[ArraySpec, ...], params: Params) -> tuple[ArraySpec, ...]:
    """The dtype and shape of the transform of the one operand."""
    if len(operands) != 1:
        raise ValueError("a transform has one operand")
    dtype, shape = operands[0].dtype, operands[0].shape
    name, length = params["transform"], params.get("n")
    if name == "fft" and dtype.kind == "c":
        return (operands[0],)
    if name == "rfft" and dtype.kind == "f":
        return (ArraySpec(COMPLEX[dtype.itemsize], (*shape[:-1], shape[-1] // 2 + 1)),)
    if name == "irfft" and dtype.kind == "c" and isinstance(length, int):
        return (ArraySpec(REAL[dtype.itemsize], (*shape[:-1], length)),)
    raise TypeError(f"no transform {name!r} of {dtype}")


def transform(x: Any, params: Params, fourier: Any) -> Any:
    """The transform by a module with the functions of `numpy.fft`."""
    values: Any = params
    if values["transform"] == "rfft":
        return fourier.rfft(x, norm=values["norm"])
    if values["transform"] == "irfft":
        return fourier.irfft(x, values["n"], norm=values["norm"])
    function = fourier.ifftn if values["inverse"] else fourier.fftn
    return function(x, axes=values["axes"], norm=values["norm"])


def evaluate(operands: tuple[Array, ...], params: Params) -> tuple[Array, ...]:
    """NumPy's own."""
    return (np.asarray(transform(operands[0], params, np.fft)),)


def no_form(operands: tuple[ArraySpec, ...], params: Params) -> Callable[..., None]:
    """None on a CPU: lowering for it makes a callback."""
    raise ValueError("transforms are kernels on devices only")


KERNEL = Kernel("fourier", result_spec, evaluate, no_form)
