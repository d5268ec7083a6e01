"""Entries: one Python callable for one signature, native where this interpreter allows it."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Protocol

from codegen.dispatch import runtime_text as at
from codegen.dispatch.abi import ErrorHandler, default_error
from codegen.dispatch.compile import compile_module
from codegen.dispatch.entry_text import entry_text
from codegen.dispatch.layout import is_scalar_plain
from codegen.dispatch.python_entry import make_python_entry
from codegen.dispatch.runtime import load, native_entry_available
from codegen.dispatch.spec import CallSpec, ScalarLeaf

_METHOD_FLAGS = 0x0080 | 0x0002  # METH_FASTCALL | METH_KEYWORDS


class Entry(Protocol):
    """What `make_entry` gives: a callable for one signature, with a successor for all others."""

    next: Callable[..., Any]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the kernel where the arguments fit, else call `next` with the same arguments."""


@cache
def _code(source: str) -> int:
    """Address of the entry's machine code: one for each structure, kept for ever."""
    return compile_module(source, ("entry",))[0]


def make_native_entry(
    spec: CallSpec,
    kernel_address: int,
    slow_path: Callable[..., Any],
    *,
    keep_alive: object = None,
    on_error: ErrorHandler = default_error,
    release_gil: bool = False,
) -> Entry:
    """`make_entry` in machine code; raises UnexpectedLayoutError where that is not possible."""
    runtime = load()
    text = entry_text(spec, kernel_address, on_error, release_gil, runtime.layout)
    code = _code(text.source)
    words = text.table.build()
    kept = (spec, keep_alive, words, text.table.objects)
    allocate = ctypes.pythonapi.PyType_GenericAlloc
    allocate.restype = ctypes.py_object
    allocate.argtypes = [ctypes.py_object, ctypes.c_ssize_t]
    entry: Entry = allocate(runtime.entry_type, 0)
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(kept))
    for offset, value in (
        (at.ENTRY_KEEP, id(kept)),
        (at.ENTRY_TABLE, ctypes.addressof(words)),
        (at.VECTORCALL, code),
    ):
        ctypes.c_void_p.from_address(id(entry) + offset).value = value
    entry.next = slow_path
    return entry


def make_entry(
    spec: CallSpec,
    kernel_address: int,
    slow_path: Callable[..., Any],
    *,
    keep_alive: object = None,
    on_error: ErrorHandler = default_error,
    release_gil: bool = False,
) -> Entry:
    """A callable that checks its arguments against `spec`, makes the result and runs the kernel.

    kernel_address: machine code as `codegen.dispatch.abi` describes it.
    slow_path: called with the very same arguments where they do not fit; its answer is the answer.
        It can be exchanged later, as the attribute `next`.
    keep_alive: owner of the kernel's code and of the spec's constants.
    on_error: makes the exception for a code that the kernel returns.
    release_gil: let other threads run meanwhile; for kernels of 50 µs and more.
    """
    scalars = [leaf for leaf in (*spec.inputs, *spec.outputs) if isinstance(leaf, ScalarLeaf)]
    plain = native_entry_available() and all(is_scalar_plain(leaf.kind) for leaf in scalars)
    make = make_native_entry if plain else make_python_entry
    return make(
        spec,
        kernel_address,
        slow_path,
        keep_alive=keep_alive,
        on_error=on_error,
        release_gil=release_gil,
    )


def make_dispatcher(entries: Sequence[Entry], slow_path: Callable[..., Any]) -> Callable[..., Any]:
    """Chain entries: the first whose signature fits takes the call, `slow_path` if none does."""
    following = slow_path
    for entry in reversed(entries):
        entry.next = following
        following = entry
    return following


class _Method(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("code", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )


@cache
def _method(name: str, code: int) -> _Method:
    return _Method(name.encode(), code, _METHOD_FLAGS, None)


def as_builtin(entry: Entry, name: str) -> Callable[..., Any]:
    """The same entry as a built-in function (METH_FASTCALL | METH_KEYWORDS) called `name`."""
    if not native_entry_available() or type(entry) is not load().entry_type:
        return entry
    code = ctypes.c_void_p.from_address(id(entry) + at.VECTORCALL).value or 0
    method = _method(name, code)
    make = ctypes.pythonapi.PyCFunction_NewEx
    make.restype = ctypes.py_object
    make.argtypes = [ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p]
    builtin: Callable[..., Any] = make(ctypes.addressof(method), entry, None)
    return builtin
