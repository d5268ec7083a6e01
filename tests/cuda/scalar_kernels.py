"""Kernels that compute every scalar operation of a dtype, for the compiler and the simulator."""

from __future__ import annotations

import inspect
import linecache
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from codegen.loops.operations import OPERATIONS, cast_allowed
from codegen.render.cuda_functions import FUNCTIONS, NEEDS
from codegen.render.cuda_scalars import find_cast, find_load, find_select, find_store, find_template
from codegen.render.numba_expressions import ExpressionWriter

DType = np.dtype[Any]
BOOL = np.dtype(np.bool_)
HALF = np.dtype(np.float16)
CODES = ("?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16")
DTYPES = [np.dtype(code) for code in CODES]
# Complex functions of SciPy, which no backend compiles.
NOT_COMPILED = {"erf", "erfc", "digamma", "expit"}
DECORATOR = '@cuda.jit(device=True, inline="always")\n'


class Case(NamedTuple):
    """An operation, or `cast`, and the dtypes of its operands and of its result."""

    name: str
    operands: tuple[DType, ...]
    result: DType


def find_cases(dtype: DType) -> list[Case]:
    """All that can be computed from operands of one dtype."""
    found = []
    for name, operation in OPERATIONS.items():
        operands = (BOOL, dtype, dtype) if name == "select" else (dtype,) * operation.arity
        result = operation.result(operands)
        if result is not None and not (dtype.kind == "c" and name in NOT_COMPILED):
            found.append(Case(name, operands, result))
    found += [Case("cast", (dtype,), target) for target in DTYPES if cast_allowed(dtype, target)]
    return found


def kernel_text(cases: Sequence[Case], *, looped: bool) -> str:
    """A module with `kernel(count, case0_a, …, result0, …)`.

    `looped`, one thread takes all `count` elements; else each thread takes one, and compiling is
    quicker.
    """
    writer = ExpressionWriter({})
    writer.indent = " " * 8 if looped else " " * 4
    parameters, lines = ["count"], []
    for number, case in enumerate(cases):
        atoms = []
        for letter, dtype in zip("abc", case.operands, strict=False):
            parameters.append(f"case{number}_{letter}")
            load = find_load(dtype).text.format(f"{parameters[-1]}[i]")
            atoms.append(f"{letter}{number}")
            lines.append(f"{writer.indent}{atoms[-1]} = {load}")
        text = _value(writer, case, atoms)
        parameters.append(f"result{number}")
        lines += [*writer.lines, f"{writer.indent}value{number} = {text}"]
        writer.lines.clear()
        store = find_store(case.result).text.format(f"value{number}")
        lines.append(f"{writer.indent}result{number}[i] = {store}")
    head = ["import math", "", "import numpy as np", "from numba import cuda", ""]
    head += [f"{name} = np.{dtype.name}({text})" for (dtype, text), name in writer.literals.items()]
    head += ["", *_device_functions(writer.helpers)]
    start = "for i in range(count):" if looped else "i = cuda.threadIdx.x"
    body = [f"def kernel({', '.join(parameters)}):", f"    {start}", *lines, ""]
    return "\n".join([*head, *body])


def _value(writer: ExpressionWriter, case: Case, atoms: list[str]) -> str:
    source = case.operands[0]
    if case.name == "select":
        return writer.fill(find_select(case.result), atoms, source, case.result)
    if case.name == "cast":
        template = find_cast(source, case.result)
    else:
        template = find_template(case.name, source)
    writer.helpers.update(template.helpers)
    return writer.fill(template, atoms, source, case.result)


def _device_functions(helpers: set[str]) -> list[str]:
    wanted = set(helpers).union(*(NEEDS.get(name, ()) for name in helpers))
    unknown = wanted - {function.__name__ for function in FUNCTIONS}
    assert not unknown, f"no device functions: {unknown}"
    return [
        DECORATOR + inspect.getsource(function)
        for function in FUNCTIONS
        if function.__name__ in wanted
    ]


def load_kernel(text: str, name: str) -> tuple[Any, dict[str, Any]]:
    """The undecorated kernel of a module's text, and the module's names."""
    filename = f"<{name}>"
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    names: dict[str, Any] = {"__name__": name, "Any": Any}
    exec(compile(text, filename, "exec"), names)
    return names["kernel"], names
