"""Index arithmetic as linear forms, and the merging of loops that walk through memory in order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from codegen.loops.nodes import (
    Buffer,
    Call,
    Expression,
    Literal,
    Load,
    Loop,
    Operation,
    Statement,
    Store,
    Update,
    Variable,
)
from codegen.loops.sizes import Size
from codegen.loops.walk import own_expressions, statements


@dataclass(slots=True)
class LinearForm:
    """`constant + Σ coefficient × term`; a term is a variable or an expression that is not
    linear.
    """

    constant: int = 0
    terms: dict[Expression, int] = field(default_factory=dict)

    def add(self, other: LinearForm, scale: int = 1) -> None:
        """Add `scale` times another form."""
        self.constant += scale * other.constant
        for term, coefficient in other.terms.items():
            total = self.terms.get(term, 0) + scale * coefficient
            if total:
                self.terms[term] = total
            else:
                self.terms.pop(term, None)


Substitution = Mapping[str, Expression]


def linear_form(expression: Expression, substitution: Substitution) -> LinearForm:
    """The form of an int64 expression, after putting expressions in the place of variables."""
    match expression:
        case Literal(value) if isinstance(value, int | Size):
            return LinearForm(value)
        case Variable(name) if name in substitution:
            return linear_form(substitution[name], {})
        case Operation("add" | "subtract" as name, (left, right)):
            form = linear_form(left, substitution)
            form.add(linear_form(right, substitution), 1 if name == "add" else -1)
            return form
        case Operation("negative", (operand,)):
            return _scaled(linear_form(operand, substitution), -1)
        case Operation("multiply", (left, right)):
            first, second = linear_form(left, substitution), linear_form(right, substitution)
            if not second.terms:
                return _scaled(first, second.constant)
            if not first.terms:
                return _scaled(second, first.constant)
    return LinearForm(0, {expression: 1})


def _scaled(form: LinearForm, scale: int) -> LinearForm:
    result = LinearForm()
    result.add(form, scale)
    return result


def flat_index(
    buffer: Buffer, indices: tuple[Expression, ...], substitution: Substitution
) -> LinearForm:
    """The position of an element, or of a part with leading indices fixed, in C order."""
    form = LinearForm()
    for stride, index in zip(strides(buffer), indices, strict=False):
        form.add(linear_form(index, substitution), stride)
    return form


def strides(buffer: Buffer) -> list[int]:
    """How many elements apart neighbours along each axis lie."""
    found = [1] * len(buffer.shape)
    for axis in range(len(found) - 1, 0, -1):
        found[axis - 1] = found[axis] * buffer.shape[axis]
    return found


def constant_trip(loop: Loop) -> int | None:
    """How often a loop runs that counts between literals; None for any other."""
    start, stop = loop.start, loop.stop
    if isinstance(start, Literal) and isinstance(stop, Literal):
        first, last = start.value.real, stop.value.real
        return last - first if last > first else 0  # type: ignore[return-value]
    return None


def _mergeable_trip(loop: Loop) -> int | None:
    """The trip of a loop that counts up from 0; None for others, which are not merged."""
    from_zero = isinstance(loop.start, Literal) and loop.start.value == 0
    return constant_trip(loop) if from_zero and not loop.reverse else None


def merge_loops(loop: Loop) -> tuple[Loop, dict[str, Expression]]:
    """The loop with perfectly nested ones merged where all their accesses allow it.

    Of a merged pair the inner index counts through both ranges and the outer one becomes 0: the
    substitution returned says so, and holds in the body of the loop returned. Indices that are
    used as values, or that walk through some buffer with a gap, stay as they are.
    """
    nest = [loop]
    while len(nest[-1].body) == 1 and isinstance(inner := nest[-1].body[0], Loop):
        nest.append(inner)
    trips = [_mergeable_trip(part) for part in nest]
    if len(nest) == 1:
        return loop, {}
    accesses = _accesses(nest[-1].body)
    zeros: dict[str, Expression] = {}
    merged: list[Loop] = [nest[-1]]
    extent = trips[-1]
    for outer, trip in zip(nest[-2::-1], trips[-2::-1], strict=True):
        inner = merged[-1]
        if (
            trip is None
            or extent is None
            or outer.kind != inner.kind
            or not _contiguous(accesses, outer.index, inner.index, extent)
        ):
            merged.append(outer)
            extent = trip
            continue
        zeros[outer.index] = Literal(0, outer.start.dtype)
        extent = extent * trip
        merged[-1] = replace(inner, stop=Literal(extent, inner.stop.dtype))
        accesses = [
            {name: scale for name, scale in access.items() if name != outer.index}
            for access in accesses
        ]
    result = merged[0]
    for part in merged[1:]:
        result = replace(part, body=(result,))
    return result, zeros


def _accesses(body: tuple[Statement, ...]) -> list[dict[str, int]]:
    """The coefficient of each variable in each access.

    The value of an index used for itself is recorded as an access of its own, whose coefficient
    for every other index is 0.
    """
    found: list[dict[str, int]] = []
    for statement in statements(body):
        if isinstance(statement, Store | Update):
            _add_access(statement.buffer, statement.indices, found)
            _add_values(statement.value, found)
        elif isinstance(statement, Call):
            for view in (*statement.results, *statement.operands):
                _add_access(view.buffer, view.indices, found)
        else:
            for expression in own_expressions(statement):
                _add_values(expression, found)
    return found


def _add_access(
    buffer: Buffer, indices: tuple[Expression, ...], found: list[dict[str, int]]
) -> None:
    form = flat_index(buffer, indices, {})
    access: dict[str, int] = {}
    for term, coefficient in form.terms.items():
        if isinstance(term, Variable):
            access[term.name] = coefficient
        else:
            _add_values(term, found)
    found.append(access)


def _add_values(expression: Expression, found: list[dict[str, int]]) -> None:
    for part in _outside_indices(expression):
        if isinstance(part, Load):
            _add_access(part.buffer, part.indices, found)
        elif isinstance(part, Variable):
            found.append({part.name: 1})


def _outside_indices(expression: Expression) -> Iterator[Expression]:
    """The parts of an expression, without going into the indices of loads."""
    pending = [expression]
    while pending:
        part = pending.pop()
        yield part
        if isinstance(part, Operation):
            pending.extend(part.operands)


def _contiguous(accesses: list[dict[str, int]], outer: str, inner: str, extent: int) -> bool:
    return all(access.get(outer, 0) == extent * access.get(inner, 0) for access in accesses)
