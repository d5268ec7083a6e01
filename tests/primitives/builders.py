"""Short ways to write the rows of the table of primitives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tests.primitives.row import (
    FLOATS,
    INTEGERS,
    Case,
    Interval,
    Row,
    Shape,
    type_of,
)

FULL: Interval = (-3.0, 3.0)
ABOVE: Interval = (0.5, 3.0)
SHAPES: dict[int, tuple[tuple[Shape, ...], ...]] = {
    1: (((),), ((3,),), ((2, 3),), ((0,),), ((1, 1),)),
    2: (((), ()), ((3,), (3,)), ((2, 3), (3,)), ((2, 1), (1, 3)), ((), (2,)), ((1,), (0,))),
    3: (((3,), (3,), (3,)), ((2, 1), (), (3,)), ((), (2, 3), (1, 3))),
}


def elementwise(
    reference: Callable[..., Any],
    *domains: Interval | Sequence[Interval],
    dtypes: Sequence[str] = FLOATS,
    integers: Interval = (-100, 100),
    order: int = 2,
    ulps: float = 0.0,
    reason: str = "",
    special: Sequence[str] | None = None,
    ambiguous: Callable[..., Any] | None = None,
    **params: Any,
) -> Row:
    """A row of an elementwise function. Each of `domains` is one interval an operand; the first
    dtype is tried in many shapes, the others in one."""
    choices: list[tuple[Interval, ...]] = [_intervals(domain) for domain in domains]
    arity = len(choices[0])
    cases = []
    for domain in choices:
        cases += [_case([dtypes[0]] * arity, shapes, domain, params) for shapes in SHAPES[arity]]
    for dtype in dtypes[1:]:
        plain = dtype in (*INTEGERS, "?")
        domain = (integers,) * arity if plain else choices[0]
        cases.append(_case([dtype] * arity, ((5,),) * arity, domain, params))
    values = tuple(dtypes) if special is None else tuple(special)
    return Row(reference, tuple(cases), order, ulps, reason, special=values, ambiguous=ambiguous)


def _intervals(domain: Any) -> tuple[Interval, ...]:
    return (domain,) if isinstance(domain[0], (int, float)) else tuple(domain)


def _case(
    dtypes: Sequence[str], shapes: Sequence[Shape], domains: Sequence[Interval], params: Any
) -> Case:
    types = tuple(type_of(dtype, shape) for dtype, shape in zip(dtypes, shapes, strict=True))
    return Case(types, tuple(domains), params)


def case(*operands: str, domains: Sequence[Interval] | None = None, **params: Any) -> Case:
    """A case from texts such as "f8 2,3", each with its own interval."""
    types = []
    for text in operands:
        dtype, _, extents = text.partition(" ")
        types.append(type_of(dtype, tuple(int(part) for part in extents.split(",") if part)))
    return Case(tuple(types), tuple(domains or (FULL,) * len(types)), params)


def plain(reference: Callable[..., Any], *cases: Case, **options: Any) -> Row:
    """A row of anything else."""
    return Row(reference, cases, **options)


LIBRARY = "elementary functions of two libraries are each within a few units of the true value"
REORDERED = "sums and products are taken in another order"
COMPLEX_RULE = "complex products and quotients round their parts in another order"
