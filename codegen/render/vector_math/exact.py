"""Error-free transformations: sums and products as an unevaluated pair (high, low)."""

from __future__ import annotations

from dataclasses import dataclass

from codegen.render.vector_math.lanes import Value


@dataclass(frozen=True, slots=True)
class Pair:
    """The number high + low, with |low| at most about half an ulp of high."""

    high: Value
    low: Value

    def rounded(self) -> Value:
        """The nearest single value."""
        return self.high + self.low

    def __neg__(self) -> Pair:
        return Pair(-self.high, -self.low)


def fast_two_sum(a: Value, b: Value) -> Pair:
    """a + b exactly, where |a| ≥ |b| or a = 0 (Dekker 1971)."""
    total = a + b
    return Pair(total, b - (total - a))


def two_sum(a: Value, b: Value) -> Pair:
    """a + b exactly (Knuth, The Art of Computer Programming, vol. 2, 4.2.2)."""
    total = a + b
    b_part = total - a
    return Pair(total, (a - (total - b_part)) + (b - b_part))


def _split(a: Value) -> tuple[Value, Value]:
    """a as two numbers of half its digits (Veltkamp 1968)."""
    half_digits = (a.lanes.form.fraction_bits + 2) // 2
    scaled = a * float(2**half_digits + 1)
    high = scaled - (scaled - a)
    return high, a - high


def two_product(a: Value, b: Value | float) -> Pair:
    """a·b exactly, unless it over- or underflows."""
    lanes = a.lanes
    b = lanes.lift(b, "float")
    product = a * b
    if lanes.target.fma:
        return Pair(product, lanes.fma(a, b, -product))
    a_high, a_low = _split(a)
    b_high, b_low = _split(b)
    low = ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low
    return Pair(product, low)


def cancelling_fma(a: Value, b: Value | float, c: Value) -> Value:
    """a·b + c, also without FMA hardware nearly as if rounded once, where a·b ≈ −c."""
    if a.lanes.target.fma:
        return a.lanes.fma(a, b, c)
    product = two_product(a, b)
    return (c + product.high) + product.low


def add(a: Pair, b: Pair) -> Pair:
    """a + b, to nearly twice the format's digits where signs agree."""
    total = two_sum(a.high, b.high)
    return fast_two_sum(total.high, total.low + (a.low + b.low))


def add_value(a: Pair, b: Value) -> Pair:
    """a + b, to nearly twice the format's digits where signs agree."""
    total = two_sum(a.high, b)
    return fast_two_sum(total.high, total.low + a.low)


def multiply(a: Pair, b: Pair) -> Pair:
    """a·b, to nearly twice the format's digits."""
    product = two_product(a.high, b.high)
    lanes = a.high.lanes
    cross = lanes.fma(a.high, b.low, a.low * b.high)
    return fast_two_sum(product.high, product.low + cross)


def multiply_value(a: Pair, b: Value) -> Pair:
    """a·b, to nearly twice the format's digits."""
    product = two_product(a.high, b)
    return fast_two_sum(product.high, a.high.lanes.fma(a.low, b, product.low))


def divide(a: Pair, b: Pair) -> Pair:
    """a/b, to nearly twice the format's digits."""
    quotient = a.high / b.high
    residual = cancelling_fma(-quotient, b.high, a.high)
    residual = residual + (a.low - quotient * b.low)
    return fast_two_sum(quotient, residual / b.high)


def square_root(a: Pair) -> Pair:
    """√a for a > 0, to nearly twice the format's digits."""
    root = a.high.square_root()
    residual = cancelling_fma(-root, root, a.high) + a.low
    return fast_two_sum(root, residual / (root + root))
