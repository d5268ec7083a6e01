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
    "prefix", "left", "place", "slot", "chosen", "rest", "above", "limits", "own",
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

    def threads_digits(self, digits: int, text: str) -> None:
        """Lines for each digit that a thread has, `digit`."""
        each = -(-digits // self.step.threads)
        if each > 1:
            self.open(f"for item in range({each}):")
            self.write(f"digit = thread * {each} + item")
        else:
            self.write("digit = thread")
            self.open(f"if thread < {digits}:")
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

    def line(self) -> None:
        """Which row, or chunk of one, the block's number `line` is."""
        step = self.step
        if step.chunks > 1 and step.span:
            self.write(f"""
row = line // {step.chunks}
start = line % {step.chunks} * {step.span}
stop = min({step.span}, {step.length} - start)
base = row * {step.length} + start
""")
        elif step.chunks > 1:
            self.write(f"""
row = line // {step.chunks}
chunk = line % {step.chunks}
start = chunk * {step.length} // {step.chunks}
stop = (chunk + 1) * {step.length} // {step.chunks} - start
base = row * {step.length} + start
""")
        else:
            self.write(f"start = 0\nstop = {step.length}\nbase = line * stop")

    def position(self, start: str) -> str:
        """The place of a thread's key number `item`."""
        step = self.step
        first = f"{start} + " if start else ""
        return f"{first}warp * {step.warp * step.items} + item * {step.warp} + rank"

    def rank_in_warps(self, start: str, stop: str, digit: str, width: int) -> None:
        """The rank of each key among those of its digit in its warp, and its digit, in `ranks`."""
        step, digits = self.step, 2**width
        every = (1 << step.warp) - 1
        total = self.warps * digits
        self.write(f"for item in range(thread, {total}, {step.threads}):\n    counters[item] = 0")
        self.write("cuda.syncthreads()")
        self.open(f"for item in range({step.items}):")
        self.write(f"at = {self.position(start)}\nkey = keys_here[item]")
        self.write(digit)
        self.write(f"""
if at >= {stop}:
    digit = np.int32({digits - 1})
peers = np.uint32({every})
for step in range({width}):
    bit = (digit >> step) & 1
    vote = np.uint32(cuda.ballot_sync(0xFFFFFFFF, bit))
    peers = np.uint32(peers & np.uint32(vote ^ np.uint32(bit - 1)))
at = warp * {digits} + digit
seen = counters[at]
below = np.int32(cuda.popc(np.uint32(peers & earlier)))
ranks[item] = np.int32(((seen + below) << {width}) | digit)
cuda.syncwarp(0xFFFFFFFF)
if below == 0:
    counters[at] = np.int32(seen + np.int32(cuda.popc(peers)))
cuda.syncwarp(0xFFFFFFFF)
""")
        self.close()

    def ranked(self, start: str, stop: str, digit: str, width: int = 0, order: str = "") -> None:
        """The rank of each key among those of its digit in its warp; what all warps have, added up
        over warps and digits; and the keys in order in shared memory. Five barriers.

        The lines `digit` find the digit, of `width` bits, of `key`; `order` is where it stood.
        """
        step, width = self.step, width or self.step.width
        digits = 2**width
        self.rank_in_warps(start, stop, digit, width)
        self.write("cuda.syncthreads()\ntotal = np.int32(0)")
        self.threads_digits(
            digits,
            f"""
begins[digit] = total
count = np.int32(0)
for step in range({self.warps}):
    found = counters[step * {digits} + digit]
    counters[step * {digits} + digit] = count
    count = np.int32(count + found)
total = np.int32(total + count)
""",
        )
        self.scan()
        self.threads_digits(digits, "begins[digit] = np.int32(begins[digit] + before)")
        self.write("cuda.syncthreads()")
        self.open(f"for item in range({step.items}):")
        self.write(f"""
place = {self.position(start)}
digit = ranks[item] & {digits - 1}
seen = ranks[item] >> {width}
at = begins[digit] + counters[warp * {digits} + digit] + seen
kept_keys[at] = np.{self.held}(keys_here[item])
""")
        if self.ordered and order:
            self.write(f"if place < {stop}:\n    kept_order[at] = np.{self.number}({order})")
        elif self.ordered:
            self.write("kept_order[at] = order_here[item]")
        self.close()
        self.write("cuda.syncthreads()")
