"""The functions of C libraries, and of our own, that rendered code calls, by address.

Text names them `@tracer_<library>_<name>`; `resolve` tells LLVM where those are.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import importlib
import re
import sys
from functools import cache

import llvmlite.binding as llvm

from kernels.callback import call_back_address

Symbol = tuple[str, str, str]
"""A name in LLVM text, the library, and the function's name there."""

_KERNELS = {"call_back": call_back_address}
PATTERN = re.compile(r"@(tracer_(libm|libc|blas|python|kernels)_(\w+))\(")


@cache
def _library(name: str) -> ctypes.CDLL:
    if sys.platform == "win32":
        return ctypes.CDLL("ucrtbase.dll")
    return ctypes.CDLL(ctypes.util.find_library({"libm": "m", "libc": "c"}[name]))


def _capsule_address(name: str) -> int:
    """The address of a BLAS function of SciPy."""
    table = importlib.import_module("scipy.linalg.cython_blas").__pyx_capi__
    get_name = ctypes.pythonapi.PyCapsule_GetName
    get_name.restype, get_name.argtypes = ctypes.c_char_p, [ctypes.py_object]
    get_pointer = ctypes.pythonapi.PyCapsule_GetPointer
    get_pointer.restype = ctypes.c_void_p
    get_pointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    capsule = table[name]
    return int(get_pointer(capsule, get_name(capsule)))


def _address(library: str, name: str) -> int:
    if library == "blas":
        return _capsule_address(name)
    if library == "kernels":
        return _KERNELS[name]()
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
