"""What a serial loop carries from one iteration to the next, where that is linear: `s = a·s + b`
for one scalar, or for few that depend on each other; and sums and extremes that nothing in the loop
reads. a and b are expressions of what an iteration computes without anything that is carried.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from codegen.loops.build import literal, operation
from codegen.loops.nodes import (
    Assign,
    Buffer,
    Expression,
    Let,
    Literal,
    Load,
    Loop,
    Operation,
    Statement,
    Variable,
)
from codegen.loops.operations import DType
from codegen.loops.walk import buffers_written, own_expressions, statements, subexpressions
from codegen.passes.effects import written_in
from codegen.passes.rewrite import Body, substitute
from codegen.passes.scan_tiles import Running
from codegen.passes.split_scans import (
    carried_assigns,
    names_in,
    names_read,
    running_term,
    terms_of,
)

MOST_COUPLED = 3
"""Scalars that depend on each other: a matrix of so many rows is carried through a chunk."""
LONGEST = 60
"""Nodes of an expression for a or b."""
LINEAR = frozenset({"add", "subtract", "multiply", "divide", "negative", "positive", "select"})


@dataclass(frozen=True, slots=True)
class Linear:
    """Scalars `names` that become `factors` times themselves, a matrix by rows, plus `rest`; an
    expression that is None is zero."""

    names: tuple[str, ...]
    dtype: DType
    factors: tuple[tuple[Expression | None, ...], ...]
    rest: tuple[Expression | None, ...]


@dataclass(frozen=True, slots=True)
class Carried:
    """What a loop carries, and the statements that scalars of factors and rests are computed by."""

    linear: tuple[Linear, ...]
    sums: tuple[Running, ...]
    terms: Body


@dataclass(frozen=True, slots=True)
class _Form:
    """Factors of carried scalars, and what is added to these; None is zero."""

    factors: dict[str, Expression]
    rest: Expression | None = None


def carried_by(loop: Loop) -> Carried | None:
    """What a loop carries; None where that is something else, or iterations meet in memory."""
    assigns = carried_assigns(loop)
    if assigns is None:
        return None
    sums = [found for one in assigns if (found := _as_sum(loop.body, one)) is not None]
    aside = {one.name for one in sums}
    forms = _forms(loop.body, assigns, aside)
    if not forms:
        return None
    dtypes = {one.name: one.value.dtype for one in assigns if one.name not in aside}
    if any(dtype.kind not in "fciu" or dtype.itemsize < 4 for dtype in dtypes.values()):
        return None
    linear: list[Linear] = []
    for names in _coupled(forms):
        if len(names) > MOST_COUPLED:
            return None
        factors = tuple([tuple([forms[row].factors.get(name) for name in names]) for row in names])
        rest = tuple([forms[row].rest for row in names])
        linear.append(Linear(names, dtypes[names[0]], factors, rest))
    rows = [row for one in linear for row in (*one.factors, one.rest)]
    values = [value for row in rows for value in row if value is not None]
    wanted = [Running(one.name, "add", literal(0, one.value.dtype)) for one in assigns]
    wanted += [Running(assigns[0].name, "add", value) for value in values]
    terms = terms_of(loop, wanted, _read_first(loop.body))
    return None if terms is None else Carried(tuple(linear), tuple(sums), terms)


def _read_first(body: Body) -> set[Buffer]:
    """Memory that an iteration reads before it writes there: what it reads of its own is there
    until then."""
    first: dict[Buffer, int] = {}
    last: dict[Buffer, int] = {}
    for number, part in enumerate(body):
        for inner in statements((part,)):
            last.update({buffer.root: number for buffer in _loaded(inner)})
            for buffer in buffers_written(inner):
                first.setdefault(buffer.root, number)
    return {root for root, number in last.items() if number < first.get(root, len(body))}


def _loaded(statement: Statement) -> set[Buffer]:
    values = own_expressions(statement)
    return {p.buffer for value in values for p in subexpressions(value) if isinstance(p, Load)}


def _as_sum(body: Body, assign: Assign) -> Running | None:
    """An assignment as a sum or an extreme of which the loop reads nothing else."""
    values: dict[str, Expression] = {}
    for part in body:
        if part is assign or {assign.name, *values}.isdisjoint(names_read(part)):
            continue
        if not isinstance(part, Let):
            return None
        values[part.name] = substitute(part.value, values)
    found = running_term(assign.name, substitute(assign.value, values))
    return None if found is None or assign.name in names_in(found.value) else found


def _forms(body: Body, assigns: Sequence[Assign], aside: set[str]) -> dict[str, _Form] | None:
    """The new value of each carried scalar, of the values before; but of those aside. None where
    one has no form."""
    now: dict[str, _Form | None] = {}
    for one in assigns:
        start = _Form({one.name: literal(1, one.value.dtype)})
        now[one.name] = None if one.name in aside else start
    found: dict[str, _Form] = {}
    for part in body:
        if isinstance(part, Assign) and part.name in now:
            form = _form(part.value, now)
            now[part.name] = form
            if part.name not in aside:
                if form is None:
                    return None
                found[part.name] = form
        elif not now.keys().isdisjoint(names_read(part)):
            form = _form(part.value, now) if isinstance(part, Let) else None
            now.update({name: form for name in written_in((part,)) if isinstance(name, str)})
    return found


def _coupled(forms: Mapping[str, _Form]) -> list[tuple[str, ...]]:
    """The scalars in groups that depend on each other."""
    groups: list[list[str]] = []
    for name, form in forms.items():
        near = {name, *form.factors}
        joined = [group for group in groups if not near.isdisjoint(group)]
        groups = [group for group in groups if near.isdisjoint(group)]
        merged = [one for group in joined for one in group]
        groups.append(merged + [one for one in forms if one in near and one not in merged])
    return [tuple(group) for group in groups]


def _form(value: Expression, now: Mapping[str, _Form | None]) -> _Form | None:
    """The form of an expression; `now` has those of the scalars that depend on what is carried."""
    if names_in(value).isdisjoint(now):
        return _Form({}, value)
    if isinstance(value, Variable):
        return now[value.name]
    if not isinstance(value, Operation) or value.name not in LINEAR:
        return None
    condition = value.operands[0] if value.name == "select" else None
    operands = value.operands[1:] if condition is not None else value.operands
    if condition is not None and not names_in(condition).isdisjoint(now):
        return None
    if any(operand.dtype != value.dtype for operand in operands):
        return None
    forms = [_form(operand, now) for operand in operands]
    first, second = forms[0], forms[-1]
    if first is None or second is None:
        return None
    if condition is not None:
        return _joined(first, second, lambda one, other: _chosen(condition, one, other, value))
    if value.name in ("add", "subtract"):
        return _joined(first, second, lambda one, other: _sum(value.name, one, other))
    if len(forms) == 1:
        return first if value.name == "positive" else _mapped(first, lambda one: _minus(one))
    if value.name == "multiply" and not first.factors:
        first, second = second, first
    factor = second.rest
    if second.factors or factor is None:
        return None
    if value.name == "divide":
        return _mapped(first, lambda one: operation("divide", one, factor))
    return _mapped(first, lambda one: product(one, factor))


def _joined(
    left: _Form,
    right: _Form,
    join: Callable[[Expression | None, Expression | None], Expression | None],
) -> _Form | None:
    factors = {}
    for name in dict.fromkeys((*left.factors, *right.factors)):
        joined = join(left.factors.get(name), right.factors.get(name))
        if joined is not None:
            factors[name] = joined
    return _short(_Form(factors, join(left.rest, right.rest)))


def _mapped(form: _Form, change: Callable[[Expression], Expression]) -> _Form | None:
    factors = {name: change(factor) for name, factor in form.factors.items()}
    return _short(_Form(factors, None if form.rest is None else change(form.rest)))


def _short(form: _Form) -> _Form | None:
    values = [*form.factors.values(), *([] if form.rest is None else [form.rest])]
    long = any(sum(1 for _ in subexpressions(value)) > LONGEST for value in values)
    return None if long else form


def _sum(name: str, left: Expression | None, right: Expression | None) -> Expression | None:
    if right is None:
        return left
    if left is None:
        return right if name == "add" else _minus(right)
    return operation(name, left, right)


def _chosen(
    condition: Expression, left: Expression | None, right: Expression | None, like: Expression
) -> Expression | None:
    if left is None and right is None:
        return None
    zero = literal(0, like.dtype)
    return Operation("select", (condition, left or zero, right or zero), like.dtype)


def _minus(value: Expression) -> Expression:
    return operation("negative", value)


def is_one(value: Expression | None) -> bool:
    """Whether an expression is the number 1."""
    return isinstance(value, Literal) and value.value == 1


def product(left: Expression, right: Expression) -> Expression:
    """Of two factors, of which one may be 1."""
    if is_one(left) or is_one(right):
        return right if is_one(left) else left
    return operation("multiply", left, right)


def total(terms: Iterable[Expression | None], dtype: DType) -> Expression:
    """The sum of what is not zero."""
    result: Expression | None = None
    for term in terms:
        result = _sum("add", result, term)
    return literal(0, dtype) if result is None else result
