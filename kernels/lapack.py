"""Routines of BLAS and LAPACK, by the function pointers that SciPy publishes.

A call says in its parameters all that the routine takes, in the routine's own order:

    routine    the name, `dgetrf`; `library` "lapack" or "blas"
    arguments  "c:U" a letter, "i:5" an int32, "n:-1" a number of the first result's dtype,
               "r:0" the memory of a result, "o:0" that of an operand
    results    dtypes and shapes of the results; workspace is one of them
    copies     (result, operand): the operand is copied there first, since routines work in place

Fortran takes the first index as the one that runs fastest: a C-ordered array is the transpose of
what a routine sees. Results and operands that a routine reads or writes lie in C order.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from kernels.registry import Array, ArraySpec, Kernel, Params

PREFIX = {"f4": "s", "f8": "d", "c8": "c", "c16": "z"}


def prefix_of(dtype: np.dtype[Any]) -> str:
    """The first letter of the routines for that dtype; KeyError where there are none."""
    return PREFIX[dtype.str[1:]]


@functools.cache
def routine_address(library: str, routine: str) -> int:
    """The address of a routine; KeyError where SciPy has none of that name."""
    table = importlib.import_module(f"scipy.linalg.cython_{library}").__pyx_capi__
    get_name = ctypes.pythonapi.PyCapsule_GetName
    get_name.restype, get_name.argtypes = ctypes.c_char_p, [ctypes.py_object]
    get_pointer = ctypes.pythonapi.PyCapsule_GetPointer
    get_pointer.restype = ctypes.c_void_p
    get_pointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    capsule = table[routine]
    return int(get_pointer(capsule, get_name(capsule)))


def _parts(params: Params) -> tuple[str, str, tuple[str, ...], Any, Any]:
    if set(params) != {"library", "routine", "arguments", "results", "copies"}:
        raise ValueError("a call of LAPACK names library, routine, arguments, results and copies")
    values: Any = params
    return (
        values["library"],
        values["routine"],
        values["arguments"],
        values["results"],
        values["copies"],
    )


def _of_one(params: Params) -> Params:
    """The parameters of a call for one matrix."""
    return {name: value for name, value in params.items() if name != "batch"}


def result_spec(operands: tuple[ArraySpec, ...], params: Params) -> tuple[ArraySpec, ...]:
    """What the parameters say, after checking that they fit; for each matrix of a stack that."""
    axes: Any = params.get("batch", 0)
    if axes:
        lead = operands[0].shape[:axes]
        if any(operand.shape[:axes] != lead for operand in operands):
            raise ValueError(f"the stacks {[operand.shape for operand in operands]} differ")
        inner = tuple(ArraySpec(operand.dtype, operand.shape[axes:]) for operand in operands)
        found = result_spec(inner, _of_one(params))
        return tuple(ArraySpec(part.dtype, (*lead, *part.shape)) for part in found)
    _, _, arguments, results, copies = _parts(params)
    specs = tuple(ArraySpec(np.dtype(dtype), tuple(shape)) for dtype, shape in results)
    for result, operand in copies:
        if operands[operand] != specs[result]:
            raise ValueError(f"{operands[operand]} cannot be copied to {specs[result]}")
    for argument in arguments:
        kind, _, text = argument.partition(":")
        count = {"r": len(specs), "o": len(operands)}.get(kind)
        if kind not in "cinro" or (count is not None and not 0 <= int(text) < count):
            raise ValueError(f"'{argument}' is no argument of a routine")
    return specs


def _pointer(argument: str, results: list[Array], operands: list[Array]) -> tuple[int, Any]:
    """An address, and what keeps its memory alive."""
    kind, _, text = argument.partition(":")
    held: Any
    if kind == "r":
        held = results[int(text)]
    elif kind == "o":
        held = operands[int(text)]
    elif kind == "c":
        held = np.frombuffer(text.encode(), np.uint8)
    elif kind == "i":
        held = np.array(int(text), np.int32)
    else:
        held = np.array(float(text), results[0].dtype)
    return held.ctypes.data, held


def evaluate(operands: tuple[Array, ...], params: Params) -> tuple[Array, ...]:
    """The same routine, called from Python; of stacks with as many axes as the parameter `batch`
    says, for each matrix."""
    axes: Any = params.get("batch", 0)
    if axes:
        lead = operands[0].shape[:axes]
        found = [
            evaluate(tuple(operand[place] for operand in operands), _of_one(params))
            for place in np.ndindex(lead)
        ]
        return tuple(
            np.stack(parts).reshape(*lead, *parts[0].shape) for parts in zip(*found, strict=True)
        )
    library, routine, arguments, wanted, copies = _parts(params)
    results = [np.zeros(shape, dtype) for dtype, shape in wanted]
    for result, operand in copies:
        results[result][...] = operands[operand]
    plain = [np.ascontiguousarray(operand) for operand in operands]
    pointers = [_pointer(argument, results, plain) for argument in arguments]
    prototype = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * len(pointers))
    prototype(routine_address(library, routine))(*[address for address, _ in pointers])
    return tuple(results)


@functools.cache
def workspace_size(dtype: np.dtype[Any], routine: str, arguments: tuple[str, ...]) -> int:
    """How many elements of workspace a routine of LAPACK asks for, at least 1.

    `arguments` are those of the call, but for the workspace and its size, each "w:"; integers and
    letters are given, memory is not touched."""
    pointers: list[Any] = []
    held: list[Any] = []
    answer = np.zeros(1, dtype)
    first = True
    for argument in arguments:
        kind, _, text = argument.partition(":")
        value: Any = np.zeros(4, np.complex128)
        if kind == "c":
            value = np.frombuffer(text.encode(), np.uint8)
        elif kind == "i":
            value = np.array(int(text), np.int32)
        elif kind == "w":
            value = answer if first else np.array(-1, np.int32)
            first = False
        held.append(value)
        pointers.append(value.ctypes.data)
    prototype = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * len(pointers))
    prototype(routine_address("lapack", prefix_of(dtype) + routine))(*pointers)
    return max(1, int(answer[0].real))


def no_operation() -> None:
    """What calls a routine is written by `call_text`."""


def choose_form(operands: tuple[ArraySpec, ...], params: Params) -> Callable[..., None]:
    """One form for all."""
    return no_operation


def _constant_name(argument: str, dtype: str) -> str:
    kind, _, text = argument.partition(":")
    if kind == "n":
        return f"number_{np.dtype(dtype).name}_{text.replace('-', 'minus_')}"
    return f"{'letter' if kind == 'c' else 'integer'}_{text.replace('-', 'minus_')}"


def _first_dtype(params: Params) -> str:
    return str(_parts(params)[3][0][0])


def numba_lines(params: Params) -> tuple[str, ...]:
    """The routine and the constants that a call names, as lines of a Numba program."""
    library, routine, arguments, _, _ = _parts(params)
    address = f'get_cython_function_address("scipy.linalg.cython_{library}", "{routine}")'
    lines = [
        "from numba.extending import get_cython_function_address",
        "import ctypes",
        f"routine_{routine} = ctypes.CFUNCTYPE(None, *[ctypes.c_size_t] * {len(arguments)})(",
    ]
    lines[-1] += f"{address})"
    for argument in arguments:
        kind, _, text = argument.partition(":")
        name = _constant_name(argument, _first_dtype(params))
        if kind == "c":
            lines.append(f"{name} = np.array([{ord(text)}], np.uint8)")
        elif kind == "i":
            lines.append(f"{name} = np.array([{text}], np.int32)")
        elif kind == "n":
            dtype = np.dtype(_first_dtype(params)).name
            lines.append(f"{name} = np.array([{text}], np.{dtype})")
    return tuple(lines)


def call_text(arrays: tuple[str, ...], params: Params) -> str:
    """The copies, then the call of the routine."""
    _, routine, arguments, results, copies = _parts(params)
    parts = [
        f"{arrays[result]}[{'...' if not results[result][1] else ':'}] = "
        f"{arrays[len(results) + operand]}"
        for result, operand in copies
    ]
    pointers = []
    for argument in arguments:
        kind, _, text = argument.partition(":")
        if kind in "ro":
            place = int(text) + (len(results) if kind == "o" else 0)
            pointers.append(f"{arrays[place]}.ctypes.data")
        else:
            pointers.append(f"{_constant_name(argument, _first_dtype(params))}.ctypes.data")
    return "; ".join([*parts, f"routine_{routine}({', '.join(pointers)})"])


KERNEL = Kernel(
    "lapack",
    result_spec,
    evaluate,
    choose_form,
    numba_call=call_text,
    numba_lines=numba_lines,
)
