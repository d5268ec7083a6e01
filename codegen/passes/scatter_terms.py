"""What a nest of loops adds by index: its updates, and which loops say where each of them goes.

Of the loops around an update some have an index of its memory for themselves: iterations of them
meet nowhere. Those whose index only names places together with data, or none at all, may meet. An
update is brought into an order which keeps the iterations of these in theirs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from codegen.device.machine import DeviceMachine
from codegen.loops.linear import constant_trip
from codegen.loops.nodes import Expression, Let, Literal, Load, Loop, Update, Variable
from codegen.loops.walk import subexpressions
from codegen.passes.rewrite import substitute
from tracer.types import INT64

COMBINERS = frozenset(["add", "multiply", "maximum", "minimum", "logical_and", "logical_or"])
LANES = 4
"""Of the threads that run at the same time, the part that lanes have to fill: adding in order
needs no sort."""
RESIDENT = 8
"""How many of them there may be on a processor at one time."""


@dataclass(slots=True)
class Term:
    """One update: the loops around it, outer ones first, and the scalars named before it."""

    loops: list[Loop]
    lets: list[Let]
    update: Update


class UnsupportedError(Exception):
    """The loop does something that is not brought into another order."""


def terms_of(loop: Loop) -> list[Term]:
    """The updates of a nest of parallel loops and scatters, each with all that it needs;
    UnsupportedError where there is anything else, or two updates of the same memory."""
    terms = _terms(loop, [], [])
    for number, term in enumerate(terms):
        if not all(_apart(term.update, other.update) for other in terms[:number]):
            raise UnsupportedError
    return terms


def _terms(loop: Loop, loops: list[Loop], lets: list[Let]) -> list[Term]:
    if not isinstance(loop.start, Literal) or not constant_trip(loop) or loop.reverse:
        raise UnsupportedError
    if loop.kind not in ("parallel", "scatter"):
        raise UnsupportedError
    loops, lets = [*loops, loop], list(lets)
    found: list[Term] = []
    for statement in loop.body:
        if isinstance(statement, Let):
            lets.append(statement)
        elif isinstance(statement, Loop):
            found += _terms(statement, loops, lets)
        elif isinstance(statement, Update):
            found.append(Term(loops, list(lets), statement))
        else:
            raise UnsupportedError
    return found


def _apart(one: Update, two: Update) -> bool:
    """Whether two updates never meet: their memory differs, or some index always does."""
    if one.buffer.root is not two.buffer.root:
        return True
    return one.buffer is two.buffer and any(
        isinstance(left, Literal) and isinstance(right, Literal) and left != right
        for left, right in zip(one.indices, two.indices, strict=True)
    )


class Plan:
    """How the iterations around an update may be ordered.

    meeting   loops whose iterations may meet, and those that are part of where they go: as many
              of the latter as have an index for themselves are `lanes`, the others are `serial`
    inner     loops whose iterations lie apart, wherever those of the others go
    axes      the dimensions of memory that `meeting` loops say a place in
    steps     iterations of the serial loops
    """

    def __init__(self, term: Term) -> None:
        update = term.update
        if update.buffer.is_tape or update.operation not in COMBINERS:
            raise UnsupportedError
        self.term = term
        self.sources: dict[str, frozenset[str]] = {
            loop.index: frozenset((loop.index,)) for loop in term.loops
        }
        own = set(self.sources)
        for let in term.lets:
            self.sources[let.name] = self.loops_of(let.value)
        direct = own & {part.name for part in update.indices if isinstance(part, Variable)}
        uses = [self.loops_of(index) for index in update.indices]
        meeting = {loop.index for loop in term.loops if loop.kind == "scatter"} - direct
        while more := {name for used in uses if used & meeting for name in used} - meeting:
            meeting |= more
        self.axes = [axis for axis, used in enumerate(uses) if used & meeting]
        self.meeting = [loop for loop in term.loops if loop.index in meeting]
        self.lanes = [loop for loop in self.meeting if loop.index in direct]
        self.serial = [loop for loop in self.meeting if loop.index not in direct]
        self.steps = _count(self.serial)
        self.inner = [loop for loop in term.loops if loop.index not in meeting]
        self.extents = [update.buffer.shape[axis] for axis in self.axes]
        self.trips = [constant_trip(loop) or 0 for loop in self.meeting]
        self.count = math.prod(self.trips)
        self.ends_inside = bool(uses) and len(uses) - 1 in self.axes
        places = {name: axis for axis, used in reversed([*enumerate(uses)]) for name in used}
        self.apart = sorted(
            [loop for loop in term.loops if loop not in self.serial],
            key=lambda loop: places.get(loop.index, -1),
        )

    def loops_of(self, value: Expression) -> frozenset[str]:
        """The loops of the nest that a value depends on."""
        found: set[str] = set()
        for part in subexpressions(value):
            if isinstance(part, Variable):
                found |= self.sources.get(part.name, frozenset())
        return frozenset(found)

    def needed(self, wanted: set[str]) -> list[Let]:
        """The scalars that those names need."""
        wanted = set(wanted)
        found = []
        for let in reversed(self.term.lets):
            if let.name in wanted:
                wanted |= names_of((let.value,))
                found.append(let)
        return found[::-1]

    def place(self) -> tuple[Expression, ...]:
        """The indices that say a place."""
        return tuple(self.term.update.indices[axis] for axis in self.axes)

    def sort_key(self) -> object:
        """Equal for updates whose places are sorted alike."""
        loops = tuple(loop.index for loop in self.meeting)
        return loops, self.place(), tuple(self.extents)

    def common_key(self) -> object:
        """Equal for updates anywhere whose places are sorted alike, since they are found from
        inputs; None where something else says them."""
        names: dict[str, Expression] = {
            loop.index: Variable(f"#{number}", INT64) for number, loop in enumerate(self.meeting)
        }
        own = {part.name for part in names.values() if isinstance(part, Variable)}
        for let in self.needed(names_of(self.place())):
            names[let.name] = substitute(let.value, names)
        places = tuple(substitute(index, names) for index in self.place())
        loads = [part for index in places for part in subexpressions(index)]
        fixed = all(
            part.buffer.root.role in ("input", "constant")
            for part in loads
            if isinstance(part, Load)
        )
        if not fixed or not names_of(places) <= own:
            return None
        return places, tuple(loop.start for loop in self.meeting), (*self.trips, *self.extents)

    def key(self) -> object:
        """Equal for updates that may be made by the same loops besides."""
        inner = tuple(loop.index for loop in self.inner)
        return self.sort_key(), inner, self.ends_inside

    def is_sum(self) -> bool:
        """Whether all iterations of the loops that meet go to one place."""
        return bool(self.meeting) and not self.axes

    def in_order(self, machine: DeviceMachine) -> bool:
        """Whether it is as fast to add the terms of each place one after the other, in as many
        threads as there are iterations apart from each other: they fill the device, or have
        little to do."""
        if self.is_sum():
            return False
        if self.steps <= machine.serial:
            return True
        return fills(self.lanes, self.apart, machine)


def fills(lanes: list[Loop], apart: list[Loop], machine: DeviceMachine) -> bool:
    """Whether `lanes`, each with a sum of its own, or all loops `apart` keep a device busy."""
    full = machine.processors * machine.threads
    return (bool(lanes) and _count(lanes) >= full // LANES) or _count(apart) >= RESIDENT * full


def names_of(parts: tuple[Expression, ...]) -> set[str]:
    """The scalars that expressions read."""
    return {
        part.name
        for expression in parts
        for part in subexpressions(expression)
        if isinstance(part, Variable)
    }


def _count(loops: list[Loop]) -> int:
    return math.prod(constant_trip(loop) or 0 for loop in loops)
