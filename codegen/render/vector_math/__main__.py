"""Prints the table of errors and timings in Markdown: `python -m codegen.render.vector_math`."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
import numpy as np

from codegen.render.vector_math.accuracy import Measurement, measure_compiled, measured_names
from codegen.render.vector_math.harness import CompiledLoop, host_target
from codegen.render.vector_math.references import REFERENCES

_INTRODUCTION = """\
# Accuracy and speed of the vector functions

Written by `python -m codegen.render.vector_math`; do not edit.

Errors are the greatest found, in units in the last place (ulp) of the exact result, against
mpmath, over at least {points} random points a type (half of them random bit patterns) and
some 500 structured ones: zeros, subnormals, infinities, NaN, powers of two, edges of ranges and
their neighbours. 0.5 is correct rounding. Results at zeros, infinities, NaN, poles and out of range
were those of NumPy (SciPy for the special functions) everywhere{wrong}.

- `logaddexp`, `logaddexp2`, and below zero `gammaln` and `digamma`, have zeros that come out of a
  cancellation. There the error counts in ulp of the greater of the two terms (`gammaln`: of 1).
- `zeta` is NaN for arguments below −1024 that are no integers, and tends to its limits for large
  exponents, where SciPy answers NaN.
- `fmod`, `remainder`, `floor_divide`, `copysign`, `nextafter` and `spacing` have NumPy's bits.
- float32 functions marked † are worked out in float64 and rounded once more.

Times are in ns per element, over 1024 elements in the first-level cache, on one core of {cpu}
({features}), arguments between {low} and {high}, other work on the machine not excluded.
NumPy's are for its own function on the same array.

| function | ulp, float64 | ulp, float32 | ns, float64 ×{w64} | ns, float32 ×{w32} | \
ns, float64 ×1 | NumPy, float64 |
| --- | ---: | ---: | ---: | ---: | ---: | ---: |"""

LOW, HIGH = 0.1, 5.0
# Where the usual interval is outside the domain.
_INTERVALS = {
    "arcsin": (-1.0, 1.0),
    "arccos": (-1.0, 1.0),
    "arctanh": (-0.9, 0.9),
    "erfinv": (-1.0, 1.0),
    "arccosh": (1.0, 5.0),
}


def numpy_nanoseconds(name: str, low: float, high: float, length: int = 1024) -> float | None:
    """NumPy's time for an element, or None where it has no such function."""
    function: Callable[..., Any] | None = getattr(np, name, None)
    if function is None:
        return None
    generator = np.random.default_rng(0)
    count = len(REFERENCES[name].ranges[0])
    operands = [generator.uniform(low, high, length) for _ in range(count)]
    result = np.empty(length)
    best = float("inf")
    for _ in range(15):
        start = time.process_time()
        for _ in range(50):
            function(*operands, result)
        best = min(best, time.process_time() - start)
    return best / (50 * length) * 1e9


def row(name: str, points: int, widths: tuple[int, int]) -> tuple[str, list[Measurement]]:
    """One line of the table, and its measurements."""
    from codegen.render.vector_math import FUNCTIONS

    low, high = _INTERVALS.get(name, (LOW, HIGH))
    found: list[Measurement] = []
    times: list[float] = []
    for dtype, width in zip(("float64", "float32"), widths, strict=True):
        loop = CompiledLoop(name, dtype, width)
        found.append(measure_compiled(loop, name, dtype, points, seed=1))
        times.append(loop.nanoseconds(low, high))
    times.append(CompiledLoop(name, "float64", 1).nanoseconds(low, high))
    theirs = numpy_nanoseconds(name, low, high)
    mark = "" if FUNCTIONS[name].native_single else " †"
    cells = [f"`{name}`{mark}", *(f"{measurement.worst:.2f}" for measurement in found)]
    cells += [f"{value:.2f}" for value in times]
    cells.append("" if theirs is None else f"{theirs:.2f}")
    return "| " + " | ".join(cells) + " |", found


def main() -> None:
    """Measures all functions, or those named."""
    parser = argparse.ArgumentParser(prog="codegen.render.vector_math", description=__doc__)
    parser.add_argument("functions", nargs="*", help="functions to measure; all by default")
    parser.add_argument("--points", type=int, default=4000, help="random points a type")
    arguments = parser.parse_args()
    target = host_target()
    widths = (8, 16) if target.avx512 else (4, 8)
    rows, wrong = [], 0
    for name in arguments.functions or measured_names():
        text, found = row(name, arguments.points, widths)
        rows.append(text)
        wrong += sum(len(measurement.wrong) for measurement in found)
    features = "AVX-512" if target.avx512 else "FMA" if target.fma else "no FMA"
    print(
        _INTRODUCTION.format(
            points=arguments.points,
            wrong=f", except at {wrong} points" if wrong else "",
            cpu=llvm.get_host_cpu_name(),
            features=features,
            low=LOW,
            high=HIGH,
            w64=widths[0],
            w32=widths[1],
        )
    )
    print("\n".join(rows))


if __name__ == "__main__":
    main()
