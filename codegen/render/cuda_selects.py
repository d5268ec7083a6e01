"""The text of kernels that find the keys at some places of sorted rows, digit by digit from the
greatest on: of the keys that begin as the one at a place does, how many there are with each next
digit; and which digit that key has then.

Places whose keys begin alike, as all do at first, are counted once, for the first of them.
"""

from __future__ import annotations

from collections.abc import Sequence

from codegen.render.cuda_sort_text import BATCH, SortText


class SelectText(SortText):
    """Writes the kernels of a selection."""

    def top_shift(self) -> str:
        """Where the digit of a pass lies in a key: the first pass has the greatest."""
        step = self.step
        return f"shift = np.{self.wide}(({step.passes - 1} - {self.turn}) * {step.width})"

    def sift(self) -> None:
        """How often each next digit is there, in each chunk, for each place."""
        step, count = self.step, len(self.step.places)
        self.write(f"""
counters = cuda.shared.array({count * step.digits}, np.int32)
keys_here = cuda.local.array({BATCH}, np.{self.wide})
prefix = cuda.local.array({count}, np.{self.wide})
own = cuda.local.array({count}, np.int32)
""")
        self.chunk()
        self.write(f"""
{self.top_shift()}
for item in range(thread, {count * step.digits}, {step.threads}):
    counters[item] = 0
for step in range({count}):
    prefix[step] = np.{self.wide}(0)
    own[step] = np.int32(0)
    if {self.turn} > 0:
        prefix[step] = {self.element("prefixes", f"row * {count} + step")}
        own[step] = {self.element("slots", f"row * {count} + step")}
cuda.syncthreads()
""")
        self.open(f"for first in range(start + thread, stop, {BATCH * step.threads}):")
        self.write(f"""
for item in range({BATCH}):
    at = first + item * {step.threads}
    if at < stop:
        keys_here[item] = np.{self.wide}({self.element("source", "base + at")})
""")
        self.open(f"for item in range({BATCH}):")
        self.open(f"if first + item * {step.threads} < stop:")
        self.write("key = keys_here[item]")
        self.write(self.digit())
        self.counted(count)
        self.close()
        self.close()
        self.close()
        place = f"(row * {count * step.digits} + item) * {step.chunks} + chunk"
        self.write(f"""
cuda.syncthreads()
for item in range(thread, {count * step.digits}, {step.threads}):
    {self.element("counts", place)} = counters[item]
""")

    def choose(self) -> None:
        """The next digit of the key at each place; after the last the keys."""
        step, count = self.step, len(self.step.places)
        self.write(f"""
chosen = cuda.shared.array({count}, np.{self.wide})
rest = cuda.shared.array({count}, np.{self.number})
parts = cuda.shared.array({self.warps}, np.{self.number})
""")
        self.warp()
        self.open(f"for row in range(group, {step.rows}, {self.plan.blocks}):")
        found = self.element("totals", f"(row * {count} + slot) * {step.digits} + digit")
        for number, place in enumerate(step.places):
            at = f"row * {count} + {number}"
            self.write(f"""
slot = np.int32(0)
left = np.{self.number}({place})
above = np.{self.wide}(0)
if {self.turn} > 0:
    slot = {self.element("slots", at)}
    left = {self.element("rests", at)}
    above = {self.element("prefixes", at)}
""")
            self.narrow(number, found)
        self.open("if thread == 0:")
        self.open(f"for step in range({count}):")
        self.write(f"""
at = row * {count} + step
slot = np.int32(step)
for item in range({count}):
    if (item < slot) & (chosen[item] == chosen[step]):
        slot = np.int32(item)
{self.element("prefixes", "at")} = chosen[step]
{self.element("rests", "at")} = rest[step]
{self.element("slots", "at")} = slot
""")
        self.open(f"if {self.turn} == {step.passes - 1}:")
        self.write("low = chosen[step]")
        self.write(self.unmapped())
        self.finished("at")
        self.close()
        self.close()
        self.close()
        self.write("cuda.syncthreads()")

    def narrow(self, number: int, found: str) -> None:
        """The next digit for the place `number`: `left` keys that begin with `above` stand before
        it; of those `found` is how many have a digit. Two barriers."""
        step = self.step
        self.write(f"total = np.{self.number}(0)")
        self.threads_digits(step.digits, f"total = np.{self.number}(total + {found})")
        self.scan()
        self.threads_digits(
            step.digits,
            f"""
found = {found}
if (left >= before) & (left < before + found):
    chosen[{number}] = np.{self.wide}(
        np.{self.wide}(above << np.{self.wide}({step.width})) | np.{self.wide}(digit)
    )
    rest[{number}] = np.{self.number}(left - before)
before = np.{self.number}(before + found)
""",
        )
        self.write("cuda.syncthreads()")

    def unmapped(self) -> str:
        """The lines that find a `key` that is sorted by `low`."""
        number = f"np.{self.wide}"
        if self.step.mapped == "plain":
            return "key = low"
        if self.step.mapped == "signed":
            return f"key = {number}(low ^ {number}({self.sign}))"
        quiet = self.infinite | (self.infinite >> 1)
        return f"""\
key = {number}(low ^ {number}({self.every}))
if low == {number}({self.every}):
    key = {number}({quiet & (self.sign - 1)})
elif low >= {number}({self.sign}):
    key = {number}(low ^ {number}({self.sign}))"""

    # By one block

    def search(self, places: Sequence[str]) -> None:
        """`chosen`: what the keys at some places of the block's row are sorted by."""
        step, count = self.step, len(places)
        for number, place in enumerate(places):
            self.write(f"limits[{number}] = np.{self.number}({place})")
        self.write(f"""
for step in range({count}):
    prefix[step] = np.{self.wide}(0)
    own[step] = np.int32(0)
""")
        self.open(f"for turn in range({step.passes}):")
        self.write(f"""
{self.top_shift()}
for item in range(thread, {count * step.digits}, {step.threads}):
    counters[item] = 0
cuda.syncthreads()
""")
        self.open(f"for item in range({step.items}):")
        self.open(f"if {self.position('')} < stop:")
        self.write("key = keys_here[item]")
        self.write(self.digit())
        self.counted(count)
        self.close()
        self.close()
        self.write("cuda.syncthreads()")
        for number in range(count):
            self.write(f"""
slot = own[{number}]
left = limits[{number}]
above = prefix[{number}]
""")
            self.narrow(number, f"counters[slot * {step.digits} + digit]")
        self.write(f"""
for step in range({count}):
    prefix[step] = chosen[step]
    limits[step] = rest[step]
for step in range({count}):
    own[step] = np.int32(step)
    for item in range({count}):
        if (item < own[step]) & (prefix[item] == prefix[step]):
            own[step] = np.int32(item)
""")
        self.close()

    def counted(self, count: int) -> None:
        """Note the digit of a key, for the places whose keys begin as it does."""
        step = self.step
        self.write(f"""
above = np.{self.wide}(np.{self.wide}(low >> shift) >> np.{self.wide}({step.width}))
for step in range({count}):
    if (own[step] == step) & (above == prefix[step]):
        cuda.atomic.add(counters, step * {step.digits} + digit, 1)
""")

    def begin(self, count: int, counters: int) -> None:
        """What a search needs, and the block's keys."""
        step = self.step
        self.write(f"""
counters = cuda.shared.array({max(count * step.digits, counters)}, np.int32)
parts = cuda.shared.array({self.warps}, np.{self.number})
chosen = cuda.shared.array({count}, np.{self.wide})
rest = cuda.shared.array({count}, np.{self.number})
keys_here = cuda.local.array({step.items}, np.{self.wide})
prefix = cuda.local.array({count}, np.{self.wide})
limits = cuda.local.array({count}, np.{self.number})
own = cuda.local.array({count}, np.int32)
""")

    def load(self) -> None:
        """The keys of the block's row, or chunk of one."""
        step = self.step
        self.line()
        self.write(f"""
for item in range({step.items}):
    at = {self.position("")}
    keys_here[item] = np.{self.wide}({self.every})
    if at < stop:
        keys_here[item] = np.{self.wide}({self.element("source", "base + at")})
""")

    def pick(self) -> None:
        """The keys at some places of each row, by one block."""
        step, count = self.step, len(self.step.places)
        self.begin(count, 0)
        self.warp()
        self.open(f"for line in range(group, {step.rows}, {self.plan.blocks}):")
        self.load()
        self.search([str(place) for place in step.places])
        self.open(f"if thread < {count}:")
        self.write("low = chosen[thread]")
        self.write(self.unmapped())
        self.finished(f"line * {count} + thread")
        self.close()
        self.write("cuda.syncthreads()")

    def few(self) -> None:
        """The least and the greatest keys of each row, or chunk of one, by one block: those before
        the one at a place, and as many equal to it as there is room for, the first or the last."""
        step = self.step
        low = sum(last for first, last in step.parts if first == 0)
        high = sum(-first for first, last in step.parts if first < 0)
        places = [str(low - 1)] if low else []
        places += [f"stop - {high}"] if high else []
        width = len(places) + 1
        self.begin(len(places), self.warps * 2**width)
        self.write(f"""
begins = cuda.shared.array({2**width}, np.int32)
kept_keys = cuda.shared.array({step.tile}, np.{self.held})
ranks = cuda.local.array({step.items}, np.int32)
""")
        if self.ordered:
            self.write(f"kept_order = cuda.shared.array({step.tile}, np.{self.number})")
        self.warp()
        self.open(f"for line in range(group, {step.rows * step.chunks}, {self.plan.blocks}):")
        self.load()
        self.search(places)
        order = "start + place"
        if "source_order" in self.roles:
            order = self.element("source_order", "base + place")
        self.ranked("", "stop", self.side(bool(low), bool(high)), width, order)
        self.open(f"for item in range(thread, {step.kept}, {step.threads}):")
        self.write("at = item")
        if high:
            self.write(f"if item >= {low}:\n    at = stop - {high + low} + item")
        self.write("key = kept_keys[at]")
        if self.ordered:
            self.write("found = kept_order[at]")
        self.finished(f"line * {step.kept} + item")
        self.close()
        self.write("cuda.syncthreads()")

    def side(self, low: bool, high: bool) -> str:
        """The lines that find on which side of the places a `key` stands, `digit`."""
        base = 2 if low else 0
        lines = [self.mapped(), f"digit = np.int32({base})"]
        if high:
            lines += [
                f"if low == prefix[{int(low)}]:\n    digit = np.int32({base + 1})",
                f"if low > prefix[{int(low)}]:\n    digit = np.int32({base + 2})",
            ]
        if low:
            lines += [
                "if low == prefix[0]:\n    digit = np.int32(1)",
                "if low < prefix[0]:\n    digit = np.int32(0)",
            ]
        return "\n".join(lines)
