"""A program as a Python file of its own: the kernel, its constants, and a plain `run`."""

from __future__ import annotations

import base64
import builtins
import textwrap
import zlib

import numpy as np

from codegen.loops.errors import ProgramError
from codegen.loops.interpret import error_class
from codegen.loops.nodes import Buffer, Call, ErrorMessage, Program
from codegen.loops.walk import statements
from codegen.render.numba import RenderedKernel, describe, render_kernel
from codegen.render.numba_expressions import literal_text
from codegen.render.numba_scalars import stored_name
from tracer.types import is_brain

LITERAL_CONSTANT = 64

RUN = '''
def run(*inputs):
    """{summary}"""
    if len(inputs) != len(INPUTS):
        raise TypeError(f"expected {{len(INPUTS)}} arrays, not {{len(inputs)}}")
    arrays = []
    for (name, dtype, shape), value in zip(INPUTS, inputs):
        array = np.asarray(value)
        if array.dtype != dtype or array.shape != shape:
            got = f"{{array.dtype}}{{list(array.shape)}}"
            raise TypeError(f"{{name}} must be {{dtype}}{{list(shape)}}, not {{got}}")
        arrays.append({array})
    results = [np.empty(shape, dtype) for _, dtype, shape in OUTPUTS]
    workspace = [np.empty(size, dtype) for dtype, size in WORKSPACE]
{call}
    return results
'''
ARRAY = 'np.require(array, requirements=["C", "A", "W"])'
BRAIN_ARRAY = f"memory({ARRAY})"
BRAIN_RESULTS = "map(memory, results)"
BRAIN_HEAD = (
    "import ml_dtypes  # noqa: E402, F401 - registers the dtype with NumPy",
    "",
    "",
    "def memory(array):",
    '    """The memory of bfloat16 is that of uint16 to the kernel."""',
    '    return array.view(np.uint16) if array.dtype == "bfloat16" else array',
    "",
)
PLAIN_CALL = "    kernel(*arrays, *{results}, *CONSTANTS, *workspace)"
CHECKED_CALL = """    status = np.zeros({details}, np.int64)
    try:
        code = kernel(*arrays, *{results}, *CONSTANTS, *workspace, status)
    except SystemError as error:  # a signal has set an exception beside the result
        raise error.__cause__ or error from None
    if code:
        kind, text, source = ERRORS[code - 1]
        raise kind(text.format(*status) + f" ({{source}})" * bool(source))"""

CALLS_BACK = (
    "",
    "It calls Python functions back, which it knows by number: it runs only in the process that",
    "made it and while its compiled function is alive. Elsewhere `run` raises RuntimeError.",
)

DEMO = """

if __name__ == "__main__":
    # A first call: floating and complex inputs are ones, integers and booleans zeros.
    first = [(np.ones if np.dtype(d).kind in "fcV" else np.zeros)(s, d) for _, d, s in INPUTS]
    for (name, dtype, shape), result in zip(OUTPUTS, run(*first)):
        print(f"{name}: {dtype}{list(shape)}")
        print(result)
"""


def render(program: Program) -> str:
    """The whole program as Python source, which needs NumPy and Numba only.

    `run(*inputs)` returns a list of the outputs. A program that calls Python functions back runs in
    this process only, which its docstring says. Raises UnsupportedProgramError for what Numba
    lacks on the CPU.
    """
    rendered = render_kernel(program)
    details = rendered.detail_count
    brains = any(is_brain(buffer.dtype) for buffer in (*program.inputs, *program.outputs))
    array, results = (BRAIN_ARRAY, BRAIN_RESULTS) if brains else (ARRAY, "results")
    call = (CHECKED_CALL if details else PLAIN_CALL).format(details=details, results=results)
    parts = [
        _docstring(program, rendered),
        rendered.source,
        "",
        _tables(program, rendered),
        "",
        *(BRAIN_HEAD if brains else ()),
        RUN.format(summary=_summary(program), call=call, array=array).rstrip("\n"),
        DEMO,
    ]
    return "\n".join(parts)


def _docstring(program: Program, rendered: RenderedKernel) -> str:
    inputs = [f"    {describe(buffer)}" for buffer in program.inputs]
    outputs = [f"    {describe(buffer)}" for buffer in program.outputs]
    lines = [
        f'"""{program.name}, compiled by Numba.',
        "",
        "`run(*inputs)` takes",
        *inputs,
        "and returns a list of",
        *outputs,
        f"`kernel` computes it, with {rendered.plan.peak} bytes of workspace.",
        *(CALLS_BACK if _calls_back(program) else ()),
        '"""',
        "",
    ]
    return "\n".join(lines)


def _calls_back(program: Program) -> bool:
    return any(
        isinstance(statement, Call) and statement.kernel == "callback"
        for statement in statements(program.body)
    )


def _summary(program: Program) -> str:
    inputs = ", ".join(buffer.name for buffer in program.inputs)
    outputs = ", ".join(buffer.name for buffer in program.outputs)
    return f"({inputs}) -> [{outputs}]"


def _tables(program: Program, rendered: RenderedKernel) -> str:
    lines = [*_table("INPUTS", program.inputs), *_table("OUTPUTS", program.outputs)]
    lines += ["WORKSPACE = ["]
    lines += [
        f'    ("{stored_name(argument.dtype)}", {argument.size}),'
        for argument in rendered.arguments_of("workspace")
    ]
    lines += ["]"]
    arguments = rendered.arguments_of("constant")
    if any(buffer.size > LITERAL_CONSTANT for argument in arguments for buffer in argument.buffers):
        lines = ["import base64", "import zlib", "", *lines]
    lines += ["CONSTANTS = ["]
    for argument in arguments:
        lines += ["    np.concatenate(", "        ["]
        for buffer in argument.buffers:
            lines += [f"            # {describe(buffer)}", _constant(buffer)]
        lines += ["        ]", "    ),"]
    lines += ["]"]
    if program.errors:
        lines += ["ERRORS = [", *(f"    {_error(error)}," for error in program.errors), "]"]
    return "\n".join(lines)


def _table(name: str, buffers: tuple[Buffer, ...]) -> list[str]:
    rows = [f'    ("{b.name}", "{b.dtype.name}", {b.shape}),' for b in buffers]
    return [f"{name} = [", *rows, "]"]


def _constant(buffer: Buffer) -> str:
    """A flat array expression: a list where it is short, else compressed bytes."""
    assert buffer.value is not None, "constants have values"
    value = np.ascontiguousarray(buffer.value).reshape(-1)
    value = value.view(stored_name(value.dtype))
    if value.size <= LITERAL_CONSTANT:
        items = ", ".join(literal_text(item) for item in value.tolist())
        text = f'np.array([{items}], "{value.dtype.name}"),'
        return textwrap.fill(text, 98, initial_indent=" " * 12, subsequent_indent=" " * 16)
    packed = base64.b64encode(zlib.compress(value.tobytes(), 9)).decode()
    lines = [f'                "{packed[i : i + 76]}"' for i in range(0, len(packed), 76)]
    head = "            np.frombuffer(\n                zlib.decompress(base64.b64decode(\n"
    return head + "\n".join(lines) + f'\n                )), "{value.dtype.str}",\n            ),'


def _error(error: ErrorMessage) -> str:
    """An error's row, with the first built-in exception that its class is."""
    for kind in error_class(error.kind).__mro__:
        if getattr(builtins, kind.__name__, None) is kind:
            return f"({kind.__name__}, {error.text!r}, {error.source!r})"
    raise ProgramError(f"'{error.kind}' is not a built-in exception")
