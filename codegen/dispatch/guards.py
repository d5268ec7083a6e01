"""The first half of an entry: check every argument, and gather the kernel's input pointers."""

from __future__ import annotations

import sys

from codegen.dispatch import layout as at
from codegen.dispatch.spec import (
    ArrayLeaf,
    CallSpec,
    CustomNode,
    DictNode,
    ListNode,
    Node,
    ObjectLeaf,
    ScalarLeaf,
    TupleNode,
)
from codegen.dispatch.table import Table, required_flags
from codegen.dispatch.writer import Writer

MISMATCH = "mismatch"
_UNROLLED_CONSTANTS = 16


class Guards:
    """Writes checks into `body`; any failing one goes to the block `mismatch`.

    After `write`, `held` are the objects to hold while the kernel runs: those which the caller's
    lists and dicts might lose meanwhile, by a finalizer or in another thread.
    """

    def __init__(self, body: Writer, table: Table, array_type: int) -> None:
        self.body = body
        self.table = table
        self.held: list[str] = []
        self.reserved: list[str] = []
        self._array_type = array_type
        self._inputs = 0

    def write(self, spec: CallSpec) -> None:
        """Check the call's form, every argument, and lay out the inputs."""
        body = self.body
        self._keywords(spec.keywords)
        count = body.value("and i64 %count, 9223372036854775807")
        positional = len(spec.arguments) - len(spec.keywords)
        body.require_equal("i64", count, str(positional), MISMATCH)
        for index, argument in enumerate(spec.arguments):
            pointer = body.load("ptr", "%arguments", 8 * index)
            self._node(argument, pointer, mutable=False)
        self._constants(spec.constants)
        self.reserved.append(f"%inputs = alloca [{max(self._inputs, 1)} x ptr]")

    def _keywords(self, keywords: tuple[str, ...]) -> None:
        """The names of the call, by identity: those in a program's text are interned."""
        body = self.body
        if not keywords:
            body.require(body.value("icmp eq ptr %names, null"), MISMATCH)
            return
        body.require_object("%names", MISMATCH)
        length = body.load("i64", "%names", at.SIZE)
        body.require_equal("i64", length, str(len(keywords)), MISMATCH)
        for index, keyword in enumerate(keywords):
            name = body.load("ptr", "%names", at.TUPLE_ITEMS + 8 * index)
            known = self._pointer(self.table.reference(sys.intern(keyword)))
            body.require_equal("ptr", name, known, MISMATCH)

    def _word(self, offset: int) -> str:
        return self.body.load("i64", "%table", offset)

    def _pointer(self, offset: int) -> str:
        return self.body.load("ptr", "%table", offset)

    def _input(self, pointer: str) -> None:
        self.body.store("ptr", pointer, "%inputs", 8 * self._inputs)
        self._inputs += 1

    def _exact(self, pointer: str, kind: int) -> None:
        found = self.body.load("ptr", pointer, at.TYPE)
        self.body.require_equal("ptr", found, self._pointer(kind), MISMATCH)

    def _node(self, node: Node, pointer: str, mutable: bool) -> None:
        if isinstance(node, ObjectLeaf):
            known = self._pointer(self.table.reference(node.value))
            self.body.require_equal("ptr", pointer, known, MISMATCH)
        elif isinstance(node, ArrayLeaf | ScalarLeaf):
            if isinstance(node, ArrayLeaf):
                self._array(node, pointer)
            else:
                self._scalar(node, pointer)
            if mutable:
                self.held.append(pointer)
        elif isinstance(node, DictNode):
            self._dict(node, pointer)
        elif not isinstance(node, CustomNode):
            self._sequence(node, pointer, mutable)

    def _array(self, leaf: ArrayLeaf, pointer: str) -> None:
        body, ndim = self.body, len(leaf.shape)
        self._exact(pointer, self._array_type)
        self._dtype(leaf, pointer)
        found = body.load("i32", pointer, at.ARRAY_NDIM)
        flags = body.load("i32", pointer, at.ARRAY_FLAGS)
        needed = required_flags(leaf.writeable, leaf.strides is None)
        same_ndim = body.value(f"icmp eq i32 {found}, {ndim}")
        kept = body.value(f"and i32 {flags}, {needed}")
        same_flags = body.value(f"icmp eq i32 {kept}, {needed}")
        body.require(body.value(f"and i1 {same_ndim}, {same_flags}"), MISMATCH)
        if ndim:
            self._sizes(pointer, at.ARRAY_SHAPE, leaf.shape)
            if leaf.strides is not None:
                self._sizes(pointer, at.ARRAY_STRIDES, leaf.strides)
        self._input(body.load("ptr", pointer, at.ARRAY_DATA))

    def _dtype(self, leaf: ArrayLeaf, pointer: str) -> None:
        """The built-in dtype object, or another one of the same meaning (unpickled arrays have)."""
        body, words = self.body, self.table.dtype(leaf.dtype)
        found = body.load("ptr", pointer, at.ARRAY_DTYPE)
        other, same = body.label("other"), body.label("same")
        body.branch(body.value(f"icmp eq ptr {found}, {self._pointer(words)}"), same, other)
        body.begin(other)
        place = body.at("%table", words)
        meaning = body.value(f"call i1 @tracer_same_dtype(ptr {found}, ptr {place})")
        body.branch(meaning, same, MISMATCH)
        body.begin(same)

    def _sizes(self, pointer: str, field: int, sizes: tuple[int, ...]) -> None:
        body, words = self.body, self.table.row(sizes)
        row = body.load("ptr", pointer, field)
        for axis in range(len(sizes)):
            size = body.load("i64", row, 8 * axis)
            body.require_equal("i64", size, self._word(words + 8 * axis), MISMATCH)

    def _scalar(self, leaf: ScalarLeaf, pointer: str) -> None:
        body = self.body
        if leaf.kind is bool:
            yes = self._pointer(self.table.reference(True))
            no = self._pointer(self.table.reference(False))
            is_yes = body.value(f"icmp eq ptr {pointer}, {yes}")
            is_no = body.value(f"icmp eq ptr {pointer}, {no}")
            body.require(body.value(f"or i1 {is_yes}, {is_no}"), MISMATCH)
            self._input(body.value(f"select i1 {is_yes}, ptr @byte_one, ptr @byte_zero"))
            return
        self._exact(pointer, self.table.reference(leaf.kind))
        if leaf.kind is not int:
            self._input(body.at(pointer, at.SCALAR_VALUE))
            return
        slot = f"%integer{self._inputs}"
        self.reserved.append(f"{slot} = alloca i64")
        call = f"call i64 @tracer_PyLong_AsLongLongAndOverflow(ptr {pointer}, ptr %overflow)"
        body.store("i64", body.value(call), slot)
        body.require_equal("i32", body.load("i32", "%overflow"), "0", MISMATCH)
        self._input(slot)

    def _sequence(self, node: TupleNode | ListNode, pointer: str, mutable: bool) -> None:
        body, is_list = self.body, isinstance(node, ListNode)
        kind = list if isinstance(node, ListNode) else node.kind
        self._exact(pointer, self.table.reference(kind))
        length = body.load("i64", pointer, at.SIZE)
        body.require_equal("i64", length, str(len(node.children)), MISMATCH)
        if not node.children:
            return
        items, first = pointer, at.TUPLE_ITEMS
        if is_list:
            items, first = body.load("ptr", pointer, at.LIST_ITEMS), 0
        for index, child in enumerate(node.children):
            item = body.load("ptr", items, first + 8 * index)
            self._node(child, item, mutable or is_list)

    def _dict(self, node: DictNode, pointer: str) -> None:
        body, count = self.body, len(node.items)
        keys = self.table.row(tuple(id(key) for key, _ in node.items))
        self.table.objects.extend(key for key, _ in node.items)
        row = body.label("%values")
        self.reserved.append(f"{row} = alloca [{max(count, 1)} x ptr]")
        arguments = f"ptr {pointer}, ptr {body.at('%table', keys)}, ptr {row}, i64 {count}"
        body.require(body.value(f"call i1 @tracer_dict_values({arguments})"), MISMATCH)
        for index, child in enumerate(node.children):
            self._node(child, body.load("ptr", row, 8 * index), mutable=True)

    def _constants(self, constants: tuple[int, ...]) -> None:
        words, first = self.table.row(constants), self._inputs
        if len(constants) <= _UNROLLED_CONSTANTS:
            for index in range(len(constants)):
                self._input(self._pointer(words + 8 * index))
            return
        self._inputs += len(constants)
        source, into = self.body.at("%table", words), self.body.at("%inputs", 8 * first)
        size = 8 * len(constants)
        self.body.emit(
            f"call void @llvm.memcpy.p0.p0.i64(ptr {into}, ptr {source}, i64 {size}, i1 false)"
        )
