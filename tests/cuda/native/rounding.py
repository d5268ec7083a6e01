"""Arithmetic that rounds in one direction, as functions in LLVM IR."""

from __future__ import annotations


def function(result: str, name: str, parameters: str, body: str) -> str:
    """The text of a function `host.{name}`."""
    lines = "\n".join(f"  {line.strip()}" for line in body.strip().split("\n"))
    return f"define internal {result} @host.{name}({parameters}) alwaysinline {{\n{lines}\n}}\n"


def _sum(kind: str) -> str:
    """%s is %x + %y, %e what rounding took away, by six operations that are Knuth's."""
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


def directed() -> list[str]:
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
        found.append(function("float", f"add.{mode}.f", two, f"{added}\n{narrow}\n{step}"))
        three = f"{two}, float %c"
        found.append(function("float", f"fma.{mode}.f", three, f"{fused}\n{narrow}\n{step}"))
        doubles = """%x = fadd double %a, -0.0
        %y = fadd double %b, -0.0
        """ + _sum("double")
        doubles += """\n%n = fadd double %s, -0.0
        %less = fcmp olt double %e, 0.0
        %more = fcmp ogt double %e, 0.0\n"""
        step = _step("double", 64, mode)
        found.append(function("double", f"add.{mode}.d", "double %a, double %b", doubles + step))
    return found
