"""Which loop's iterations become lanes, how many at once, and what that is estimated to cost."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from codegen.loops.linear import strides
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
)
from codegen.loops.operations import DType
from codegen.loops.sizes import is_size, typical, whole
from codegen.loops.walk import contains_load
from codegen.render.llvm_composite import COMPOSITES
from codegen.render.llvm_forms import Forms
from codegen.render.llvm_operands import SHORT
from codegen.render.vector_math import FUNCTIONS

UNKNOWN_TRIPS = 32
HEAVY = 20.0
WEIGHTS = {"divide": 4.0, "sqrt": 5.0, "reciprocal": 4.0, "floor_divide": 10.0, "remainder": 10.0}
REDUCTIONS = frozenset(
    (
        *("add", "multiply", "maximum", "minimum", "fmax", "fmin"),
        *("logical_and", "logical_or", "bitwise_and", "bitwise_or", "bitwise_xor"),
    )
)
MOST_COPIES = 4
LIGHT = 12.0
LONG_BODY = 60.0
"""The estimated cost of a body from which on its instructions wait for each other more than for
the processor: two registers at a time then keep it busy, from `LONGEST_BODY` to `HUGE_BODY` four.
With AVX-512 one is enough, and elementary functions have shorter forms for just one.
"""
LONGEST_BODY = 150.0
HUGE_BODY = 250.0
"""The estimated cost of a body from which on two registers at a time keep the processor busy as
well: four run a twentieth faster at most, and take twice as long to compile.
"""
MOST_LANES = 16
LANE_TYPES = frozenset("?bBhHiIlLqQefdE")
"""E is bfloat16's."""
"""The dtypes, by their letter, that lanes can hold."""
CALL, MULTIPLICATIONS = 40.0, 8.0
"""The cost of a call of a matrix product, and how many of its multiplications cost as much as an
operation.
"""
MOST_SUMS = 8
"""How many registers of sums a body holds at most, so that what is added finds room beside them."""


@dataclass(slots=True)
class Lanes:
    """A loop whose iterations can be lanes: how many, and what it reduces into from outside.

    `narrow` is how many fill one register, where `width` fills several.
    """

    width: int
    copies: int
    reductions: dict[str, tuple[str, DType]]
    cost: float
    light: bool = False
    narrow: int = 0


@dataclass(slots=True)
class _Survey:
    """What is found on the way through a loop's body.

    `steps` says by the identities of a buffer and of indices how far apart lanes lie there.
    """

    index: str
    forms: Forms
    varying: set[str] = field(default_factory=set)
    inside: set[str] = field(default_factory=set)
    reductions: dict[str, tuple[str, DType]] = field(default_factory=dict)
    steps: dict[tuple[int, int], int | None] = field(default_factory=dict)
    itemsize: int = 1
    functions: bool = False
    loops: bool = False


def trip_count(loop: Loop) -> int | None:
    """How often a loop runs, where that is a constant."""
    if isinstance(loop.start, Literal) and isinstance(loop.stop, Literal):
        first, last = whole(loop.start.value), whole(loop.stop.value)
        return last - first if last > first else 0
    return None


def estimated(trips: int | None) -> int:
    """A number of iterations for estimates; alike for all sizes."""
    return UNKNOWN_TRIPS if trips is None else typical(trips)


class Vectorizer:
    """Answers for one program; the costs of loops are kept, and how they run in lanes for as long
    as no name has got another form.
    """

    def __init__(self, vector_bytes: int, most_copies: int = MOST_COPIES) -> None:
        self.vector_bytes = vector_bytes
        self.most_copies = most_copies
        self.costs: dict[int, float] = {}
        self.found: dict[int, tuple[int, Lanes | None]] = {}
        self.kept: list[Loop] = []

    def plan(self, loop: Loop, forms: Forms) -> Lanes | None:
        """How to run a loop in lanes; None where it cannot, or where that does not pay."""
        known = self.found.get(id(loop))
        if known is not None and known[0] == forms.changes:
            lanes = known[1]
        else:
            lanes = self.lanes(loop, forms)
        if lanes is None or lanes.cost >= self.plain_cost(loop, forms):
            return None
        return lanes

    def cost(self, loop: Loop, forms: Forms) -> float:
        """The cost of a loop in the better way."""
        key = id(loop)
        if key not in self.costs:
            lanes = self.lanes(loop, forms)
            self.found[key] = forms.changes, lanes
            plain = self.plain_cost(loop, forms)
            self.costs[key] = plain if lanes is None else min(plain, lanes.cost)
            self.kept.append(loop)
        return self.costs[key]

    def plain_cost(self, loop: Loop, forms: Forms) -> float:
        """The cost of running the iterations one by one."""
        trips = trip_count(loop)
        total = 2.0
        for statement in loop.body:
            total += self.scalar_cost(statement, forms)
        return total * estimated(trips)

    def scalar_cost(self, statement: Statement, forms: Forms) -> float:
        """The cost of a statement outside of lanes."""
        match statement:
            case Loop():
                return self.cost(statement, forms)
            case If(_, then, otherwise):
                both = (*then, *otherwise)
                return 2.0 + sum(self.scalar_cost(part, forms) for part in both) / 2
            case Let(value=value) | Declare(value=value) | Assign(value=value):
                return operations_cost(value)
            case Reduce(value=value):
                return operations_cost(value) + 3.0
            case Store(value=value):
                return operations_cost(value) + 1.0
            case Update(value=value):
                return operations_cost(value) + 3.0
            case Call(kernel="product", operands=(left, right)):
                work = math.prod(typical(extent) for extent in (*left.shape, right.shape[1]))
                return CALL + work / MULTIPLICATIONS
        return 10.0

    def lanes(self, loop: Loop, forms: Forms) -> Lanes | None:
        """How a loop would run in lanes; None where it cannot."""
        trips = trip_count(loop)
        if loop.kind == "serial" or loop.reverse or (trips is not None and trips < 2):
            return None
        survey = _Survey(loop.index, Forms(forms), {loop.index})
        survey.forms.index(loop.index)
        if not self.admissible(loop.body, survey):
            return None
        width = min(MOST_LANES, self.vector_bytes // survey.itemsize)
        if width < 2 or (trips is not None and trips <= width // 4):
            return None
        cost = sum(self.lane_cost(part, survey, width) for part in loop.body) + 2.0
        many = trips is None or is_size(trips) or trips > 8 * width
        if cost > LONG_BODY and self.vector_bytes <= 32 and many:
            most = 4 if LONGEST_BODY <= cost < HUGE_BODY else 2
            factor = min(most, MOST_LANES // width)
            sums = sum(isinstance(part, Declare) for part in loop.body)
            factor = min(factor, max(1, MOST_SUMS // max(1, sums)))
            cost, width = cost * factor, width * factor
        count = estimated(trips)
        vectors = math.ceil(count / width)
        copies = 1
        light = not survey.functions and not survey.loops and cost <= LIGHT
        light &= self.most_copies > 1
        narrow = min(width, self.vector_bytes // survey.itemsize)
        wide = width > narrow
        if survey.reductions and trips is not None and not survey.loops and not wide:
            most = self.most_copies if light else min(self.most_copies, 2)
            copies = max(1, min(most, trips // width))
        tail = 3.0 if count % width else 0.0
        total = cost * vectors + tail + 8.0 * len(survey.reductions)
        return Lanes(width, copies, survey.reductions, total, light, narrow)

    # What may be in lanes

    def admissible(self, body: tuple[Statement, ...], survey: _Survey) -> bool:
        """Whether statements can run in lanes; notes what they use."""
        return all(self.admit(statement, survey) for statement in body)

    def admit(self, statement: Statement, survey: _Survey) -> bool:
        """Whether one statement can."""
        match statement:
            case Let(name, value):
                varies = self.survey_value(value, survey)
                if varies is None:
                    return False
                if varies:
                    survey.varying.add(name)
                else:
                    survey.varying.discard(name)
                survey.inside.add(name)
                survey.forms.define(name, value)
                return True
            case Declare(name, value):
                survey.inside.add(name)
                survey.varying.add(name)
                survey.forms.mutable.add(name)
                survey.forms.index(name)
                return self.admit_value(value, survey)
            case Assign(name, value):
                return name in survey.inside and self.admit_value(value, survey)
            case Reduce(name, operation, value):
                return self.admit_reduction(name, operation, value, survey)
            case Store(buffer, indices, value) | Update(buffer, indices, _, value):
                return self.admit_store(buffer, indices, value, survey)
            case Loop(index, start, stop, inner):
                survey.loops = True
                survey.forms.index(index)
                uniform = not self.varies(start, survey) and not self.varies(stop, survey)
                return uniform and self.admissible(inner, survey)
            case If(condition, then, otherwise):
                if self.varies(condition, survey) or not self.admit_value(condition, survey):
                    return False
                return self.admissible((*then, *otherwise), survey)
        return False

    def admit_reduction(
        self, name: str, operation: str, value: Expression, survey: _Survey
    ) -> bool:
        """A reduction inside, or into one scalar from outside by one operation."""
        if not self.admit_value(value, survey):
            return False
        if name in survey.inside:
            return True
        entry = (operation, value.dtype)
        survey.itemsize = max(survey.itemsize, value.dtype.itemsize)
        return operation in REDUCTIONS and survey.reductions.setdefault(name, entry) == entry

    def admit_store(
        self,
        buffer: Buffer,
        indices: tuple[Expression, ...],
        value: Expression,
        survey: _Survey,
    ) -> bool:
        """A store to a place of its own for each lane, at equal distances."""
        step = self.step(buffer, indices, survey)
        survey.steps[id(buffer), id(indices)] = step
        if step is None or step == 0 or buffer.is_tape or buffer.dtype.kind == "c":
            return False
        survey.itemsize = max(survey.itemsize, buffer.dtype.itemsize)
        return self.admit_value(value, survey)

    def admit_value(self, value: Expression, survey: _Survey) -> bool:
        """An expression without complex numbers; notes the widest dtype that lanes hold."""
        return self.survey_value(value, survey) is not None

    def survey_value(self, value: Expression, survey: _Survey) -> bool | None:
        """Whether an expression may differ between lanes; None where it cannot be in lanes. Notes
        the widest dtype that lanes hold, and what is a function.
        """
        if value.dtype.char not in LANE_TYPES:
            return None
        kind = type(value)
        if kind is Literal:
            return False
        if kind is Variable:
            name = value.name  # type: ignore[union-attr]
            if name in survey.reductions:
                return None
            varies = name in survey.varying
        elif kind is Load:
            return self.survey_load(value, survey)  # type: ignore[arg-type]
        else:
            assert isinstance(value, Operation), "an expression is one of four kinds"
            varies = False
            for part in value.operands:
                found = self.survey_value(part, survey)
                if found is None:
                    return None
                varies = varies or found
            name = value.name
            if name == "zeta" or (name in COMPOSITES and value.dtype.kind != "f"):
                return None
            if not survey.functions and is_function(value):
                survey.functions = True
        if varies and value.dtype.itemsize > survey.itemsize:
            survey.itemsize = value.dtype.itemsize
        return varies

    def survey_load(self, load: Load, survey: _Survey) -> bool | None:
        """The same for an element of a buffer."""
        if load.buffer.is_tape:
            return None
        step = self.step(load.buffer, load.indices, survey)
        survey.steps[id(load.buffer), id(load.indices)] = step
        if step is None:
            survey.itemsize = 8
        elif step != 0:
            survey.itemsize = max(survey.itemsize, load.dtype.itemsize)
        for index in load.indices:
            plain = type(index) is Variable or type(index) is Literal
            if not plain and contains_load(index) and self.survey_value(index, survey) is None:
                return None
        return step is None or bool(step)

    def varies(self, value: Expression, survey: _Survey) -> bool:
        """Whether an expression may differ between lanes."""
        pending, varying = [value], survey.varying
        while pending:
            part = pending.pop()
            kind = type(part)
            if kind is Variable:
                if part.name in varying:  # type: ignore[union-attr]
                    return True
            elif kind is Operation:
                pending.extend(part.operands)  # type: ignore[union-attr]
            elif kind is Load:
                pending.extend(part.indices)  # type: ignore[union-attr]
        return False

    def step(self, buffer: Buffer, indices: tuple[Expression, ...], survey: _Survey) -> int | None:
        """How far apart lanes lie in memory; None where they lie anywhere."""
        slopes: list[int] = []
        for index in indices:
            slope = 0 if type(index) is Literal else self.slope(index, survey)
            if slope is None:
                return None
            slopes.append(slope)
        if not any(slopes):
            return 0
        pairs = zip(strides(buffer), slopes, strict=False)
        return sum(stride * slope for stride, slope in pairs if slope)

    def slope(self, value: Expression, survey: _Survey) -> int | None:
        """How much more an index is in each lane than in the one before; None where it is not
        linear.
        """
        match value:
            case Literal():
                return 0
            case Variable(name):
                if name == survey.index:
                    return 1
                form = survey.forms.find(name)
                if form is None:
                    return None if name in survey.varying else 0
            case Operation("add" | "subtract" as name, (left, right)):
                one, two = self.slope(left, survey), self.slope(right, survey)
                if one is None or two is None:
                    return None
                return one + two if name == "add" else one - two
            case _:
                if not self.varies(value, survey):
                    return 0
                form = survey.forms.linear(value)
        slope = 0
        for term, scale in form.terms.items():
            if isinstance(term, Variable) and term.name == survey.index:
                slope = scale
            elif self.varies(term, survey):
                return None
        return slope

    # Costs in lanes

    def lane_cost(self, statement: Statement, survey: _Survey, width: int) -> float:
        """The cost of a statement for all lanes together."""
        match statement:
            case Loop(index=index, body=body):
                trips = trip_count(statement)
                survey.forms.index(index)
                inner = sum(self.lane_cost(part, survey, width) for part in body) + 2.0
                return inner * estimated(trips)
            case If(_, then, otherwise):
                return 2.0 + sum(self.lane_cost(p, survey, width) for p in (*then, *otherwise)) / 2
            case Let(value=value) | Declare(value=value) | Assign(value=value):
                return self.value_cost(value, survey, width)
            case Reduce(value=value):
                return self.value_cost(value, survey, width) + 1.0
            case Store(buffer, indices, value):
                access = self.access_cost(buffer, indices, survey, width)
                return self.value_cost(value, survey, width) + access
            case Update(buffer, indices, _, value):
                access = self.access_cost(buffer, indices, survey, width)
                return self.value_cost(value, survey, width) + 2 * access + 1.0
        return 10.0

    def value_cost(self, value: Expression, survey: _Survey, width: int) -> float:
        """The cost of an expression for all lanes."""
        total = 0.0
        pending = [value]
        while pending:
            part = pending.pop()
            if isinstance(part, Load):
                total += self.access_cost(part.buffer, part.indices, survey, width)
            elif isinstance(part, Operation):
                weight = operation_weight(part)
                if part.dtype.kind in "iu" and part.name in ("floor_divide", "remainder", "fmod"):
                    weight *= width
                total += weight * 1.2
                pending.extend(part.operands)
        return total

    def access_cost(
        self, buffer: Buffer, indices: tuple[Expression, ...], survey: _Survey, width: int
    ) -> float:
        """The cost of reading or writing one element a lane."""
        key, known = (id(buffer), id(indices)), survey.steps
        step = known[key] if key in known else self.step(buffer, indices, survey)
        if step is None:
            return 2.5 * width
        if step == 0:
            return 1.0
        return 1.2 if step == 1 else 1.6 if step == -1 else 1.5 * width


def is_function(operation: Operation) -> bool:
    """Whether an operation is an elementary function of many instructions."""
    return operation.name in FUNCTIONS and operation.name not in SHORT


def operation_weight(operation: Operation) -> float:
    """Roughly how many simple instructions an operation costs."""
    if operation.name in WEIGHTS:
        return WEIGHTS[operation.name]
    return HEAVY if is_function(operation) else 1.0


def operations_cost(value: Expression) -> float:
    """The cost of an expression on scalars."""
    total = 0.0
    pending = [value]
    while pending:
        part = pending.pop()
        if isinstance(part, Load):
            total += 1.0
        elif isinstance(part, Operation):
            total += operation_weight(part)
            pending.extend(part.operands)
    return total
