"""Measures the functions' errors in units in the last place (ulp)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import mpmath  # type: ignore[import-untyped,unused-ignore]
import numpy as np

from codegen.render.vector_math import FUNCTIONS
from codegen.render.vector_math.harness import CompiledLoop
from codegen.render.vector_math.lanes import FORMATS, Format
from codegen.render.vector_math.references import REFERENCES, Reference

Array = np.ndarray[Any, np.dtype[Any]]

# The bound that every function keeps.
LIMIT = 2.5

_MULTIPLES = [k * math.pi / 2 for k in (1, 2, 3, 4, 5, 7, 8, 100, 1001, 2**20 + 1)]
_EDGES = [
    0.0, 5e-324, 1e-310, 2.0**-1022, 2.0**-149, 2.0**-126, 1e-40, 1e-20, 2.0**-53, 2.0**-24, 0.1,
    0.25, 1 / 3, math.sqrt(0.5), 0.5, 0.75, math.log(2), math.log(2) / 2, 1 - 2.0**-53,
    1 - 2.0**-24, 1.0, 1 + 2.0**-52, 1 + 2.0**-23, math.sqrt(2), 1.5, 2.0, 2.5, math.e, 3.0, 4.0,
    5.0, 10.0, 20.0, 22.0, 44.0, 88.72283905206835, 103.97208, 126.0, 149.0, 170.6243769563027,
    709.782712893384, 710.4758600739439, 745.1332191019412, 1000.0, 1022.0, 1024.0, 1075.0,
    2.0**23, 2.0**24, 2.0**30, 2.0**31, 2.0**52 + 0.5, 2.0**53, 2.0**63, 1e22, 1e38, 3.4028234e38,
    1e200, 1e300, 1.7976931348623157e308, math.inf, *_MULTIPLES,
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Measurement:
    """The worst error found, and where; `wrong` lists operands with a wrong special result."""

    points: int
    worst: float
    where: tuple[float, ...]
    wrong: tuple[tuple[float, ...], ...]


def structured_points(reference: Reference, dtype: str) -> Array:
    """Special values, powers of two, edges of ranges and their neighbours, with both signs."""
    edges = np.array([*_EDGES, *reference.extra], dtype=np.float64)
    with np.errstate(over="ignore"):
        values = edges.astype(dtype)
    bits = values.dtype.itemsize * 8
    highest = {32: (-149, 128), 64: (-1074, 1024)}[bits]
    powers = np.ldexp(np.ones(60), np.linspace(*highest, 60, dtype=int, endpoint=False))
    with np.errstate(all="ignore"):
        near = [values, np.nextafter(values, np.inf, dtype=dtype),
                np.nextafter(values, -np.inf, dtype=dtype), powers.astype(dtype)]  # fmt: skip
    positive = np.concatenate(near)
    return np.concatenate([positive, -positive, np.array([np.nan], dtype)]).astype(dtype)


def random_points(reference: Reference, dtype: str, count: int, seed: int) -> list[Array]:
    """`count` values of each operand: half from the ranges, half random bit patterns."""
    generator = np.random.default_rng(seed)
    columns: list[list[Array]] = [[] for _ in reference.ranges[0]]
    share = max(1, count // (2 * len(reference.ranges)))
    largest = float(np.finfo(dtype).max)
    for intervals in reference.ranges:
        for column, (low, high) in zip(columns, intervals, strict=True):
            bounds = max(low, -largest), min(high, largest)
            column.append(generator.uniform(*bounds, share).astype(dtype))
    for column in columns:
        size = np.dtype(dtype).itemsize
        raw = generator.bytes(size * (count // 2))
        column.append(np.frombuffer(raw, dtype))
    return [np.concatenate(column) for column in columns]


def all_points(name: str, dtype: str, count: int, seed: int) -> list[Array]:
    """Operands for a measurement; with two operands, structured points meet each other."""
    reference = REFERENCES[name]
    chance = random_points(reference, dtype, count, seed)
    special = structured_points(reference, dtype)
    if len(chance) == 1:
        return [np.concatenate([special, chance[0]])]
    generator = np.random.default_rng(seed + 1)
    pairs = generator.integers(0, len(special), (2, 2 * count))
    return [
        np.concatenate([special[row], column]) for row, column in zip(pairs, chance, strict=True)
    ]


def ulp_error(got: float, exact: Any, form: Format, unit: Any) -> float:
    """|got − exact| in units of the last place of `unit`; both are finite mpmath numbers."""
    exponent = max(int(mpmath.mag(unit)) - 1, 1 - form.bias)
    if not math.isfinite(got):
        # Infinity stands for the first power of two that is out of range.
        if math.isnan(got) or (got > 0) != (exact > 0):
            return math.inf
        got_exact = mpmath.ldexp(math.copysign(1, got), form.bias + 1)
        exponent = min(exponent, form.bias)
        if abs(exact) >= abs(got_exact):
            return 0.0
    else:
        got_exact = mpmath.mpf(got)
    difference = mpmath.ldexp(abs(got_exact - exact), form.fraction_bits - exponent)
    return float(difference)


def measure(name: str, dtype: str, operands: list[Array], results: Array) -> Measurement:
    """Compares results with the reference; a zero result must have the right sign too."""
    reference, form = REFERENCES[name], FORMATS[dtype]
    worst, where = 0.0, tuple(float(operand[0]) for operand in operands)
    wrong: list[tuple[float, ...]] = []
    columns = [operand.tolist() for operand in operands]
    for got, *point in zip(results.tolist(), *columns, strict=True):
        exact = reference.value(dtype, *point)
        if isinstance(exact, float):
            same = got == exact and math.copysign(1, got) == math.copysign(1, exact)
            if not (same or (math.isnan(got) and math.isnan(exact))):
                wrong.append(tuple(point))
            continue
        unit = exact
        if reference.scale is not None:
            unit = max(abs(exact), reference.scale(*map(mpmath.mpf, point)))
        error = ulp_error(got, exact, form, unit)
        if error > worst:
            worst, where = error, tuple(point)
    return Measurement(len(results), worst, where, tuple(wrong))


def measure_compiled(
    loop: CompiledLoop, name: str, dtype: str, count: int, seed: int
) -> Measurement:
    """The error of a compiled function over structured and random points."""
    operands = all_points(name, dtype, count, seed)
    return measure(name, dtype, operands, loop(*operands))


def measured_names() -> list[str]:
    """Functions in the table's order; every function has a reference."""
    missing = sorted(set(FUNCTIONS) - set(REFERENCES))
    if missing:
        raise KeyError(f"no reference for: {', '.join(missing)}")
    return list(REFERENCES)
