"""Each scalar operation as an expression of Numba-CUDA's Python, by the dtype of its first operand.

The templates are filled in as those of `numba_scalars` are, whose tables serve here where they
hold. Memory of booleans is memory of bytes: a pointer to booleans is miscompiled, so a kernel
takes it as uint8, and `find_load` and `find_store` say how an element is read and written. float16
is a dtype of memory: an operation on it computes in float32 and rounds its result. bfloat16 is too,
by the name of uint16, and there are no operations on it but conversions. The texts also
run in the simulator, with NumPy scalars, and with Python numbers for int64 and float64 literals.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from codegen.loops.errors import ProgramError, UnsupportedProgramError
from codegen.loops.operations import DType, result_dtype
from codegen.render import numba_scalars
from codegen.render.numba_scalars import (
    MATH_BINARY,
    MATH_NAMES,
    Table,
    Template,
    brain_cast,
    constructor,
    module_calls,
    narrowed,
    plain,
    stored_name,
)
from tracer.types import is_brain, kind_of

__all__ = [
    "Template",
    "constructor",
    "find_cast",
    "find_load",
    "find_select",
    "find_store",
    "find_template",
    "require_dtype",
    "stored_name",
]

HALF = np.dtype(np.float16)
SINGLE = np.dtype(np.float32)
COMPLEX_FUNCTIONS = (
    "sqrt exp expm1 log log1p sin cos tan sinh cosh tanh arcsin arccos arctan "
    "arcsinh arccosh arctanh"
)
# NumPy's steps from one base to another.
LOG_2, LOG2_E, LOG10_E = 0.6931471805599453, 1.4426950408889634, 0.4342944819032518


def _calls(name: str, arguments: str, *operations: str) -> Table:
    """Operations that are a call of the device function `name`."""
    template = Template(f"{name}({arguments})", helpers=(name,))
    return dict.fromkeys(operations or (name,), template)


BOOLEAN: Table = numba_scalars.BOOLEAN
INTEGER: Table = {
    **numba_scalars.INTEGER,
    **narrowed(
        maximum="max({0}, {1})",
        minimum="min({0}, {1})",
        fmax="max({0}, {1})",
        fmin="min({0}, {1})",
    ),
}
# In int64, to which Numba widens anyhow: `cuda.selp` chooses between numbers of one dtype.
WITHOUT_TRAP = "cuda.selp(({1} == 0) | ({1} == -1), np.int64(1), np.int64({1}))"
SIZE = "np.uint64(abs(np.int64({%d})))"
SIGNED: Table = {
    **numba_scalars.SIGNED,
    **INTEGER,
    **narrowed(
        reciprocal="cuda.selp({0} == 0, np.int64({reciprocal_of_zero}), "
        "cuda.selp(abs(np.int64({0})) == 1, np.int64({0}), np.int64(0)))",
        floor_divide="cuda.selp({1} == 0, np.int64(0), cuda.selp({1} == -1, -np.int64({0}), "
        f"np.int64({{0}}) // {WITHOUT_TRAP}))",
        remainder="cuda.selp(({1} == 0) | ({1} == -1), np.int64(0), "
        f"np.int64({{0}}) % {WITHOUT_TRAP})",
        fmod="cuda.selp({1} == 0, np.int64(0), (1 - 2 * np.int64({0} < 0)) * "
        f"np.int64({SIZE % 0} % np.uint64(abs({WITHOUT_TRAP}))))",
        left_shift="cuda.selp(({1} >= 0) & ({1} < {bits}), "
        "np.int64({0}) << (np.int64({1}) & np.int64(63)), np.int64(0))",
        right_shift="np.int64({0}) >> "
        "cuda.selp(({1} >= 0) & ({1} < {bits}), np.int64({1}), np.int64({bits} - 1))",
        sign="np.int64({0} > 0) - np.int64({0} < 0)",
    ),
    **plain(bitwise_count=f"np.uint8(cuda.popc({SIZE % 0}))"),
    "gcd": Template(f"{{type}}(gcd({SIZE % 0}, {SIZE % 1}))", helpers=("gcd",)),
    "lcm": Template(f"{{type}}(lcm({SIZE % 0}, {SIZE % 1}, np.uint64(0)))", helpers=("lcm",)),
}
NOT_ZERO = "cuda.selp({1} == {zero}, np.uint64(1), np.uint64({1}))"
REMAINDER = f"cuda.selp({{1}} == {{zero}}, np.uint64(0), np.uint64({{0}}) % {NOT_ZERO})"
SHIFT = "cuda.selp({1} < {type}({bits}), np.uint64({0}) %s (np.uint64({1}) & np.uint64(63)), %s)"
UNSIGNED: Table = {
    **numba_scalars.UNSIGNED,
    **INTEGER,
    **narrowed(
        negative="{zero} - {0}",
        reciprocal="cuda.selp({0} == {zero}, np.uint64({reciprocal_of_zero}), "
        "np.uint64({0} == {one}))",
        floor_divide=f"cuda.selp({{1}} == {{zero}}, np.uint64(0), np.uint64({{0}}) // {NOT_ZERO})",
        remainder=REMAINDER,
        fmod=REMAINDER,
        left_shift=SHIFT % ("<<", "np.uint64(0)"),
        right_shift=SHIFT % (">>", "np.uint64(0)"),
    ),
    **plain(bitwise_count="np.uint8(cuda.popc(np.uint64({0})))"),
    "gcd": Template("{type}(gcd(np.uint64({0}), np.uint64({1})))", helpers=("gcd",)),
    "lcm": Template("{type}(lcm(np.uint64({0}), np.uint64({1}), np.uint64(0)))", helpers=("lcm",)),
}


def _rounded(operand: str, real: str) -> str:
    """The nearest whole number, of two the even one.

    From 2**23 or 2**52 on every number is whole, and one that is added to it is rounded so.
    """
    size, large = f"abs({operand})", f"{real}({{whole}})"
    rounded = f"math.copysign(({size} + {large}) - {large}, {operand})"
    return f"cuda.selp({size} < {large}, {rounded}, {operand})"


LARGER = "cuda.selp({0} > {1}, {0}, {1})"
FLOATING: Table = {
    **numba_scalars.FLOATING,
    **module_calls("math", f"{MATH_NAMES} exp2 log2 floor ceil trunc", 1),
    **module_calls("math", f"{MATH_BINARY} fmod nextafter power:pow", 2),
    **plain(
        maximum="cuda.selp(({0} > {1}) | ({0} != {0}), {0}, {1})",
        minimum="cuda.selp(({0} < {1}) | ({0} != {0}), {0}, {1})",
        fmax="cuda.selp(({0} > {1}) | ({1} != {1}), {0}, {1})",
        fmin="cuda.selp(({0} < {1}) | ({1} != {1}), {0}, {1})",
        sign="cuda.selp({0} > {zero}, {one}, cuda.selp({0} < {zero}, -{one}, {0} + {zero}))",
        gammaln="cuda.selp({0} == -{inf}, {0}, math.lgamma({0}))",
        binary_exponent="cuda.selp(math.isfinite({0}), math.frexp({0})[1], np.int32(0))",
        cbrt="math.copysign(cuda.cbrt(abs({0})), {0})",
        signbit="math.copysign({one}, {0}) < {zero}",
        spacing="math.nextafter({0}, math.copysign({inf}, {0} + {zero})) - {0}",
        rint=_rounded("{0}", "{type}"),
        logaddexp=f"cuda.selp({{0}} == {{1}}, {{0}} + {{type}}({LOG_2}), "
        f"{LARGER} + math.log1p(math.exp(-abs({{0}} - {{1}}))))",
        logaddexp2="cuda.selp({0} == {1}, {0} + {one}, "
        f"{LARGER} + math.log1p(math.exp2(-abs({{0}} - {{1}}))) * {{type}}({LOG2_E}))",
    ),
    **_calls("floor_divide_floats", "{0}, {1}, {zero}, {one}", "floor_divide"),
    **_calls("remainder_floats", "{0}, {1}, {zero}", "remainder"),
}


def _parts(name: str, more: str = "", *helpers: str) -> Template:
    """A complex function of its operand's parts."""
    text = f"complex_of({name}(np.float64({{0}}.real), np.float64({{0}}.imag){more}))"
    return Template(f"{{type}}({text})", helpers=("complex_of", name, *helpers))


def _chosen(strict: str, nan_wins: str) -> Template:
    """As in `numba_scalars`, with the parts asked for NaN."""
    order = numba_scalars.ordered(strict, f"{strict}=")
    nan = f"math.isnan({nan_wins}.real) | math.isnan({nan_wins}.imag)"
    return Template(f"({{0}} if ({order}) | {nan} else {{1}})")


COMPLEX: Table = {
    **numba_scalars.COMPLEX,
    **{name: _parts(f"{name}_parts") for name in COMPLEX_FUNCTIONS.split()},
    "log2": _parts("scaled_log_parts", f", {LOG2_E}"),
    "log10": _parts("scaled_log_parts", f", {LOG10_E}"),
    "exp2": Template(
        "{type}(complex_of(exp_parts("
        f"np.float64({{0}}.real) * {LOG_2}, np.float64({{0}}.imag) * {LOG_2})))",
        helpers=("complex_of", "exp_parts"),
    ),
    **plain(
        conjugate="{type}(complex({0}.real, -{0}.imag))",
        rint="{type}(complex("
        f"{_rounded('{0}.real', '{real_type}')}, {_rounded('{0}.imag', '{real_type}')}))",
        sign="({zero} if {0} == {zero} else {type}(complex("
        "{0}.real / math.hypot({0}.real, {0}.imag), {0}.imag / math.hypot({0}.real, {0}.imag))))",
        absolute="math.hypot({0}.real, {0}.imag)",
        isnan="math.isnan({0}.real) | math.isnan({0}.imag)",
        isinf="math.isinf({0}.real) | math.isinf({0}.imag)",
        isfinite="math.isfinite({0}.real) & math.isfinite({0}.imag)",
    ),
    "divide": Template(
        "{type}(complex_of(divide_parts({0}.real, {0}.imag, {1}.real, {1}.imag)))",
        helpers=("complex_of", "divide_parts"),
    ),
    "reciprocal": Template(
        "{type}(complex_of(reciprocal_parts({0}.real, {0}.imag, {one}.real)))",
        helpers=("complex_of", "reciprocal_parts"),
    ),
    "power": _parts(
        "power_parts", ", np.float64({1}.real), np.float64({1}.imag)", "reciprocal_parts"
    ),
    "maximum": _chosen(">", "{0}"),
    "minimum": _chosen("<", "{0}"),
    "fmax": _chosen(">", "{1}"),
    "fmin": _chosen("<", "{1}"),
}

TABLES = {"b": BOOLEAN, "i": SIGNED, "u": UNSIGNED, "f": FLOATING, "c": COMPLEX}
# What depends on the neighbours of a number is of float16 itself, though computed in float32.
HALF_TABLE: Table = {
    "nextafter": Template(
        "cuda.selp({0} == {1}, {0}, cuda.selp(({0} != {0}) | ({1} != {1}), {0} + {1}, "
        "half_step({0}, {0} < {1})))",
        helpers=("half_step",),
    ),
    "spacing": Template(
        "cuda.selp(math.isfinite({0}), half_step({0}, True) - {0}, {0} - {0})",
        helpers=("half_step",),
    ),
}


def find_template(name: str, dtype: DType) -> Template:
    """The template of an operation whose first operand has `dtype`.

    Raises UnsupportedProgramError where there is none.
    """
    require_dtype(dtype)
    template = None if is_brain(dtype) else TABLES[dtype.kind].get(name)
    if dtype == HALF:
        template = HALF_TABLE.get(name, template)
    if template is None:
        raise UnsupportedProgramError(f'backend="cuda" has no {name} of {dtype.name}')
    computed = SINGLE if dtype == HALF else dtype
    template = replace(template, text=_constants(template.text, computed))
    return _by_single(template, name) if dtype == HALF else template


def _constants(text: str, dtype: DType) -> str:
    """The text with the numbers that depend on the dtype alone."""
    if dtype.kind in "iu":
        bits = 8 * dtype.itemsize
        return text.replace("{bits}", str(bits))
    if dtype.kind not in "fc":
        return text
    real = np.finfo(dtype).dtype
    text = text.replace("{whole}", str(2.0 ** np.finfo(real).nmant))
    return text.replace("{real_type}", constructor(real))


def _by_single(template: Template, name: str) -> Template:
    """The template of float32 for operands of float16; a result of float16 is rounded to it."""
    text = _single_operands(template.text).replace("{type}", "np.float32")
    if _half_result(name):
        text = f"np.float16({text})"
    return replace(template, text=text)


def _single_operands(text: str) -> str:
    """The text with operands of float16 widened; a kernel has no constants of float16."""
    for position in range(3):
        text = text.replace(f"{{{position}}}", f"np.float32({{{position}}})")
    for key, value in (("zero", "0.0"), ("one", "1.0"), ("inf", "np.inf")):
        text = text.replace(f"{{{key}}}", f"np.float32({value})")
    return text


def _half_result(name: str) -> bool:
    """Whether an operation on float16 has a result of float16."""
    for arity in (1, 2):
        try:
            return result_dtype(name, (HALF,) * arity) == HALF
        except ProgramError:
            continue
    return False


def require_dtype(dtype: DType) -> None:
    """Raise UnsupportedProgramError for a dtype that kernels cannot hold."""
    if kind_of(dtype) not in TABLES or dtype.itemsize > 16 or dtype == np.longdouble:
        raise UnsupportedProgramError(f'backend="cuda" has no {dtype.name}; convert it before')


def find_select(dtype: DType) -> Template:
    """`{1}` where the boolean `{0}` holds, else `{2}`, both of `dtype`: without a branch or a call
    where that is possible.
    """
    require_dtype(dtype)
    whole = dtype.kind in "iu" or is_brain(dtype)
    if (dtype.itemsize > 1 and whole) or dtype in (np.float32, np.float64):
        return Template("cuda.selp({0}, {1}, {2})")
    return Template("({1} if {0} else {2})")


def find_load(dtype: DType) -> Template:
    """What makes a scalar of an element that was read: booleans are bytes in memory."""
    return Template("{0} != 0") if dtype.kind == "b" else Template("{0}")


def find_store(dtype: DType) -> Template:
    """What makes an element of a scalar before it is written."""
    return Template("np.uint8({0})") if dtype.kind == "b" else Template("{0}")


def find_cast(source: DType, target: DType) -> Template:
    """The template of a conversion, which gives what NumPy's `astype` gives on x86-64.

    Floating numbers go to narrow integers by way of wider ones and wrap there, as in NumPy.
    """
    require_dtype(source)
    require_dtype(target)
    if source == target:
        return Template("{0}")
    if is_brain(source) or is_brain(target):
        return brain_cast(source, target)
    if source == HALF:
        template = Template("{0}") if target == SINGLE else find_cast(SINGLE, target)
        return replace(template, text=_single_operands(template.text))
    if target.kind == "b":
        return Template("{0} != {zero}")
    make = constructor(target)
    if target == HALF and source.kind != "f":
        return Template("np.float16(np.float32({0}))")
    if source.kind == "f" and target.kind in "iu":
        return _float_to_integer(source, target)
    # A Python integer, as which the simulator may have an int64, would not wrap.
    return Template(f"{make}(np.int64({{0}}))" if source == np.int64 else f"{make}({{0}})")


def _float_to_integer(source: DType, target: DType) -> Template:
    """A conversion by way of int32 or int64, as the processor has it: its lowest where it cannot
    tell.
    """
    make = constructor(target)
    real = constructor(source)
    wide, bits = ("int64", 63) if target.itemsize == 8 or target == np.uint32 else ("int32", 31)

    def converted(operand: str) -> str:
        lowest = f"np.{wide}({-(2**bits)})"
        inside = f"({operand} >= {real}({-(2.0**bits)})) & ({operand} < {real}({2.0**bits}))"
        return f"cuda.selp({inside}, np.{wide}({operand}), {lowest})"

    if target != np.uint64:
        text = converted("{0}")
        text = text if target == np.dtype(wide) else f"{make}({text})"
        return Template(text)
    limit = f"{real}({2.0**63})"
    above = converted(f"({{0}} - {limit})")
    text = (
        f"cuda.selp({{0}} < {limit}, np.uint64({converted('{0}')}), "
        f"np.uint64({above}) ^ np.uint64({2**63}))"
    )
    return Template(text)
