"""The functions of C libraries, and of our own, that rendered code calls, by address.

Text names them `@tracer_<library>_<name>`; `resolve` tells LLVM where those are.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import re
import sys
from functools import cache

import llvmlite.binding as llvm

from codegen.dispatch.threads import pause_address, run_address
from codegen.render.llvm_product_library import product_address
from kernels.callback import call_back_address
from kernels.lapack import routine_address

Symbol = tuple[str, str, str]
"""A name in LLVM text, the library, and the function's name there."""

_KERNELS = {"call_back": call_back_address}
_THREADS = {"run": run_address, "pause": pause_address}
PATTERN = re.compile(r"@(tracer_(libm|libc|blas|lapack|python|kernels|product|threads)_(\w+))\(")


@cache
def _library(name: str) -> ctypes.CDLL:
    if sys.platform == "win32":
        return ctypes.CDLL("ucrtbase.dll")
    return ctypes.CDLL(ctypes.util.find_library({"libm": "m", "libc": "c"}[name]))


def _address(library: str, name: str) -> int:
    if library in ("blas", "lapack"):
        return routine_address(library, name)
    if library == "product":
        return product_address(name)
    if library == "kernels":
        return _KERNELS[name]()
    if library == "threads":
        return _THREADS[name]()
    source = ctypes.pythonapi if library == "python" else _library(library)
    return ctypes.cast(getattr(source, name), ctypes.c_void_p).value or 0


@cache
def _resolve(symbol: str, library: str, name: str) -> None:
    llvm.add_symbol(symbol, _address(library, name))


def symbols_of(text: str) -> tuple[Symbol, ...]:
    """The functions from outside that a module's text names: symbol, library, name."""
    return tuple(sorted(set(PATTERN.findall(text))))


def resolve(symbols: tuple[Symbol, ...]) -> None:
    """Make these symbols known to LLVM in this process."""
    for symbol, library, name in symbols:
        _resolve(symbol, library, name)
