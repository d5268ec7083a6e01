"""Argument reduction of sin, cos and tan for arguments of any size, off the usual path.

x·(1/π) is taken modulo 2 in fixed point: only the bits of 1/π from weight 2/x down matter, and
200 of them leave enough after the worst cancellation (Payne and Hanek 1983).
"""

from __future__ import annotations

from typing import Literal

from codegen.render.vector_math.builder import LineCollector, float_literal
from codegen.render.vector_math.coefficients import COEFFICIENTS, INVERSE_PI_BITS, INVERSE_PI_SCALE
from codegen.render.vector_math.lanes import Lanes, Value

Period = Literal["sin", "cos", "tan"]

# For each function: how far the product is shifted to bring its parity bit to the top (the angle
# is counted in half turns, for tan in quarter turns), what is added to it, and the unit in π.
_PRODUCT_SHIFT = {"sin": 15, "cos": 15, "tan": 16}
_ADDED = {"sin": 0, "cos": 1 << 254, "tan": 0}
_UNIT = {"sin": 1.0, "cos": 1.0, "tan": 0.5}

# Bytes of zeros above the bits of 1/π, for arguments whose window starts above them.
_TABLE_BYTES = 176
_FRACTION_BITS = 240


def reduce_large(
    lanes: Lanes, x: Value, limit: float, period: Period, r: Value, parity: Value
) -> tuple[Value, Value]:
    """(r, parity), but replaced by an exact reduction in the lanes where |x| > limit.

    Opens new blocks: a branch leads past the replacement where no lane needs it.
    """
    builder = lanes.builder
    large = lanes.any(x.absolute() > limit)
    slow, done = builder.fresh_label("large"), builder.fresh_label("reduced")
    usual_block = builder.block
    builder.line(f"br i1 {large}, label %{slow}, label %{done}")
    builder.start_block(slow)
    name = _define_vector_reduction(lanes, limit, period)
    floats, integers = r.type, parity.type
    both = builder.fresh()
    builder.line(
        f"{both} = call {{{floats}, {integers}}} {name}({floats} {x.register}, "
        f"{floats} {r.register}, {integers} {parity.register})"
    )
    pair = f"{{{floats}, {integers}}} {both}"
    slow_r = lanes.write("float", f"extractvalue {pair}, 0")
    slow_parity = lanes.write("int", f"extractvalue {pair}, 1")
    builder.line(f"br label %{done}")
    builder.start_block(done)
    merged_r = lanes.write(
        "float",
        f"phi {floats} [ {r.register}, %{usual_block} ], [ {slow_r.register}, %{slow} ]",
    )
    merged_parity = lanes.write(
        "int",
        f"phi {integers} [ {parity.register}, %{usual_block} ], "
        f"[ {slow_parity.register}, %{slow} ]",
    )
    return merged_r, merged_parity


def _define_vector_reduction(lanes: Lanes, limit: float, period: Period) -> str:
    """Makes sure that the out-of-line loop over lanes is defined; its name."""
    form = lanes.form
    name = f"@tracer_reduce_{period}_{form.short}x{lanes.width}"
    if name in lanes.builder.definitions:
        return name
    scalar = _define_scalar_reduction(lanes.builder, period, lanes.target.fma)
    floats, integers = lanes.type_of("float"), lanes.type_of("int")
    result = f"{{{floats}, {integers}}}"
    inner = LineCollector()
    one = Lanes(inner, form, 1, lanes.target)
    r, parity = "%r", "%parity"
    for lane in range(lanes.width):
        item = one.value(_extract(inner, floats, "%x", lane, lanes.width))
        old_r = one.value(_extract(inner, floats, r, lane, lanes.width))
        old_parity = one.value(_extract(inner, integers, parity, lane, lanes.width), "int")
        large = item.absolute() > limit
        # A lane that needs nothing gets an argument for which the window lies in the table.
        argument = one.select(large, item, 2 * limit)
        wide = argument.register
        if form.bits == 32:
            wide = one.write("float", f"fpext float {wide} to double").register
        both = one.write("float", f"call {{double, i64}} {scalar}(double {wide})").register
        new_r = one.write("float", f"extractvalue {{double, i64}} {both}, 0")
        new_parity = one.write("int", f"extractvalue {{double, i64}} {both}, 1")
        if form.bits == 32:
            new_r = one.write("float", f"fptrunc double {new_r.register} to float")
            new_parity = one.write("int", f"trunc i64 {new_parity.register} to i32")
        new_r = one.select(large, new_r, old_r)
        new_parity = one.select(large, new_parity, old_parity)
        r = _insert(inner, floats, r, new_r, lane, lanes.width)
        parity = _insert(inner, integers, parity, new_parity, lane, lanes.width)
    inner.line(f"%filled = insertvalue {result} undef, {floats} {r}, 0")
    inner.line(f"%both = insertvalue {result} %filled, {integers} {parity}, 1")
    body = "\n".join(inner.lines)
    lanes.builder.declarations |= inner.declarations
    lanes.builder.definitions[name] = (
        f"define internal {result} {name}({floats} %x, {floats} %r, {integers} %parity) "
        f"noinline cold {{\n{body}\n  ret {result} %both\n}}"
    )
    return name


def _extract(builder: LineCollector, vector: str, register: str, lane: int, width: int) -> str:
    if width == 1:
        return register
    item = builder.fresh()
    builder.line(f"{item} = extractelement {vector} {register}, i32 {lane}")
    return item


def _insert(
    builder: LineCollector, vector: str, register: str, item: Value, lane: int, width: int
) -> str:
    if width == 1:
        return item.register
    updated = builder.fresh()
    builder.line(
        f"{updated} = insertelement {vector} {register}, {item.type} {item.register}, i32 {lane}"
    )
    return updated


def _define_scalar_reduction(builder: LineCollector, period: Period, fma: bool) -> str:
    """Makes sure that `{double r, i64 n} reduce(double x)` is defined; its name.

    |x| = (n + shift)·unit·π + |r| with r of the sign of x; NaN for infinite x; |x| ≥ 2^14.
    """
    name = f"@tracer_reduce_{period}"
    table = "@tracer_inverse_pi"
    padded = INVERSE_PI_BITS.to_bytes(_TABLE_BYTES, "little")
    text = "".join(f"\\{byte:02X}" for byte in padded)
    builder.constants[table] = f'{table} = internal constant [{_TABLE_BYTES} x i8] c"{text}"'
    builder.declarations |= {
        "declare i256 @llvm.ctlz.i256(i256, i1)",
        "declare double @llvm.fma.f64(double, double, double)",
    }
    pi_high, pi_low = (part * _UNIT[period] for part in COEFFICIENTS["pi_f64"][:2])
    unit = float_literal(pi_high)
    product = (
        f"%r0 = call double @llvm.fma.f64(double %high, double {unit}, double %rest)"
        if fma
        else f"%p0 = fmul double %high, {unit}\n  %r0 = fadd double %p0, %rest"
    )
    half = 1 << 254
    builder.definitions[name] = f"""\
define internal {{double, i64}} {name}(double %x) noinline cold {{
entry:
  %bits = bitcast double %x to i64
  %field0 = lshr i64 %bits, 52
  %field = and i64 %field0, 2047
  %infinite = icmp eq i64 %field, 2047
  %exponent = select i1 %infinite, i64 1075, i64 %field
  %fraction = and i64 %bits, {(1 << 52) - 1}
  %integer = or i64 %fraction, {1 << 52}
  %shift = sub i64 {INVERSE_PI_SCALE - _FRACTION_BITS + 1075}, %exponent
  %byte = lshr i64 %shift, 3
  %address = getelementptr i8, ptr {table}, i64 %byte
  %raw = load i256, ptr %address, align 1
  %bit0 = and i64 %shift, 7
  %bit = zext i64 %bit0 to i256
  %window = lshr i256 %raw, %bit
  %factor = zext i64 %integer to i256
  %product = mul i256 %window, %factor
  %top = shl i256 %product, {_PRODUCT_SHIFT[period]}
  %moved = add i256 %top, {_ADDED[period]}
  %up = add i256 %moved, {half}
  %parity0 = lshr i256 %up, 255
  %parity = trunc i256 %parity0 to i64
  %below = and i256 %up, {(1 << 255) - 1}
  %distance = sub i256 %below, {half}
  %minus = icmp slt i256 %distance, 0
  %opposite = sub i256 0, %distance
  %size = select i1 %minus, i256 %opposite, i256 %distance
  %zeros0 = call i256 @llvm.ctlz.i256(i256 %size, i1 false)
  %normal = shl i256 %size, %zeros0
  %zeros = trunc i256 %zeros0 to i64
  %high0 = lshr i256 %normal, 203
  %high1 = trunc i256 %high0 to i64
  %high2 = sitofp i64 %high1 to double
  %low0 = lshr i256 %normal, 150
  %low1 = trunc i256 %low0 to i64
  %low2 = and i64 %low1, {(1 << 53) - 1}
  %low3 = sitofp i64 %low2 to double
  %scale0 = sub i64 {1023 - 52}, %zeros
  %scale1 = shl i64 %scale0, 52
  %scale = bitcast i64 %scale1 to double
  %high = fmul double %high2, %scale
  %low4 = fmul double %low3, %scale
  %low = fmul double %low4, {float_literal(2.0**-53)}
  %rest0 = fmul double %high, {float_literal(pi_low)}
  %rest1 = fmul double %low, {float_literal(pi_high)}
  %rest = fadd double %rest0, %rest1
  {product}
  %r1 = fneg double %r0
  %r2 = select i1 %minus, double %r1, double %r0
  %r3 = fneg double %r2
  %negative = icmp slt i64 %bits, 0
  %r4 = select i1 %negative, double %r3, double %r2
  %r5 = select i1 %infinite, double 0x7FF8000000000000, double %r4
  %partial = insertvalue {{double, i64}} undef, double %r5, 0
  %both = insertvalue {{double, i64}} %partial, i64 %parity, 1
  ret {{double, i64}} %both
}}"""
    return name
