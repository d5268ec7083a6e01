"""Argument reduction of sin, cos and tan for arguments of any size, off the usual path.

x·(1/π) is taken modulo 2 in fixed point: only the bits of 1/π from weight 2/x down matter, and
three words of them leave enough after the worst cancellation (Payne and Hanek 1983).
"""

from __future__ import annotations

from typing import Literal

from codegen.render.vector_math.builder import LineCollector, float_literal
from codegen.render.vector_math.coefficients import COEFFICIENTS, INVERSE_PI_BITS, INVERSE_PI_SCALE
from codegen.render.vector_math.lanes import Lanes, Value
from codegen.render.vector_math.large_argument_text import LANES, SCALAR

Period = Literal["sin", "cos", "tan"]

# For each function: the power of two by which x/π counts in its periods (half turns, for tan
# quarter turns), what is added to that in units of 2⁻⁶³, and the period over π.
_EXTRA_EXPONENT = {"sin": 0, "cos": 0, "tan": 1}
_ADDED = {"sin": 0, "cos": 1 << 62, "tan": 0}
_PERIOD = {"sin": 1.0, "cos": 1.0, "tan": 0.5}


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
    form, width = lanes.form, lanes.width
    name = f"@tracer_reduce_{period}_{form.short}x{width}"
    if name in lanes.builder.definitions:
        return name
    scalar = _define_scalar_reduction(lanes.builder, period, lanes.target.fma)
    floats, integers = lanes.type_of("float"), lanes.type_of("int")
    item, count = form.float_type, form.int_type
    absolute = f"@llvm.fabs.f{form.bits}"
    lanes.builder.declarations.add(f"declare {item} {absolute}({item})")
    single = form.bits == 32
    widen = "%wide = fpext float %item to double\n  " if single else ""
    argument = "%wide" if single else "%item"
    narrow = (
        "%r.item = fptrunc double %r.wide to float\n  %n.item = trunc i64 %n.wide to i32\n  "
        if single
        else ""
    )
    r_item, n_item = ("%r.item", "%n.item") if single else ("%r.wide", "%n.wide")
    lanes.builder.definitions[name] = LANES.substitute(
        result=f"{{{floats}, {integers}}}",
        name=name,
        floats=floats,
        integers=integers,
        item=item,
        count=count,
        absolute=absolute,
        limit=float_literal(limit),
        widen=widen,
        scalar=scalar,
        argument=argument,
        narrow=narrow,
        r_item=r_item,
        n_item=n_item,
        width=width,
    )
    return name


def _define_table(builder: LineCollector) -> str:
    """Makes sure that the bits of 1/π are defined, highest word first after one of zeros."""
    table = "@tracer_inverse_pi"
    count = INVERSE_PI_SCALE // 64
    words = [INVERSE_PI_BITS >> (64 * k) & (2**64 - 1) for k in reversed(range(count))]
    text = ", ".join(f"i64 {word}" for word in (0, *words))
    builder.constants[table] = f"{table} = internal constant [{count + 1} x i64] [{text}]"
    return table


def _define_scalar_reduction(builder: LineCollector, period: Period, fma: bool) -> str:
    """Makes sure that `{double r, i64 n} reduce(double x)` is defined; its name.

    |x| = n·period·π + |r|, for cos (n − ½)·π + |r|, with r of the sign of x; NaN for infinite x;
    |x| ≥ 2¹⁴. Three words of the factor's bits, from weight 1 down, times the 53 bits of x give
    the fraction to 138 bits, of which at most 62 cancel.
    """
    name = f"@tracer_reduce_{period}"
    table = _define_table(builder)
    builder.declarations |= {
        "declare i64 @llvm.fshl.i64(i64, i64, i64)",
        "declare double @llvm.fma.f64(double, double, double)",
    }
    pi_high, pi_low = (part * _PERIOD[period] for part in COEFFICIENTS["pi_f64"][:2])
    unit = float_literal(pi_high)
    product = (
        f"%r0 = call double @llvm.fma.f64(double %high, double {unit}, double %rest)"
        if fma
        else f"%rough = fmul double %high, {unit}\n  %r0 = fadd double %rough, %rest"
    )
    # The window's first bit has weight 1 after multiplication by 2^(exponent field − 1075).
    offset = 64 - 1 - 1075 + _EXTRA_EXPONENT[period]
    words = "\n".join(
        f"  %p{k} = getelementptr i64, ptr %first, i64 {k}\n  %t{k} = load i64, ptr %p{k}"
        for k in range(4)
    )
    windows = "\n".join(
        f"  %w{k} = call i64 @llvm.fshl.i64(i64 %t{k}, i64 %t{k + 1}, i64 %bit)" for k in range(3)
    )
    builder.definitions[name] = SCALAR.substitute(
        name=name,
        offset=offset,
        table=table,
        words=words,
        windows=windows,
        added=_ADDED[period] + (1 << 62),
        head_unit=float_literal(2.0**-63),
        tail_unit=float_literal(2.0**-115),
        pi_high=unit,
        pi_low=float_literal(pi_low),
        product=product,
    )
    return name
