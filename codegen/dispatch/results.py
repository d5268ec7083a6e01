"""The second half of an entry: make the result's objects, and gather the kernel's output pointers.

Every object is put into its container as soon as it exists, so that at any moment the outermost one
owns all of them: where something fails, dropping that one drops everything. What can only be known
after the kernel (a bool, a custom container) leaves a placeholder, which `finish` replaces.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from codegen.dispatch import layout as at
from codegen.dispatch.memory import LARGE, load_blocks
from codegen.dispatch.spec import (
    ArrayLeaf,
    CustomNode,
    DictNode,
    ListNode,
    Node,
    ObjectLeaf,
    ScalarLeaf,
)
from codegen.dispatch.symbols import ARRAY_NEW, ARRAY_NEW_LARGE, PREFIX, scalar_allocator
from codegen.dispatch.table import Table
from codegen.dispatch.writer import Writer


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an object belongs: an item's address, or a dict and its key; neither for the root."""

    address: str = ""
    container: str = ""
    key: int = 0


@dataclass(frozen=True, slots=True)
class _Later:
    """A placeholder: a bool whose byte the kernel writes, or the children of a custom container."""

    placeholder: str
    place: _Place
    source: str
    build: int


class Results:
    """Writes into `body`; failures go to the blocks that `write_failures` places at the end."""

    def __init__(self, body: Writer, table: Table, array_type: int) -> None:
        self.body = body
        self.table = table
        self.reserved: list[str] = []
        self.root = ""
        self._array_type = array_type
        self._outputs = 0
        self._later: list[_Later] = []
        self._failures: dict[str, str] = {}

    def write(self, result: Node) -> str:
        """Make all objects and the array of outputs; gives the pointer to it."""
        self._node(result, _Place())
        self.reserved.append(f"%outputs = alloca [{max(self._outputs, 1)} x ptr]")
        return "%outputs"

    def failure(self) -> str:
        """The block which drops what has been made so far and returns NULL."""
        return self._failures.setdefault(self.root, self.body.label("fail"))

    def write_failures(self) -> None:
        """Place the blocks of `failure`; each ends in the block `failed`."""
        for root, label in self._failures.items():
            self.body.begin(label)
            if root:
                self.body.release(root)
            self.body.jump("failed")

    def finish(self) -> str:
        """After the kernel: replace the placeholders; gives the object to return."""
        for later in self._later:
            if later.build:
                self._call_builder(later)
            else:
                self._choose_bool(later)
        return self.root

    def _node(self, node: Node, place: _Place) -> None:
        if isinstance(node, ArrayLeaf):
            self._array(node, place)
        elif isinstance(node, ScalarLeaf):
            self._scalar(node, place)
        elif isinstance(node, ObjectLeaf):
            known = self.body.load("ptr", "%table", self.table.reference(node.value))
            self.body.hold(known)
            self._put(known, place)
        elif isinstance(node, DictNode):
            # A copy has its keys in place, and room for them: a third less than filling a new one.
            form = self.table.reference(dict.fromkeys(key for key, _ in node.items))
            known = self.body.load("ptr", "%table", form)
            made = self._make(f"call ptr @tracer_PyDict_Copy(ptr {known})", place)
            for key, child in node.items:
                self._node(child, _Place("", made, self.table.reference(key)))
        else:
            is_list = isinstance(node, ListNode)
            maker, count = "PyList_New" if is_list else "PyTuple_New", len(node.children)
            made = self._make(f"call ptr @tracer_{maker}(i64 {count})", place)
            items, first = made, at.TUPLE_ITEMS
            if is_list and count:
                items, first = self.body.load("ptr", made, at.LIST_ITEMS), 0
            for index, child in enumerate(node.children):
                self._node(child, _Place(self.body.at(items, first + 8 * index)))
            if isinstance(node, CustomNode):
                build = self.table.reference(node.build)
                self._later.append(_Later(made, place, "", build))

    def _make(self, call: str, place: _Place) -> str:
        made = self.body.value(call)
        self.body.require_object(made, self.failure())
        self._put(made, place)
        return made

    def _put(self, made: str, place: _Place) -> None:
        """Hand one reference to the place."""
        if place.address:
            self.body.store("ptr", made, place.address)
        elif place.container:
            key = self.body.load("ptr", "%table", place.key)
            call = f"call i32 @tracer_PyDict_SetItem(ptr {place.container}, ptr {key}, ptr {made})"
            answer = self.body.value(call)
            self.body.release(made)
            self.body.require_equal("i32", answer, "0", self.failure())
        else:
            self.root = made

    def _output(self, pointer: str) -> None:
        self.body.store("ptr", pointer, "%outputs", 8 * self._outputs)
        self._outputs += 1

    def _array(self, leaf: ArrayLeaf, place: _Place) -> None:
        body, ndim = self.body, len(leaf.shape)
        kind = body.load("ptr", "%table", self._array_type)
        dtype = body.load("ptr", "%table", self.table.dtype(leaf.dtype))
        sizes = body.at("%table", self.table.row(leaf.shape))
        body.hold(dtype)  # the call takes this reference, whether it succeeds or not
        arguments = f"ptr {kind}, ptr {dtype}, i32 {ndim}, ptr {sizes}, ptr null, ptr null, i32 0"
        large = math.prod(leaf.shape) * leaf.dtype.itemsize >= LARGE and load_blocks() is not None
        maker = ARRAY_NEW_LARGE if large else ARRAY_NEW
        made = self._make(f"call ptr @{PREFIX}{maker}({arguments}, ptr null)", place)
        self._output(body.load("ptr", made, at.ARRAY_DATA))

    def _scalar(self, leaf: ScalarLeaf, place: _Place) -> None:
        kind: Any = leaf.kind
        if kind is np.bool_:
            slot = f"%byte{self._outputs}"
            self.reserved.append(f"{slot} = alloca i8")
            placeholder = self.body.load("ptr", "%table", self.table.reference(np.False_))
            self.body.hold(placeholder)
            self._put(placeholder, place)
            self._later.append(_Later(placeholder, place, slot, 0))
            self._output(slot)
            return
        allocate = self.body.load("ptr", "%table", self.table.word(scalar_allocator(kind)))
        kind_pointer = self.body.load("ptr", "%table", self.table.reference(kind))
        made = self._make(f"call ptr {allocate}(ptr {kind_pointer}, i64 0)", place)
        self._output(self.body.at(made, at.SCALAR_VALUE))

    def _choose_bool(self, later: _Later) -> None:
        body = self.body
        is_set = body.value(f"icmp ne i8 {body.load('i8', later.source)}, 0")
        yes = body.load("ptr", "%table", self.table.reference(np.True_))
        chosen = body.value(f"select i1 {is_set}, ptr {yes}, ptr {later.placeholder}")
        body.hold(chosen)
        self._replace(later, chosen)

    def _call_builder(self, later: _Later) -> None:
        build = self.body.load("ptr", "%table", later.build)
        call = f"call ptr @tracer_PyObject_CallObject(ptr {build}, ptr {later.placeholder})"
        made = self.body.value(call)
        self.body.require_object(made, self.failure())
        self._replace(later, made)

    def _replace(self, later: _Later, made: str) -> None:
        """Put `made` where the placeholder is; its reference goes with it."""
        self._put(made, later.place)
        if not later.place.container:
            self.body.release(later.placeholder)
