"""Each scalar operation as an expression of Numba's Python, by the kind of its first operand.

A template's `{0}`, `{1}`, `{2}` are the operands, `{zero}` and `{one}` literals of the operands'
dtype, `{type}` is the constructor of the result's. Numba widens integers as it computes, so a
template marked `narrow` is converted back to the result's dtype; intrinsics of `numba_runtime`
keep the dtype themselves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from codegen.loops.errors import UnsupportedProgramError
from codegen.loops.operations import DType
from tracer.types import is_brain, kind_of


@dataclass(frozen=True, slots=True)
class Template:
    """The text of an operation, whether its result needs narrowing, and what it calls by name."""

    text: str
    narrow: bool = False
    helpers: tuple[str, ...] = ()


Table = dict[str, Template]


def plain(**texts: str) -> Table:
    """Operations by their texts."""
    return {name: Template(text) for name, text in texts.items()}


def narrowed(**texts: str) -> Table:
    """Operations by their texts, whose results need narrowing."""
    return {name: Template(text, narrow=True) for name, text in texts.items()}


def helper_calls(name: str, *operations: str) -> Table:
    """Operations that are a call of the helper `name` on their operands."""
    arity = 3 if name == "where" else 2
    arguments = ", ".join(f"{{{position}}}" for position in range(arity))
    template = Template(f"{name}({arguments})", helpers=(name,))
    return dict.fromkeys(operations or (name,), template)


COMPARISONS = plain(
    equal="{0} == {1}",
    not_equal="{0} != {1}",
    less="{0} < {1}",
    less_equal="{0} <= {1}",
    greater="{0} > {1}",
    greater_equal="{0} >= {1}",
)
LOGICAL = plain(
    logical_and="({0} != {zero}) & ({1} != {zero})",
    logical_or="({0} != {zero}) | ({1} != {zero})",
    logical_xor="({0} != {zero}) != ({1} != {zero})",
    logical_not="{0} == {zero}",
)
IDENTITIES = plain(positive="{0}", conjugate="{0}", real="{0}")
WHOLE = plain(floor="{0}", ceil="{0}", trunc="{0}", imag="{zero}")
FINITE = plain(isnan="False", isinf="False", isfinite="True")

BOOLEAN: Table = {
    **COMPARISONS,
    **plain(
        add="{0} | {1}",
        multiply="{0} & {1}",
        maximum="{0} | {1}",
        minimum="{0} & {1}",
        fmax="{0} | {1}",
        fmin="{0} & {1}",
        logical_and="{0} & {1}",
        logical_or="{0} | {1}",
        logical_xor="{0} != {1}",
        logical_not="not {0}",
        bitwise_and="{0} & {1}",
        bitwise_or="{0} | {1}",
        bitwise_xor="{0} != {1}",
        invert="not {0}",
        absolute="{0}",
        conjugate="{0}",
    ),
    **WHOLE,
    **FINITE,
}

INTEGER: Table = {
    **COMPARISONS,
    **LOGICAL,
    **IDENTITIES,
    **WHOLE,
    **FINITE,
    **narrowed(
        add="{0} + {1}",
        subtract="{0} - {1}",
        multiply="{0} * {1}",
        square="{0} * {0}",
        negative="-{0}",
        bitwise_and="{0} & {1}",
        bitwise_or="{0} | {1}",
        bitwise_xor="{0} ^ {1}",
        invert="~{0}",
    ),
    **helper_calls("floor_divide_integers", "floor_divide"),
    **helper_calls("remainder_integers", "remainder"),
    **helper_calls("fmod_integers", "fmod"),
    **helper_calls("maximum", "maximum", "fmax"),
    **helper_calls("minimum", "minimum", "fmin"),
    **narrowed(gcd="np.gcd({0}, {1})"),
    "lcm": Template("lcm({0}, {1})", narrow=True, helpers=("lcm",)),
    "bitwise_count": Template("np.uint8(count_bits({0}))", helpers=("count_bits",)),
    **helper_calls("left_shift"),
    **helper_calls("right_shift"),
    "reciprocal": Template(
        "where({0} == {one}, {one}, where({0} == {zero}, {reciprocal_of_zero}, {zero}))",
        helpers=("where",),
    ),
}
SIGNED: Table = {
    **INTEGER,
    "absolute": Template("abs({0})", narrow=True),
    "sign": Template("({0} > {zero}) - ({0} < {zero})", narrow=True),
    "reciprocal": Template(
        "where({0} == {zero}, {reciprocal_of_zero}, where(abs({0}) == {one}, {0}, {zero}))",
        helpers=("where",),
    ),
    "power": Template(
        "integer_power(np.int64({0}), np.int64({1}), 1)", narrow=True, helpers=("integer_power",)
    ),
}
UNSIGNED: Table = {
    **INTEGER,
    "absolute": Template("{0}"),
    "sign": Template("{type}({0} != {zero})"),
    "power": Template(
        "integer_power(np.uint64({0}), np.uint64({1}), {unsigned_one})",
        narrow=True,
        helpers=("integer_power",),
    ),
}

MATH_NAMES = (
    "sqrt exp expm1 log log10 log1p sin cos tan sinh cosh tanh arcsin:asin arccos:acos arctan:atan "
    "arcsinh:asinh arccosh:acosh arctanh:atanh erf erfc isnan isinf isfinite"
)
MATH_BINARY = "arctan2:atan2 hypot copysign"
NUMPY_NAMES = "cbrt floor ceil trunc rint signbit"
NUMPY_BINARY = "fmod logaddexp logaddexp2 nextafter"
COMPLEX_NAMES = (
    "sqrt exp exp2 expm1 log log2 log10 log1p sin cos tan sinh cosh tanh arcsin arccos arctan "
    "arcsinh arccosh arctanh isnan isinf isfinite"
)


def module_calls(module: str, names: str, arity: int) -> Table:
    """Operations that are a function of a module; `ours:theirs` where the name differs."""
    arguments = ", ".join(f"{{{position}}}" for position in range(arity))
    table = {}
    for name in names.split():
        ours, _, theirs = name.partition(":")
        table[ours] = Template(f"{module}.{theirs or ours}({arguments})")
    return table


FIELD = plain(
    add="{0} + {1}",
    subtract="{0} - {1}",
    multiply="{0} * {1}",
    divide="{0} / {1}",
    power="{0} ** {1}",
    negative="-{0}",
    absolute="abs({0})",
    square="{0} * {0}",
    reciprocal="{one} / {0}",
    positive="{0}",
)
FLOATING: Table = {
    **COMPARISONS,
    **LOGICAL,
    **IDENTITIES,
    **FIELD,
    **module_calls("math", MATH_NAMES, 1),
    **module_calls("math", MATH_BINARY, 2),
    **module_calls("np", NUMPY_NAMES, 1),
    **module_calls("np", NUMPY_BINARY, 2),
    **plain(
        floor_divide="{0} // {1}",
        remainder="{0} % {1}",
        imag="{zero}",
        spacing="np.spacing({0} + {zero})",
        expit="{one} / ({one} + math.exp(-{0}))",
    ),
    **helper_calls("maximum"),
    **helper_calls("minimum"),
    **helper_calls("fmax"),
    **helper_calls("fmin"),
    "sign": Template(
        "where({0} > {zero}, {one}, where({0} < {zero}, -{one}, {0} + {zero}))", helpers=("where",)
    ),
    "gammaln": Template("where({0} == -{inf}, {0}, math.lgamma({0}))", helpers=("where",)),
    "digamma": Template("{type}(digamma(np.float64({0})))", helpers=("digamma",)),
    "erfinv": Template("{type}(erfinv(np.float64({0})))", helpers=("erfinv",)),
    "zeta": Template(
        "{type}(hurwitz_zeta(np.float64({0}), np.float64({1})))", helpers=("hurwitz_zeta",)
    ),
    # Numba cannot have both precisions of these two in one function.
    "exp2": Template("{type}(np.exp2(np.float64({0})))"),
    "log2": Template("{type}(np.log2(np.float64({0})))"),
    "binary_exponent": Template("binary_exponent({0})", helpers=("binary_exponent",)),
    "complex": Template("{type}(complex({0}, {1}))"),
}


def ordered(strict: str, weak: str) -> str:
    """NumPy's order of complex numbers: by real part, then by imaginary part."""
    no_nan = "({0}.imag == {0}.imag) & ({1}.imag == {1}.imag)"
    return (
        f"(({{0}}.real {strict} {{1}}.real) & {no_nan}) | "
        f"(({{0}}.real == {{1}}.real) & ({{0}}.imag {weak} {{1}}.imag))"
    )


def _chosen(weak: str, nan_wins: str) -> Template:
    """The operand that comes later or earlier in that order; `nan_wins` is the one taken for
    NaN.
    """
    condition = f"({ordered(weak[0], weak)}) | np.isnan({nan_wins})"
    return Template(f"where({condition}, {{0}}, {{1}})", helpers=("where",))


COMPLEX: Table = {
    **LOGICAL,
    **FIELD,
    **module_calls("np", COMPLEX_NAMES, 1),
    **plain(
        equal="{0} == {1}",
        not_equal="{0} != {1}",
        less=ordered("<", "<"),
        less_equal=ordered("<", "<="),
        greater=ordered(">", ">"),
        greater_equal=ordered(">", ">="),
        real="{0}.real",
        imag="{0}.imag",
        conjugate="np.conj({0})",
        divide="np.divide({0}, {1})",
        reciprocal="np.reciprocal({0})",
        rint="{type}(complex(np.rint({0}.real), np.rint({0}.imag)))",
    ),
    "power": Template(
        "where(({0} == {zero}) & ({1}.real > 0), {zero}, {0} ** {1})", helpers=("where",)
    ),
    "maximum": _chosen(">=", "{0}"),
    "minimum": _chosen("<=", "{0}"),
    "fmax": _chosen(">=", "{1}"),
    "fmin": _chosen("<=", "{1}"),
    "sign": Template(
        "where({0} == {zero}, {zero}, np.divide({0}, {type}(abs({0}))))", helpers=("where",)
    ),
}

TABLES = {"b": BOOLEAN, "i": SIGNED, "u": UNSIGNED, "f": FLOATING, "c": COMPLEX}


def find_template(name: str, dtype: DType) -> Template:
    """The template of an operation whose first operand has `dtype`.

    Raises UnsupportedProgramError where Numba has nothing for it, float16 on the CPU included.
    """
    require_dtype(dtype)
    template = None if is_brain(dtype) else TABLES[dtype.kind].get(name)
    if template is None:
        raise UnsupportedProgramError(f"the numba backend has no {name} of {dtype.name}")
    return template


def require_dtype(dtype: DType) -> None:
    """Raise UnsupportedProgramError for a dtype that Numba cannot compute with on the CPU."""
    if kind_of(dtype) not in TABLES or dtype == np.float16 or dtype.itemsize > 16:
        cure = "llvm" if dtype == np.float16 else "numpy"
        raise UnsupportedProgramError(
            f"the numba backend has no {dtype.name} on the CPU; compute in float32 "
            f'(x.astype(np.float32)), or use backend="{cure}"'
        )


def brain_cast(source: DType, target: DType) -> Template:
    """Between bfloat16 and float32, by way of which every other conversion goes."""
    if target == np.float32:
        return Template("single_of_brain({0})", helpers=("single_of_brain",))
    if source == np.float32:
        return Template("brain_of_single({0})", helpers=("brain_of_single",))
    raise UnsupportedProgramError(f"no conversion from {source.name} to {target.name} at once")


def constructor(dtype: DType) -> str:
    """What makes a scalar of a dtype in Numba's Python."""
    return "bool" if dtype.kind == "b" else f"np.{stored_name(dtype)}"


def stored_name(dtype: DType) -> str:
    """The name of the dtype that Numba takes memory for: bfloat16 is uint16."""
    return "uint16" if is_brain(dtype) else dtype.name


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
    if target.kind == "b":
        return Template("{0} != {zero}")
    make = constructor(target)
    if source.kind != "f" or target.kind not in "iu":
        return Template(f"{make}({{0}})")
    if target == np.uint64:
        wide = "where({0} < {two_to_63}, np.uint64(np.int64({0})), np.uint64({0}))"
        return Template(wide, helpers=("where",))
    if target == np.uint32:
        return Template(f"{make}(np.int64({{0}}))")
    if target.itemsize < 4:
        return Template(f"{make}(np.int32({{0}}))")
    return Template(f"{make}({{0}})")
