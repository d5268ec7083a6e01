"""Elementary functions as Numba's Python without a branch, so that LLVM vectorizes their loops.

`math.exp` is a call of the C library for each element; the functions here are the same code that
`codegen.render.vector_math` writes as LLVM IR, one line for each instruction of it.
"""

from __future__ import annotations

import functools
import math
import re
import struct
from dataclasses import dataclass

from codegen.loops.operations import EXPONENTIAL, SPECIAL, TRIGONOMETRIC
from codegen.render.vector_math import FUNCTIONS, LineCollector, Target, emit_inline

OPTIONS = 'error_model="numpy", forceinline=True, no_cpython_wrapper=True, no_cfunc_wrapper=True'

ARITHMETIC = {
    "fadd": "+",
    "fsub": "-",
    "fmul": "*",
    "fdiv": "/",
    "add": "+",
    "sub": "-",
    "and": "&",
    "or": "|",
    "xor": "^",
    "shl": "<<",
}
COMPARISONS = {
    "oeq": "==",
    "une": "!=",
    "olt": "<",
    "ole": "<=",
    "ogt": ">",
    "oge": ">=",
    "eq": "==",
    "ne": "!=",
    "slt": "<",
}
INTRINSICS = {
    "fma": "fma",
    "fabs": "abs",
    "sqrt": "math.sqrt",
    "copysign": "math.copysign",
    "rint": "np.rint",
    "floor": "np.floor",
    "trunc": "np.trunc",
}
HELPERS = ("where", "fma", "float_bits", "bits_float", "shift_right")
CALL = re.compile(r"call double @llvm\.(\w+)\.f64\((.*)\)")
REGISTER = re.compile(r"%[\w.]+")
SHORTEST = 12
# A float32 goes through float64, so functions of the bits of their operands are not among these.
SMOOTH = frozenset(
    (
        f"{EXPONENTIAL} {TRIGONOMETRIC} {' '.join(SPECIAL)} "
        "cbrt power hypot logaddexp logaddexp2 arctan2 zeta"
    ).split()
)


@dataclass(frozen=True, slots=True)
class VectorSource:
    """The source of one function on float64, the helpers that it calls, and its length in
    lines.
    """

    name: str
    source: str
    helpers: tuple[str, ...]
    length: int


@functools.cache
def host_target() -> Target:
    """What this processor has: without a fused multiply-add, the C library would be called."""
    import llvmlite.binding

    return Target.from_features(llvmlite.binding.get_host_cpu_features())


@functools.cache
def vector_source(operation: str) -> VectorSource | None:
    """The function for a scalar operation; None where there is none without branches."""
    function = FUNCTIONS.get(operation)
    if function is None or operation not in SMOOTH:
        return None
    collector = LineCollector()
    operands = [f"%x{position}" for position in range(function.operand_count)]
    result = emit_inline(collector, operation, "float64", 1, operands, host_target())
    lines, result = _renamed("\n".join(collector.lines), result)
    if len(lines) < SHORTEST or collector.constants or not all(map(_is_plain, lines)):
        return None
    body = [f"    {_statement(line)}" for line in lines]
    name = f"vector_{operation}"
    parameters = ", ".join(operand[1:] for operand in operands)
    head = [f"@numba.njit({OPTIONS})", f"def {name}({parameters}):"]
    document = f'    """{operation} of float64 numbers, without a branch."""'
    text = "\n".join([*head, document, *body, f"    return {_operand(result)}"])
    helpers = tuple(helper for helper in HELPERS if f" {helper}(" in text)
    return VectorSource(name, text, helpers, len(lines))


def _renamed(text: str, result: str) -> tuple[list[str], str]:
    """The lines with registers that are Python names, and the result's name among them."""
    names: dict[str, str] = {}
    for line in text.split("\n"):
        target, separator, _ = line.strip().partition(" = ")
        if separator:
            names[target] = f"%v{len(names) + 1}"

    def new_name(match: re.Match[str]) -> str:
        return names.get(match[0], match[0])

    lines = [REGISTER.sub(new_name, line.strip()) for line in text.split("\n")]
    return lines, names.get(result, result)


def _is_plain(line: str) -> bool:
    """Whether a line computes one value from others, on float64 and int64 alone."""
    _, separator, instruction = line.partition(" = ")
    if not separator or " float " in line:
        return False
    name = instruction.split(" ", 1)[0]
    if name == "call":
        match = CALL.fullmatch(instruction)
        return match is not None and match[1] in INTRINSICS
    known = {"fcmp", "icmp", "lshr", "fneg", "bitcast", "select"}
    return name in ARITHMETIC or name in known


def _statement(line: str) -> str:
    """The Python assignment for one instruction."""
    target, _, instruction = line.partition(" = ")
    return f"{target[1:]} = {_expression(instruction)}"


def _expression(instruction: str) -> str:
    name, rest = instruction.split(" ", 1)
    if name == "call":
        match = CALL.fullmatch(instruction)
        assert match is not None, "only intrinsics are called"
        arguments = [_typed_operand(part) for part in match[2].split(",")]
        return f"{INTRINSICS[match[1]]}({', '.join(arguments)})"
    if name == "select":
        return f"where({', '.join(_typed_operand(part) for part in rest.split(','))})"
    if name == "bitcast":
        _, operand, _, target = rest.split(" ")
        return f"{'float_bits' if target == 'i64' else 'bits_float'}({_operand(operand)})"
    if name == "fneg":
        return f"-{_typed_operand(rest)}"
    if name in ("fcmp", "icmp"):
        predicate, rest = rest.split(" ", 1)
        return _comparison(predicate, *_pair(rest))
    left, right = _pair(rest)
    if name == "lshr":
        return f"shift_right({left}, {right})"
    if name == "xor" and rest.startswith("i1 "):
        return f"not {left}" if right == "True" else f"{left} != {right}"
    return f"{left} {ARITHMETIC[name]} {right}"


def _comparison(predicate: str, left: str, right: str) -> str:
    if predicate == "uno":
        nan = f"({left} != {left}) | ({right} != {right})"
        return f"{left} != {left}" if left == right else nan
    return f"{left} {COMPARISONS[predicate]} {right}"


def _pair(text: str) -> tuple[str, str]:
    """The two operands of `double %v1, %v2`."""
    left, right = text.split(",")
    return _typed_operand(left), _operand(right)


def _typed_operand(text: str) -> str:
    return _operand(text.strip().split(" ", 1)[1])


def _operand(text: str) -> str:
    """A register's name, or a constant as Python writes it."""
    text = text.strip()
    if text.startswith("%"):
        return text[1:]
    if not text.startswith("0x"):
        return {"true": "True", "false": "False"}.get(text, text)
    (value,) = struct.unpack(">d", bytes.fromhex(text[2:].rjust(16, "0")))
    if math.isnan(value):
        return "np.nan"
    if math.isinf(value):
        return "np.inf" if value > 0 else "-np.inf"
    return repr(value)
