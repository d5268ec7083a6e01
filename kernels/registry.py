"""Kernels by name: each is one file of this package with a `KERNEL`, its NumPy twin beside its
Numba form.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


class ArraySpec(NamedTuple):
    """The dtype and shape of an operand or a result of a kernel."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]


Params = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Kernel:
    """What the loop program calls by name.

    `results` gives the dtypes and shapes of the results, or raises ValueError or TypeError with
    the reason. `evaluate` is the NumPy twin: operands → results. `numba_form` chooses, for these
    operands, a plain Python function that Numba compiles; it is called with the results, then the
    operands, as arrays whose last dtypes and shapes are those given, then the values of the
    parameters in the order of their names. Its source text becomes part of the rendered program,
    so it may use `np`, `math` and `numba` only, what `numba_helpers` lists, and what the lines of
    `numba_imports` import. Where the number of arrays varies, `numba_call` writes the call of that
    function instead: from the texts of the results and operands, and the parameters;
    `numba_lines` are what such a call needs defined, one line each, in alphabetical order.
    """

    name: str
    results: Callable[[tuple[ArraySpec, ...], Params], tuple[ArraySpec, ...]]
    evaluate: Callable[[tuple[Array, ...], Params], tuple[Array, ...]]
    numba_form: Callable[[tuple[ArraySpec, ...], Params], Callable[..., None]]
    numba_helpers: tuple[Callable[..., Any], ...] = ()
    numba_call: Callable[[tuple[str, ...], Params], str] | None = None
    numba_imports: tuple[str, ...] = ()
    numba_lines: Callable[[Params], tuple[str, ...]] | None = None


@functools.cache
def find_kernel(name: str) -> Kernel:
    """The kernel called `name`; KeyError where `kernels/` has no such file."""
    module_name = f"kernels.{name}"
    if not name.isidentifier() or importlib.util.find_spec(module_name) is None:
        raise KeyError(f"kernels/ has no kernel '{name}'")
    kernel = getattr(importlib.import_module(module_name), "KERNEL", None)
    if not isinstance(kernel, Kernel):
        raise KeyError(f"kernels/{name}.py defines no KERNEL")
    return kernel
