"""The text of a kernel of a sort: digits counted, what was counted added up, keys moved to their
places; or all of it for rows that fit a block.

Ranks are stable. A thread's keys lie a warp's width apart, a warp's side by side. Each key in turn
asks by votes which threads of its warp have the same digit: those before it, and what the warp had
of that digit before, make its rank; then come the warps before, and the smaller digits. What lies
behind the end of a row counts as of the greatest digit, and so comes last.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from codegen.device.plan_kernel import KernelPlan
from codegen.device.sorting import SHORT, roles_of
from codegen.loops.nodes import Buffer, Call
from codegen.render.cuda_groups import GroupWriter
from codegen.render.cuda_selects import SelectText
from codegen.render.cuda_sort_text import BATCH, OWN_NAMES


def sort_lines(plan: KernelPlan, writer: GroupWriter) -> list[str]:
    """The lines of a kernel of a sort, after those that every kernel begins with."""
    step = plan.sort
    (call,) = plan.body
    assert step is not None, "the plan is of a sort"
    assert isinstance(call, Call), "its body says where the memory is"
    writer.taken.update(OWN_NAMES)
    text = _Kernels(plan, step, writer, roles_of(call))
    {
        "rows": text.rows,
        "count": text.count,
        "offsets": text.offsets_short if step.chunks <= SHORT else text.offsets,
        "move": text.move,
        "sift": text.sift,
        "choose": text.choose,
        "few": text.few,
        "pick": text.pick,
    }[step.step]()
    return [*writer.lines, *("    " + line for line in text.lines)]


def bits_of(plan: KernelPlan, root: Buffer) -> np.dtype[Any]:
    """The dtype as which a kernel sees memory: of keys that are sorted it takes the bits."""
    if plan.sort is not None:
        (call,) = plan.body
        assert isinstance(call, Call), "the plan is of a sort"
        for role, view in roles_of(call).items():
            if view.buffer.root is root and role in ("source", "spare_keys", "keys"):
                return np.dtype(f"u{root.dtype.itemsize}")
    return root.dtype


class _Kernels(SelectText):
    """Writes the kernels of whole sorts, too."""

    def shared(self) -> None:
        """Memory of the block, and what each thread knows of itself."""
        step = self.step
        self.write(f"""
counters = cuda.shared.array({self.warps * step.digits}, np.int32)
begins = cuda.shared.array({step.digits + 1}, np.int32)
parts = cuda.shared.array({self.warps}, np.{self.number})
kept_keys = cuda.shared.array({step.tile}, np.{self.held})
keys_here = cuda.local.array({step.items}, np.{self.wide})
ranks = cuda.local.array({step.items}, np.int32)
""")
        if self.ordered:
            self.write(f"""
kept_order = cuda.shared.array({step.tile}, np.{self.number})
order_here = cuda.local.array({step.items}, np.{self.number})
""")
        self.warp()

    # Kernels

    def rows(self) -> None:
        """Each row, or chunk of one, by one block."""
        step, every = self.step, self.every
        self.shared()
        self.open(f"for line in range(group, {step.rows * step.chunks}, {self.plan.blocks}):")
        self.line()
        self.open(f"for item in range({step.items}):")
        self.write(f"at = {self.position('')}\nkeys_here[item] = np.{self.wide}({every})")
        if self.ordered:
            self.write(f"order_here[item] = np.{self.number}(start + at)")
        self.open("if at < stop:")
        self.write(f"keys_here[item] = np.{self.wide}({self.element('source', 'base + at')})")
        if "source_order" in self.roles:
            order = self.element("source_order", "base + at")
            self.write(f"order_here[item] = np.{self.number}({order})")
        self.close()
        self.close()
        self.open(f"for turn in range({step.passes}):")
        self.write(f"shift = np.{self.wide}(turn * {step.width})")
        self.ranked("", "stop", self.digit())
        self.open(f"for item in range({step.items}):")
        self.write(f"at = {self.position('')}\nkeys_here[item] = np.{self.wide}(kept_keys[at])")
        if self.ordered:
            self.write("order_here[item] = kept_order[at]")
        self.close()
        self.close()
        self.open(f"for item in range({step.items}):")
        self.write(f"at = {self.position('')}\nkey = keys_here[item]")
        if self.ordered:
            self.write("found = order_here[item]")
        if not step.parts:
            self.open("if at < stop:")
            self.finished("base + at")
            return
        before = 0
        for first, last in step.parts:
            low, high = self.bound(first, False), self.bound(last, True)
            self.open(f"if (at >= {low}) & (at < {high}):")
            self.finished(f"line * {step.kept} + at - ({low}) + {before}")
            self.close()
            before += last - first

    def bound(self, place: int, is_last: bool) -> str:
        """A bound of a part of a chunk."""
        if place < 0:
            return f"stop - {-place}"
        return "stop" if is_last and place == 0 else str(place)

    def read(self, name: str, at: str) -> str:
        """Lines for a key, as the pass before has left it."""
        source = self.element("source", f"base + {at}")
        first = f"{name} = np.{self.wide}({source})"
        if self.step.passes == 1:
            return first
        spare = self.spare("spare_keys", f"({self.turn} + 1)", f"base + {at}")
        return f"if {self.turn} == 0:\n    {first}\nelse:\n    {name} = np.{self.wide}({spare})"

    def count(self) -> None:
        """How often each digit is there, in each chunk."""
        step = self.step
        self.write(f"""
counters = cuda.shared.array({step.digits}, np.int32)
keys_here = cuda.local.array({BATCH}, np.{self.wide})
""")
        self.chunk()
        self.write(
            f"for item in range(thread, {step.digits}, {step.threads}):\n    counters[item] = 0"
        )
        self.write("cuda.syncthreads()")
        self.open(f"for first in range(start + thread, stop, {BATCH * step.threads}):")
        self.open(f"for item in range({BATCH}):")
        self.write(f"at = first + item * {step.threads}")
        self.open("if at < stop:")
        self.write(self.read("keys_here[item]", "at"))
        self.close()
        self.close()
        self.open(f"for item in range({BATCH}):")
        self.open(f"if first + item * {step.threads} < stop:")
        self.write("key = keys_here[item]")
        self.write(self.digit())
        self.write("cuda.atomic.add(counters, digit, 1)")
        self.close()
        self.close()
        self.close()
        self.write("cuda.syncthreads()")
        place = f"(row * {step.digits} + item) * {step.chunks} + chunk"
        self.write(f"""
for item in range(thread, {step.digits}, {step.threads}):
    {self.element("counts", place)} = counters[item]
""")

    def offsets_short(self) -> None:
        """What the chunks before have of each digit, by one thread for each; and what all have."""
        step = self.step
        lines = step.rows * step.digits
        count = self.element("counts", f"line * {step.chunks} + chunk")
        self.write(f"""
for line in range(thread_slot, {lines}, {self.plan.blocks * step.threads}):
    total = np.{self.number}(0)
    for chunk in range({step.chunks}):
        found = {count}
        {count} = total
        total = np.{self.number}(total + found)
    {self.element("totals", "line")} = total
""")

    def offsets(self) -> None:
        """The same by one block for each."""
        step = self.step
        each = -(-step.chunks // step.threads)
        count = self.element("counts", f"line * {step.chunks} + at")
        self.write(f"parts = cuda.shared.array({self.warps}, np.{self.number})")
        self.warp()
        self.open(f"for line in range(group, {step.rows * step.digits}, {self.plan.blocks}):")
        self.write(f"""
total = np.{self.number}(0)
for item in range({each}):
    at = thread * {each} + item
    if at < {step.chunks}:
        total = np.{self.number}(total + {count})
""")
        self.scan()
        self.write(f"""
if thread == {step.threads - 1}:
    {self.element("totals", "line")} = np.{self.number}(before + total)
for item in range({each}):
    at = thread * {each} + item
    if at < {step.chunks}:
        found = {count}
        {count} = before
        before = np.{self.number}(before + found)
cuda.syncthreads()
""")

    def move(self) -> None:
        """Each key to its place."""
        step, every = self.step, self.every
        self.shared()
        self.write(f"bases = cuda.shared.array({step.digits}, np.{self.number})")
        self.write(f"if thread == 0:\n    begins[{step.digits}] = {step.tile}")
        self.chunk()
        self.write(f"total = np.{self.number}(0)")
        line = f"row * {step.digits} + digit"
        self.threads_digits(
            step.digits,
            f"""
bases[digit] = total
total = np.{self.number}(total + {self.element("totals", line)})
""",
        )
        self.scan()
        count = self.element("counts", f"({line}) * {step.chunks} + chunk")
        self.threads_digits(
            step.digits, f"bases[digit] = np.{self.number}(bases[digit] + before + {count})"
        )
        self.write("cuda.syncthreads()")
        self.open(f"for first in range(start, stop, {step.tile}):")
        self.open(f"for item in range({step.items}):")
        self.write(f"at = {self.position('first')}\nkeys_here[item] = np.{self.wide}({every})")
        if self.ordered:
            self.write(f"order_here[item] = np.{self.number}(at)")
        self.open("if at < stop:")
        self.write(self.read("keys_here[item]", "at"))
        if self.ordered and step.passes > 1:
            spare = self.spare("spare_order", f"({self.turn} + 1)", "base + at")
            self.write(f"if {self.turn} > 0:\n    order_here[item] = {spare}")
        self.close()
        self.close()
        self.ranked("first", "stop", self.digit())
        self.open(f"for item in range({step.items}):")
        self.write(f"at = thread + item * {step.threads}")
        self.open("if first + at < stop:")
        self.write(f"key = np.{self.wide}(kept_keys[at])")
        if self.ordered:
            self.write("found = kept_order[at]")
        self.write(self.digit())
        self.write("target = base + bases[digit] + at - begins[digit]")
        if step.passes > 1:
            self.open(f"if {self.turn} < {step.passes - 1}:")
            self.write(f"{self.spare('spare_keys', self.turn, 'target')} = np.{self.held}(key)")
            if self.ordered:
                self.write(f"{self.spare('spare_order', self.turn, 'target')} = found")
            self.close()
            self.open("else:")
        self.finished("target")
        if step.passes > 1:
            self.close()
        self.close()
        self.close()
        self.write("cuda.syncthreads()")
        self.threads_digits(
            step.digits,
            f"bases[digit] = np.{self.number}(bases[digit] + begins[digit + 1] - begins[digit])",
        )
