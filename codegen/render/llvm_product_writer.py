"""What matrix products are written with: tiles, and text of functions with loops."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tile:
    """What the registers hold: `rows` × `vectors` registers of `width` elements.

    `element` is LLVM's type, of `size` bytes.
    """

    element: str
    size: int
    width: int
    rows: int
    vectors: int

    @property
    def columns(self) -> int:
        """Columns of a whole tile."""
        return self.vectors * self.width

    @property
    def suffix(self) -> str:
        """What names of functions for this tile end in."""
        return f"{self.element}_{self.rows}x{self.vectors}x{self.width}"


def tile_for(size: int, vector_bytes: int) -> Tile:
    """The tile for elements of `size` bytes on a machine with vectors of `vector_bytes`.

    With 32 registers 8 rows of 3 vectors are summed at once, with 16 registers 4 rows.
    """
    rows = 8 if vector_bytes >= 64 else 4
    return Tile({4: "float", 8: "double"}[size], size, vector_bytes // size, rows, 3)


class FunctionText:
    """Writes one function; registers are numbered from 1."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.slots: list[str] = []
        self.block = "entry"
        self.count = 0

    def fresh(self, stem: str = "v") -> str:
        """A name that is not taken."""
        self.count += 1
        return f"{stem}{self.count}"

    def write(self, instruction: str) -> str:
        """An instruction's result in a new register."""
        register = f"%{self.fresh()}"
        self.lines.append(f"  {register} = {instruction}")
        return register

    def line(self, text: str) -> None:
        """An instruction without a result."""
        self.lines.append(f"  {text}")

    def start(self, label: str) -> None:
        """Open a block."""
        self.lines.append(f"{label}:")
        self.block = label

    def add(self, first: str, second: str | int) -> str:
        """first + second."""
        return self.write(f"add i64 {first}, {second}")

    def subtract(self, first: str | int, second: str | int) -> str:
        """first - second."""
        return self.write(f"sub i64 {first}, {second}")

    def times(self, first: str, second: str | int) -> str:
        """first × second."""
        return self.write(f"mul i64 {first}, {second}")

    def smaller(self, first: str | int, second: str | int) -> str:
        """min(first, second)."""
        less = self.write(f"icmp slt i64 {first}, {second}")
        return self.write(f"select i1 {less}, i64 {first}, i64 {second}")

    def place(self, element: str, pointer: str, offset: str | int) -> str:
        """A pointer `offset` elements further."""
        return self.write(f"getelementptr {element}, ptr {pointer}, i64 {offset}")

    @contextmanager
    def loop(self, stop: str | int, step: int = 1, start: str | int = 0) -> Iterator[str]:
        """`for index in range(start, stop, step)`, tested before each iteration."""
        labels = [self.fresh(stem) for stem in ("test", "body", "done")]
        index, following = f"%{self.fresh()}", f"%{self.fresh()}"
        before = self.block
        self.line(f"br label %{labels[0]}")
        self.start(labels[0])
        position = len(self.lines)
        more = self.write(f"icmp slt i64 {index}, {stop}")
        self.line(f"br i1 {more}, label %{labels[1]}, label %{labels[2]}")
        self.start(labels[1])
        yield index
        self.line(f"{following} = add i64 {index}, {step}")
        phi = f"  {index} = phi i64 [ {start}, %{before} ], [ {following}, %{self.block} ]"
        self.lines.insert(position, phi)
        self.line(f"br label %{labels[0]}")
        self.start(labels[2])

    @contextmanager
    def outer_loop(self, stop: str | int, step: int) -> Iterator[str]:
        """`for index in range(0, stop, step)`, with the index in memory.

        LLVM takes its time to improve what loops in loops count in registers; where much is done
        in each iteration nothing is gained by it.
        """
        labels = [self.fresh(stem) for stem in ("test", "body", "done")]
        slot = f"%{self.fresh('slot')}"
        self.slots.append(f"  {slot} = alloca i64")
        self.line(f"store i64 0, ptr {slot}")
        self.line(f"br label %{labels[0]}")
        self.start(labels[0])
        index = self.write(f"load i64, ptr {slot}")
        more = self.write(f"icmp slt i64 {index}, {stop}")
        self.line(f"br i1 {more}, label %{labels[1]}, label %{labels[2]}")
        self.start(labels[1])
        yield index
        self.line(f"store i64 {self.add(index, step)}, ptr {slot}")
        self.line(f"br label %{labels[0]}")
        self.start(labels[2])

    @contextmanager
    def when(self, condition: str) -> Iterator[None]:
        """Only where an i1 holds."""
        then, after = self.fresh("then"), self.fresh("after")
        self.line(f"br i1 {condition}, label %{then}, label %{after}")
        self.start(then)
        yield
        self.line(f"br label %{after}")
        self.start(after)

    def function(self, name: str, parameters: str) -> str:
        """The whole text, for what has been written; it returns nothing."""
        body = "\n".join([*self.slots, *self.lines])
        return (
            f"define internal void @{name}({parameters}) nounwind {{\n"
            f"entry:\n{body}\n  ret void\n}}\n"
        )
