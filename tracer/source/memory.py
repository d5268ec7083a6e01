"""The variables that a branch or a loop can reach: read, written, compared with before, and put
back.

A body is run on stand-ins, to see what it does. What it changed (variables, arrays written in
place, items of lists, attributes) is found by comparing everything within its reach with a copy
from before; it is then an output of the graph's node, and everything is put back.
"""

from __future__ import annotations

import functools
import operator
import os
import site
import sys
import sysconfig
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from types import BuiltinMethodType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from tracer.source.protocol import Host
from tracer.source.slots import UNBOUND, ArraySlot, AttributeSlot, CellSlot, ItemSlot, Slot
from tracer.source.syntax import OPERATORS, mangled

MOST_OBJECTS = 20_000  # a larger heap is not searched to its end
MOST_BYTES = 1 << 16  # concrete arrays up to this size are compared


class Memory:
    """All that some functions can reach, as it was when this object was made."""

    def __init__(self, host: Host, functions: Iterable[Callable[..., Any] | None]) -> None:
        self.host = host
        self.variables: dict[str, CellSlot] = {}
        self.arrays: list[tuple[ArraySlot, Any]] = []
        self._slots: list[tuple[Slot, Any]] = []
        self._containers: list[tuple[Any, Any, str]] = []
        self._contents: list[tuple[np.ndarray[Any, Any], bytes, str]] = []
        self._seen: dict[Any, Any] = {}
        self._folders = library_folders(host)
        waiting: deque[tuple[Any, str]] = deque()
        for function in functions:
            if isinstance(function, FunctionType):
                waiting.extend(self._function(function, "", self.variables))
        while waiting and len(self._seen) < MOST_OBJECTS:
            waiting.extend(self._visit(*waiting.popleft()))

    def reaches(self, value: Any) -> bool:
        """Whether `value` is one of the objects found."""
        return id(value) in self._seen

    def restore(self) -> None:
        """Put everything back as it was."""
        for array, value in self.arrays:
            if not self.host.same_value(array.tracer, value):
                array.write(value)
        for container, content, _ in self._containers:
            if not _identical(container, content):
                _refill(container, content)
        for slot, before in self._slots:
            if slot.read() is not before:
                slot.write(before)

    def places(self) -> Iterator[tuple[Slot, Any]]:
        """Every place with what it held."""
        yield from self._slots
        yield from self.arrays

    def changed(self, dead: frozenset[str] = frozenset()) -> Iterator[Slot]:
        """The places that hold something else now; variables in `dead` are not asked."""
        for slot, before in self._slots:
            if slot.read() is not before and slot.path not in dead:
                yield slot
        for array, value in self.arrays:
            if not self.host.same_value(array.tracer, value):
                yield array

    def resized(self) -> str | None:
        """The path of a list, dict or set that grew or shrank, or of a concrete array with other
        contents."""
        for container, content, path in self._containers:
            if isinstance(container, list):
                same = len(container) == len(content)
            elif isinstance(container, dict):
                same = container.keys() == content.keys()
            else:
                same = _identical(container, content)
            if not same:
                return path
        for array, content, path in self._contents:
            if array.tobytes() != content:
                return path
        return None

    def variable(self, name: str, function: Callable[..., Any]) -> Slot:
        """The variable of that name which `function` writes."""
        slot = self.variables.get(name)
        if slot is not None:
            return slot
        assert isinstance(function, FunctionType), "a body is a Python function"
        return ItemSlot(function.__globals__, name, f"global {name}")

    def _visit(self, value: Any, path: str) -> Iterator[tuple[Any, str]]:
        if id(value) in self._seen:
            return
        if self.host.is_traced(value):
            self._seen[id(value)] = value
            slot = ArraySlot(value, self.host, f"{path}[…]")
            self.arrays.append((slot, slot.read()))
        elif isinstance(value, (list, tuple, dict)):
            self._seen[id(value)] = value
            yield from self._items(value, path)
        elif isinstance(value, (set, deque, bytearray)):
            self._seen[id(value)] = value
            self._containers.append((value, value.copy(), path))
        elif isinstance(value, np.ndarray):
            self._seen[id(value)] = value
            if value.flags.writeable and value.nbytes <= MOST_BYTES and not value.dtype.hasobject:
                self._contents.append((value, value.tobytes(), path))
        elif isinstance(value, FunctionType):
            self._seen[id(value)] = value
            if not is_library(value.__code__.co_filename, self._folders):
                yield from self._function(value, f"{path}.", None)
        elif isinstance(value, (MethodType, functools.partial)):
            self._seen[id(value)] = value
            yield from _members(value, path)
        else:
            yield from self._object(value, path)

    def _items(self, value: Any, path: str) -> Iterator[tuple[Any, str]]:
        if isinstance(value, tuple):
            yield from ((item, f"{path}[{key}]") for key, item in enumerate(value))
            return
        self._containers.append((value, value.copy(), path))
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in list(pairs):
            place = f"{path}[{key!r}]"
            self._slots.append((ItemSlot(value, key, place), item))
            yield item, place

    def _function(
        self, function: FunctionType, prefix: str, variables: dict[str, CellSlot] | None
    ) -> Iterator[tuple[Any, str]]:
        code = function.__code__
        for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            if name == OPERATORS or id(cell) in self._seen:
                continue
            self._seen[id(cell)] = cell
            slot = CellSlot(cell, prefix + name)
            value = slot.read()
            self._slots.append((slot, value))
            if variables is not None:
                variables[name] = slot
            yield value, slot.path
        space = function.__globals__
        for name in _global_names(code):
            key = id(space), name
            if (
                name not in space
                or key in self._seen
                or isinstance(space[name], (ModuleType, type))
            ):
                continue
            item = ItemSlot(space, name, f"global {name}")
            self._seen[key] = None
            self._slots.append((item, space[name]))
            yield space[name], item.path

    def _object(self, value: Any, path: str) -> Iterator[tuple[Any, str]]:
        if isinstance(value, (ModuleType, type, BuiltinMethodType)) or value is UNBOUND:
            return
        if isinstance(value, Iterator):
            self._seen[id(value)] = value
        kind: Any = type(value)
        if _is_library_type(kind, self._folders):
            return
        self._seen[id(value)] = value
        for name in _slot_names(kind):
            slot = AttributeSlot(value, name, f"{path}.{name}")
            self._slots.append((slot, slot.read()))
            yield slot.read(), slot.path
        attributes = getattr(value, "__dict__", None)
        if type(attributes) is not dict:
            return
        for name, item in list(attributes.items()):
            place = f"{path}.{name}"
            self._slots.append((ItemSlot(attributes, name, place), item))
            yield item, place
        self._containers.append((attributes, attributes.copy(), path))


def _identical(container: Any, content: Any) -> bool:
    """Whether a container holds the very objects that it held."""
    if isinstance(container, (set, bytearray)):
        return bool(container == content)
    if len(container) != len(content):
        return False
    if isinstance(container, dict):
        return all(content.get(key, UNBOUND) is value for key, value in container.items())
    return all(map(operator.is_, container, content))


def _refill(container: Any, content: Any) -> None:
    if isinstance(container, (list, bytearray)):
        container[:] = content
        return
    container.clear()
    (container.extend if isinstance(container, deque) else container.update)(content)


def _members(value: Any, path: str) -> Iterator[tuple[Any, str]]:
    if isinstance(value, MethodType):
        yield value.__self__, path
        yield value.__func__, path
        return
    yield value.func, path
    yield value.args, path
    yield value.keywords, path


@functools.lru_cache(maxsize=4096)
def _global_names(code: CodeType) -> tuple[str, ...]:
    nested = (constant for constant in code.co_consts if isinstance(constant, CodeType))
    return tuple(
        dict.fromkeys((*code.co_names, *(n for part in nested for n in _global_names(part))))
    )


def library_folders(host: Host) -> tuple[str, ...]:
    """Where functions lie that are not converted, and objects whose attributes are not compared."""
    return (*python_folders(), os.path.dirname(__file__), *host.own_folders)


@functools.cache
def python_folders() -> tuple[str, ...]:
    """Where Python's own modules and installed packages lie."""
    paths = sysconfig.get_paths()
    found = {paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    found.update(site.getsitepackages(), [site.getusersitepackages()])
    return (*sorted(found), "<frozen")


@functools.lru_cache(maxsize=4096)
def is_library(file_name: str, folders: tuple[str, ...]) -> bool:
    """Whether a file is Python's, an installed package's, or ours: such functions are not
    converted."""
    return file_name.startswith(folders)


@functools.lru_cache(maxsize=4096)
def _slot_names(kind: Any) -> tuple[str, ...]:
    names = []
    for base in kind.__mro__:
        own = base.__dict__.get("__slots__", ())
        plain = (own,) if isinstance(own, str) else tuple(own)
        names += [mangled(name, base.__name__) for name in plain]
    return tuple(name for name in names if name not in ("__dict__", "__weakref__"))


@functools.lru_cache(maxsize=4096)
def _is_library_type(kind: Any, folders: tuple[str, ...]) -> bool:
    module = sys.modules.get(kind.__module__)
    file_name = getattr(module, "__file__", None)
    return kind.__module__ == "builtins" or (
        file_name is not None and is_library(file_name, folders)
    )
