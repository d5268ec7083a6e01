"""An `if` on a traced value: both branches are traced, and what they change becomes the result of
one node."""

from __future__ import annotations

import dis
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from types import CodeType, FunctionType
from typing import Any

import numpy as np

from tracer.source.jumps import is_hidden
from tracer.source.loops import Lessons
from tracer.source.memory import Memory
from tracer.source.protocol import Host
from tracer.source.slots import UNBOUND, Slot, Undefined
from tracer.source.values import (
    Again,
    Needless,
    default_type,
    describe,
    flatten,
    frozen,
    is_array,
    is_number,
    is_same,
    is_unbound,
    joint_dtype,
    mark_conditional,
    place,
    unflatten,
)

RETURNED = "the returned value"
MOST_ATTEMPTS = 12
Function = Callable[[], Any] | None
Dtypes = tuple[np.dtype[Any] | None, ...]


@dataclass
class _Plan:
    """What a trace of both branches has taught: which places they change, and for each leaf its
    dtype (None: it is no array, or the same in both). A place that one branch leaves unbound has
    None for all, unless it is hidden: then that branch hands over zeros of the shapes in
    `fills`."""

    paths: tuple[str, ...]
    dtypes: dict[str, Dtypes | None] = field(default_factory=dict)
    fills: dict[str, tuple[tuple[int, ...], ...]] = field(default_factory=dict)


class Branch:
    """One `if`. `outputs` are the variables that are read afterwards, `dead` those that are written
    but not read; a branch that is None does nothing, and gives the value `otherwise`."""

    def __init__(
        self,
        host: Host,
        branches: tuple[Function, Function],
        outputs: Iterable[str],
        dead: Iterable[str],
        lessons: Lessons,
        *,
        reach: Iterable[Callable[..., Any] | None] = (),
        otherwise: Any = None,
    ) -> None:
        self.host = host
        self.branches = branches
        self.otherwise = otherwise
        # Where a branch is a function of ours, those of the user's that it calls are given as
        # `reach`.
        functions = [f for f in reach or branches if isinstance(f, FunctionType)]
        self.memory = Memory(host, functions)
        self.code: CodeType = functions[0].__code__
        self.dead = frozenset(dead)
        self.slots: dict[str, Slot] = {slot.path: slot for slot, _ in self.memory.places()}
        paths = []
        for name in outputs:
            slot = self.memory.variable(name, functions[0])
            self.slots.setdefault(slot.path, slot)
            paths.append(slot.path)
        self.lessons = lessons
        self.key = "branch", id(self.code)
        self.plan: _Plan = lessons.plans.get(self.key) or _Plan(tuple(paths))
        self.sides: list[dict[str, Any]] = [{}, {}]  # what each branch left, by place
        self.kept: list[set[str]] = [set(), set()]

    def run(self, predicate: Any) -> Any:
        """Trace both branches; afterwards the variables hold the result. Gives what the branches
        return."""
        for _ in range(MOST_ATTEMPTS):
            self.sides = [{}, {}]
            try:
                with self.lessons:
                    leaves = self.host.cond(predicate, lambda: self._side(0), lambda: self._side(1))
            except Again:
                continue
            except Needless:
                leaves = []
            except Exception as error:
                mark_conditional(error, place(self.code))
                raise
            finally:
                self.memory.restore()
            return self._finish(list(leaves))
        raise self._error("this `if` changes other variables each time that it is traced")

    def _side(self, which: int) -> list[Any]:
        self.memory.restore()
        function = self.branches[which]
        try:
            returned = function() if function is not None else self.otherwise
        except Exception as error:
            if _raised_by(error, self.code.co_filename, function):
                raise self._error(
                    f"a `raise` ({error!r:.80}) stands under a condition that is traced, so whether"
                    " it happens is known only when the compiled function runs; check outside of"
                    " jit, or write assert, which compiled code leaves out"
                ) from error
            raise
        resized = self.memory.resized()
        if resized is not None:
            raise self._error(
                f"the branch changes '{resized}' (it grows, shrinks, or is a plain array), which a"
                " traced `if` cannot do for one branch only; assign to a variable in both branches"
                " instead"
            )
        known = set(self.plan.paths)
        new = tuple(slot.path for slot in self.memory.changed(self.dead) if slot.path not in known)
        paths = (*self.plan.paths, *new)
        self.kept[which] = {
            slot.path for slot, before in self.memory.places() if slot.read() is before
        }
        side = {path: frozen(self.slots[path].read(), self.host) for path in paths}
        self.sides[which] = {**side, RETURNED: frozen(returned, self.host)}
        self.memory.restore()
        if all(self.sides):
            self._agree(tuple(dict.fromkeys((*self.plan.paths, *self.sides[0], *self.sides[1]))))
        return self._leaves(which)

    def _agree(self, found: tuple[str, ...]) -> None:
        """Compare what both sides did with the plan they were traced under; trace them again if it
        was wrong."""
        # A variable that holds the very object that it held is no output, though the object may
        # have changed.
        kept = self.kept[0] & self.kept[1]
        paths = tuple(path for path in found if path != RETURNED and path not in kept)
        plan = _Plan(paths)
        for path in (*paths, RETURNED):
            before = None if path == RETURNED else self.slots[path].read()
            first, second = (side.get(path, before) for side in self.sides)
            self._agreement(plan, path, first, second)
        if plan != self.plan:
            self.plan = self.lessons.plans[self.key] = plan
            raise Again
        if not any(dtype is not None for dtypes in plan.dtypes.values() for dtype in dtypes or ()):
            raise Needless

    def _agreement(self, plan: _Plan, path: str, first: Any, second: Any) -> None:
        if is_unbound(first) or is_unbound(second):
            plan.dtypes[path] = None
            if not is_hidden(path) or (is_unbound(first) and is_unbound(second)):
                return
            first, second = (second, second) if is_unbound(first) else (first, first)
            leaves = flatten(first)[0]
            if not all(is_array(leaf, self.host) for leaf in leaves):
                raise self._mismatch(RETURNED, first, UNBOUND)
            types = [default_type(leaf, self.host) for leaf in leaves]
            plan.dtypes[path] = tuple(dtype for dtype, _ in types)
            plan.fills[path] = tuple(shape for _, shape in types)
            return
        (leaves, structure), (others, other_structure) = flatten(first), flatten(second)
        if structure != other_structure:
            raise self._mismatch(path, first, second)
        dtypes: list[np.dtype[Any] | None] = []
        for one, two in zip(leaves, others, strict=True):
            arrays = is_array(one, self.host), is_array(two, self.host)
            if self._unchanged(one, two):
                dtypes.append(None)
                continue
            dtype = joint_dtype(one, two, self.host) if all(arrays) else None
            if dtype is None:
                raise self._mismatch(path, one, two)
            dtypes.append(dtype)
        plan.dtypes[path] = tuple(dtypes)

    def _unchanged(self, one: Any, two: Any) -> bool:
        """Whether a leaf is the same in both branches, so that it need not pass through the
        node."""
        if self.host.is_traced(one):
            return self.host.is_traced(two) and self.host.same_value(one, two)
        return is_same(one, two) and not isinstance(one, np.ndarray)

    def _leaves(self, which: int) -> list[Any]:
        """The arrays that this side hands over."""
        result: list[Any] = []
        for path in (*self.plan.paths, RETURNED):
            dtypes = self.plan.dtypes.get(path)
            if dtypes is None:
                continue
            value = self.sides[which][path]
            if is_unbound(value):
                shapes = self.plan.fills.get(path, ())
                result += [self.host.fill(d, s) for d, s in zip(dtypes, shapes, strict=False) if d]
                continue
            # A plan of an earlier call may not fit; then both sides are traced again.
            for leaf, dtype in zip(flatten(value)[0], dtypes, strict=False):
                if dtype is not None and is_array(leaf, self.host):
                    result.append(self.host.cast(leaf, dtype))
        return result

    def _finish(self, leaves: list[Any]) -> Any:
        """Write the node's results where the branches would have written."""
        returned = None
        waiting = iter(leaves)
        for path in (*self.plan.paths, RETURNED):
            first, second = (side[path] for side in self.sides)
            dtypes = self.plan.dtypes[path]
            value: Any = UNBOUND
            if dtypes is None and not (is_unbound(first) and is_unbound(second)):
                value = Undefined(
                    self._error(
                        f"'{path}' gets a value in only one branch of the `if` on a traced"
                        " condition that begins here, and is read later; give it a value before"
                        " the `if`, or in both branches"
                    )
                )
            elif dtypes is not None:
                value = self._joined(first, second, dtypes, waiting)
            if path == RETURNED:
                returned = value
            else:
                self.slots[path].write(value)
        return returned

    def _joined(self, first: Any, second: Any, dtypes: Dtypes, arrays: Iterator[Any]) -> Any:
        """The value of a place after the node, made of the node's results."""
        first, second = (
            (second if is_unbound(first) else first),
            (first if is_unbound(second) else second),
        )
        (leaves, structure), (others, _) = flatten(first), flatten(second)
        result = []
        for one, two, dtype in zip(leaves, others, dtypes, strict=True):
            leaf = one if dtype is None else next(arrays)
            if dtype is not None and is_number(one, self.host) and is_number(two, self.host):
                self.host.make_number(
                    leaf
                )  # a Python number either way, so it stays as weak as one
            result.append(leaf)
        return unflatten(structure, result)

    def _mismatch(self, path: str, first: Any, second: Any) -> Exception:
        name = path if path == RETURNED else f"'{path}'"
        return self.host.carry_type_error(
            f"{place(self.code)}: after this `if` on a traced condition {name} is"
            f" {describe(first, self.host)} if it holds and {describe(second, self.host)} if not;"
            " both branches must give arrays of one dtype and shape, or the same Python value"
        )

    def _error(self, message: str) -> Exception:
        return self.host.control_flow_error(f"{place(self.code)}: {message}")


def _raised_by(error: Exception, file_name: str, function: Function) -> bool:
    """Whether a `raise` of the branch itself raised `error`, and not something that the branch
    called."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None or not isinstance(function, FunctionType):
        return False
    code = trace.tb_frame.f_code
    nested = [function.__code__]
    for part in nested:
        nested += [constant for constant in part.co_consts if isinstance(constant, CodeType)]
    return code in nested and dis.opname[code.co_code[trace.tb_lasti]] == "RAISE_VARARGS"
