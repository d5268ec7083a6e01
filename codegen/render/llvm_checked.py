"""Code that checks each of its own accesses, for tests: the same code, with a question before every
load and store.

An access outside of its buffer goes to a spare place instead, and the call ends with an error that
names the buffer. What BLAS, LAPACK and the kernels of matrix products do inside is not seen.
"""

from __future__ import annotations

import re

from codegen.loops.nodes import Buffer
from codegen.render.llvm_sections import SectionWriter

OUT_OF_BOUNDS = 1 << 21
"""The kernel's code; the first word of the status is the buffer's number."""

_REGISTER = r"(%[\w.]+)"
_LOAD = re.compile(rf"load (.+), ptr {_REGISTER}, align \d+")
_STORE = re.compile(rf"store (.+), ptr {_REGISTER}, align \d+")
_ROW = re.compile(
    rf"call (.+) @llvm\.masked\.(?:load|store)\.v\d+\w+\.p0\((.*?)ptr {_REGISTER}, i32 (\d+), "
    r"<(\d+) x i1> (.+)\)"
)
_LANES = re.compile(
    rf"call (.+) @llvm\.masked\.(?:gather|scatter)\.v\d+\w+\.v\d+p0\((.*?)<\d+ x ptr> {_REGISTER}, "
    r"i32 (\d+), <(\d+) x i1> (.+)\)"
)
_DERIVED = (
    re.compile(rf"getelementptr .*?, ptr {_REGISTER}, "),
    re.compile(rf"insertelement <\d+ x ptr> poison, ptr {_REGISTER}, "),
    re.compile(rf"shufflevector <\d+ x ptr> {_REGISTER}, "),
)
_TAPE = re.compile(rf"load ptr, ptr {_REGISTER}$")
_SIZES = {"double": 8, "float": 4, "ptr": 8}

_FUNCTIONS = """
@spare_place = internal global [256 x i8] zeroinitializer, align 64
@offender = internal global i64 -1

define internal ptr @checked_place(ptr %place, i64 %bytes, ptr %base, i64 %size, i64 %buffer) {
  %to = ptrtoint ptr %place to i64
  %from = ptrtoint ptr %base to i64
  %offset = sub i64 %to, %from
  %end = add i64 %offset, %bytes
  %behind = icmp sge i64 %offset, 0
  %before = icmp sle i64 %end, %size
  %inside = and i1 %behind, %before
  br i1 %inside, label %good, label %bad
good:
  ret ptr %place
bad:
  store atomic i64 %buffer, ptr @offender monotonic, align 8
  ret ptr @spare_place
}

define internal i1 @checked_lane(ptr %place, i64 %bytes, ptr %base, i64 %size, i64 %buffer,
    i1 %active) {
  br i1 %active, label %ask, label %no
ask:
  %found = call ptr @checked_place(ptr %place, i64 %bytes, ptr %base, i64 %size, i64 %buffer)
  %same = icmp eq ptr %found, %place
  ret i1 %same
no:
  ret i1 false
}
"""


class CheckedWriter(SectionWriter):
    """Writes the same code, with a check before each access to a buffer."""

    parents: dict[str, str]
    numbers_of: dict[Buffer, int]

    def watch(self, buffers: tuple[Buffer, ...]) -> None:
        """Begin; `buffers` are the program's, in an order that numbers them."""
        self.parents = {}
        self.stores_by_count = False
        self.numbers_of = {buffer: number for number, buffer in enumerate(buffers)}
        self.out.definitions["@checked_place"] = _FUNCTIONS

    def write(self, instruction: str) -> str:
        """An instruction's result in a new register, after a check where it reads memory."""
        register = super().write(self.guarded(instruction))
        self.note(register, instruction)
        return register

    def line(self, text: str) -> None:
        """An instruction without a result, after a check where it writes memory."""
        if text == "ret i32 0":
            text = f"ret i32 {self.outcome()}"
        super().line(self.guarded(text))

    def hoisted(self, level: int, instruction: str) -> str:
        """An instruction before the loops inside a level."""
        register = super().hoisted(level, instruction)
        self.note(register, instruction)
        return register

    def note(self, register: str, instruction: str) -> None:
        """Remember what a pointer was made from."""
        for pattern in _DERIVED:
            found = pattern.match(instruction)
            if found:
                self.parents[register] = found[1]
                return
        found = _TAPE.match(instruction)
        if found and found[1] in self.tapes.values():
            self.parents[register] = found[1]

    def limits(self, register: str) -> str | None:
        """Arguments of the check: base, size and number of the buffer that a pointer lies in."""
        base = register
        while base in self.parents:
            register, base = base, self.parents[base]
        for buffer, slot in self.tapes.items():
            if slot == base:  # then `register` was read from it
                place = super().write(f"getelementptr i8, ptr {slot}, i64 8")
                room = super().write(f"load i64, ptr {place}")
                return f"ptr {register}, i64 {room}, i64 {self.numbers_of[buffer]}"
        bases = dict(self.bases)
        for buffer, known in bases.items():
            if known == base:
                size = buffer.size * buffer.dtype.itemsize
                return f"ptr {base}, i64 {size}, i64 {self.numbers_of[buffer]}"
        return None

    def guarded(self, instruction: str) -> str:
        """An instruction that stays inside."""
        for pattern in (_LOAD, _STORE):
            found = pattern.match(instruction)
            if found:
                limits = self.limits(found[2])
                if limits is None:
                    return instruction
                call = f"call ptr @checked_place(ptr {found[2]}, i64 {size_of(found[1])}, {limits})"
                place = super().write(call)
                return instruction.replace(f"ptr {found[2]}, align", f"ptr {place}, align")
        row, lanes = _ROW.match(instruction), _LANES.match(instruction)
        found = row or lanes
        if found is None:
            return instruction
        limits = self.limits(found[3])
        if limits is None:
            return instruction
        width, mask = int(found[5]), first_operand(found[6])
        checked = self.checked_mask(row is not None, found[3], int(found[4]), width, mask, limits)
        return instruction.replace(f"<{width} x i1> {mask}", f"<{width} x i1> {checked}")

    def checked_mask(
        self, is_row: bool, pointer: str, size: int, width: int, mask: str, limits: str
    ) -> str:
        """The lanes of a mask whose places lie inside."""
        result = "zeroinitializer"
        for lane in range(width):
            active = super().write(f"extractelement <{width} x i1> {mask}, i64 {lane}")
            if is_row:
                place = super().write(f"getelementptr i8, ptr {pointer}, i64 {lane * size}")
            else:
                place = super().write(f"extractelement <{width} x ptr> {pointer}, i64 {lane}")
            inside = super().write(
                f"call i1 @checked_lane(ptr {place}, i64 {size}, {limits}, i1 {active})"
            )
            result = super().write(
                f"insertelement <{width} x i1> {result}, i1 {inside}, i64 {lane}"
            )
        return result

    def outcome(self) -> str:
        """What a function returns that has come to its end: 0, or that something was outside."""
        number = super().write("load i64, ptr @offender")
        failed = super().write(f"icmp sge i64 {number}, 0")
        super().line("store i64 -1, ptr @offender")
        # One of several functions may come after the offending one: nothing is lost, as it is first
        present = super().write("load i64, ptr %status")
        kept = super().write(f"select i1 {failed}, i64 {number}, i64 {present}")
        super().line(f"store i64 {kept}, ptr %status")
        return super().write(f"select i1 {failed}, i32 {OUT_OF_BOUNDS}, i32 0")


def size_of(text: str) -> int:
    """Bytes of a type, or of a value with its type before it."""
    if text.startswith("<"):
        count, _, element = text[1 : text.index(">")].partition(" x ")
        return int(count) * size_of(element)
    element = text.split()[0]
    return _SIZES.get(element) or int(element[1:]) // 8


def first_operand(text: str) -> str:
    """The first of the operands in a text: up to a comma that no bracket encloses."""
    depth = 0
    for place, letter in enumerate(text):
        depth += (letter in "<(") - (letter in ">)")
        if letter == "," and depth == 0:
            return text[:place]
    return text
