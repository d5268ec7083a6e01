"""Fourier transforms on a device: one library call each, with the twin's values and dtypes."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from codegen.cuda import library
from codegen.loops.nodes import Buffer, Call, View
from kernels.registry import ArraySpec, find_kernel

TRANSFORMS = [
    ("c16", {"transform": "fft", "axes": (-1,), "inverse": False, "norm": "backward"}),
    ("c8", {"transform": "fft", "axes": (-2, -1), "inverse": True, "norm": "ortho"}),
    ("f8", {"transform": "rfft", "norm": "forward"}),
    ("f4", {"transform": "rfft", "norm": "backward"}),
    ("c16", {"transform": "irfft", "n": 7, "norm": "backward"}),
    ("c8", {"transform": "irfft", "n": 6, "norm": "ortho"}),
]


def library_of_fourier(used: list[str]) -> Any:
    """A module like CuPy, on the host, which notes what is called."""
    names = ("fftn", "ifftn", "rfft", "irfft")

    def noted(name: str) -> Any:
        def call(*operands: Any, **keywords: Any) -> Any:
            used.append(name)
            return getattr(np.fft, name)(*operands, **keywords)

        return call

    return SimpleNamespace(fft=SimpleNamespace(**{name: noted(name) for name in names}))


@pytest.mark.parametrize(("dtype", "params"), TRANSFORMS)
def test_the_library_gives_the_twin(dtype: str, params: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, 4)).astype(dtype)
    kernel = find_kernel("fourier")
    (spec,) = kernel.results((ArraySpec(x.dtype, x.shape),), params)
    (expected,) = kernel.evaluate((x,), params)
    assert (expected.dtype, expected.shape) == spec
    result = np.empty(spec.shape, spec.dtype)
    buffers = [
        Buffer("y", spec.dtype, spec.shape, "output"),
        Buffer("x", x.dtype, x.shape, "input"),
    ]
    call = Call("fourier", (View(buffers[0]),), (View(buffers[1]),), params)
    used: list[str] = []
    library.run_call(call, [result], [x], library_of_fourier(used))
    np.testing.assert_array_equal(result, expected)
    assert len(used) == 1
    assert library.describe_call(call) == f"cuFFT {params['transform']}"
    assert not library.runs_on_host(call)
    assert not library.allows_capture(call)


def test_a_wrong_dtype_is_refused() -> None:
    kernel = find_kernel("fourier")
    with pytest.raises(TypeError, match="no transform 'fft' of float64"):
        kernel.results((ArraySpec(np.dtype(np.float64), (4,)),), TRANSFORMS[0][1])
    with pytest.raises(ValueError, match="on devices only"):
        kernel.numba_form((), {})


def test_cupy_has_these_transforms() -> None:
    text = Path(importlib.util.find_spec("cupy.fft").origin).read_text("utf-8")  # type: ignore
    assert all(f"import {name} " in text for name in ("fftn", "ifftn", "rfft", "irfft"))
