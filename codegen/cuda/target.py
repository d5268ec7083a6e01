"""Numba's CUDA compiler: the one module that imports `numba.cuda`, and only when it is called.

No driver and no GPU are needed, only NVIDIA's NVVM library. The parameters of a kernel, in order:
one 64-bit address for each argument of kind "pointer"; for "array" the seven fields of Numba's
one-dimensional array (`ARRAY_FIELDS`); for "scalar" the value.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import linecache
import os
import re
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from codegen.cuda.brain_floats import brain_functions
from codegen.cuda.frontend import SELECT, few_passes, remembering, selection, with_selections
from codegen.cuda.vectors import vector_functions
from codegen.device.schedule import Argument
from tracer.errors import BackendError

ARRAY_FIELDS = ("meminfo", "parent", "nitems", "itemsize", "data", "shape", "strides")
"""What stands for one array among a kernel's parameters, eight bytes each: two null pointers, the
number of elements, the bytes of one, the address, the number again, the bytes again."""

ENTRY = re.compile(r"^\.visible \.entry ([\w$]+)\(", re.MULTILINE)
UNUSED = re.compile(r"^\.common \.global \.align 8 \.u64 _ZN08NumbaEnv[\w$]*;\n", re.MULTILINE)
COLOURS = re.compile(r"\x1b\[[0-9;]*m")

MISSING = (
    "the CUDA backend needs numba-cuda and NVIDIA's compiler libraries, which are not installed "
    "or not whole ({cause}): pip install 'tracer-ad[cuda13]'"
)


def simulated() -> bool:
    """Whether kernels are simulated: NUMBA_ENABLE_CUDASIM is 1, Numba's own switch."""
    return os.environ.get("NUMBA_ENABLE_CUDASIM", "0").strip() not in ("", "0")


@cache
def compiler() -> Any:
    """The module `numba.cuda`.

    Raises BackendError, which says what to install, where it or what it needs is missing; Numba
    has one of its own, which is old and cannot read what new NVIDIA libraries say.
    """
    if importlib.util.find_spec("numba_cuda") is None:
        raise BackendError(MISSING.format(cause="no module numba_cuda"))
    try:
        from numba import cuda
    except Exception as error:
        raise BackendError(MISSING.format(cause=error)) from error
    if not simulated():
        _correct_booleans()
    return cuda


def python_function(source: str, name: str) -> Callable[..., Any]:
    """A kernel's Python function, with its text where tracebacks find it."""
    filename = _filename(source, name)
    linecache.cache[filename] = (
        len(source),
        None,
        source.splitlines(keepends=True),
        filename,
    )
    namespace: dict[str, Any] = {"__name__": f"kernel_{name}"}
    if simulated():
        exec(compile(source, filename, "exec"), namespace)
    else:
        namespace.update({SELECT: selection(), **vector_functions(), **brain_functions()})
        exec(compile(with_selections(source), filename, "exec"), namespace)
    function: Callable[..., Any] = namespace[name]
    return function


def _filename(source: str, name: str) -> str:
    return f"<kernel {name} {hashlib.sha256(source.encode()).hexdigest()[:12]}>"


def compile_ptx(
    source: str,
    name: str,
    arguments: Sequence[Argument],
    capability: tuple[int, int],
    places: Sequence[str] = (),
) -> str:
    """The kernel as PTX, whose one entry has the kernel's own name.

    Products and sums are fused, as on the CPU, but in kernels with complex numbers. Raises
    BackendError with the user's `places`, and the file in which the source is kept, where the
    compiler refuses it.
    """
    compiler()
    try:
        function = python_function(source, name)
        fused = not has_complex(source, arguments)
        ptx = _compile(function, arguments, capability, fused, flat="@cuda.jit" not in source)
    except Exception as error:
        raise _refused(source, name, places, error) from error
    finally:
        linecache.cache.pop(_filename(source, name), None)
    mangled = entry_name(ptx)
    return UNUSED.sub("", ptx).replace(mangled, name)


def entry_name(ptx: str) -> str:
    """The name of the one kernel in a PTX module; ValueError where there is another number."""
    names = ENTRY.findall(ptx)
    if len(names) != 1:
        raise ValueError(f"PTX with {len(names)} entries")
    name: str = names[0]
    return name


def has_complex(source: str, arguments: Sequence[Argument]) -> bool:
    """Whether a kernel computes with complex numbers, whose products are never fused: z·z̄ would
    have an imaginary part.
    """
    return "complex" in source or any(argument.dtype.kind == "c" for argument in arguments)


def _compile(
    function: Callable[..., Any],
    arguments: Sequence[Argument],
    capability: tuple[int, int],
    fused: bool,
    flat: bool,
) -> str:
    from numba.cuda import compiler as numba_compiler
    from numba.cuda.core.compiler_lock import global_compiler_lock

    signature = _signature(arguments)
    # What cuda.compile_ptx does, and one option of NVVM's, which it does not pass on.
    # Functions in Python are put in place by passes which need all those before them.
    passes = few_passes(function) if flat else contextlib.nullcontext()
    with global_compiler_lock, remembering(), passes:
        library, _ = numba_compiler._compile_pyfunc_with_fixup(
            function, signature, device=False, cc=capability, abi="numba"
        )
    library._nvvm_options = {**library._nvvm_options, "fma": fused}
    _mark_inputs(library.get_function(library._entry_name), arguments)
    (ptx,) = library.get_asm_strs(cc=capability)
    text: str = ptx
    return text


def is_fixed(argument: Argument) -> bool:
    """Whether nothing that the kernel writes can be the memory of this pointer. Workspace may
    share its memory with other workspace.
    """
    root = argument.buffer
    known = root is not None and root.role in ("input", "constant")
    return known and argument.kind == "pointer" and not argument.written


def _mark_inputs(function: Any, arguments: Sequence[Argument]) -> None:
    """Tell NVVM which loads may go through the read-only cache, and past a store."""
    place = 0
    for argument in arguments:
        if is_fixed(argument):
            function.args[place].add_attribute("noalias")
        place += len(ARRAY_FIELDS) if argument.kind == "array" else 1


def _signature(arguments: Sequence[Argument]) -> Any:
    from numba.cuda import types

    return types.void(*(_type_of(argument) for argument in arguments))


def _type_of(argument: Argument) -> Any:
    from numba.cuda import types
    from numba.cuda.np import numpy_support

    element = numpy_support.from_dtype(np.dtype(argument.dtype))
    if argument.kind == "scalar":
        return element
    if argument.kind == "array":
        return types.Array(element, 1, "C")
    return types.CPointer(element)


@cache
def _correct_booleans() -> None:
    """Teach Numba to read and write booleans through pointers: one byte in memory, one bit in a
    register. Its own lowering takes the byte for the bit and fails.
    """
    import operator

    from numba.cuda import types
    from numba.cuda.extending import lower_builtin

    pointer = types.CPointer(types.boolean)

    def load(context: Any, builder: Any, signature: Any, operands: Any) -> Any:
        start, index = operands
        place = builder.gep(start, [index])
        return context.unpack_value(builder, types.boolean, place)

    def store(context: Any, builder: Any, signature: Any, operands: Any) -> None:
        start, index, value = operands
        held = context.cast(builder, value, signature.args[2], types.boolean)
        context.pack_value(builder, types.boolean, held, builder.gep(start, [index]))

    lower_builtin(operator.getitem, pointer, types.Integer)(load)
    lower_builtin(operator.setitem, pointer, types.Integer, types.Any)(store)


def _refused(source: str, name: str, places: Sequence[str], error: Exception) -> BackendError:
    handle, path = tempfile.mkstemp(prefix=f"{name}-", suffix=".py")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(source)
    lines = "".join(f"\n  {place}" for place in places)
    problem = COLOURS.sub("", str(error))
    where = f"\nIt computes what these lines ask for:{lines}" if places else ""
    return BackendError(
        f"the CUDA kernel {name} does not compile: {problem}{where}\nIts source: {path}"
    )
