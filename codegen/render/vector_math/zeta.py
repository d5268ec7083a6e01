"""Hurwitz's zeta function, of which the polygamma functions are multiples."""

from __future__ import annotations

from codegen.render.vector_math.exact import Pair, cancelling_fma, two_sum
from codegen.render.vector_math.lanes import Lanes, Value
from codegen.render.vector_math.power import power
from codegen.render.vector_math.registry import vector_function

# So many terms are summed at least, and all up to this argument, before the asymptotic series.
TERMS = 9
# Above, adding 1 would round; the series needs no such help there.
EXACT_STEPS = 2.0**20
# Summing from further below would take too long.
LOWEST = -1024.0
# Beyond this exponent the series is less than half an ulp of the first term.
STEEPEST = 400.0


def _power_of_pair(lanes: Lanes, base: Pair, exponent: Value) -> Value:
    """(high + low)ᵉˣᵖᵒⁿᵉⁿᵗ: a rounding error of the base would count as often as the exponent."""
    result = power(lanes, base.high, exponent)
    relative = base.low / base.high * exponent
    exact = (base.low == 0.0) | (result.absolute() == float("inf"))
    return lanes.select(exact, result, lanes.fma(result, relative, result))


def _sum_of_powers(lanes: Lanes, s: Value, q: Value) -> tuple[Pair, Value]:
    """(w, Σ (q + k)⁻ˢ up to below w), w > 9 and at least 9 terms, by a loop."""
    builder = lanes.builder
    before = builder.block
    head, done = builder.fresh_label("terms"), builder.fresh_label("summed")
    zero = lanes.number(0.0)
    exponent = -s
    # Phi nodes come first in a block but name values of its end: their place is set aside.
    names = [builder.fresh() for _ in range(3)]
    slot = len(builder.lines)
    high, low, count = (lanes.value(name) for name in names)
    builder.block = head
    w = two_sum(q, count)
    few = (count < float(TERMS)) & (w.high < EXACT_STEPS)
    active = (w.high <= float(TERMS)) | few
    term = lanes.select(active, _power_of_pair(lanes, w, exponent), zero)
    total = two_sum(high, term)
    next_low = low + lanes.select(total.high.absolute() < float("inf"), total.low, 0.0)
    next_count = lanes.select(active, count + 1.0, count)
    more = lanes.any(active)
    entries = zip(names, (total.high, next_low, next_count), strict=True)
    phis = [
        f"  {name} = phi {q.type} [ {zero.register}, %{before} ], "
        f"[ {end.register}, %{builder.block} ]"
        for name, end in entries
    ]
    builder.lines[slot:slot] = [f"  br label %{head}", f"{head}:", *phis]
    builder.line(f"br i1 {more}, label %{head}, label %{done}")
    builder.start_block(done)
    return w, total.high + next_low


def _series(lanes: Lanes, s: Value, w: Value) -> Pair:
    """1/(s − 1) + 1/(2w) + Σ B₂ⱼ/(2j)!·s(s + 1)…(s + 2j − 2)/w²ʲ (Euler and Maclaurin)."""
    inverse = 1.0 / w
    square = inverse * inverse
    factor = s * square
    terms = []
    for k, coefficient in enumerate(lanes.coefficients("zeta")):
        terms.append(factor * coefficient)
        factor = factor * ((s + float(2 * k + 1)) * square) * (s + float(2 * k + 2))
    total = terms[-1]
    for term in reversed(terms[:-1]):
        total = total + term
    less = s - 1.0
    leading = 1.0 / less
    residual = cancelling_fma(-leading, less, lanes.number(1.0)) * leading
    pair = two_sum(leading, lanes.fma(inverse, 0.5, total))
    return Pair(pair.high, pair.low + residual)


@vector_function("zeta", 2)
def zeta(lanes: Lanes, s: Value, q: Value) -> Value:
    """Σ (q + k)⁻ˢ for s > 1; infinite at s = 1 and at q = 0, −1, …; NaN for s < 1.

    Below zero it is real for integer s only, and NaN below −1024.
    """
    # Also for float32 with powers in full, whose range the terms need.
    lanes = Lanes(lanes.builder, lanes.form, lanes.width, lanes.target)
    pole = (q <= 0.0) & (lanes.call("llvm.trunc", q) == q)
    summable = (q >= LOWEST) & (q < float("inf")) & ~pole
    start = lanes.select(summable, q, 10.0)
    w, total = _sum_of_powers(lanes, lanes.at_most(s, 2.0**900), start)
    bounded = lanes.at_most(s, STEEPEST)
    decay = _power_of_pair(lanes, w, 1.0 - bounded)
    series = _series(lanes, bounded, w.high)
    rest = lanes.fma(decay, series.high, decay * series.low)
    result = total + lanes.select(s > STEEPEST, 0.0, rest)
    result = lanes.select(summable, result, lanes.number(float("nan")))
    result = lanes.select(q == float("inf"), 0.0, result)
    result = lanes.select(pole, float("inf"), result)
    result = lanes.select(s == 1.0, float("inf"), result)
    result = lanes.select(s < 1.0, float("nan"), result)
    return lanes.select(s.is_nan() | q.is_nan(), float("nan"), result)
