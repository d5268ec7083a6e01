"""How accurate the functions of float32 and float64 are on a GPU: the largest errors in units in
the last place, against mpmath.

    python -m tests.cuda.native.accuracy

libdevice's own code is run, but for approximate instructions, which are nearer to the truth here
than on a GPU (`intrinsics.py`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import mpmath
import numpy as np

from tests.cuda.native.scalars import run_cases
from tests.cuda.scalar_kernels import Case

Array = np.ndarray[Any, np.dtype[Any]]
DIGITS = 40


class Function(NamedTuple):
    """An operation, its exact value, and where its operands come from: ranges for each; a range
    between numbers of one sign is a range of exponents. `units` is the most that it may be wrong,
    for float32 and for float64.
    """

    name: str
    exact: Callable[..., Any]
    ranges: tuple[tuple[float, float], ...]
    units: tuple[float, float]


def _log_gamma(x: Any) -> Any:
    return mpmath.log(abs(mpmath.gamma(x)))


def _cube_root(x: Any) -> Any:
    return mpmath.sign(x) * mpmath.cbrt(abs(x))


def _log_of_sum(a: Any, b: Any) -> Any:
    return max(a, b) + mpmath.log1p(mpmath.exp(-abs(a - b)))



FUNCTIONS: Sequence[Function] = (
    Function("sqrt", mpmath.sqrt, ((1e-30, 1e30),), (0.5, 0.5)),
    Function("cbrt", _cube_root, ((1e-30, 1e30),), (1.5, 1.5)),
    Function("reciprocal", lambda x: 1 / x, ((1e-30, 1e30),), (0.5, 0.5)),
    Function("exp", mpmath.exp, ((-80.0, 80.0),), (1.5, 1.0)),
    Function("exp2", lambda x: mpmath.mpf(2) ** x, ((-100.0, 100.0),), (2.5, 1.0)),
    Function("expm1", mpmath.expm1, ((-10.0, 10.0),), (1.5, 1.5)),
    Function("log", mpmath.log, ((1e-30, 1e30),), (1.5, 1.0)),
    Function("log2", lambda x: mpmath.log(x, 2), ((1e-30, 1e30),), (1.5, 1.5)),
    Function("log10", mpmath.log10, ((1e-30, 1e30),), (2.5, 1.5)),
    Function("log1p", mpmath.log1p, ((-0.99, 10.0),), (1.5, 1.5)),
    Function("sin", mpmath.sin, ((-1e5, 1e5),), (2.0, 2.0)),
    Function("cos", mpmath.cos, ((-1e5, 1e5),), (2.0, 2.0)),
    Function("tan", mpmath.tan, ((-100.0, 100.0),), (4.5, 2.5)),
    Function("arcsin", mpmath.asin, ((-1.0, 1.0),), (2.5, 2.5)),
    Function("arccos", mpmath.acos, ((-1.0, 1.0),), (2.5, 2.0)),
    Function("arctan", mpmath.atan, ((-30.0, 30.0),), (2.5, 2.5)),
    Function("sinh", mpmath.sinh, ((-20.0, 20.0),), (3.5, 2.5)),
    Function("cosh", mpmath.cosh, ((-20.0, 20.0),), (2.5, 1.5)),
    Function("tanh", mpmath.tanh, ((-5.0, 5.0),), (2.5, 1.5)),
    Function("arcsinh", mpmath.asinh, ((-100.0, 100.0),), (3.5, 3.5)),
    Function("arccosh", mpmath.acosh, ((1.0, 100.0),), (4.5, 3.5)),
    Function("arctanh", mpmath.atanh, ((-0.99, 0.99),), (3.5, 2.5)),
    Function("erf", mpmath.erf, ((-4.0, 4.0),), (2.5, 2.5)),
    Function("erfc", mpmath.erfc, ((-4.0, 9.0),), (4.5, 5.5)),
    Function("erfinv", mpmath.erfinv, ((-0.999, 0.999),), (4.0, 16.0)),
    Function("gammaln", _log_gamma, ((3.0, 100.0),), (6.5, 4.5)),
    Function("digamma", mpmath.digamma, ((2.0, 100.0),), (4.0, 8.0)),
    Function("expit", lambda x: 1 / (1 + mpmath.exp(-x)), ((-30.0, 30.0),), (4.0, 3.0)),
    Function("power", mpmath.power, ((1e-3, 1e3), (-8.0, 8.0)), (4.5, 2.5)),
    Function("arctan2", mpmath.atan2, ((-10.0, 10.0), (-10.0, 10.0)), (3.5, 2.5)),
    Function("hypot", mpmath.hypot, ((1e-10, 1e10), (1e-10, 1e10)), (3.5, 2.5)),
    Function("logaddexp", _log_of_sum, ((1.0, 30.0), (1.0, 30.0)), (3.0, 2.0)),
    Function("zeta", mpmath.zeta, ((1.1, 20.0), (0.5, 20.0)), (8.0, 8.0)),
)


def operands(function: Function, dtype: Any, count: int) -> list[Array]:
    """Arguments at random, the same each time."""
    random = np.random.default_rng(len(function.name))
    made = []
    for low, high in function.ranges:
        drawn = random.uniform(0.0, 1.0, count)
        wide = low > 0.0 and high / low > 1e4
        values = low * (high / low) ** drawn if wide else low + (high - low) * drawn
        made.append(values.astype(dtype))
    return made


def errors(function: Function, arrays: Sequence[Array], found: Array) -> Array:
    """How far each result is from the exact one, in units in the last place of that."""
    with mpmath.workdps(DIGITS):
        worst = []
        for place, value in enumerate(found):
            given = [mpmath.mpf(float(array[place])) for array in arrays]
            exact = mpmath.mpf(function.exact(*given))
            nearest = np.abs(np.asarray(float(exact)).astype(found.dtype))
            unit = mpmath.mpf(float(np.spacing(nearest)))
            wrong = abs(mpmath.mpf(float(value)) - exact) / unit
            worst.append(float(wrong) if np.isfinite(value) else np.inf)
    return np.array(worst)


def measured(dtype: Any, count: int) -> dict[str, tuple[float, tuple[float, ...]]]:
    """The largest error of each function, and for which operands."""
    kind = np.dtype(dtype)
    cases = [Case(each.name, (kind,) * len(each.ranges), kind) for each in FUNCTIONS]
    given = [operands(each, kind, count) for each in FUNCTIONS]
    found = run_cases(cases, given)
    table = {}
    for function, arrays, result in zip(FUNCTIONS, given, found, strict=True):
        wrong = errors(function, arrays, result)
        place = int(wrong.argmax())
        table[function.name] = float(wrong[place]), tuple(float(a[place]) for a in arrays)
    return table


def main(count: int) -> None:
    """Print the table."""
    both = [measured(dtype, count) for dtype in (np.float32, np.float64)]
    print("| function | arguments | float32 | at | float64 | at |")
    print("| --- | --- | ---: | --- | ---: | --- |")
    for function in FUNCTIONS:
        ranges = " × ".join(f"[{low:g}, {high:g}]" for low, high in function.ranges)
        cells = []
        for table in both:
            units, where = table[function.name]
            cells += [f"{units:.2f}", ", ".join(f"{value:.9g}" for value in where)]
        print(f"| {function.name} | {ranges} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
