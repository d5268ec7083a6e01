"""Products with logarithms that are 0 where the factor is, entropies, and log of the sigmoid."""

from __future__ import annotations

from typing import Any

from tracer.primitives.arithmetic import absolute, log, minimum, negative
from tracer.primitives.programs import of_scipy, program
from tracer.primitives.special.common import where
from tracer.primitives.transcendental import exp, expit, log1p


def _one(x: Any) -> Any:
    return x.dtype.type(1)


def _product(x: Any, y: Any, logarithm: Any) -> Any:
    """x·logarithm, 0 where x is 0 and y is a number."""
    return where((x == 0.0) & (y == y), 0.0, x * logarithm)


def _entr_program(x: Any) -> Any:
    value = where(x == 0.0, 0.0, -x * log(where(x > 0.0, x, 1.0)))
    return where(x < 0.0, float("-inf"), where(x != x, x, value))


def _rel_entr_program(x: Any, y: Any) -> Any:
    inside = (x > 0.0) & (y > 0.0)
    ratio = where(inside, x, 1.0) / where(inside, y, 1.0)
    safe = (ratio > 1e-300) & (ratio < 1e300)
    parts = log(where(inside, x, 1.0)) - log(where(inside, y, 1.0))
    value = x * where(safe, log(where(safe, ratio, 1.0)), parts)
    value = where(inside, value, where((x == 0.0) & (y >= 0.0), 0.0, float("inf")))
    return where((x != x) | (y != y), float("nan"), value)


def _kl_div_program(x: Any, y: Any) -> Any:
    inside = (x > 0.0) & (y > 0.0)
    value = where(inside, _rel_entr_program(x, y) - x + y, float("inf"))
    value = where((x == 0.0) & (y >= 0.0), y, value)
    return where((x != x) | (y != y), float("nan"), value)


def _log_ratio(x: Any, y: Any) -> Any:
    return log(x) - log(y)


xlogy: Any = program(
    of_scipy("xlogy"),
    lambda x, y: _product(x, y, log(y)),
    lambda t, out, x, y: t * log(y),
    lambda t, out, x, y: t * (x / y),
)
xlog1py: Any = program(
    of_scipy("xlog1py"),
    lambda x, y: _product(x, y, log1p(y)),
    lambda t, out, x, y: t * log1p(y),
    lambda t, out, x, y: t * (x / (y + _one(y))),
)
entr: Any = program(
    of_scipy("entr"), _entr_program, lambda t, out, x: -t * (log(x) + _one(x))
)
rel_entr: Any = program(
    of_scipy("rel_entr"),
    _rel_entr_program,
    lambda t, out, x, y: t * (_log_ratio(x, y) + _one(x)),
    lambda t, out, x, y: -t * (x / y),
)
kl_div: Any = program(
    of_scipy("kl_div"),
    _kl_div_program,
    lambda t, out, x, y: t * _log_ratio(x, y),
    lambda t, out, x, y: t * (_one(x) - x / y),
)
log_expit: Any = program(
    of_scipy("log_expit"),
    lambda x: -(log1p(exp(-absolute(x))) - minimum(x, 0.0)),
    lambda t, out, x: t * expit(negative(x)),
)
