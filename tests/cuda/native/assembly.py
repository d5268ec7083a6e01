"""Functions in LLVM IR for libdevice's inline assembly; `text.assembly_name` has their names."""

from __future__ import annotations

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
