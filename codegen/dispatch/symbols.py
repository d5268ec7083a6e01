"""The C functions of CPython and NumPy that generated code calls, by address.

Generated text names them `@tracer_<name>`, so that it holds no address of this process: the same
structure gives the same text, and the same object code.
"""

from __future__ import annotations

import ctypes
import importlib
from typing import Any

import numpy as np

from codegen.dispatch.layout import UnexpectedLayoutError

PREFIX = "tracer_"

# name: (result, arguments), in LLVM's types.
PYTHON_FUNCTIONS: dict[str, tuple[str, str]] = {
    "PyDict_Copy": ("ptr", "ptr"),
    "PyDict_GetItemWithError": ("ptr", "ptr, ptr"),
    "PyDict_Next": ("i32", "ptr, ptr, ptr, ptr"),
    "PyDict_SetItem": ("i32", "ptr, ptr, ptr"),
    "PyDict_Size": ("i64", "ptr"),
    "PyErr_Clear": ("void", ""),
    "PyErr_Format": ("ptr", "ptr, ptr, ..."),
    "PyEval_RestoreThread": ("void", "ptr"),
    "PyEval_SaveThread": ("ptr", ""),
    "PyList_New": ("ptr", "i64"),
    "PyLong_AsLongLongAndOverflow": ("i64", "ptr, ptr"),
    "PyLong_FromLongLong": ("ptr", "i64"),
    "PyMem_RawFree": ("void", "ptr"),
    "PyMem_RawMalloc": ("ptr", "i64"),
    "PyMethod_New": ("ptr", "ptr, ptr"),
    "PyObject_CallObject": ("ptr", "ptr, ptr"),
    "PyObject_GC_Del": ("void", "ptr"),
    "PyObject_GC_UnTrack": ("void", "ptr"),
    "PyObject_Vectorcall": ("ptr", "ptr, ptr, i64, ptr"),
    "PyTuple_New": ("ptr", "i64"),
    "Py_DecRef": ("void", "ptr"),
    "Py_IncRef": ("void", "ptr"),
    "_Py_Dealloc": ("void", "ptr"),
}

# Indices into NumPy's C table, which its binary interface fixes.
_ABI_VERSION = 0
_ARRAY_TYPE = 2
_NEW_FROM_DESCR = 94
_NEW_FROM_DESCR_ARGUMENTS = "ptr, ptr, i32, ptr, ptr, ptr, i32, ptr"
_SET_HANDLER, _GET_HANDLER = 304, 305
_KNOWN_ABI_VERSION = 0x02000000
_TYPE_SLOT_ALLOC = 47


def function_address(function: Any) -> int:
    """Address of a function that ctypes has found."""
    return ctypes.cast(function, ctypes.c_void_p).value or 0


def _array_table() -> Any:
    try:
        core = importlib.import_module("numpy._core._multiarray_umath")
    except ImportError:
        raise UnexpectedLayoutError("NumPy's C table is not where NumPy 2 has it") from None
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype = ctypes.c_void_p
    pointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    address = pointer(core._ARRAY_API, None)
    return ctypes.cast(address, ctypes.POINTER(ctypes.c_void_p))


def _array_new() -> int:
    """Address of PyArray_NewFromDescr, after it has made an array as it should."""
    table = _array_table()
    if table[_ARRAY_TYPE] != id(np.ndarray):
        raise UnexpectedLayoutError("NumPy's C table does not hold ndarray at its place")
    version = ctypes.CFUNCTYPE(ctypes.c_uint)(table[_ABI_VERSION])()
    if version != _KNOWN_ABI_VERSION:
        raise UnexpectedLayoutError(f"NumPy's binary interface has the version {version:#x}")
    return int(table[_NEW_FROM_DESCR])


def handler_functions() -> tuple[int, int]:
    """Address of PyDataMem_SetHandler, after its companion has given a handler as it should; and
    whether NumPy asks for large pages. Raises UnexpectedLayoutError.
    """
    table = _array_table()
    get = ctypes.PYFUNCTYPE(ctypes.py_object)(table[_GET_HANDLER])
    try:
        capsule = get()
        named = ctypes.pythonapi.PyCapsule_GetName
        named.restype, named.argtypes = ctypes.c_char_p, [ctypes.py_object]
        name = named(capsule)
    except (ValueError, TypeError):
        raise UnexpectedLayoutError("NumPy's C table has no memory handler at its place") from None
    if name != b"mem_handler":
        raise UnexpectedLayoutError(f"NumPy's memory handler is called {name!r}")
    core = importlib.import_module("numpy._core._multiarray_umath")
    return int(table[_SET_HANDLER]), int(core._get_madvise_hugepage())


def scalar_allocator(kind: type[np.generic]) -> int:
    """Address of `PyObject *allocate(type, 0)` that gives a new scalar of the class `kind`."""
    slot = ctypes.pythonapi.PyType_GetSlot
    slot.restype = ctypes.c_void_p
    slot.argtypes = [ctypes.py_object, ctypes.c_int]
    return int(slot(kind, _TYPE_SLOT_ALLOC) or 0)


def declarations(names: list[str]) -> str:
    """The `declare` lines of the functions named."""
    return "\n".join(
        f"declare {PYTHON_FUNCTIONS[name][0]} @{PREFIX}{name}({PYTHON_FUNCTIONS[name][1]})"
        for name in names
    )


ARRAY_NEW, ARRAY_NEW_LARGE = "array_new", "array_new_large"
ARRAY_NEW_DECLARATION = f"declare ptr @{PREFIX}{ARRAY_NEW}({_NEW_FROM_DESCR_ARGUMENTS})"
OPTIONAL_DECLARATIONS = (
    f"declare ptr @{PREFIX}{ARRAY_NEW_LARGE}({_NEW_FROM_DESCR_ARGUMENTS})",
    f"declare i32 @{PREFIX}memory_fits(i64)",
)
"""Of functions which exist only once an entry needs them."""


def addresses() -> dict[str, int]:
    """Address of every function above, without the prefix; raises UnexpectedLayoutError."""
    found = {ARRAY_NEW: _array_new()}
    for name in PYTHON_FUNCTIONS:
        try:
            found[name] = function_address(getattr(ctypes.pythonapi, name))
        except AttributeError:
            raise UnexpectedLayoutError(f"this interpreter has no function {name}") from None
    return found
