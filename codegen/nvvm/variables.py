"""The names of a kernel, and where their values are held.

A name that is assigned once, and read only where that assignment has been, is its value. Any other
is memory on the stack, which NVVM turns into registers. What a name is, is found out on the way:
where a line shows that it was taken for too little, that is noted and the kernel begun again.
"""

from __future__ import annotations

import ast
from collections import Counter
from dataclasses import dataclass, field
from typing import NoReturn

from codegen.nvvm import arithmetic
from codegen.nvvm.builder import Builder
from codegen.nvvm.kinds import Kind, leaves
from codegen.nvvm.values import KernelError, Value


class Again(Exception):
    """More has become known of a name: begin again."""


@dataclass(slots=True)
class Known:
    """What earlier attempts have found of names: which are memory, and of what kind."""

    memory: set[str] = field(default_factory=set)
    kinds: dict[str, Kind] = field(default_factory=dict)


@dataclass(slots=True)
class Bound:
    """A value of a name, and the block of statements within which it is known."""

    value: Value
    suite: int


class Frame:
    """The names of one function: the kernel, or one that is put in its place in it."""

    def __init__(self, function: ast.FunctionDef, name: str, builder: Builder, known: Known):
        self.name = name
        self.builder = builder
        self.known = known
        self.assigned, self.counted = _assignments(function)
        self.bound: dict[str, Bound] = {}
        self.slots: dict[str, tuple[str, ...]] = {}
        self.recent: dict[str, tuple[str | None, Value]] = {}
        self.suites: list[int] = [0]
        self.suite_count = 0

    def enter(self) -> None:
        """Begin a block of statements."""
        self.suite_count += 1
        self.suites.append(self.suite_count)

    def leave(self) -> None:
        """End it."""
        self.suites.pop()

    def has(self, name: str) -> bool:
        """Whether the function assigns to the name anywhere."""
        return name in self.assigned

    def read(self, name: str) -> Value:
        """What a name is."""
        bound = self.bound.get(name)
        if bound is not None:
            if bound.suite in self.suites:
                return bound.value
            self._make_memory(name)
        slots = self.slots.get(name)
        if slots is None:
            if f"{self.name}.{name}" in self.known.memory:
                raise KernelError(f"{name} is read before it is assigned")
            self._make_memory(name)
        block, value = self.recent.get(name, (None, None))
        if value is not None and block == self.builder.block:
            return value
        kind = self.known.kinds[f"{self.name}.{name}"]
        value = self.builder.fetch(kind, slots)
        self.recent[name] = (self.builder.block, value)
        return value

    def assign(self, name: str, value: Value) -> None:
        """Let a name be a value from here on."""
        key = f"{self.name}.{name}"
        if self.counted[name] == 1 and key not in self.known.memory:
            self.bound[name] = Bound(value, self.suites[-1])
            return
        kind = self.known.kinds.get(key)
        if kind is None:
            kind = self.known.kinds[key] = value.kind
        elif kind != value.kind:
            joint = arithmetic.joined(kind, value.kind)
            if joint != kind:
                self.known.kinds[key] = joint
                raise Again
            value = arithmetic.converted(self.builder, value, kind)
        slots = self.slots.get(name)
        if slots is None:
            slots = self.slots[name] = tuple(self.builder.slot(part) for part in leaves(kind))
        self.builder.keep(value, slots)
        self.recent[name] = (self.builder.block, Value(value.kind, value.parts))

    def bind_index(self, name: str, value: Value) -> None:
        """Let a loop's index be a value within the loop's block of statements."""
        if self.counted[name] == 0 and f"{self.name}.{name}" not in self.known.memory:
            self.bound[name] = Bound(value, self.suites[-1])
        else:
            self.assign(name, value)

    def _make_memory(self, name: str) -> NoReturn:
        self.known.memory.add(f"{self.name}.{name}")
        raise Again


def _assignments(function: ast.FunctionDef) -> tuple[set[str], Counter[str]]:
    """The names that a function assigns to, and how often otherwise than as a loop's index."""
    names = {argument.arg for argument in function.args.args}
    counted: Counter[str] = Counter(names)
    indices = {id(part.target) for part in ast.walk(function) if isinstance(part, ast.For)}
    for part in ast.walk(function):
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
            names.add(part.id)
            if id(part) not in indices:
                counted[part.id] += 1
    return names, counted
