"""Rows of the special functions: programs of scalars, compared with SciPy's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.special as special

from tests.primitives.builders import SHAPES
from tests.primitives.row import FLOATS, Case, Interval, Row, type_of
from tracer.graph.primitive import REGISTRY
from tracer.primitives.programs import PROGRAMS
from tracer.trace import bind
from tracer.types import ArrayType

DOUBLE = ("f8",)  # long programs, which take long to compile: in one precision
# Second derivatives of these take NumPy ten seconds each, loop in loop. One rule makes them for all
# programs: the shorter ones and `gammainc` are compared at second order.
LONG: dict[str, Any] = {"special": (), "dtypes": DOUBLE, "order": 1}
SERIES = "series and fractions of two libraries are each within some units of the true value"


def _row(
    reference: Callable[..., Any],
    *domains: Interval | Sequence[Interval],
    ulps: float = 64,
    order: int = 2,
    special: Sequence[str] = FLOATS,
    ambiguous: Callable[..., Any] | None = None,
    name: str = "",
    orders: Sequence[tuple[int, ...]] = (),
    dtypes: Sequence[str] = FLOATS,
) -> Row:
    """A row whose first domain is tried in each precision, the others in double precision only."""
    cases: list[Case] = []
    params: list[dict[str, Any]] = [{"name": name, "orders": each} for each in orders] or [{}]
    for place, domain in enumerate(domains):
        intervals = (domain,) if isinstance(domain[0], (int, float)) else tuple(domain)
        shapes = SHAPES[len(intervals)][-2 if len(intervals) < 3 else 1]
        for chosen in params:
            for dtype in dtypes if place == 0 else dtypes[:1]:
                types = tuple(type_of(dtype, shape) for shape in shapes)
                cases.append(Case(types, tuple(intervals), chosen))  # type: ignore[arg-type]
    return Row(
        reference,
        tuple(cases),
        order,
        ulps,
        SERIES,
        special=tuple(special),
        ambiguous=ambiguous,
    )


def _density(function: Callable[..., Any]) -> Callable[..., Any]:
    def in_double(*operands: Any) -> Any:
        wide = [np.asarray(operand, np.float64) for operand in operands]
        return np.asarray(function(*wide)).astype(operands[0].dtype)

    return in_double


def _gamma_density(a: Any, x: Any) -> Any:
    return np.exp((a - 1) * np.log(x) - x - special.gammaln(a))


def _beta_density(a: Any, b: Any, x: Any) -> Any:
    return np.exp((a - 1) * np.log(x) + (b - 1) * np.log1p(-x) - special.betaln(a, b))


def _derivative(*operands: Any, name: str, orders: tuple[int, ...]) -> Any:
    """By the program on arrays; that this is the derivative, numerical ones show."""
    return PROGRAMS[name].evaluate(*operands, orders=orders)


def _expn_case(type_: ArrayType) -> Case:
    """Of a fixed order: there is no derivative in it."""
    order = type_.dtype.type(2)
    return Case((type_,), ((0.5, 3.0),), {}, lambda x: [bind(REGISTRY["expn"], order, x)])


def _lambertw(branch: int) -> Callable[[Any], Any]:
    def reference(x: Any) -> Any:
        value = special.lambertw(x, branch)
        return np.where(value.imag == 0, value.real, np.nan).astype(x.dtype)

    return reference


GAMMA = {
    "gamma": _row(special.gamma, (0.5, 3.0), (-1.8, -1.2)),
    "rgamma": _row(special.rgamma, (0.5, 3.0), (-1.8, -1.2), ulps=256),
    "beta": _row(special.beta, ((0.5, 3.0), (0.5, 3.0)), special=(), dtypes=DOUBLE),
    "betaln": _row(special.betaln, ((0.5, 0.9), (0.5, 0.9)), ((12, 20), (11, 30)), special=()),
    "binom": _row(special.binom, ((5.2, 8.0), (1.1, 4.0)), special=(), dtypes=DOUBLE),
    "poch": _row(special.poch, ((1.2, 4.0), (0.5, 3.0)), special=(), dtypes=DOUBLE),
    "gammainc": _row(special.gammainc, ((0.5, 2.0), (0.5, 1.0)), special=(), dtypes=DOUBLE),
    "gammaincc": _row(special.gammaincc, ((0.5, 1.0), (3.0, 4.0)), **LONG),
    "betainc": _row(special.betainc, ((0.5, 2.0), (0.5, 2.0), (0.3, 0.7)), **LONG),
    "betaincc": _row(special.betaincc, ((0.5, 2.0), (0.5, 2.0), (0.3, 0.7)), **LONG),
    "stdtr": _row(special.stdtr, ((1.5, 3.0), (-4.0, -2.0)), **LONG),
    "gammaincinv": _row(special.gammaincinv, ((0.6, 2.0), (0.2, 0.4)), **LONG, ulps=256),
    "gammainccinv": _row(special.gammainccinv, ((0.6, 2.0), (0.2, 0.4)), **LONG, ulps=256),
    "betaincinv": _row(special.betaincinv, ((0.6, 2.0), (0.6, 2.0), (0.3, 0.7)), **LONG, ulps=256),
    "stdtrit": _row(special.stdtrit, ((1.5, 3.0), (0.1, 0.2)), **LONG, ulps=256),
    "gamma_density": _row(
        _density(_gamma_density), ((0.5, 3.0), (0.5, 3.0)), special=(), dtypes=DOUBLE
    ),
    "beta_density": _row(
        _density(_beta_density), ((0.5, 2.0), (0.5, 2.0), (0.3, 0.7)), special=(), dtypes=DOUBLE
    ),
}
ERROR = {
    "erfcx": _row(special.erfcx, (-2.0, 2.0), (8.0, 12.0)),
    "erfcinv": _row(special.erfcinv, (0.1, 1.8), ambiguous=lambda y: y == 1),  # which zero
    "ndtri": _row(special.ndtri, (0.1, 0.45)),
    "log_ndtr": _row(special.log_ndtr, (-3.0, 1.0)),
    "dawsn": _row(special.dawsn, (-3.0, 3.0), (11.0, 13.0)),
}
PRODUCTS = {
    **{
        name: _row(getattr(special, name), ((0.5, 3.0), (0.5, 3.0)), ulps=16)
        for name in ("xlogy", "xlog1py", "rel_entr")
    },
    "kl_div": _row(special.kl_div, ((0.5, 1.0), (1.5, 3.0))),
    "entr": _row(special.entr, (0.5, 0.8)),
    "log_expit": _row(special.log_expit, (-3.0, 3.0)),
}
BESSEL = {
    **{
        name: _row(getattr(special, name), (0.5, 3.0), (9.0, 12.0), ulps=256)
        for name in ("i0", "i1", "i0e", "i1e", "k0", "k1", "k0e", "k1e")
    },
    **{
        name: _row(getattr(special, name), (0.5, 1.5), (9.0, 9.5), ulps=4096, special=())
        for name in ("j0", "j1", "y0", "y1")
    },
    "iv": _row(special.iv, ((0.5, 2.0), (0.5, 3.0)), special=(), dtypes=DOUBLE),
    "ive": _row(special.ive, ((0.5, 2.0), (0.5, 3.0)), special=(), dtypes=DOUBLE),
}
INTEGRALS = {
    "riemann_zeta": _row(lambda x: special.zeta(x), (1.5, 4.0), (-2.8, -2.2), special=(), ulps=256),
    "exp1": _row(special.exp1, (0.5, 3.0)),
    "expi": _row(special.expi, (0.5, 3.0), (-3.0, -0.5)),
    "expn": Row(
        lambda x: special.expn(x.dtype.type(2), x),
        tuple(map(_expn_case, (type_of("f8", (2, 3)), type_of("f4", (3,))))),
        ulps=64,
        reason=SERIES,
    ),
    "spence": _row(special.spence, (0.2, 0.8), (2.5, 4.0)),
    "exprel": _row(special.exprel, (-3.0, 3.0)),
    "hyp1f1": _row(
        special.hyp1f1, ((0.5, 1.0), (1.5, 3.0), (-2.0, 2.0)), special=(), dtypes=DOUBLE
    ),
    "lambertw": _row(_lambertw(0), (-0.3, 3.0)),
    "lambertw_lower": _row(_lambertw(-1), (-0.3, -0.1)),
    "program_derivative": _row(  # of a short program: each order is some four times as long
        _derivative,
        ((1.2, 2.0), (0.5, 1.0)),
        name="iv",
        orders=((0, 0), (1, 0), (1, 1)),
        special=(),
        order=1,
    ),
}
ROWS: dict[str, Row] = {**GAMMA, **ERROR, **PRODUCTS, **BESSEL, **INTEGRALS}
