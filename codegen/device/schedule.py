"""A schedule: what the host does, step by step, to run a loop program on a device.

Memory is known by buffer: inputs, outputs and constants as they are, workspace at offsets in one
arena, and `status`, int64 values in which kernels leave errors. Steps run in order on one stream.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from codegen.device.plan_kernel import KernelPlan
from codegen.loops.nodes import Buffer, Call, ErrorMessage, View

NO_ROOM = -1
"""What a kernel leaves in `status` where a tape is too short; the room it needs comes after, in
elements and in entries. Numbers below it are those of loops that can go on from there."""


@dataclass(frozen=True, slots=True)
class Argument:
    """A parameter of a kernel: the memory of a buffer, flat, or a scalar of the host.

    `kind` is "pointer", or "scalar": the value of the host's variable `name`. `buffer` is a root:
    never a view of another.
    """

    name: str
    dtype: np.dtype[Any]
    kind: str = "pointer"
    buffer: Buffer | None = None
    written: bool = False

    @property
    def fixed(self) -> bool:
        """Whether nothing that the kernel writes can be the memory of this pointer. Workspace may
        share its memory with other workspace.
        """
        known = self.buffer is not None and self.buffer.role in ("input", "constant")
        return known and self.kind == "pointer" and not self.written


@dataclass(frozen=True, slots=True, eq=False)
class Kernel:
    """The text of one kernel: a module that needs numba, NumPy and math, and in it `name`.
    `places` are lines of the user's that it computes, `looks` flags, and what each has to be for it
    to do anything."""

    name: str
    source: str
    arguments: tuple[Argument, ...]
    places: tuple[str, ...] = ()
    looks: tuple[tuple[Buffer, bool], ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Launch:
    """Run a kernel on `blocks` blocks of `threads` threads. `work` is how many statements it runs
    in all, `plan` what its text was made from."""

    kernel: Kernel
    blocks: int
    threads: int
    work: int = 0
    plan: KernelPlan | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Library:
    """A call of a library routine, or of Python: `call.results` are written from
    `call.operands`."""

    call: Call

    @property
    def views(self) -> tuple[View, ...]:
        """Results, then operands."""
        return (*self.call.results, *self.call.operands)


@dataclass(frozen=True, slots=True, eq=False)
class Repeat:
    """Run `body` for each value of the host's variable `index`, from `start` to before `stop`;
    from the top down where `reverse`. A bound is a number, or a one-element int64 buffer to read.
    """

    index: str
    start: int | Buffer
    stop: int | Buffer
    reverse: bool
    body: tuple[Step, ...]


@dataclass(frozen=True, slots=True, eq=False)
class RepeatWhile:
    """Run `test`; while the one-element boolean buffer `condition` then holds, run `body`.

    ahead  whether all kernels look at `condition` before they do anything, the first ones of `test`
           too, and turns after the last one do no harm
    pause  what `status` holds, if not 0, where a turn has done nothing, for lack of room in one of
           `tapes`: it may be run again when there is more
    """

    test: tuple[Step, ...]
    condition: Buffer
    body: tuple[Step, ...]
    ahead: bool = False
    pause: int = 0
    tapes: tuple[Buffer, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Choose:
    """Run `then` where the one-element boolean buffer `condition` holds, else `otherwise`."""

    condition: Buffer
    then: tuple[Step, ...]
    otherwise: tuple[Step, ...]


Step = Launch | Library | Repeat | RepeatWhile | Choose


@dataclass(frozen=True, slots=True, eq=False)
class Schedule:
    """The steps, and the memory that they use.

    offsets    where each workspace buffer lies in the arena, in bytes
    copies     how many times a workspace buffer is there, one behind the other, if not once
    workspace  bytes of the arena
    tapes      buffers whose first extent grows: the host gives them room, and runs a loop's turn or
               else all again with more where a kernel has found too little
    details    how many int64 values `status` has after the first, which is an error's number or 0
    """

    name: str
    inputs: tuple[Buffer, ...]
    outputs: tuple[Buffer, ...]
    constants: tuple[Buffer, ...]
    steps: tuple[Step, ...]
    offsets: dict[Buffer, int]
    copies: dict[Buffer, int]
    workspace: int
    tapes: tuple[Buffer, ...] = ()
    errors: tuple[ErrorMessage, ...] = ()
    details: int = 0
    status: Buffer | None = field(default=None)


def kernels_of(steps: Sequence[Step]) -> Iterator[Kernel]:
    """All kernels of a schedule, those of loops once."""
    for step in steps:
        match step:
            case Launch(kernel):
                yield kernel
            case Repeat(body=body):
                yield from kernels_of(body)
            case RepeatWhile(test, _, body):
                yield from kernels_of((*test, *body))
            case Choose(_, then, otherwise):
                yield from kernels_of((*then, *otherwise))
