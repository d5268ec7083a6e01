"""A loop whose test, bounds or body are traced: the body is traced once, and what it changes is carried."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from types import FunctionType
from typing import Any

import numpy as np

from tracer.source.memory import ArraySlot, Memory, Slot, Undefined
from tracer.source.protocol import Host, Leaves
from tracer.source.jumps import is_hidden
from tracer.source.values import (
    NUMBERS,
    Again,
    Type,
    default_type,
    describe,
    flatten,
    frozen,
    is_array,
    is_same,
    is_unbound,
    place,
    takes,
    unflatten,
)

MOST_ATTEMPTS = 24
Step = Callable[[Any, Leaves], Leaves]


@dataclass(frozen=True)
class _Plan:
    """What traces of the body have taught.

    found    places that it changes besides the variables which it assigns
    rebound  variables that it assigns by `+=` alone, and yet to another object
    casts    (path, leaf) of a Python number before the loop → the dtype that the body makes of it
    fixed    variables that it leaves as they are: they are not carried
    loose    those of which that was said too early
    fills    variables that are unbound before the loop → the structure and types that the body gives them
    """

    found: tuple[str, ...] = ()
    rebound: frozenset[str] = frozenset()
    fixed: frozenset[str] = frozenset()
    loose: frozenset[str] = frozenset()
    casts: dict[tuple[str, int], np.dtype[Any]] = field(default_factory=dict)
    fills: dict[str, tuple[Any, tuple[Type, ...]]] = field(default_factory=dict)


@dataclass
class _Carried:
    """A place that the loop carries: what it held before, taken apart."""

    slot: Slot
    leaves: list[Any]
    structure: Any
    numbers: tuple[bool, ...]  # which leaves were Python numbers
    arrays: tuple[bool, ...]


class Loop:
    """One loop. `outputs` are the variables which it assigns and somebody reads, `updates` those of them that it
    assigns by `+=` and its like alone."""

    def __init__(
        self,
        host: Host,
        body: Callable[..., Any],
        asked: Callable[..., Any] | None,
        outputs: Iterable[str],
        updates: Iterable[str],
        plans: dict[Any, Any],
    ) -> None:
        assert isinstance(body, FunctionType), "the body of a loop is a Python function"
        self.host = host
        self.body = body
        self.memory = Memory(host, (body, asked))
        self.outputs = tuple(outputs)
        self.updates = frozenset(updates)
        self.where = place(body.__code__)
        self.plans = plans
        self.key = "loop", id(body.__code__)
        self.plan: _Plan = plans.get(self.key) or _Plan()
        self.surely_runs = False
        self._carried: list[_Carried] = []
        self._late: dict[str, Slot] = {}
        self._fixed: dict[str, Any] = {}

    @property
    def touches_abstract(self) -> bool:
        """Whether an array without a value is within the reach of the body."""
        return any(self.host.is_abstract(slot.tracer) for slot, _ in self.memory.arrays)

    def run(self, drive: Callable[[Leaves], Leaves], *, surely_runs: bool) -> None:
        """Trace the loop with `drive`, which gets the initial carry; afterwards the variables hold the result.

        `surely_runs`: the body runs at least once, so what it assigns is bound afterwards.
        """
        self.surely_runs = surely_runs
        try:
            for _ in range(MOST_ATTEMPTS):
                initial = self._begin()
                try:
                    result = drive(initial)
                except Again:
                    self.memory.restore()
                    continue
                self.memory.restore()
                self._write(list(result))
                self._finish()
                return
        except BaseException:
            self.memory.restore()
            raise
        raise self.error("the loop changes other variables each time that it is traced")

    def step(self, arguments: tuple[Any, ...], carry: Leaves) -> Leaves:
        """One turn: from the carry before it to the carry after it."""
        self.memory.restore()
        self._write(carry)
        self.body(*arguments)
        result = self._collect(carry)
        self.memory.restore()
        return result

    def ask(self, question: Callable[[], Any], carry: Leaves) -> Any:
        """What the test of the loop says of that carry."""
        self.memory.restore()
        self._write(carry)
        answer = question()
        known = {carried.slot.path for carried in self._carried}
        changed = [slot.path for slot in self.memory.changed(frozenset()) if slot.path not in known]
        self.memory.restore()
        if changed:
            raise self.error(f"the test of the loop changes '{changed[0]}'; change it in the body")
        return answer

    def error(self, message: str) -> Exception:
        """A `ControlFlowError` at the line of the loop."""
        return self.host.control_flow_error(f"{self.where}: {message}")

    def _learn(self, **changes: Any) -> None:
        self.plan = self.plans[self.key] = replace(self.plan, **changes)
        raise Again

    def _begin(self) -> Leaves:
        """Decide what is carried; the initial carry."""
        self._carried, self._late, self._fixed = [], {}, {}
        places = {slot.path: (slot, before) for slot, before in self.memory.places()}
        arrays = {id(slot.tracer): slot for slot, _ in self.memory.arrays}
        paths: dict[str, None] = {}
        for name in self.outputs:
            slot = self.memory.variable(name, self.body)
            before = slot.read()
            if name in self.updates and name not in self.plan.rebound and id(before) in arrays:
                slot = arrays[id(before)]  # `array += value` changes the array, whatever names it has
                before = places[slot.path][1]
            if slot.path not in paths:
                paths[slot.path] = None
                self._carry(slot, before)
        for path in self.plan.found:
            if path in places and path not in paths:
                self._carry(*places[path])
        return [leaf for carried in self._carried for leaf in self._arrays(carried, carried.leaves)]

    def _carry(self, slot: Slot, before: Any) -> None:
        if slot.path in self.plan.fixed:
            self._fixed[slot.path] = before
            return
        if is_unbound(before):
            if slot.path not in self.plan.fills:
                self._late[slot.path] = slot
                return
            structure, types = self.plan.fills[slot.path]
            leaves: list[Any] = [np.zeros(shape, dtype) for dtype, shape in types]
            numbers = (False,) * len(leaves)
        else:
            leaves, structure = flatten(before)
            numbers = tuple(type(leaf) in NUMBERS for leaf in leaves)
        arrays = tuple(is_array(leaf, self.host) for leaf in leaves)
        for position, number in enumerate(numbers):
            if number:
                dtype = self.plan.casts.get((slot.path, position))
                leaves[position] = np.asarray(leaves[position], dtype or default_type(leaves[position], self.host)[0])
        self._carried.append(_Carried(slot, leaves, structure, numbers, arrays))

    @staticmethod
    def _arrays(carried: _Carried, leaves: list[Any]) -> list[Any]:
        return [leaf for leaf, array in zip(leaves, carried.arrays, strict=True) if array]

    def _write(self, carry: Leaves) -> None:
        waiting = iter(carry)
        for carried in self._carried:
            pairs = zip(carried.leaves, carried.arrays, strict=True)
            leaves = [next(waiting) if array else leaf for leaf, array in pairs]
            carried.slot.write(unflatten(carried.structure, leaves))

    def _collect(self, carry: Leaves) -> Leaves:
        """What the body made of the carry; `Again` where it taught something."""
        resized = self.memory.resized()
        if resized is not None:
            raise self.error(
                f"the body of the loop changes '{resized}' (it grows, shrinks, or is a plain array), and a traced loop "
                "runs as one node; make an array of the final size before the loop and assign to its elements"
            )
        known = {carried.slot.path for carried in self._carried} | self._late.keys()
        inplace = {id(c.slot.tracer) for c in self._carried if isinstance(c.slot, ArraySlot)}
        rebound = set()
        found = []
        loose = set()
        for slot in self.memory.changed(frozenset()):
            if slot.path in known:
                continue
            if slot.path in self._fixed:
                if not self._equal(self._fixed[slot.path], slot.read()):
                    loose.add(slot.path)
                continue
            if slot.path in self.updates and slot.path not in self.plan.rebound:
                rebound.add(slot.path)
            elif not (isinstance(slot, ArraySlot) and id(slot.tracer) in inplace):
                found.append(slot.path)
        if loose:
            self._learn(fixed=self.plan.fixed - loose, loose=self.plan.loose | loose)
        if found or rebound:
            paths = tuple(dict.fromkeys((*self.plan.found, *found)))
            self._learn(found=paths, rebound=self.plan.rebound | rebound)
        self._fill()
        result: Leaves = []
        casts: dict[tuple[str, int], np.dtype[Any]] = {}
        self._fix(carry)
        for carried in self._carried:
            value = frozen(carried.slot.read(), self.host)
            leaves, structure = flatten(value)
            if structure != carried.structure:
                raise self._changes(carried.slot.path, unflatten(carried.structure, carried.leaves), value)
            for position, leaf in enumerate(leaves):
                new = self._leaf(carried, position, leaf, casts)
                if carried.arrays[position]:
                    result.append(new)
        if casts:
            self._learn(casts={**self.plan.casts, **casts})
        return result

    def _fix(self, carry: Leaves) -> None:
        """What the body leaves alone (flags of jumps that no path takes) need not be carried."""
        waiting = iter(carry)
        fixed = set()
        for carried in self._carried:
            pairs = zip(carried.leaves, carried.arrays, strict=True)
            began = unflatten(carried.structure, [next(waiting) if a else leaf for leaf, a in pairs])
            if carried.slot.path not in self.plan.loose and self._equal(began, carried.slot.read()):
                fixed.add(carried.slot.path)
        if fixed:
            self._learn(fixed=self.plan.fixed | fixed)

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

    def _fill(self) -> None:
        """Variables that the body binds first: carried from zeros on, where nobody can see the zeros."""
        fills = {}
        for path, slot in self._late.items():
            value = slot.read()
            if is_unbound(value) or not (self.surely_runs or is_hidden(path)):
                continue
            leaves, structure = flatten(value)
            if all(is_array(leaf, self.host) for leaf in leaves):
                fills[path] = structure, tuple(default_type(leaf, self.host) for leaf in leaves)
            elif self.surely_runs:
                raise self.error(f"the loop binds '{path}' to {describe(value, self.host)}")
        if fills:
            self._learn(fills={**self.plan.fills, **fills})

    def _leaf(self, carried: _Carried, position: int, leaf: Any, casts: dict[tuple[str, int], Any]) -> Any:
        """A leaf after the body, with the type that it had before; or a lesson in `casts`."""
        before = carried.leaves[position]
        path = carried.slot.path
        if not carried.arrays[position] or not is_array(leaf, self.host):
            if is_same(before, leaf):
                return leaf
            raise self._changes(path, before, leaf)
        (dtype, shape), (new_dtype, new_shape) = default_type(before, self.host), default_type(leaf, self.host)
        if shape == new_shape and type(leaf) in NUMBERS and takes(leaf, dtype):
            return self.host.cast(leaf, dtype)
        if shape == new_shape and dtype == new_dtype:
            return leaf
        was_number = carried.numbers[position] and (path, position) not in self.plan.casts
        number = before.item() if was_number and shape == () else None
        if shape == new_shape and number is not None and takes(number, new_dtype):
            casts[path, position] = new_dtype
            return leaf
        raise self._changes(path, before, leaf)

    def _changes(self, path: str, before: Any, after: Any) -> Exception:
        return self.host.carry_type_error(
            f"{self.where}: '{path}' is {describe(before, self.host)} before the loop and "
            f"{describe(after, self.host)} after one turn of it; what a traced loop carries must keep its dtype and "
            "shape: give it that type before the loop"
        )

    def _finish(self) -> None:
        for slot in self._late.values():
            message = (
                f"'{slot.path}' is bound only inside the loop that begins here, which may run no turn at all, and is "
                "read later; give it a value before the loop"
            )
            slot.write(Undefined(self.error(message)))
