"""A loop whose test, bounds or body are traced: the body is traced once, and what it changes is
carried."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from types import FunctionType
from typing import Any

from tracer.source.carry import Carried, Types
from tracer.source.jumps import is_hidden
from tracer.source.memory import Memory
from tracer.source.protocol import Host, Leaves
from tracer.source.slots import ArraySlot, Slot, Undefined
from tracer.source.values import (
    Again,
    Needless,
    default_type,
    describe,
    flatten,
    is_array,
    is_same,
    is_unbound,
    mark_conditional,
    place,
)

MOST_ATTEMPTS = 24


@dataclass(frozen=True)
class Plan:
    """What traces of the body have taught about the places that it changes.

    found    places besides the variables which it assigns
    rebound  variables that it assigns by `+=` alone, and yet to another object
    fixed    variables that it leaves as they are: they are not carried
    loose    those of which that was said too early
    """

    found: tuple[str, ...] = ()
    rebound: frozenset[str] = frozenset()
    fixed: frozenset[str] = frozenset()
    loose: frozenset[str] = frozenset()


class Lessons(threading.local):
    """What was learned while tracing: plans for good, types until the outermost loop or branch is
    done."""

    def __init__(self) -> None:
        self.loops: list[Loop] = []  # those that are being traced, outer ones first
        self.plans: dict[Any, Any] = {}
        self.types: dict[Any, dict[str, Types]] = {}
        self.depth = 0

    def __enter__(self) -> None:
        self.depth += 1

    def __exit__(self, *_: object) -> None:
        self.depth -= 1
        if not self.depth:
            self.types.clear()


class Loop:
    """One loop. `outputs` are the variables which it assigns and somebody reads, `updates` those of
    them that it assigns by `+=` and its like alone."""

    def __init__(
        self,
        host: Host,
        body: Callable[..., Any],
        asked: Callable[..., Any] | None,
        outputs: Iterable[str],
        updates: Iterable[str],
        lessons: Lessons,
    ) -> None:
        assert isinstance(body, FunctionType), "the body of a loop is a Python function"
        self.host = host
        self.body = body
        self.memory = Memory(host, (body, asked))
        self.outputs = tuple(outputs)
        self.updates = frozenset(updates)
        self.where = place(body.__code__)
        self.lessons = lessons
        self.key = "loop", id(body.__code__)
        self.plan: Plan = lessons.plans.get(self.key) or Plan()
        self.types = lessons.types.setdefault(self.key, {})
        self.surely_runs = False
        self.ends = True
        self._carried: list[Carried] = []
        self._late: dict[str, Slot] = {}
        self._fixed: dict[str, Any] = {}

    @property
    def touches_abstract(self) -> bool:
        """Whether an array without a value is within the reach of the body."""
        return any(self.host.is_abstract(slot.tracer) for slot, _ in self.memory.arrays)

    def run(
        self, drive: Callable[[Leaves], Leaves], *, surely_runs: bool, ends: bool = True
    ) -> None:
        """Trace the loop with `drive`, which gets the initial carry; afterwards the variables hold
        the result.

        `surely_runs`: the body runs at least once, so what it assigns is bound afterwards.
        `ends`: the loop ends even if its body changes nothing.
        """
        self.surely_runs = surely_runs
        self.ends = ends
        self.lessons.loops.append(self)
        try:
            self._attempts(drive)
        finally:
            self.lessons.loops.pop()

    def _attempts(self, drive: Callable[[Leaves], Leaves]) -> None:
        stale = bool(self.types)
        with self.lessons:
            for _ in range(MOST_ATTEMPTS):
                try:
                    result = drive(self._begin())
                except Again:
                    self.memory.restore()
                    continue
                except Needless:
                    result = []
                except Exception as error:
                    self.memory.restore()
                    if not stale:
                        if not self.surely_runs:
                            mark_conditional(error, self.where)
                        raise
                    stale = False  # types learned where the outer types were others
                    self.types.clear()
                    continue
                self.memory.restore()
                self._write(list(result))
                self._finish()
                return
        self.memory.restore()
        raise self.error("the loop changes other variables each time that it is traced")

    def step(self, arguments: tuple[Any, ...], carry: Leaves) -> Leaves:
        """One turn: from the carry before it to the carry after it."""
        self.memory.restore()
        began = self._write(list(carry))
        self.body(*arguments)
        result = self._collect(began)
        self.memory.restore()
        return result

    def ask(self, question: Callable[[], Any], carry: Leaves) -> Any:
        """What the test of the loop says of that carry."""
        self.memory.restore()
        self._write(list(carry))
        answer = question()
        known = {carried.slot.path for carried in self._carried}
        changed = [slot.path for slot in self.memory.changed() if slot.path not in known]
        self.memory.restore()
        if changed:
            raise self.error(f"the test of the loop changes '{changed[0]}'; change it in the body")
        return answer

    def error(self, message: str) -> Exception:
        """A `ControlFlowError` at the line of the loop."""
        return self.host.control_flow_error(f"{self.where}: {message}")

    def _begin(self) -> Leaves:
        """Decide what is carried; the initial carry."""
        self._carried, self._late, self._fixed = [], {}, {}
        places = {slot.path: (slot, before) for slot, before in self.memory.places()}
        arrays = {id(slot.tracer): slot for slot, _ in self.memory.arrays}
        known: set[str] = set()
        for name in self.outputs:
            slot: Slot = self.memory.variable(name, self.body)
            before = slot.read()
            if name in self.updates and name not in self.plan.rebound and id(before) in arrays:
                slot = arrays[
                    id(before)
                ]  # `array += value` changes the array, whatever names it has
                before = places[slot.path][1]
            if slot.path not in known:
                known.add(slot.path)
                self._carry(slot, before)
        for path in self.plan.found:
            if path in places and path not in known:
                self._carry(*places[path])
        return [leaf for carried in self._carried for leaf in carried.start()]

    def _carry(self, slot: Slot, before: Any) -> None:
        types = self.types.setdefault(slot.path, Types())
        if slot.path in self.plan.fixed:
            self._fixed[slot.path] = before
        elif is_unbound(before) and types.fill is None:
            self._late[slot.path] = slot
        else:
            self._carried.append(Carried(self.host, slot, before, types))

    def _write(self, carry: Leaves) -> list[Any]:
        """Let the places hold the carry; their values."""
        values = [carried.value(carry) for carried in self._carried]
        for carried, value in zip(self._carried, values, strict=True):
            carried.slot.write(value)
        return values

    def _collect(self, began: list[Any]) -> Leaves:
        """What the body made of the carry; `Again` where it taught something."""
        resized = self.memory.resized()
        if resized is not None:
            raise self.error(
                f"the body of the loop changes '{resized}' (it grows, shrinks, or is a plain"
                " array), and a traced loop runs as one node; make an array of the final size"
                " before the loop and assign to its elements"
            )
        plan = self._compared(began)
        if self._filled() or plan != self.plan:
            self.plan = self.lessons.plans[self.key] = plan
            raise Again
        result: Leaves = []
        learned = False
        for carried in self._carried:
            leaves, dtypes = carried.collect(self.where)
            result += leaves
            learned |= bool(dtypes)
            carried.types.dtypes.update(dtypes)
        if learned:
            raise Again
        if not result and self.ends:
            raise Needless
        if not result:
            raise self.error("the body of the loop changes nothing, so a traced test never ends it")
        return result

    def _compared(self, began: list[Any]) -> Plan:
        """The plan, with what this trace of the body has taught."""
        plan = self.plan
        carried = {c.slot.path for c in self._carried} | self._late.keys()
        inplace = {id(c.slot.tracer) for c in self._carried if isinstance(c.slot, ArraySlot)}
        found = list(plan.found)
        rebound, loose = set(plan.rebound), set(plan.loose)
        for slot in self.memory.changed():
            path = slot.path
            if path in carried or (isinstance(slot, ArraySlot) and id(slot.tracer) in inplace):
                continue
            if path in self._fixed:
                if not self._equal(self._fixed[path], slot.read()):
                    loose.add(path)
            elif path in self.updates and path not in rebound:
                rebound.add(path)
            elif path not in found:
                found.append(path)
        fixed = {
            c.slot.path
            for c, value in zip(self._carried, began, strict=True)
            if c.slot.path not in loose and self._equal(value, c.slot.read())
        }
        return replace(
            plan,
            found=tuple(found),
            rebound=frozenset(rebound),
            fixed=(plan.fixed | fixed) - loose,
            loose=frozenset(loose),
        )

    def _equal(self, first: Any, second: Any) -> bool:
        """Whether two values are the same arrays and Python values."""
        if is_unbound(first) or is_unbound(second):
            return first is second
        (leaves, structure), (others, other_structure) = flatten(first), flatten(second)
        return structure == other_structure and all(map(self._same_leaf, leaves, others))

    def _same_leaf(self, one: Any, two: Any) -> bool:
        if self.host.is_traced(one):
            return self.host.is_traced(two) and self.host.same_value(one, two)
        return is_same(one, two)

    def _filled(self) -> bool:
        """Variables that the body binds first are carried from zeros on, where nobody can see the
        zeros."""
        learned = False
        for path, slot in self._late.items():
            value = slot.read()
            if is_unbound(value) or not (self.surely_runs or is_hidden(path)):
                continue
            leaves, structure = flatten(value)
            if all(is_array(leaf, self.host) for leaf in leaves):
                types = tuple(default_type(leaf, self.host) for leaf in leaves)
                self.types[path].fill = structure, types
                learned = True
            elif self.surely_runs:
                raise self.error(f"the loop binds '{path}' to {describe(value, self.host)}")
        return learned

    def _finish(self) -> None:
        for slot in self._late.values():
            message = (
                f"'{slot.path}' is bound only inside the loop that begins here, which may run no"
                " turn at all, and is read later; give it a value before the loop"
            )
            slot.write(Undefined(self.error(message)))
