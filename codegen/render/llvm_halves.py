"""float16 and bfloat16 in LLVM code: their bits in 16-bit integers, converted from and to float32.

Without instructions for it LLVM would call functions that are not linked; there the conversions are
integer arithmetic, of whole vectors as well. Those of bfloat16, float32's upper half, always are.
"""

from __future__ import annotations

from codegen.loops.operations import DType
from codegen.render.llvm_emit import Emitter, of_width
from codegen.render.vector_math.builder import splat
from tracer.types import is_brain

SIGN, SIZE = 0x8000, 0x7FFF
SINGLE_SIZE = 0x7FFFFFFF
INFINITE = 0x7F800000
DROPPED = 13
"""By how many bits float32's fraction is longer."""
SCALE = "0x46F0000000000000"
"""2¹¹², by which the exponents are biased differently, as LLVM writes a float."""
LEAST_NORMAL = 0x38800000
"""2⁻¹⁴: below it lie float16's subnormal numbers."""
OVERFLOW = 0x47800000
"""2¹⁶: from here on a number is infinite, NaN included for the while."""
REBIASED = 0xC8000FFF
"""−112 steps of float32's exponent, and just less than half of what is dropped."""
QUIET = 0x7FC0
"""bfloat16's NaN but for its sign, the one that ml_dtypes makes of every NaN."""
JUST_LESS = 0x7FFF
"""Just less than half of the last place of float32's upper half."""
HALF_ONE = 0x3F000000
"""0.5, whose last place is float16's least subnormal number."""


class _Bits:
    """Instructions on vectors of 32-bit integers."""

    def __init__(self, emitter: Emitter, width: int) -> None:
        self.emitter, self.width = emitter, width
        self.short, self.integer = of_width("i16", width), of_width("i32", width)
        self.single, self.mask = of_width("float", width), of_width("i1", width)

    def op(self, name: str, value: str, constant: int | str) -> str:
        """`name` of a register and a constant, or another register."""
        if isinstance(constant, int):
            constant = splat("i32", str(constant), self.width)
        return self.emitter.write(f"{name} {self.integer} {value}, {constant}")

    def select(self, mask: str, if_true: str, if_false: int | str) -> str:
        """By lane."""
        if isinstance(if_false, int):
            if_false = splat("i32", str(if_false), self.width)
        kind = self.integer
        return self.emitter.write(f"select {self.mask} {mask}, {kind} {if_true}, {kind} {if_false}")

    def convert(self, name: str, value: str, source: str, target: str) -> str:
        """A conversion instruction."""
        return self.emitter.write(f"{name} {source} {value} to {target}")


def to_single(emitter: Emitter, text: str, dtype: DType, width: int) -> str:
    """A float32 from the bits of float16 or bfloat16; exact."""
    if not is_brain(dtype):
        return half_to_single(emitter, text, width)
    bits = _Bits(emitter, width)
    word = emitter.words.get(text) or bits.convert("zext", text, bits.short, bits.integer)
    return bits.convert("bitcast", bits.op("shl", word, 16), bits.integer, bits.single)


def from_single(emitter: Emitter, text: str, dtype: DType, width: int) -> str:
    """A float32 rounded to the nearest float16 or bfloat16, to an even one in the middle, as its
    bits.
    """
    if not is_brain(dtype):
        return single_to_half(emitter, text, width)
    bits = _Bits(emitter, width)
    value = bits.convert("bitcast", text, bits.single, bits.integer)
    high = bits.op("lshr", value, 16)
    odd = bits.op("and", high, 1)
    near = bits.op("lshr", bits.op("add", bits.op("add", value, JUST_LESS), odd), 16)
    quiet = bits.op("or", bits.op("and", high, SIGN), QUIET)
    nan = emitter.write(f"fcmp uno {bits.single} {text}, {text}")
    word = bits.select(nan, quiet, near)
    short = bits.convert("trunc", word, bits.integer, bits.short)
    emitter.words[short] = word
    return short


def half_to_single(emitter: Emitter, text: str, width: int) -> str:
    """A float32 from float16's bits; exact."""
    bits = _Bits(emitter, width)
    if emitter.target.f16c:
        half = bits.convert("bitcast", text, bits.short, of_width("half", width))
        return bits.convert("fpext", half, of_width("half", width), bits.single)
    wide = bits.convert("zext", text, bits.short, bits.integer)
    size = bits.op("shl", bits.op("and", wide, SIZE), DROPPED)
    scaled = bits.convert("bitcast", size, bits.integer, bits.single)
    scale = splat("float", SCALE, width)
    scaled = emitter.write(f"fmul {bits.single} {scaled}, {scale}")
    result = bits.convert("bitcast", scaled, bits.single, bits.integer)
    special = bits.op("icmp uge", size, 0x7C00 << DROPPED)
    result = bits.select(special, bits.op("or", size, INFINITE), result)
    sign = bits.op("shl", bits.op("and", wide, SIGN), 16)
    return bits.convert("bitcast", bits.op("or", result, sign), bits.integer, bits.single)


def single_to_half(emitter: Emitter, text: str, width: int) -> str:
    """A float32 rounded to the nearest float16, to an even one in the middle, as its bits."""
    bits = _Bits(emitter, width)
    if emitter.target.f16c:
        half = bits.convert("fptrunc", text, bits.single, of_width("half", width))
        return bits.convert("bitcast", half, of_width("half", width), bits.short)
    value = bits.convert("bitcast", text, bits.single, bits.integer)
    size = bits.op("and", value, SINGLE_SIZE)
    odd = bits.op("and", bits.op("lshr", size, DROPPED), 1)
    normal = bits.op("lshr", bits.op("add", bits.op("add", size, REBIASED), odd), DROPPED)
    # A sum with 0.5 has the subnormal number, rounded, in its last places.
    single = bits.convert("bitcast", size, bits.integer, bits.single)
    half_one = splat("float", "0x3FE0000000000000", width)
    total = emitter.write(f"fadd {bits.single} {single}, {half_one}")
    tiny = bits.op("sub", bits.convert("bitcast", total, bits.single, bits.integer), HALF_ONE)
    result = bits.select(bits.op("icmp ult", size, LEAST_NORMAL), tiny, normal)
    nan = bits.op("icmp ugt", size, INFINITE)
    special = bits.select(nan, splat("i32", str(0x7E00), width), 0x7C00)
    result = bits.select(bits.op("icmp uge", size, OVERFLOW), special, result)
    sign = bits.op("and", bits.op("lshr", value, 16), SIGN)
    return bits.convert("trunc", bits.op("or", result, sign), bits.integer, bits.short)


def double_to_single_odd(emitter: Emitter, text: str, width: int) -> str:
    """A float64 as a neighbouring float32 whose last bit is set where digits are lost: rounded
    once more, it gives what rounding just once gives (Boldo and Melquiond, 2008).
    """
    bits = _Bits(emitter, width)
    double = of_width("double", width)
    near = bits.convert("fptrunc", text, double, bits.single)
    back = bits.convert("fpext", near, bits.single, double)
    suffix = "f64" if width == 1 else f"v{width}f64"
    name = f"@llvm.fabs.{suffix}"
    emitter.declare(f"{double} {name}({double})")
    sizes = [emitter.write(f"call {double} {name}({double} {part})") for part in (back, text)]
    beyond = emitter.write(f"fcmp ogt {double} {sizes[0]}, {sizes[1]}")
    lost = emitter.write(f"fcmp une {double} {back}, {text}")
    found = bits.convert("bitcast", near, bits.single, bits.integer)
    found = bits.select(beyond, bits.op("sub", found, 1), found)
    found = bits.select(lost, bits.op("or", found, 1), found)
    return bits.convert("bitcast", found, bits.integer, bits.single)
