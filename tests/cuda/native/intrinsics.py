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

from tests.cuda.native.assembly import ASSEMBLY
from tests.cuda.native.rounding import directed, function

TYPES = {"f": "float", "d": "double"}
BITS = {"f": "f32", "d": "f64"}
WIDTHS = {"i": 32, "ui": 32, "ll": 64, "ull": 64}


def texts() -> dict[str, str]:
    """The text of each function by its name."""
    found: dict[str, str] = {}
    for text in (*_arithmetic(), *_conversions(), *_integers(), *directed(), OTHERS, ASSEMBLY):
        for whole in re.findall(r"^define .*?^\}", text, re.MULTILINE | re.DOTALL):
            name = re.search(r"@([\w.$-]+)", whole)
            assert name is not None, whole
            found[name[1]] = whole
    return found


def _arithmetic() -> list[str]:
    """Sums, products, quotients and roots, and functions that LLVM has for any processor."""
    found = []
    for letter, kind in TYPES.items():
        bits = BITS[letter]

        def call(name: str, *operands: str, kind: str = kind, bits: str = bits) -> str:
            given = ", ".join(f"{kind} {operand}" for operand in operands)
            return f"%r = call {kind} @llvm.{name}.{bits}({given})\nret {kind} %r"

        one, two = f"{kind} %a", f"{kind} %a, {kind} %b"
        for name, operation in (("add", "fadd"), ("mul", "fmul"), ("div", "fdiv")):
            body = f"%r = {operation} {kind} %a, %b\nret {kind} %r"
            found.append(function(kind, f"{name}.rn.{letter}", two, body))
        reciprocal = f"%r = fdiv {kind} 1.0, %a\nret {kind} %r"
        found.append(function(kind, f"rcp.rn.{letter}", one, reciprocal))
        found.append(function(kind, f"sqrt.rn.{letter}", one, call("sqrt", "%a")))
        fused = call("fma", "%a", "%b", "%c")
        found.append(function(kind, f"fma.rn.{letter}", f"{two}, {kind} %c", fused))
        for name, exact in (("fmin", "minimumnum"), ("fmax", "maximumnum")):
            found.append(function(kind, f"{name}.{letter}", two, call(exact, "%a", "%b")))
        found += [
            function(kind, f"{name}.{letter}", one, call(name, "%a"))
            for name in ("floor", "ceil", "trunc")
        ]
        found.append(function(kind, f"round.{letter}", one, call("roundeven", "%a")))
        found += [
            function(kind, f"fabs.{ending}", one, call("fabs", "%a")) for ending in (letter, bits)
        ]
    return found


def _conversions() -> list[str]:
    """Between floating-point numbers and integers, of which the nearest is taken."""
    rounding = {"rn": "roundeven", "rz": "trunc", "rm": "floor", "rp": "ceil"}
    found = []
    for letter, kind in TYPES.items():
        bits = BITS[letter]
        for name, width in WIDTHS.items():
            signed = "u" if name[0] == "u" else "s"
            for ending, nearest in rounding.items():
                found.append(
                    function(
                        f"i{width}",
                        f"{letter}2{name}.{ending}",
                        f"{kind} %a",
                        f"""%w = call {kind} @llvm.{nearest}.{bits}({kind} %a)
                        %r = call i{width} @llvm.fpto{signed}i.sat.i{width}.{bits}({kind} %w)
                        ret i{width} %r""",
                    )
                )
            body = f"%r = {signed}itofp i{width} %a to {kind}\nret {kind} %r"
            found.append(function(kind, f"{name}2{letter}.rn", f"i{width} %a", body))
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
            found.append(function(kind, f"{name}.{kind}", f"{kind} %a, {kind} %b", body))
    for name, width in WIDTHS.items():
        extend, twice = "zext" if name[0] == "u" else "sext", 2 * width
        body = f"""%x = {extend} i{width} %a to i{twice}
        %y = {extend} i{width} %b to i{twice}
        %p = mul i{twice} %x, %y
        %h = lshr i{twice} %p, {width}
        %r = trunc i{twice} %h to i{width}
        ret i{width} %r"""
        found.append(function(f"i{width}", f"mulhi.{name}", f"i{width} %a, i{width} %b", body))
    return found


def _in_double(name: str, lines: str) -> str:
    """A function of float32 with the double one's value, subnormal numbers as zeros with `ftz`."""
    return f"""
define internal float @host.{name}(float %a) {{
  %w = fpext float %a to double
  {lines}
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
