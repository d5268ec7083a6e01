"""What one kernel does: which loops its grid walks through, and which group of threads runs an
iteration.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from codegen.device.products import Made, ProductNest, Tiling
from codegen.device.sort_step import SortStep
from codegen.loops.nodes import Buffer, Loop, Statement

Body = tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class ProductPlan:
    """A product of matrices in tiles, and what is made of its elements."""

    nest: ProductNest
    tiling: Tiling
    kept: bool
    made: Made | None


@dataclass(frozen=True, slots=True)
class KernelPlan:
    """A kernel, before it has a text.

    Groups of `group` threads (1, a warp or a block) run `body`; with a `grid`, once for each
    iteration of its loops, which a block's groups walk through with the grid's stride; without,
    one group runs it once. `before` runs in each group at the start, and defines scalars.

    own       memory that there is several times: in "registers" (of each thread), "shared" (of
              each group), a "slice" of a workspace for each group, a "thread slice" for each thread
    atomic    memory that iterations add to at the same places
    product   of a kernel that multiplies matrices: the body is the call, without results that need
              no memory, and what is made of each element
    sort      of a kernel of a sort: the body is the call that says where the memory is
    failing   whether it may leave with an error; `guarded`: whether something before it may
    looks     flags, one-element boolean buffers, and what each has to be: else nothing runs
    pause     what it leaves in `status` for too little room, if not NO_ROOM
    """

    name: str
    grid: tuple[Loop, ...]
    before: Body
    body: Body
    group: int
    threads: int
    blocks: int
    own: dict[Buffer, str] = field(default_factory=dict)
    atomic: frozenset[Buffer] = frozenset()
    failing: bool = False
    guarded: bool = False
    looks: tuple[tuple[Buffer, bool], ...] = ()
    pause: int = 0
    indices: tuple[str, ...] = ()
    work: int = 0
    product: ProductPlan | None = None
    sort: SortStep | None = None

    @property
    def groups(self) -> int:
        """Groups of the whole grid."""
        return self.blocks * (self.threads // self.group)

    def copies(self, buffer: Buffer) -> int:
        """How many parts of a workspace buffer the kernel needs."""
        count = {"slice": self.groups, "thread slice": self.blocks * self.threads}
        return count.get(self.own.get(buffer, ""), 1)
