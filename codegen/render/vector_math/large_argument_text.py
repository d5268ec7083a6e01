"""The LLVM text of the reduction of large arguments, with what varies as $names."""

from __future__ import annotations

from string import Template

# Replaces r and n in the lanes where |x| exceeds a limit.
LANES = Template("""\
define internal $result $name($floats %x, $floats %r, $integers %n) noinline cold {
entry:
  %xs = alloca $floats
  %rs = alloca $floats
  %ns = alloca $integers
  store $floats %x, ptr %xs
  store $floats %r, ptr %rs
  store $integers %n, ptr %ns
  br label %lane
lane:
  %k = phi i64 [ 0, %entry ], [ %next, %after ]
  %x.place = getelementptr $item, ptr %xs, i64 %k
  %item = load $item, ptr %x.place
  %size = call $item $absolute($item %item)
  %large = fcmp ogt $item %size, $limit
  br i1 %large, label %reduce, label %after
reduce:
  $widen%both = call {double, i64} $scalar(double $argument)
  %r.wide = extractvalue {double, i64} %both, 0
  %n.wide = extractvalue {double, i64} %both, 1
  $narrow%r.place = getelementptr $item, ptr %rs, i64 %k
  %n.place = getelementptr $count, ptr %ns, i64 %k
  store $item $r_item, ptr %r.place
  store $count $n_item, ptr %n.place
  br label %after
after:
  %next = add i64 %k, 1
  %more = icmp slt i64 %next, $width
  br i1 %more, label %lane, label %end
end:
  %r.all = load $floats, ptr %rs
  %n.all = load $integers, ptr %ns
  %half = insertvalue $result undef, $floats %r.all, 0
  %full = insertvalue $result %half, $integers %n.all, 1
  ret $result %full
}""")

# {r, n} of one x: the bits of 1/π that matter, times its 53 bits, to three words of fraction.
SCALAR = Template("""\
define internal {double, i64} $name(double %x) noinline cold {
  %bits = bitcast double %x to i64
  %field0 = lshr i64 %bits, 52
  %field = and i64 %field0, 2047
  %infinite = icmp eq i64 %field, 2047
  %exponent = select i1 %infinite, i64 1075, i64 %field
  %fraction = and i64 %bits, 4503599627370495
  %integer = or i64 %fraction, 4503599627370496
  %place = add i64 %exponent, $offset
  %word = lshr i64 %place, 6
  %bit = and i64 %place, 63
  %first = getelementptr i64, ptr $table, i64 %word
$words
$windows
  %m = zext i64 %integer to i128
  %w2.wide = zext i64 %w2 to i128
  %w1.wide = zext i64 %w1 to i128
  %low.product = mul i128 %m, %w2.wide
  %low.carry = lshr i128 %low.product, 64
  %middle.product = mul i128 %m, %w1.wide
  %middle.sum = add i128 %middle.product, %low.carry
  %middle = trunc i128 %middle.sum to i64
  %middle.carry0 = lshr i128 %middle.sum, 64
  %middle.carry = trunc i128 %middle.carry0 to i64
  %top.product = mul i64 %integer, %w0
  %top = add i64 %top.product, %middle.carry
  %moved = add i64 %top, $added
  %n = lshr i64 %moved, 63
  %below = and i64 %moved, 9223372036854775807
  %distance = sub i64 %below, 4611686018427387904
  %sign = ashr i64 %distance, 63
  %size.high = xor i64 %distance, %sign
  %size.low = xor i64 %middle, %sign
  %head = and i64 %size.high, -2048
  %tail0 = and i64 %size.high, 2047
  %tail1 = shl i64 %tail0, 52
  %tail2 = lshr i64 %size.low, 12
  %tail = or i64 %tail1, %tail2
  %head.float = sitofp i64 %head to double
  %tail.float = sitofp i64 %tail to double
  %high = fmul double %head.float, $head_unit
  %low = fmul double %tail.float, $tail_unit
  %rest0 = fmul double %high, $pi_low
  %rest1 = fmul double %low, $pi_high
  %rest = fadd double %rest0, %rest1
  $product
  %r.bits0 = bitcast double %r0 to i64
  %flip = xor i64 %sign, %bits
  %flip.bit = and i64 %flip, -9223372036854775808
  %r.bits = xor i64 %r.bits0, %flip.bit
  %r1 = bitcast i64 %r.bits to double
  %r2 = select i1 %infinite, double 0x7FF8000000000000, double %r1
  %partial = insertvalue {double, i64} undef, double %r2, 0
  %both = insertvalue {double, i64} %partial, i64 %n, 1
  ret {double, i64} %both
}""")
