"""Accesses of memory that are looked at before they are made, and what special registers hold.

An access must lie inside the memory of one argument, of which it may write if that is declared, of
one constant or shared array, or among the thread's own variables; at a multiple of its alignment.
Else it goes to memory that nobody uses, and an error is noted.
"""

from __future__ import annotations

import re

from tests.cuda.native.text import split
from tests.cuda.native.warps import MISALIGNED, OUTSIDE

ALLOCATED = re.compile(r"^\s*(%[\w.$-]+) = alloca ")
DERIVED = re.compile(
    r"^\s*(%[\w.$-]+) = (?:bitcast ptr (%[\w.$-]+) to ptr|"
    r"getelementptr (?:inbounds )?.+?, ptr (%[\w.$-]+)(?:, i32 \d+)+)\s*$"
)
LOAD = re.compile(r"^(\s*%[\w.$-]+ = load (?:volatile |atomic )?)(.*)$")
STORE = re.compile(r"^(\s*store (?:volatile |atomic )?)(.*)$")
CHANGE = re.compile(r"^(\s*%[\w.$-]+ = (?:atomicrmw (?:volatile )?\w+|cmpxchg (?:weak )?))(.*)$")
REGISTER = re.compile(r"call i32 @host\.read\.ptx\.sreg\.([\w.]+)\(\)(?:, !range !\d+)?")
LOADED = {"ntid.x": "width", "ctaid.x": "block", "nctaid.x": "grid"}
FIXED = {"tid": "0", "ctaid": "0", "ntid": "1", "nctaid": "1"}


def with_registers(body: str, kernel: bool) -> str:
    """The body with the values of special registers; the kernel has its thread as a parameter."""

    def value(found: re.Match[str]) -> str:
        name = found[1]
        if name in LOADED:
            return f"load i32, ptr @host.{LOADED[name]}"
        if name == "tid.x":
            return "add i32 %host.tid, 0" if kernel else "load i32, ptr @host.now"
        if name == "laneid" and kernel:
            return "and i32 %host.tid, 31"
        if name == "warpsize":
            return "add i32 32, 0"
        register, axis = name.split(".")
        if axis not in ("y", "z"):
            raise ValueError(f"a special register that is not known here: {name}")
        return f"add i32 {FIXED[register]}, 0"

    return REGISTER.sub(value, body)


def checked(body: str) -> str:
    """The body in which accesses are looked at, but those of variables by their names."""
    own: set[str] = set()
    made: list[str] = []
    for line in body.split("\n"):
        found = ALLOCATED.match(line)
        derived = DERIVED.match(line)
        if found is not None:
            own.add(found[1])
        elif derived is not None and (derived[2] or derived[3]) in own:
            own.add(derived[1])
        made += _checked(line, own, len(made))
    return "\n".join(made)


def _checked(line: str, own: set[str], number: int) -> list[str]:
    """The line, and before it the look at its address."""
    for pattern, place, write in ((LOAD, 1, False), (STORE, 1, True), (CHANGE, 0, True)):
        found = pattern.match(line)
        if found is None:
            continue
        parts = split(found[2].split("!", 1)[0].rstrip(" ,"))
        pointer = parts[place]
        assert pointer.startswith("ptr "), line
        if pointer[4:] in own:
            return [line]
        given = parts[1] if pattern is CHANGE else parts[0]
        kind = given if pattern is LOAD else _type(given)
        stated = next((part.split()[1] for part in parts if part.startswith("align ")), None)
        natural = f"ptrtoint (ptr getelementptr ({{i1, {kind}}}, ptr null, i32 0, i32 1) to i64)"
        size = f"ptrtoint (ptr getelementptr ({kind}, ptr null, i32 1) to i64)"
        name = f"%host.c{number}"
        look = (
            f"  {name} = call ptr @host.check({pointer}, i64 {size}, "
            f"i64 {stated or natural}, i1 {str(write).lower()})"
        )
        rest = ", ".join([*parts[:place], f"ptr {name}", *parts[place + 1 :]])
        return [look, f"{found[1]} {rest}"]
    return [line]


def _type(operand: str) -> str:
    """The type of an operand."""
    depth = 0
    for place, character in enumerate(operand):
        depth += (character in "{[<(") - (character in "}])>")
        if character == " " and depth == 0:
            return operand[:place]
    raise ValueError(operand)


def ranges_of(globals_: dict[str, tuple[str, bool]]) -> str:
    """The text with which an access is looked at; of each variable of the module, its type and
    whether it may be written.
    """
    rows = ", ".join(
        f"{{i64, i64, i64}} {{i64 ptrtoint (ptr @{name} to i64), i64 ptrtoint "
        f"(ptr getelementptr ({kind}, ptr @{name}, i32 1) to i64), i64 {int(writable)}}}"
        for name, (kind, writable) in globals_.items()
    )
    count = len(globals_)
    table = f"[{rows}]" if rows else "zeroinitializer"
    return CHECK.format(
        count=count, table=table, outside=OUTSIDE, misaligned=MISALIGNED, open="{", close="}"
    )


CHECK = """
@host.stack = internal global ptr null
@host.known = internal constant [{count} x {open}i64, i64, i64{close}] {table}
@host.given = global ptr null
@host.given.count = global i64 0
@host.nowhere = internal global [4096 x i8] zeroinitializer, align 64

define internal i1 @host.inside(ptr %rows, i64 %count, i64 %start, i64 %end, i1 %write) {open}
entry:
  br label %head
head:
  %i = phi i64 [ 0, %entry ], [ %more, %next ]
  %on = icmp ult i64 %i, %count
  br i1 %on, label %body, label %out
body:
  %row = getelementptr {open}i64, i64, i64{close}, ptr %rows, i64 %i
  %second = getelementptr i64, ptr %row, i64 1
  %third = getelementptr i64, ptr %row, i64 2
  %from = load i64, ptr %row
  %to = load i64, ptr %second
  %writable = load i64, ptr %third
  %a = icmp uge i64 %start, %from
  %b = icmp ule i64 %end, %to
  %c = icmp uge i64 %end, %start
  %d = icmp ne i64 %writable, 0
  %e = xor i1 %write, true
  %f = or i1 %d, %e
  %g = and i1 %a, %b
  %h = and i1 %c, %f
  %good = and i1 %g, %h
  br i1 %good, label %found, label %next
next:
  %more = add i64 %i, 1
  br label %head
found:
  ret i1 true
out:
  ret i1 false
{close}
define internal ptr @host.check(ptr %p, i64 %size, i64 %align, i1 %write) noinline {open}
  %start = ptrtoint ptr %p to i64
  %end = add i64 %start, %size
  %mask = sub i64 %align, 1
  %rest = and i64 %start, %mask
  %straight = icmp eq i64 %rest, 0
  br i1 %straight, label %look, label %misaligned
misaligned:
  call void @host.fail(i64 {misaligned}, i64 %start, i64 %size, i64 %align)
  ret ptr @host.nowhere
look:
  %rows = load ptr, ptr @host.given
  %count = load i64, ptr @host.given.count
  %one = call i1 @host.inside(ptr %rows, i64 %count, i64 %start, i64 %end, i1 %write)
  br i1 %one, label %good, label %other
other:
  %two = call i1 @host.inside(ptr @host.known, i64 {count}, i64 %start, i64 %end, i1 %write)
  br i1 %two, label %good, label %own
own:
  %frames = load i64, ptr @host.frames
  %size.frames = load i64, ptr @host.frames.size
  %after = add i64 %frames, %size.frames
  %a = icmp uge i64 %start, %frames
  %b = icmp ule i64 %end, %after
  %three = and i1 %a, %b
  %top = load i64, ptr @host.stack
  %bottom = sub i64 %top, 4194304
  %c = icmp uge i64 %start, %bottom
  %d = icmp ule i64 %end, %top
  %four = and i1 %c, %d
  %five = or i1 %three, %four
  br i1 %five, label %good, label %bad
bad:
  %w = zext i1 %write to i64
  call void @host.fail(i64 {outside}, i64 %start, i64 %size, i64 %w)
  ret ptr @host.nowhere
good:
  ret ptr %p
{close}
"""
