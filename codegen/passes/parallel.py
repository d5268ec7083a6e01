"""Which loops may run their iterations at once: nothing that one writes is touched by another.

A loop says of itself that its iterations are independent; here that is shown for memory, since
passes let iterations share temporaries which only they use. Those become private to a thread.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from codegen.loops.linear import LinearForm, strides
from codegen.loops.nodes import (
    Assign,
    Buffer,
    Call,
    Declare,
    Expression,
    If,
    Let,
    Literal,
    Load,
    Loop,
    Operation,
    Reduce,
    Statement,
    Store,
    Update,
    Variable,
    View,
)
from codegen.loops.operations import DType
from codegen.loops.sizes import whole
from codegen.loops.walk import own_expressions, statements, subexpressions, views
from tracer.types import INT64

Indices = tuple[Expression, ...]
REAL_REDUCTIONS = frozenset(
    (
        *("add", "multiply", "maximum", "minimum", "fmax", "fmin"),
        *("logical_and", "logical_or", "bitwise_and", "bitwise_or", "bitwise_xor"),
    )
)


@dataclass(frozen=True, slots=True)
class Independent:
    """What iterations that may run at once share: `reductions` into scalars from outside, by name
    (operation, dtype). Each thread has its own memory for the `private` buffers.
    """

    reductions: dict[str, tuple[str, DType]]
    private: tuple[Buffer, ...]


@dataclass(frozen=True, slots=True)
class Interval:
    """Where an index lies: `scale` × loop index + `symbols` + something in lowest … highest."""

    scale: int
    symbols: frozenset[tuple[Expression, int]]
    lowest: int
    highest: int


@dataclass(slots=True)
class _Access:
    """An access: its buffer, and where it lies in all and in each dimension; None: anywhere."""

    buffer: Buffer
    flat: Interval | None
    dimensions: tuple[Interval | None, ...]


@dataclass(slots=True)
class _Survey:
    """What is found in the body of the loop with this index."""

    index: str
    inside: set[str] = field(default_factory=set)
    ranges: dict[str, tuple[int, int] | None] = field(default_factory=dict)
    forms: dict[str, LinearForm] = field(default_factory=dict)
    reductions: dict[str, tuple[str, DType]] = field(default_factory=dict)
    names_read: set[str] = field(default_factory=set)
    written: set[Buffer] = field(default_factory=set)
    accesses: dict[Buffer, list[_Access]] = field(default_factory=dict)
    uses: Counter[Buffer] = field(default_factory=Counter)


def buffer_uses(body: Iterable[Statement]) -> Counter[Buffer]:
    """How often each buffer's memory is named in statements."""
    uses: Counter[Buffer] = Counter()
    for statement in statements(tuple(body)):
        uses.update(_named(statement))
    return uses


def _named(statement: Statement) -> list[Buffer]:
    """The memory that a statement itself names."""
    found = []
    pending = list(own_expressions(statement))
    while pending:
        part = pending.pop()
        if isinstance(part, Operation):
            pending += part.operands
        elif isinstance(part, Load):
            found.append(part.buffer.root)
            pending += part.indices
    if isinstance(statement, Store | Update):
        found.append(statement.buffer.root)
    return found + [view.buffer.root for view in views(statement)]


def independent(loop: Loop, uses: Counter[Buffer]) -> Independent | None:
    """How iterations of a loop may run at once; None where that is not known to be right.

    `uses` counts the names of buffers in the whole program.
    """
    if loop.kind == "serial" or loop.reverse:
        return None
    return independent_body(loop.index, loop.body, uses)


def independent_body(
    index: str, body: tuple[Statement, ...], uses: Counter[Buffer]
) -> Independent | None:
    """The same for a body that is to run at once for several values of an index."""
    survey = _Survey(index)
    if not all(_admit(statement, survey) for statement in body):
        return None
    if not survey.names_read.isdisjoint(survey.reductions):
        return None
    private = []
    for buffer in survey.written:
        if _is_apart(survey.accesses[buffer]):
            continue
        if buffer.role != "workspace" or uses[buffer] > survey.uses[buffer]:
            return None
        private.append(buffer)
    private.sort(key=lambda buffer: buffer.name)
    return Independent(survey.reductions, tuple(private))


def _is_apart(accesses: list[_Access]) -> bool:
    """Whether iterations touch different elements."""
    if _differs([access.flat for access in accesses]):
        return True
    shapes = {access.buffer.shape for access in accesses}
    if len(shapes) > 1:
        return False
    columns = zip(*(access.dimensions for access in accesses), strict=False)
    return any(_differs(list(column)) for column in columns)


def _differs(places: list[Interval | None]) -> bool:
    """Whether each step of the loop moves past all that one iteration touches."""
    known = [place for place in places if place is not None]
    if len(known) < len(places) or not known:
        return False
    first = known[0]
    if any((place.scale, place.symbols) != (first.scale, first.symbols) for place in known):
        return False
    width = max(place.highest for place in known) - min(place.lowest for place in known)
    return bool(first.scale > width or -first.scale > width)


# What is found in a body


def _admit(statement: Statement, survey: _Survey) -> bool:
    """Whether iterations with this statement may run at once; notes what it uses."""
    survey.uses.update(_named(statement))
    for expression in own_expressions(statement):
        if not _admit_expression(expression, survey):
            return False
    match statement:
        case Let(name, value):
            survey.inside.add(name)
            survey.forms.pop(name, None)
            if value.dtype == INT64:
                survey.forms[name] = _form(value, survey)
        case Declare(name):
            survey.inside.add(name)
            survey.forms.pop(name, None)
        case Assign(name):
            return name in survey.inside
        case Reduce(name, operation, value):
            return name in survey.inside or _admit_reduction(name, operation, value.dtype, survey)
        case Store(buffer, indices) | Update(buffer, indices):
            survey.written.add(buffer.root)
            return _admit_access(buffer, indices, survey)
        case Loop(index, start, stop, body):
            survey.inside.add(index)
            survey.forms.pop(index, None)
            survey.ranges[index] = _literal_range(start, stop)
            return all(_admit(inner, survey) for inner in body)
        case If(_, then, otherwise):
            return all(_admit(inner, survey) for inner in (*then, *otherwise))
        case Call():
            return _admit_call(statement, survey)
        case _:
            return False
    return True


def _literal_range(start: Expression, stop: Expression) -> tuple[int, int] | None:
    if isinstance(start, Literal) and isinstance(stop, Literal):
        first, last = whole(start.value), whole(stop.value) - 1
        return first, last if last > first else first
    return None


def _admit_reduction(name: str, operation: str, dtype: DType, survey: _Survey) -> bool:
    known = operation == "add" if dtype.kind == "c" else operation in REAL_REDUCTIONS
    return known and survey.reductions.setdefault(name, (operation, dtype)) == (operation, dtype)


def _admit_expression(expression: Expression, survey: _Survey) -> bool:
    for part in subexpressions(expression):
        if isinstance(part, Variable):
            survey.names_read.add(part.name)
        elif isinstance(part, Load) and not _admit_access(part.buffer, part.indices, survey):
            return False
    return True


def _admit_call(call: Call, survey: _Survey) -> bool:
    """Kernels that run on any thread: matrix products, but for panels, which come in order."""
    if call.kernel not in ("matmul", "product") or call.params:
        return False
    survey.written.update(view.buffer.root for view in call.results)
    return all(_admit_view(view, survey) for view in views(call))


def _admit_view(view: View, survey: _Survey) -> bool:
    """A part of a buffer: every element from its first on."""
    rest = 1
    for extent in view.buffer.shape[len(view.indices) :]:
        rest *= extent
    return _admit_access(view.buffer, view.indices, survey, rest - 1 if rest > 1 else 0)


def _admit_access(buffer: Buffer, indices: Indices, survey: _Survey, beyond: int = 0) -> bool:
    """Note an access to an element, and to as many `beyond` it; tapes are for one thread."""
    if buffer.is_tape or buffer.root.is_tape:
        return False
    flat = LinearForm()
    dimensions: list[Interval | None] = []
    for stride, index in zip(strides(buffer), indices, strict=False):
        form = _form(index, survey)
        flat.add(form, stride)
        dimensions.append(_interval(form, survey))
    dimensions += [None] * (len(buffer.shape) - len(indices))
    place = _interval(flat, survey)
    if place is not None and beyond:
        place = Interval(place.scale, place.symbols, place.lowest, place.highest + beyond)
    access = _Access(buffer, place, tuple(dimensions))
    survey.accesses.setdefault(buffer.root, []).append(access)
    return True


# Index arithmetic


def _form(expression: Expression, survey: _Survey) -> LinearForm:
    """An int64 expression as a linear form in names that have no form of their own."""
    result = LinearForm()
    match expression:
        case Literal(value):
            return LinearForm(whole(value))
        case Variable(name) if name in survey.forms:
            result.add(survey.forms[name])
            return result
        case Operation("add" | "subtract" as name, (left, right)):
            result.add(_form(left, survey))
            result.add(_form(right, survey), 1 if name == "add" else -1)
            return result
        case Operation("negative", (operand,)):
            result.add(_form(operand, survey), -1)
            return result
        case Operation("multiply", (left, right)):
            first, second = _form(left, survey), _form(right, survey)
            if first.terms:
                first, second = second, first
            if not first.terms:
                result.add(second, first.constant)
                return result
    return LinearForm(0, {expression: 1})


def _interval(form: LinearForm, survey: _Survey) -> Interval | None:
    """Where a form lies; None where one of its terms may be anything."""
    scale, lowest, highest = 0, form.constant, form.constant
    symbols = set()
    for term, factor in form.terms.items():
        if isinstance(term, Variable) and term.name == survey.index:
            scale = factor
            continue
        if isinstance(term, Variable) and term.name in survey.ranges:
            limits = survey.ranges[term.name]
            if limits is None:
                return None
            ends = (factor * limits[0], factor * limits[1])
            lowest, highest = lowest + min(ends), highest + max(ends)
            continue
        if _varies(term, survey):
            return None
        symbols.add((term, factor))
    return Interval(scale, frozenset(symbols), lowest, highest)


def _varies(term: Expression, survey: _Survey) -> bool:
    """Whether a term may differ between iterations, or in one of them."""
    return any(
        isinstance(part, Load)
        or (
            isinstance(part, Variable) and (part.name in survey.inside or part.name == survey.index)
        )
        for part in subexpressions(term)
    )
