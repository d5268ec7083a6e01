"""What NVIDIA's instructions do, as functions in LLVM IR for the host: `host.x` is `llvm.nvvm.x`.

Those which round as IEEE 754 says are exact. Those which are approximate on a GPU are computed in
double precision and rounded, which is nearer than the hardware is: `ex2`, `lg2`, `sin`, `cos` of
float32 are off by up to 2 units in the last place there, `rcp` and `rsqrt` by 1. Of the reciprocals
of float64, first guesses only, the lower half is 0 on a GPU and here. Functions with `ftz` flush
subnormal numbers where libdevice asks for that whatever the options are; where the options decide,
they are never called.
"""

from __future__ import annotations

import re

TYPES = {"f": "float", "d": "double"}
BITS = {"f": "f32", "d": "f64"}
WIDTHS = {"i": 32, "ui": 32, "ll": 64, "ull": 64}


def texts() -> dict[str, str]:
    """The text of each function by its name."""
    found: dict[str, str] = {}
    for text in (*_arithmetic(), *_conversions(), *_integers(), *_directed(), OTHERS, ASSEMBLY):
        for function in re.findall(r"^define .*?^\}", text, re.MULTILINE | re.DOTALL):
            name = re.search(r"@([\w.$-]+)", function)
            assert name is not None, function
            found[name[1]] = function
    return found


def _function(result: str, name: str, parameters: str, body: str) -> str:
    lines = "\n".join(f"  {line.strip()}" for line in body.strip().split("\n"))
    return f"define internal {result} @host.{name}({parameters}) alwaysinline {{\n{lines}\n}}\n"


def _arithmetic() -> list[str]:
    """Sums, products, quotients and roots, and functions that LLVM has for any processor."""
    found = []
    for letter, kind in TYPES.items():
        bits = BITS[letter]

        def call(function: str, *operands: str, kind: str = kind, bits: str = bits) -> str:
            given = ", ".join(f"{kind} {operand}" for operand in operands)
            return f"%r = call {kind} @llvm.{function}.{bits}({given})\nret {kind} %r"

        one, two = f"{kind} %a", f"{kind} %a, {kind} %b"
        for name, operation in (("add", "fadd"), ("mul", "fmul"), ("div", "fdiv")):
            body = f"%r = {operation} {kind} %a, %b\nret {kind} %r"
            found.append(_function(kind, f"{name}.rn.{letter}", two, body))
        reciprocal = f"%r = fdiv {kind} 1.0, %a\nret {kind} %r"
        found.append(_function(kind, f"rcp.rn.{letter}", one, reciprocal))
        found.append(_function(kind, f"sqrt.rn.{letter}", one, call("sqrt", "%a")))
        fused = call("fma", "%a", "%b", "%c")
        found.append(_function(kind, f"fma.rn.{letter}", f"{two}, {kind} %c", fused))
        for name, function in (("fmin", "minimumnum"), ("fmax", "maximumnum")):
            found.append(_function(kind, f"{name}.{letter}", two, call(function, "%a", "%b")))
        for name in ("floor", "ceil", "trunc"):
            found.append(_function(kind, f"{name}.{letter}", one, call(name, "%a")))
        found.append(_function(kind, f"round.{letter}", one, call("roundeven", "%a")))
        for ending in (letter, bits):
            found.append(_function(kind, f"fabs.{ending}", one, call("fabs", "%a")))
    return found


def _conversions() -> list[str]:
    """Between floating-point numbers and integers, of which the nearest is taken."""
    rounding = {"rn": "roundeven", "rz": "trunc", "rm": "floor", "rp": "ceil"}
    found = []
    for letter, kind in TYPES.items():
        for name, width in WIDTHS.items():
            signed = "u" if name[0] == "u" else "s"
            for ending, function in rounding.items():
                found.append(
                    _function(
                        f"i{width}",
                        f"{letter}2{name}.{ending}",
                        f"{kind} %a",
                        f"""%w = call {kind} @llvm.{function}.{BITS[letter]}({kind} %a)
                        %r = call i{width} @llvm.fpto{signed}i.sat.i{width}.{BITS[letter]}({kind} %w)
                        ret i{width} %r""",
                    )
                )
            body = f"%r = {signed}itofp i{width} %a to {kind}\nret {kind} %r"
            found.append(_function(kind, f"{name}2{letter}.rn", f"i{width} %a", body))
    return found


def _integers() -> list[str]:
    """The upper halves of products; shifts, by any number of bits."""
    found = []
    for width in (32, 64):
        kind, last = f"i{width}", width - 1
        for name in ("shl", "lshr", "ashr"):
            beyond = f"ashr {kind} %a, {last}" if name == "ashr" else f"add {kind} 0, 0"
            body = f"""%inside = icmp ult {kind} %b, {width}
            %by = and {kind} %b, {last}
            %moved = {name} {kind} %a, %by
            %other = {beyond}
            %r = select i1 %inside, {kind} %moved, {kind} %other
            ret {kind} %r"""
            found.append(_function(kind, f"{name}.{kind}", f"{kind} %a, {kind} %b", body))
    for name, width in WIDTHS.items():
        extend, twice = "zext" if name[0] == "u" else "sext", 2 * width
        body = f"""%x = {extend} i{width} %a to i{twice}
        %y = {extend} i{width} %b to i{twice}
        %p = mul i{twice} %x, %y
        %h = lshr i{twice} %p, {width}
        %r = trunc i{twice} %h to i{width}
        ret i{width} %r"""
        found.append(_function(f"i{width}", f"mulhi.{name}", f"i{width} %a, i{width} %b", body))
    return found


def _in_double(name: str, function: str) -> str:
    """A function of float32 with the double one's value, subnormal numbers as zeros with `ftz`."""
    return f"""
define internal float @host.{name}(float %a) {{
  %w = fpext float %a to double
  {function}
  %n = fptrunc double %r to float
  ret float %n
}}
define internal float @host.{name.replace("approx", "approx.ftz")}(float %a) {{
  %f = call float @host.flush.f(float %a)
  %g = call float @host.{name}(float %f)
  %h = call float @host.flush.f(float %g)
  ret float %h
}}
"""


OTHERS = (
    """
define internal float @host.flush.f(float %a) alwaysinline {
  %m = call float @llvm.fabs.f32(float %a)
  %s = fcmp olt float %m, 0x3810000000000000
  %z = call float @llvm.copysign.f32(float 0.0, float %a)
  %r = select i1 %s, float %z, float %a
  ret float %r
}
define internal double @host.upper(double %a) alwaysinline {
  %b = bitcast double %a to i64
  %u = and i64 %b, -4294967296
  %r = bitcast i64 %u to double
  %n = fcmp uno double %a, %a
  %k = select i1 %n, double 0x7FF8000000000000, double %r
  ret double %k
}
define internal double @host.rcp.approx.ftz.d(double %a) {
  %m = call double @llvm.fabs.f64(double %a)
  %s = fcmp olt double %m, 0x0010000000000000
  %z = call double @llvm.copysign.f64(double 0.0, double %a)
  %f = select i1 %s, double %z, double %a
  %q = fdiv double 1.0, %f
  %u = call double @host.upper(double %q)
  ret double %u
}
define internal double @host.rsqrt.approx.d(double %a) {
  %q = call double @llvm.sqrt.f64(double %a)
  %r = fdiv double 1.0, %q
  ret double %r
}
define internal half @host.d2h(double %a) {
  %near = fptrunc double %a to float
  %back = fpext float %near to double
  %inexact = fcmp one double %back, %a
  %size = call double @llvm.fabs.f64(double %a)
  %size.back = call double @llvm.fabs.f64(double %back)
  %above = fcmp ogt double %size.back, %size
  %bits = bitcast float %near to i32
  %less = zext i1 %above to i32
  %cut = sub i32 %bits, %less
  %odd = or i32 %cut, 1
  %chosen = select i1 %inexact, i32 %odd, i32 %bits
  %single = bitcast i32 %chosen to float
  %r = fptrunc float %single to half
  ret half %r
}
define internal float @host.div.approx.f(float %a, float %b) {
  %r = fdiv float %a, %b
  ret float %r
}
define internal float @host.div.approx.ftz.f(float %a, float %b) {
  %x = call float @host.flush.f(float %a)
  %y = call float @host.flush.f(float %b)
  %q = fdiv float %x, %y
  %r = call float @host.flush.f(float %q)
  ret float %r
}
define internal float @host.saturate.f(float %a) {
  %l = call float @llvm.maximumnum.f32(float %a, float 0.0)
  %r = call float @llvm.minimumnum.f32(float %l, float 1.0)
  ret float %r
}
define internal i32 @host.d2i.lo(double %a) alwaysinline {
  %b = bitcast double %a to i64
  %r = trunc i64 %b to i32
  ret i32 %r
}
define internal i32 @host.d2i.hi(double %a) alwaysinline {
  %b = bitcast double %a to i64
  %h = lshr i64 %b, 32
  %r = trunc i64 %h to i32
  ret i32 %r
}
define internal double @host.lohi.i2d(i32 %a, i32 %b) alwaysinline {
  %l = zext i32 %a to i64
  %h = zext i32 %b to i64
  %s = shl i64 %h, 32
  %o = or i64 %s, %l
  %r = bitcast i64 %o to double
  ret double %r
}
define internal float @host.d2f.rn(double %a) alwaysinline {
  %r = fptrunc double %a to float
  ret float %r
}
"""
    + _in_double("ex2.approx.f32", "%r = call double @llvm.exp2.f64(double %w)")
    + _in_double("ex2.approx.f", "%r = call double @llvm.exp2.f64(double %w)")
    + _in_double("lg2.approx.f", "%r = call double @llvm.log2.f64(double %w)")
    + _in_double("sin.approx.f", "%r = call double @llvm.sin.f64(double %w)")
    + _in_double("cos.approx.f", "%r = call double @llvm.cos.f64(double %w)")
    + _in_double("sqrt.approx.f", "%r = call double @llvm.sqrt.f64(double %w)")
    + _in_double(
        "rsqrt.approx.f",
        "%q = call double @llvm.sqrt.f64(double %w)\n  %r = fdiv double 1.0, %q",
    )
)

ASSEMBLY = """
define internal float @host.asm.rcp.approx.ftz.f32_0_1(float %a) {
  %f = call float @host.flush.f(float %a)
  %q = fdiv float 1.0, %f
  %r = call float @host.flush.f(float %q)
  ret float %r
}
define internal double @host.asm.rsqrt.approx.ftz.f64_0_1(double %a) {
  %m = call double @llvm.fabs.f64(double %a)
  %s = fcmp olt double %m, 0x0010000000000000
  %z = call double @llvm.copysign.f64(double 0.0, double %a)
  %f = select i1 %s, double %z, double %a
  %q = call double @llvm.sqrt.f64(double %f)
  %r = fdiv double 1.0, %q
  %u = call double @host.upper(double %r)
  ret double %u
}
define internal float @host.asm.sub.rn.f32_0_1_2(float %a, float %b) {
  %r = fsub float %a, %b
  ret float %r
}
define internal float @host.asm.sub.rn.ftz.f32_0_1_2(float %a, float %b) {
  %r = fsub float %a, %b
  %f = call float @host.flush.f(float %r)
  ret float %f
}
define internal double @host.asm.sub.rn.f64_0_1_2(double %a, double %b) {
  %r = fsub double %a, %b
  ret double %r
}
define internal double @host.selp.equ.d(double %a, double %b, double %c, double %d) {
  %e = fcmp ueq double %a, %b
  %r = select i1 %e, double %c, double %d
  ret double %r
}
define internal {i32, i32} @host.mad.i64(i32 %a, i32 %b, i32 %c) {
  %x = zext i32 %a to i64
  %y = zext i32 %b to i64
  %z = zext i32 %c to i64
  %p = mul i64 %x, %y
  %s = add i64 %p, %z
  %l = trunc i64 %s to i32
  %t = lshr i64 %s, 32
  %h = trunc i64 %t to i32
  %m = insertvalue {i32, i32} undef, i32 %l, 0
  %r = insertvalue {i32, i32} %m, i32 %h, 1
  ret {i32, i32} %r
}
define internal {i64, i64} @host.mul.i128(i64 %a, i64 %b) {
  %r = call {i64, i64} @host.mad.i128(i64 %a, i64 %b, i64 0)
  ret {i64, i64} %r
}
define internal i128 @host.join(i64 %l, i64 %h) alwaysinline {
  %a = zext i64 %l to i128
  %b = zext i64 %h to i128
  %s = shl i128 %b, 64
  %r = or i128 %s, %a
  ret i128 %r
}
define internal {i64, i64} @host.halves(i128 %s) alwaysinline {
  %l = trunc i128 %s to i64
  %t = lshr i128 %s, 64
  %h = trunc i128 %t to i64
  %m = insertvalue {i64, i64} undef, i64 %l, 0
  %r = insertvalue {i64, i64} %m, i64 %h, 1
  ret {i64, i64} %r
}
define internal {i64, i64} @host.mad.i128(i64 %a, i64 %b, i64 %c) {
  %x = zext i64 %a to i128
  %y = zext i64 %b to i128
  %z = zext i64 %c to i128
  %p = mul i128 %x, %y
  %s = add i128 %p, %z
  %r = call {i64, i64} @host.halves(i128 %s)
  ret {i64, i64} %r
}
define internal {i64, i64} @host.add.i128(i64 %a, i64 %b, i64 %c, i64 %d) {
  %x = call i128 @host.join(i64 %a, i64 %b)
  %y = call i128 @host.join(i64 %c, i64 %d)
  %s = add i128 %x, %y
  %r = call {i64, i64} @host.halves(i128 %s)
  ret {i64, i64} %r
}
define internal {i64, i64} @host.sub.i128(i64 %a, i64 %b, i64 %c, i64 %d) {
  %x = call i128 @host.join(i64 %a, i64 %b)
  %y = call i128 @host.join(i64 %c, i64 %d)
  %s = sub i128 %x, %y
  %r = call {i64, i64} @host.halves(i128 %s)
  ret {i64, i64} %r
}
"""


def _sum(kind: str) -> str:
    """%s is %x + %y, %e what rounding took away (Knuth's sum of two numbers)."""
    lines = ("%s = fadd {k} %x, %y", "%t = fsub {k} %s, %x", "%u = fsub {k} %s, %t")
    lines += ("%v = fsub {k} %x, %u", "%w = fsub {k} %y, %t", "%e = fadd {k} %v, %w")
    return "\n".join(lines).format(k=kind)


def _step(kind: str, width: int, mode: str) -> str:
    """The result of %n, which was rounded to the nearest, where the true value is %less or %more:
    the next number towards zero, or the next below.
    """
    to_zero = """%positive = fcmp ogt {k} %n, 0.0
    %over = and i1 %less, %positive
    %negative = fcmp olt {k} %n, 0.0
    %under = and i1 %more, %negative
    %off = or i1 %over, %under
    %bits = bitcast {k} %n to i{w}
    %moved = sub i{w} %bits, 1"""
    below = """%off = or i1 %less, false
    %positive = fcmp ogt {k} %n, 0.0
    %bits = bitcast {k} %n to i{w}
    %up = add i{w} %bits, 1
    %down = sub i{w} %bits, 1
    %other = select i1 %positive, i{w} %down, i{w} %up
    %zero = fcmp oeq {k} %n, 0.0
    %least = bitcast {k} -0.0 to i{w}
    %first = add i{w} %least, 1
    %moved = select i1 %zero, i{w} %first, i{w} %other"""
    lines = (to_zero if mode == "rz" else below).format(k=kind, w=width)
    return f"""{lines}
    %next = bitcast i{width} %moved to {kind}
    %r = select i1 %off, {kind} %next, {kind} %n
    ret {kind} %r"""


def _directed() -> list[str]:
    """Sums and fused products that are rounded towards zero, or down."""
    wide = "%x = {first}\n%y = fpext float {last} to double\n" + _sum("double")
    narrow = """%n = fptrunc double %s to float
    %g = fpext float %n to double
    %d = fsub double %s, %g
    %exact = fcmp oeq double %d, 0.0
    %q = select i1 %exact, double %e, double %d
    %less = fcmp olt double %q, 0.0
    %more = fcmp ogt double %q, 0.0"""
    product = """%l = fpext float %a to double
    %m = fpext float %b to double
    """
    found = []
    for mode in ("rz", "rm"):
        step = _step("float", 32, mode)
        added = wide.format(first="fpext float %a to double", last="%b")
        fused = product + wide.format(first="fmul double %l, %m", last="%c")
        two = "float %a, float %b"
        found.append(_function("float", f"add.{mode}.f", two, f"{added}\n{narrow}\n{step}"))
        three = f"{two}, float %c"
        found.append(_function("float", f"fma.{mode}.f", three, f"{fused}\n{narrow}\n{step}"))
        doubles = """%x = fadd double %a, -0.0
        %y = fadd double %b, -0.0
        """ + _sum("double")
        doubles += """\n%n = fadd double %s, -0.0
        %less = fcmp olt double %e, 0.0
        %more = fcmp ogt double %e, 0.0\n"""
        step = _step("double", 64, mode)
        found.append(_function("double", f"add.{mode}.d", "double %a, double %b", doubles + step))
    return found
