"""What the kernels of sorts have in common: the bits of keys, digits, and sums over a block."""

from __future__ import annotations

from codegen.device.plan_kernel import KernelPlan
from codegen.device.sort_step import SortStep
from codegen.loops.nodes import View
from codegen.render.cuda_groups import GroupWriter

OWN_NAMES = (
    "counters", "parts", "kept_keys", "kept_order", "bases", "begins", "keys_here", "order_here",
    "ranks", "row", "chunk", "start", "stop", "first", "item", "at", "key", "low", "digit", "warp",
    "rank", "bit", "vote", "peers", "seen", "earlier", "running", "before", "other", "step",
    "total", "found", "line", "target", "shift", "base", "turn", "below", "negative", "count",
    "prefix", "left", "slot", "chosen", "rest", "above", "prefixes", "own",
)  # fmt: skip
"""What the kernels call their variables."""
BATCH = 4
"""Keys that a thread reads before it counts them."""


class SortText:
    """Writes the lines of one kernel of a sort."""

    def __init__(
        self, plan: KernelPlan, step: SortStep, writer: GroupWriter, roles: dict[str, View]
    ) -> None:
        self.plan, self.step, self.writer, self.roles = plan, step, writer, roles
        self.lines: list[str] = []
        self.indent = ""
        self.wide = "uint64" if step.bits == 64 else "uint32"
        self.held = f"uint{step.bits}"
        self.number = "int32" if step.length < 2**31 else "int64"
        if "source_order" in roles:
            self.number = roles["source_order"].buffer.dtype.name
        self.warps = step.threads // step.warp
        self.each = -(-step.digits // step.threads)
        self.turn = writer.name(step.turn) if step.turn else "turn"
        self.ordered = "order" in step.wanted
        self.every = (1 << step.bits) - 1
        self.sign = 1 << (step.bits - 1)
        self.infinite = 0
        if step.mapped == "float":
            kinds = {"bfloat16": 0x7F80, "float16": 0x7C00, "float32": 0x7F800000}
            self.infinite = kinds.get(step.dtype.name, 0x7FF0000000000000)

    # Writing

    def write(self, text: str) -> None:
        """Lines, indented as they are, inside of what is open."""
        self.lines += [self.indent + line for line in text.strip("\n").splitlines()]

    def open(self, text: str) -> None:
        """A line that begins a block."""
        self.write(text)
        self.indent += "    "

    def close(self) -> None:
        """The end of a block."""
        self.indent = self.indent[4:]

    def element(self, role: str, place: str) -> str:
        """The element of some memory with a number, as it lies."""
        view = self.roles[role]
        start = self.writer.offset(view.buffer, view.indices)
        where = place if start == "0" else f"{start} + {place}"
        return f"{self.writer.array(view.buffer)}[{where}]"

    def spare(self, role: str, turn: str, place: str) -> str:
        """An element of the memory that a pass leaves keys in for the next."""
        view = self.roles[role]
        size = self.step.rows * self.step.length
        slot = f"({turn} & 1) * {size} + " if view.buffer.shape[0] > 1 else ""
        return f"{self.writer.array(view.buffer)}[{slot}{place}]"

    # Keys

    def mapped(self) -> str:
        """The lines that find `low`, the number that `key` is sorted by."""
        number = f"np.{self.wide}"
        if self.step.mapped == "plain":
            return "low = key"
        if self.step.mapped == "signed":
            return f"low = {number}(key ^ {number}({self.sign}))"
        return f"""\
low = {number}(key & {number}({self.sign - 1}))
negative = (key != low) & (low != 0)
if low > {number}({self.infinite}):
    low = {number}({self.every})
elif negative:
    low = {number}(key ^ {number}({self.every}))
else:
    low = {number}(low ^ {number}({self.sign}))"""

    def digit(self) -> str:
        """The lines that find the digit of `key`."""
        number = f"np.{self.wide}"
        return (
            f"{self.mapped()}\ndigit = np.int32((low >> shift) & {number}({self.step.digits - 1}))"
        )

    def finished(self, place: str) -> None:
        """Write `key`, and `found`, where it stood, where the whole sort wants them."""
        if "keys" in self.step.wanted:
            self.write(f"{self.element('keys', place)} = np.{self.held}(key)")
        if self.ordered:
            dtype = self.roles["order"].buffer.dtype.name
            self.write(f"{self.element('order', place)} = np.{dtype}(found)")

    def threads_digits(self, text: str) -> None:
        """Lines for each digit that a thread has, `digit`."""
        if self.each == 1:
            self.write("digit = thread")
            if self.step.digits < self.step.threads:
                self.open(f"if thread < {self.step.digits}:")
                self.write(text)
                self.close()
            else:
                self.write(text)
            return
        self.open(f"for item in range({self.each}):")
        self.write(f"digit = thread * {self.each} + item")
        self.write(text)
        self.close()

    # Parts of kernels

    def warp(self) -> None:
        """Which warp a thread is of, and where it stands in it."""
        self.write(f"""
warp = thread // {self.step.warp}
rank = np.int32(thread % {self.step.warp})
earlier = np.uint32((1 << rank) - 1)
""")

    def scan(self) -> None:
        """`before`, what `total` adds up to in the threads before; one barrier."""
        step, number = self.step, self.number
        self.write(f"""
running = np.{number}(total)
for step in range({step.warp.bit_length() - 1}):
    other = cuda.shfl_up_sync(0xFFFFFFFF, running, 1 << step)
    if rank >= (1 << step):
        running = np.{number}(running + other)
if rank == {step.warp - 1}:
    parts[warp] = running
cuda.syncthreads()
before = np.{number}(running - total)
for step in range({self.warps}):
    if step < warp:
        before = np.{number}(before + parts[step])
""")

    def chunk(self) -> None:
        """Which part of which row a block has, and which digit it looks at."""
        step = self.step
        self.write(f"""
row = group // {step.chunks}
chunk = group % {step.chunks}
start = chunk * {step.span}
stop = min(start + {step.span}, {step.length})
base = row * {step.length}
shift = np.{self.wide}({self.turn} * {step.width})
""")
