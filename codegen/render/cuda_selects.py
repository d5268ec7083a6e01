"""The text of kernels that find the keys at some places of sorted rows, digit by digit from the
greatest on: of the keys that begin as the one at a place does, how many there are with each next
digit; and which digit that key has then.

Places whose keys begin alike, as all do at first, are counted once, for the first of them.
"""

from __future__ import annotations

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
    own[step] = np.int32(step == 0)
    if {self.turn} > 0:
        prefix[step] = {self.element("prefixes", f"row * {count} + step")}
        own[step] = np.int32({self.element("slots", f"row * {count} + step")} == step)
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
        self.write(f"""
above = np.{self.wide}(np.{self.wide}(low >> shift) >> np.{self.wide}({step.width}))
for step in range({count}):
    if (own[step] != 0) & (above == prefix[step]):
        cuda.atomic.add(counters, step * {step.digits} + digit, 1)
""")
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
        for number, place in enumerate(step.places):
            self.narrow(number, place)
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

    def narrow(self, number: int, place: int) -> None:
        """The next digit for one place. Three barriers."""
        step, count = self.step, len(self.step.places)
        found = self.element("totals", f"(row * {count} + slot) * {step.digits} + digit")
        at = f"row * {count} + {number}"
        self.write(f"""
slot = np.int32(0)
left = np.{self.number}({place})
above = np.{self.wide}(0)
if {self.turn} > 0:
    slot = {self.element("slots", at)}
    left = {self.element("rests", at)}
    above = {self.element("prefixes", at)}
total = np.{self.number}(0)
""")
        self.threads_digits(f"total = np.{self.number}(total + {found})")
        self.scan()
        self.threads_digits(f"""
found = {found}
if (left >= before) & (left < before + found):
    chosen[{number}] = np.{self.wide}(
        np.{self.wide}(above << np.{self.wide}({step.width})) | np.{self.wide}(digit)
    )
    rest[{number}] = np.{self.number}(left - before)
before = np.{self.number}(before + found)
""")
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
