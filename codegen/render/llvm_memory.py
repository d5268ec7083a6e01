"""Where elements lie, and how scalars and vectors of them are read and written."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

from codegen.loops.linear import LinearForm
from codegen.loops.nodes import Buffer, Expression, Variable
from codegen.loops.operations import DType
from codegen.loops.sizes import Size, is_size
from codegen.render.llvm_emit import (
    BOOL,
    INT64,
    Emitter,
    Value,
    element_type,
    literal_value,
    memory_type,
    of_width,
    part_dtype,
)
from codegen.render.llvm_forms import Forms
from codegen.render.vector_math import Target


@dataclass(slots=True)
class LaneState:
    """The loop whose iterations are lanes: its index, how many at once, and which of them count.

    `start` is the first lane's index without `offset`. `mask` is None where all lanes count, and
    `active` is how many do, where that is known. `left` is a register that says how many count, or
    more than there are lanes.
    """

    index: str
    width: int
    start: Value
    offset: int = 0
    copy: int = 0
    mask: str | None = None
    active: int | None = None
    left: str | None = None
    reductions: dict[str, tuple[str, DType]] = field(default_factory=dict)


class MemoryWriter(Emitter, ABC):
    """Addresses, loads and stores.

    `stores_by_count` says whether the first lanes are better stored in pieces than under a mask.
    """

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self.stores_by_count = not target.avx512
        self.forms = Forms()
        self.bases: dict[Buffer, str] = {}
        self.tapes: dict[Buffer, str] = {}
        self.lane_state: LaneState | None = None
        self.guard: str | None = None

    @abstractmethod
    def value(self, expression: Expression) -> Value:
        """The value of an expression; the expression writer's."""

    # Addresses

    def base(self, buffer: Buffer) -> tuple[str, int]:
        """The register that points to a buffer, and from which level on."""
        root = buffer.root
        if root in self.tapes:
            return self.write(f"load ptr, ptr {self.tapes[root]}"), self.depth
        return self.bases[root], 0

    def address(self, buffer: Buffer, form: LinearForm) -> str:
        """A pointer to an element; each part of the sum is added where it is known."""
        element = element_in_memory(buffer.dtype)
        pointer, lowest = self.base(buffer)
        constant: int | Size = form.constant
        groups: dict[int, list[tuple[str, int]]] = {}
        for term, scale in form.terms.items():
            value = self.scalar_term(term)
            constant += scale * self.lane_offset(term)
            if value.is_literal:
                constant += scale * int(value.text)
            else:
                groups.setdefault(max(value.level, lowest), []).append((value.text, scale))
        if is_size(constant):
            start, constant = constant.split()
            groups.setdefault(lowest, []).append((str(start), 1))
        for level in sorted(groups):
            offset = self.sum(level, groups[level])
            pointer = self.hoisted(level, f"getelementptr {element}, ptr {pointer}, i64 {offset}")
        return self.moved(element, pointer, constant)

    def moved(self, element: str, pointer: str, count: int | Size) -> str:
        """A pointer some elements further on."""
        if not count:
            return pointer
        return self.once(f"getelementptr {element}, ptr {pointer}, i64 {count}")

    def scalar_term(self, term: Expression) -> Value:
        """A term of an address; for the index that runs through the lanes, the first lane's."""
        lane = self.lane_state
        if lane is not None and isinstance(term, Variable) and term.name == lane.index:
            return lane.start
        return self.value(term)

    def lane_offset(self, term: Expression) -> int:
        """What the unrolled copy adds to the index that runs through the lanes."""
        lane = self.lane_state
        here = lane is not None and isinstance(term, Variable) and term.name == lane.index
        return lane.offset if lane is not None and here else 0

    def integer(self, value: int) -> Value:
        """An int64, which may be a size."""
        return literal_value(value, INT64)

    def sum(self, level: int, terms: list[tuple[str, int]]) -> str:
        """Σ scale × register."""
        total = ""
        for register, scale in terms:
            part = register if scale == 1 else self.hoisted(level, f"mul i64 {register}, {scale}")
            total = self.hoisted(level, f"add i64 {total}, {part}") if total else part
        return total

    # Scalars

    def read(self, dtype: DType, pointer: str) -> Value:
        """One element."""
        if dtype.kind == "c":
            part = element_type(dtype)
            size = part_dtype(dtype).itemsize
            other = self.write(f"getelementptr i8, ptr {pointer}, i64 {size}")
            return self.made(
                dtype,
                1,
                self.write(f"load {part}, ptr {pointer}, align {size}"),
                self.write(f"load {part}, ptr {other}, align {size}"),
            )
        loaded = self.write(f"load {memory_type(dtype)}, ptr {pointer}, align {dtype.itemsize}")
        return self.made(dtype, 1, self.from_memory(dtype, loaded, 1))

    def put(self, value: Value, pointer: str) -> None:
        """Write one element."""
        size = part_dtype(value.dtype).itemsize
        kind = memory_type(value.dtype)
        first = self.to_memory(value.dtype, value.text, 1)
        self.line(f"store {kind} {first}, ptr {pointer}, align {size}")
        if value.dtype.kind == "c":
            other = self.write(f"getelementptr i8, ptr {pointer}, i64 {size}")
            self.line(f"store {kind} {value.parts[1]}, ptr {other}, align {size}")

    def from_memory(self, dtype: DType, register: str, width: int) -> str:
        """What is computed with, from what lies in memory: a bool is a byte there."""
        if dtype != BOOL:
            return register
        zero = "0" if width == 1 else "zeroinitializer"
        return self.write(f"icmp ne {of_width('i8', width)} {register}, {zero}")

    def to_memory(self, dtype: DType, register: str, width: int) -> str:
        """What lies in memory, from what is computed with."""
        if dtype != BOOL:
            return register
        return self.write(f"zext {of_width('i1', width)} {register} to {of_width('i8', width)}")

    # Vectors

    def load(self, buffer: Buffer, indices: tuple[Expression, ...]) -> Value:
        """An element, or those of all lanes."""
        form = self.forms.flat(buffer, indices)
        lane = self.lane_state
        if lane is None:
            return self.read(buffer.dtype, self.address(buffer, form))
        step, gathered = self.step(form)
        if gathered or (step == 0 and self.guard is not None):
            return self.gather(buffer, form)
        if step == 0:
            return self.read(buffer.dtype, self.address(buffer, form))
        if step in (1, -1):
            return self.load_row(buffer, form, step)
        if self.guard is None and (lane.mask is None or lane.active is not None):
            return self.load_strided(buffer, form, step)
        return self.gather(buffer, form)

    def step(self, form: LinearForm) -> tuple[int, bool]:
        """How far apart neighbouring lanes lie; and whether they lie anywhere."""
        lane = self.lane_state
        assert lane is not None, "lanes are asked for inside a loop over lanes"
        step = 0
        for term, scale in form.terms.items():
            if isinstance(term, Variable) and term.name == lane.index:
                step = scale
            elif self.value(term).width > 1:
                return 0, True
        return step, False

    def mask(self) -> str | None:
        """The lanes that may be read."""
        lane = self.lane_state
        assert lane is not None, "lanes are asked for inside a loop over lanes"
        if lane.mask is None or self.guard is None:
            return lane.mask or self.guard
        return self.write(f"and <{lane.width} x i1> {lane.mask}, {self.guard}")

    def row_pointer(self, buffer: Buffer, form: LinearForm, step: int) -> str:
        """Where the lanes begin in memory."""
        lane = self.lane_state
        assert lane is not None, "lanes are asked for inside a loop over lanes"
        if step < 0:
            form.constant -= lane.width - 1
        return self.address(buffer, form)

    def reversed_lanes(self, kind: str, register: str, width: int) -> str:
        """The lanes in the other order."""
        order = ", ".join(f"i32 {width - 1 - number}" for number in range(width))
        vector = of_width(kind, width)
        return self.write(
            f"shufflevector {vector} {register}, {vector} poison, <{width} x i32> <{order}>"
        )

    def load_row(self, buffer: Buffer, form: LinearForm, step: int) -> Value:
        """Neighbouring elements."""
        lane = self.lane_state
        assert lane is not None, "lanes are asked for inside a loop over lanes"
        dtype, width = buffer.dtype, lane.width
        element = memory_type(dtype)
        vector, size = of_width(element, width), dtype.itemsize
        pointer = self.row_pointer(buffer, form, step)
        mask = self.mask()
        if mask is None:
            register = self.write(f"load {vector}, ptr {pointer}, align {size}")
        else:
            if step < 0:
                mask = self.reversed_lanes("i1", mask, width)
            name = f"@llvm.masked.load.v{width}{type_letter(element)}.p0"
            self.declare(f"{vector} {name}(ptr, i32, <{width} x i1>, {vector})")
            register = self.write(
                f"call {vector} {name}(ptr {pointer}, i32 {size}, <{width} x i1> {mask}, "
                f"{vector} zeroinitializer)"
            )
        if step < 0:
            register = self.reversed_lanes(element, register, width)
        return self.made(dtype, width, self.from_memory(dtype, register, width))

    def load_strided(self, buffer: Buffer, form: LinearForm, step: int) -> Value:
        """One element a lane; those that do not count are zero."""
        lane = self.lane_state
        assert lane is not None, "lanes are asked for inside a loop over lanes"
        dtype, width = buffer.dtype, lane.width
        element = memory_type(dtype)
        vector = of_width(element, width)
        pointer = self.address(buffer, form)
        text = "zeroinitializer"
        for number in range(lane.width if lane.active is None else lane.active):
            place = self.moved(element, pointer, number * step)
            part = self.write(f"load {element}, ptr {place}, align {dtype.itemsize}")
            text = self.write(f"insertelement {vector} {text}, {element} {part}, i64 {number}")
        return self.made(dtype, width, self.from_memory(dtype, text, width))

    def pointers(self, buffer: Buffer, form: LinearForm) -> str:
        """A vector of pointers, one a lane."""
        lane = self.lane_state
        assert lane is not None, "lanes are asked for inside a loop over lanes"
        width = lane.width
        rest = LinearForm(form.constant)
        vector = f"<{width} x i64>"
        total = ""
        for term, scale in form.terms.items():
            value = self.value(term)
            if value.width == 1:
                rest.terms[term] = scale
                continue
            part = value.text
            if scale != 1:
                factor = self.widened(self.integer(scale), width).text
                part = self.once(f"mul {vector} {part}, {factor}")
            total = self.once(f"add {vector} {total}, {part}") if total else part
        pointer = self.address(buffer, rest)
        element = element_in_memory(buffer.dtype)
        if not total:
            return self.widened_pointer(pointer, width)
        return self.once(f"getelementptr {element}, ptr {pointer}, {vector} {total}")

    def widened_pointer(self, pointer: str, width: int) -> str:
        """One pointer in every lane."""
        one = self.write(f"insertelement <{width} x ptr> poison, ptr {pointer}, i64 0")
        return self.write(
            f"shufflevector <{width} x ptr> {one}, <{width} x ptr> poison, "
            f"<{width} x i32> zeroinitializer"
        )

    def gather(self, buffer: Buffer, form: LinearForm) -> Value:
        """Elements that lie anywhere; zero in lanes that do not count."""
        lane = self.lane_state
        assert lane is not None, "lanes are asked for inside a loop over lanes"
        dtype, width = buffer.dtype, lane.width
        element = memory_type(dtype)
        vector = of_width(element, width)
        pointers = self.pointers(buffer, form)
        mask = self.mask() or "splat (i1 true)"
        name = f"@llvm.masked.gather.v{width}{type_letter(element)}.v{width}p0"
        self.declare(f"{vector} {name}(<{width} x ptr>, i32, <{width} x i1>, {vector})")
        register = self.write(
            f"call {vector} {name}(<{width} x ptr> {pointers}, i32 {dtype.itemsize}, "
            f"<{width} x i1> {mask}, {vector} zeroinitializer)"
        )
        return self.made(dtype, width, self.from_memory(dtype, register, width))

    def store(self, buffer: Buffer, indices: tuple[Expression, ...], value: Value) -> None:
        """Write an element, or those of all lanes that count."""
        form = self.forms.flat(buffer, indices)
        lane = self.lane_state
        if lane is None:
            self.put(value, self.address(buffer, form))
            return
        step, _ = self.step(form)
        value = self.widened(value, lane.width)
        if step in (1, -1):
            self.store_row(buffer, form, step, value)
        else:
            self.store_strided(buffer, form, step, value)

    def store_row(self, buffer: Buffer, form: LinearForm, step: int, value: Value) -> None:
        """Write neighbouring elements."""
        lane = self.lane_state
        assert lane is not None, "lanes are asked for inside a loop over lanes"
        width, size = lane.width, buffer.dtype.itemsize
        element = memory_type(buffer.dtype)
        vector = of_width(element, width)
        pointer = self.row_pointer(buffer, form, step)
        register = self.to_memory(buffer.dtype, value.text, width)
        if step < 0:
            register = self.reversed_lanes(element, register, width)
        if lane.mask is None:
            self.line(f"store {vector} {register}, ptr {pointer}, align {size}")
            return
        if lane.active is not None and step > 0 and not self.target.avx512:
            self.store_parts(element, register, pointer, size, lane.active)
            return
        if lane.left is not None and step > 0 and self.stores_by_count:
            self.store_left(element, register, pointer, size, lane.left)
            return
        mask = self.reversed_lanes("i1", lane.mask, width) if step < 0 else lane.mask
        name = f"@llvm.masked.store.v{width}{type_letter(element)}.p0"
        self.declare(f"void {name}({vector}, ptr, i32, <{width} x i1>)")
        self.line(
            f"call void {name}({vector} {register}, ptr {pointer}, i32 {size}, "
            f"<{width} x i1> {mask})"
        )

    def store_parts(
        self, element: str, register: str, pointer: str, size: int, active: int
    ) -> None:
        """Write the first lanes in pieces: a store with a mask is slow without AVX-512."""
        lane = self.lane_state
        assert lane is not None, "lanes are asked for inside a loop over lanes"
        vector = of_width(element, lane.width)
        first, length = 0, lane.width
        while length > 1:
            length //= 2
            if not active & length:
                continue
            place = self.write(f"getelementptr {element}, ptr {pointer}, i64 {first}")
            if length == 1:
                part = self.write(f"extractelement {vector} {register}, i64 {first}")
            else:
                numbers = ", ".join(f"i32 {first + number}" for number in range(length))
                part = self.write(
                    f"shufflevector {vector} {register}, {vector} poison, "
                    f"<{length} x i32> <{numbers}>"
                )
            self.line(f"store {of_width(element, length)} {part}, ptr {place}, align {size}")
            first += length

    def store_left(self, element: str, register: str, pointer: str, size: int, left: str) -> None:
        """Write as many of the first lanes as are left: by a function that the module's stores of
        this kind share.
        """
        lane = self.lane_state
        assert lane is not None, "lanes are asked for inside a loop over lanes"
        vector = of_width(element, lane.width)
        name = f"@store_left_v{lane.width}{type_letter(element)}"
        if name not in self.out.definitions:
            self.out.definitions[name] = store_left_text(name, element, lane.width, size)
        self.line(f"call void {name}({vector} {register}, ptr {pointer}, i64 {left})")

    def store_strided(self, buffer: Buffer, form: LinearForm, step: int, value: Value) -> None:
        """Write one element a lane."""
        lane = self.lane_state
        assert lane is not None, "lanes are asked for inside a loop over lanes"
        element = memory_type(buffer.dtype)
        width, size = lane.width, buffer.dtype.itemsize
        vector = of_width(element, width)
        register = self.to_memory(buffer.dtype, value.text, width)
        if lane.mask is not None and lane.active is None:
            pointers = self.pointers(buffer, form)
            name = f"@llvm.masked.scatter.v{width}{type_letter(element)}.v{width}p0"
            self.declare(f"void {name}({vector}, <{width} x ptr>, i32, <{width} x i1>)")
            self.line(
                f"call void {name}({vector} {register}, <{width} x ptr> {pointers}, i32 {size}, "
                f"<{width} x i1> {lane.mask})"
            )
            return
        pointer = self.address(buffer, form)
        for number in range(width if lane.active is None else lane.active):
            place = self.moved(element, pointer, number * step)
            part = self.write(f"extractelement {vector} {register}, i64 {number}")
            self.line(f"store {element} {part}, ptr {place}, align {size}")

    def lane_numbers(self) -> Value:
        """The index of each lane."""
        lane = self.lane_state
        assert lane is not None, "lanes are asked for inside a loop over lanes"
        width = lane.width
        numbers = ", ".join(f"i64 {lane.offset + number}" for number in range(width))
        first = self.widened(lane.start, width)
        return self.made(INT64, width, self.once(f"add <{width} x i64> {first.text}, <{numbers}>"))


def store_left_text(name: str, element: str, width: int, size: int) -> str:
    """The function that writes the first `%left` lanes, all where that is more than there are: in
    pieces of a half, a quarter, … of the lanes, where `%left` has that bit.
    """
    whole = of_width(element, width)
    lines = [
        f"define internal void {name}({whole} %x{width}, ptr %p{width}, i64 %left) nounwind {{",
        f"  %all = icmp sge i64 %left, {width}",
        f"  br i1 %all, label %whole, label %pieces{width}",
        "whole:",
        f"  store {whole} %x{width}, ptr %p{width}, align {size}",
        "  ret void",
        f"pieces{width}:",
    ]
    length = width
    while length > 1:
        last, length = length, length // 2
        vector, part = of_width(element, last), of_width(element, length)
        lines += [
            f"  %low{length} = {half_of(vector, f'%x{last}', length, 0)}",
            f"  %high{length} = {half_of(vector, f'%x{last}', length, 1)}",
            f"  %bit{length} = and i64 %left, {length}",
            f"  %has{length} = icmp ne i64 %bit{length}, 0",
            f"  br i1 %has{length}, label %put{length}, label %pieces{length}",
            f"put{length}:",
            f"  store {part} %low{length}, ptr %p{last}, align {size}",
            f"  br label %pieces{length}",
            f"pieces{length}:",
            f"  %x{length} = select i1 %has{length}, {part} %high{length}, {part} %low{length}",
            f"  %p{length} = getelementptr {element}, ptr %p{last}, i64 %bit{length}",
        ]
    return "\n".join([*lines, "  ret void", "}", ""])


def half_of(vector: str, register: str, length: int, upper: int) -> str:
    """The instruction that takes the lower or upper `length` lanes of twice as many."""
    if length == 1:
        return f"extractelement {vector} {register}, i64 {upper}"
    lanes = ", ".join(f"i32 {upper * length + number}" for number in range(length))
    return f"shufflevector {vector} {register}, {vector} poison, <{length} x i32> <{lanes}>"


def element_in_memory(dtype: DType) -> str:
    """The LLVM type whose size is an element's."""
    if dtype.kind == "c":
        return f"{{ {element_type(dtype)}, {element_type(dtype)} }}"
    return memory_type(dtype)


def type_letter(element: str) -> str:
    """How intrinsics name an element type."""
    return {"double": "f64", "float": "f32"}.get(element, element)
