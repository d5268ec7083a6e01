"""The compiled runtime and the two native types, `Entry` and `NativeFunctionBase`.

`load()` builds them once; it raises `UnexpectedLayoutError` where this interpreter is not one that
native entries serve, and that answer is kept as well.
"""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass
from functools import cache
from typing import Any

import llvmlite.binding as llvm

from codegen.dispatch import layout as at
from codegen.dispatch import runtime_text as text
from codegen.dispatch.compile import compile_module
from codegen.dispatch.dict_text import dict_text
from codegen.dispatch.layout import Layout, UnexpectedLayoutError
from codegen.dispatch.symbols import PREFIX, addresses, function_address

TYPE_IMMUTABLE = 1 << 8
TYPE_NO_CONSTRUCTOR = 1 << 7
TYPE_BASE = 1 << 10
TYPE_VECTORCALL = 1 << 11
TYPE_GARBAGE_COLLECTED = 1 << 14
TYPE_METHOD_DESCRIPTOR = 1 << 17
TYPE_DEFAULT = 1 << 18

_SLOT_CALL, _SLOT_CLEAR, _SLOT_DEALLOC, _SLOT_GET = 50, 51, 52, 54
_SLOT_DOC, _SLOT_TRAVERSE, _SLOT_MEMBERS = 56, 71, 72
_MEMBER_OBJECT, _MEMBER_LONG_LONG, _MEMBER_SIZE, _READ_ONLY = 6, 17, 19, 1


class _Slot(ctypes.Structure):
    _fields_ = (("slot", ctypes.c_int), ("function", ctypes.c_void_p))


class _Spec(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("basic_size", ctypes.c_int),
        ("item_size", ctypes.c_int),
        ("flags", ctypes.c_uint),
        ("slots", ctypes.POINTER(_Slot)),
    )


class _Member(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("kind", ctypes.c_int),
        ("offset", ctypes.c_ssize_t),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )


_kept: list[Any] = []  # C structures, which live as long as the process


def _make_type(
    name: str, size: int, flags: int, slots: dict[int, int | bytes], members: list[_Member]
) -> type:
    rows = (_Member * (len(members) + 1))(*members)
    texts = {slot: ctypes.c_char_p(value) for slot, value in slots.items() if type(value) is bytes}
    addresses_of = {slot: ctypes.cast(held, ctypes.c_void_p).value for slot, held in texts.items()}
    functions = [_Slot(slot, addresses_of.get(slot, value)) for slot, value in slots.items()]
    functions.append(_Slot(_SLOT_MEMBERS, ctypes.addressof(rows)))
    table = (_Slot * (len(functions) + 1))(*functions)
    spec = _Spec(name.encode(), size, 0, flags, table)
    _kept.extend((rows, table, spec, texts))
    from_spec = ctypes.pythonapi.PyType_FromSpec
    from_spec.restype = ctypes.py_object
    from_spec.argtypes = [ctypes.c_void_p]
    made: type = from_spec(ctypes.addressof(spec))
    return made


_ENTRY_DOC = b"Machine code for one signature; arguments that do not fit go on to `next`."
_FUNCTION_DOC = b"A callable that enters its `target` at the speed of a built-in function."


@dataclass(frozen=True, slots=True)
class Runtime:
    """What entries are made of."""

    layout: Layout
    entry_type: type
    function_type: type
    function_call: int
    workspace_trim: Any
    workspace_words: tuple[int, int, int]


def _types(layout: Layout, code: dict[str, int]) -> tuple[type, type]:
    vectorcall = _Member(b"__vectorcalloffset__", _MEMBER_SIZE, text.VECTORCALL, _READ_ONLY, None)
    common = TYPE_DEFAULT | TYPE_VECTORCALL | TYPE_GARBAGE_COLLECTED
    call = function_address(ctypes.pythonapi.PyVectorcall_Call)

    def slots(kind: str, doc: bytes) -> dict[int, int | bytes]:
        return {
            _SLOT_CALL: call,
            _SLOT_DOC: doc,
            _SLOT_DEALLOC: code[f"{kind}_dealloc"],
            _SLOT_TRAVERSE: code[f"{kind}_traverse"],
            _SLOT_CLEAR: code[f"{kind}_clear"],
        }

    entry = _make_type(
        "codegen.dispatch.Entry",
        text.ENTRY_SIZE,
        common | TYPE_IMMUTABLE | TYPE_NO_CONSTRUCTOR,
        slots("entry", _ENTRY_DOC),
        [
            vectorcall,
            _Member(b"next", _MEMBER_OBJECT, text.ENTRY_NEXT, 0, b"takes what does not fit"),
            _Member(b"keep", _MEMBER_OBJECT, text.ENTRY_KEEP, _READ_ONLY, b"what the entry owns"),
        ],
    )
    function = _make_type(
        "codegen.dispatch.NativeFunctionBase",
        text.FUNCTION_SIZE,
        common | TYPE_BASE | TYPE_METHOD_DESCRIPTOR,
        slots("function", _FUNCTION_DOC) | {_SLOT_GET: code["function_get"]},
        [
            vectorcall,
            _Member(b"target", _MEMBER_OBJECT, text.FUNCTION_TARGET, 0, b"what is called"),
            _Member(b"calls", _MEMBER_LONG_LONG, text.FUNCTION_CALLS, 0, b"number of calls"),
        ],
    )
    return entry, function


_NAMES = (
    "entry_dealloc", "entry_traverse", "entry_clear",
    "function_dealloc", "function_traverse", "function_clear", "function_get",
    "cleared", "same_dtype", "dict_values", "raise_error",
    "workspace_take", "workspace_give", "workspace_trim",
    "workspace_buffer", "workspace_capacity", "workspace_used", "workspace_limit",
)  # fmt: skip


# What the code of entries and functions calls.
_SHARED = (
    "cleared", "same_dtype", "dict_values", "raise_error", "workspace_take", "workspace_give",
)  # fmt: skip


def _forget_workspace(words: tuple[int, int, int]) -> None:
    """In a forked child: another thread of the parent may have held the buffer, and is gone."""
    for address in words:
        ctypes.c_int64.from_address(address).value = 0


def _most_workspace() -> int:
    """Bytes of workspace that are kept between calls at most: an eighth of the machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 8


@cache
def _load() -> Runtime | str:
    try:
        layout = at.probe()
        known = addresses()
        for name, address in known.items():
            llvm.add_symbol(PREFIX + name, address)
        for kind in text.TYPES:
            llvm.add_symbol(f"{PREFIX}type_{kind.__name__}", id(kind))
        source = text.runtime_text(layout, dict_text())
        code = dict(zip(_NAMES, compile_module(source, _NAMES), strict=True))
    except (UnexpectedLayoutError, RuntimeError, AttributeError) as error:
        return str(error)
    for name in _SHARED:
        llvm.add_symbol(PREFIX + name, code[name])
    entry_type, function_type = _types(layout, code)
    llvm.add_symbol(f"{PREFIX}type_Entry", id(entry_type))
    source = text.forwarding_text(layout)
    function_call, slow = compile_module(source, ("function_call", "slow"), level=2)
    llvm.add_symbol(PREFIX + "slow", slow)
    words = (code["workspace_buffer"], code["workspace_capacity"], code["workspace_used"])
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=lambda: _forget_workspace(words))
    trim = ctypes.PYFUNCTYPE(None)(code["workspace_trim"])
    ctypes.c_int64.from_address(code["workspace_limit"]).value = _most_workspace()
    _kept.append((entry_type, function_type))
    return Runtime(layout, entry_type, function_type, function_call, trim, words)


def load() -> Runtime:
    """The runtime of this process; raises UnexpectedLayoutError, with the reason, where none is."""
    found = _load()
    if isinstance(found, str):
        raise UnexpectedLayoutError(found)
    return found


def native_entry_available() -> bool:
    """Whether native entries serve this interpreter; calls go through Python where they do not."""
    return not isinstance(_load(), str)
