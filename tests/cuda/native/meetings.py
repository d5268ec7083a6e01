"""A kernel whose threads meet, as a coroutine: where a thread waits for others it is suspended.

The scheduler (`scheduler.py`) has then all threads go on in turn, each on the host's one stack.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.cuda.native.text import split, type_and_value

ENDED = -1
BLOCK = {
    "barrier0": 1,
    "barrier.cta.sync.aligned.all": 1,
    "barrier0.or": 2,
    "barrier.cta.red.or.aligned.all": 2,
    "barrier0.and": 3,
    "barrier.cta.red.and.aligned.all": 3,
    "barrier0.popc": 4,
    "barrier.cta.red.popc.aligned.all": 4,
}
"""Where all threads of a block meet; the numbers are the scheduler's."""
WARP = {"bar.warp.sync": 16, "vote.all.sync": 17, "vote.any.sync": 18, "vote.ballot.sync": 19}
VOTES = {0: 17, 1: 18, 3: 19}
"""`vote.sync` by its mode."""
SHUFFLES = {"idx": 20, "up": 21, "down": 22, "bfly": 23}
"""Where those of a warp meet."""
CALL = re.compile(
    r"^\s*(?:(?P<result>%[\w.$-]+) = )?(?:tail )?call (?P<type>[^@\n]*?) ?"
    r"@host\.(?P<name>[\w.]+)\((?P<operands>.*)\).*$"
)
LABEL = re.compile(r"^([\w.$-]+):")
PHI = re.compile(r"^\s*%[\w.$-]+ = phi ")
INCOMING = re.compile(r", %([\w.$-]+)\s*\]")
REGISTER = re.compile(r"@host\.read\.ptx\.sreg\.(\w+)(?:\.(\w))?\(\)")


@dataclass(frozen=True)
class Meeting:
    """A call at which a thread waits: what kind it is, with whom, and what it gives."""

    result: str | None
    type: str
    kind: int
    mask: str = "-1"
    value: tuple[str, str] | None = None
    number: str = "0"


def meeting_of(line: str) -> Meeting | None:
    """The meeting that a line is, if it is one; ValueError for one that is not known."""
    found = CALL.match(line)
    if found is None:
        return None
    result, kind, name = found["result"], found["type"], found["name"]
    operands = [type_and_value(operand) for operand in split(found["operands"])]
    if name in BLOCK:
        given = [operand for operand in operands if name.startswith("barrier0.") or "red" in name]
        return Meeting(result, kind, BLOCK[name], value=given[-1] if given else None)
    if name in WARP:
        return Meeting(result, kind, WARP[name], operands[0][1], (*operands, None)[1])
    if name == "vote.sync":
        mask, mode, value = operands
        return Meeting(result, kind, VOTES[int(mode[1])], mask[1], value)
    if name.startswith("shfl.sync."):
        parts = name.split(".")
        if parts[2] not in SHUFFLES:  # the general one has the mode among its operands
            mode = list(SHUFFLES)[int(operands.pop(1)[1])]
        else:
            mode = parts[2]
        mask, value, number, clamp = operands
        if clamp[1] != ("0" if mode == "up" else "31"):
            raise ValueError(f"a shuffle among a part of a warp: {line}")
        return Meeting(result, kind, SHUFFLES[mode], mask[1], value, number[1])
    if name.startswith(("barrier", "bar.", "vote", "shfl", "redux", "match")):
        raise ValueError(f"threads meet in a way that is not known here: {line}")
    return None


def meets(body: str) -> bool:
    """Whether threads meet in a function."""
    return any(meeting_of(line) is not None for line in body.split("\n") if "@host." in line)


def coroutine(body: str) -> str:
    """The body of a kernel, `%host.tid` being the thread's number, as a coroutine's, which returns
    its handle.
    """
    lines = body.split("\n")
    made: list[str] = []
    label, now = "", ""
    moved: dict[str, str] = {}
    sites = 0
    first = next(place for place, line in enumerate(lines) if line.strip())
    if LABEL.match(lines[first]) is None:
        made += BEGIN.split("\n")
        first = -1
    for place, line in enumerate(lines):
        begun = LABEL.match(line)
        meeting = meeting_of(line) if "@host." in line else None
        if begun is not None:
            label = now = begun[1]
        if meeting is not None:
            now = f"host.after.{sites}"
            made += _suspended(meeting, sites)
            moved[label] = now
            sites += 1
        elif re.match(r"^\s*ret void\b", line):
            made.append("  br label %host.end")
        else:
            made.append(line)
        if place == first:
            made += BEGIN.split("\n")
    again = [_moved(line, moved) if PHI.match(line) else line for line in made]
    return "\n".join(again) + END


def _moved(line: str, moved: dict[str, str]) -> str:
    """A phi that names the blocks in which its predecessors end now."""
    return INCOMING.sub(lambda found: f", %{moved.get(found[1], found[1])} ]", line)


def _suspended(meeting: Meeting, site: int) -> list[str]:
    """The lines that leave word of what the thread waits for, wait, and take the answer."""
    name = f"%host.m{site}"
    lines = []
    value = "0"
    if meeting.value is not None:
        value = f"{name}.value"
        lines += _as_number(value, *meeting.value)
    lines += [
        f"  call void @host.meet(i32 %host.tid, i32 {meeting.kind}, i32 {site}, "
        f"i32 {meeting.mask}, i32 {meeting.number}, i64 {value})",
        f"  {name}.state = call i8 @llvm.coro.suspend(token none, i1 false)",
        f"  switch i8 {name}.state, label %host.out "
        f"[ i8 0, label %host.after.{site} i8 1, label %host.cleanup ]",
        f"host.after.{site}:",
    ]
    if meeting.result is not None:
        lines.append(f"  {name}.answer = call i64 @host.answer(i32 %host.tid)")
        lines += _from_number(meeting.result, meeting.type.split()[-1], meeting.type, name)
    return lines


def _as_number(name: str, kind: str, value: str) -> list[str]:
    """A value's bits as 64."""
    if kind in ("float", "half"):
        bits = {"float": "i32", "half": "i16"}[kind]
        return [
            f"  {name}.bits = bitcast {kind} {value} to {bits}",
            f"  {name} = zext {bits} {name}.bits to i64",
        ]
    return [f"  {name} = zext {kind} {value} to i64"]


def _from_number(result: str, kind: str, whole: str, name: str) -> list[str]:
    """What a thread gets, from 64 bits."""
    if whole.strip().endswith("}"):  # what a shuffle gives, and whether there was a partner
        return [
            f"  {name}.part = trunc i64 {name}.answer to i32",
            f"  {name}.pair = insertvalue {{i32, i1}} undef, i32 {name}.part, 0",
            f"  {result} = insertvalue {{i32, i1}} {name}.pair, i1 true, 1",
        ]
    if kind == "float":
        return [
            f"  {name}.part = trunc i64 {name}.answer to i32",
            f"  {result} = bitcast i32 {name}.part to float",
        ]
    return [f"  {result} = trunc i64 {name}.answer to {kind}"]


BEGIN = """  %host.id = call token @llvm.coro.id(i32 16, ptr null, ptr null, ptr null)
  %host.size = call i64 @llvm.coro.size.i64()
  %host.frame = call ptr @host.room(i64 %host.size)
  %host.handle = call noalias ptr @llvm.coro.begin(token %host.id, ptr %host.frame)"""
END = f"""
host.end:
  call void @host.meet(i32 %host.tid, i32 {ENDED}, i32 -1, i32 0, i32 0, i64 0)
  %host.last = call i8 @llvm.coro.suspend(token none, i1 true)
  switch i8 %host.last, label %host.out [ i8 0, label %host.never i8 1, label %host.cleanup ]
host.never:
  unreachable
host.cleanup:
  %host.freed = call ptr @llvm.coro.free(token %host.id, ptr %host.handle)
  br label %host.out
host.out:
  call void @llvm.coro.end(ptr %host.handle, i1 false, token none)
  ret ptr %host.handle
"""
