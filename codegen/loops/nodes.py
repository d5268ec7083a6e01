"""The loop program: a plain typed tree that every renderer reads, and nothing else.

A `Program` has buffers and a body. Statements are loops, scalar definitions, stores, reductions,
kernel calls, checks, `If` and `While`; expressions are scalar. Buffers are dense, C-ordered and do
not overlap. Scalar operations carry NumPy's names and NumPy's meaning
(`codegen.loops.operations`).

No node is ever changed: passes make new ones. Python is not told so, since checking it at each of
the many nodes of a program would take longer than most passes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np


@dataclass(slots=True, eq=False)
class Literal:
    """A constant scalar; `value` is a Python bool, int, float or complex.

    Literals are equal if they are the same number: 0.0 and -0.0 are not.
    """

    value: bool | int | float | complex
    dtype: np.dtype

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if type(other) is not Literal or self.dtype != other.dtype:
            return False
        one, two = self.value, other.value
        if isinstance(one, (float, complex)):
            return bool(one == two and one != 0) or repr(one) == repr(two)
        return one is two or bool(one == two)

    def __hash__(self) -> int:
        value = self.value
        if isinstance(value, (float, complex)) and value != value:
            return 0
        return hash(value)


@dataclass(slots=True)
class Variable:
    """A scalar name: a loop index (int64), a `Let`, or a mutable `Declare`."""

    name: str
    dtype: np.dtype

    def __hash__(self) -> int:
        return hash(self.name)


@dataclass(slots=True, unsafe_hash=True)
class Operation:
    """A scalar operation by NumPy's name. `select` is (condition, if_true, if_false) and
    evaluates lazily: a `Load` in the branch not taken is never executed. `cast` converts to
    `dtype` as `astype` does.
    """

    name: str
    operands: tuple[Expression, ...]
    dtype: np.dtype


@dataclass(slots=True, unsafe_hash=True)
class Load:
    """One element of a buffer; as many int64 indices as the buffer has dimensions, always in
    range.
    """

    buffer: Buffer
    indices: tuple[Expression, ...]

    @property
    def dtype(self) -> np.dtype:
        return self.buffer.dtype


Expression = Literal | Variable | Operation | Load


@dataclass(slots=True, eq=False)
class Buffer:
    """A dense C-ordered array. `role`: input, output, constant (with `value`), or workspace
    (uninitialised). With a `base` it is that buffer's memory seen in another shape of the same
    size.
    """

    name: str
    dtype: np.dtype
    shape: tuple[int, ...]
    role: str
    value: np.ndarray | None = None
    base: Buffer | None = None

    @property
    def root(self) -> Buffer:
        """The buffer whose memory this is: itself, or its base."""
        return self if self.base is None else self.base

    @property
    def is_tape(self) -> bool:
        """Whether it grows as the program runs: its first extent is -1."""
        return bool(self.shape) and self.shape[0] == -1

    @property
    def size(self) -> int:
        """Number of elements."""
        count = 1
        for extent in self.shape:
            count *= extent
        return count


@dataclass(slots=True, unsafe_hash=True)
class View:
    """The part `buffer[indices]` (leading indices fixed), read with its remaining axes permuted
    by `axes`.
    """

    buffer: Buffer
    indices: tuple[Expression, ...] = ()
    axes: tuple[int, ...] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        rest = self.buffer.shape[len(self.indices) :]
        return rest if self.axes is None else tuple(rest[axis] for axis in self.axes)


@dataclass(slots=True, unsafe_hash=True)
class Let:
    """Define an immutable scalar for the rest of the enclosing block."""

    name: str
    value: Expression


@dataclass(slots=True, unsafe_hash=True)
class Declare:
    """Define a mutable scalar with its first value; `Assign` and `Reduce` change it."""

    name: str
    value: Expression


@dataclass(slots=True, unsafe_hash=True)
class Assign:
    """Give a declared scalar a new value."""

    name: str
    value: Expression


@dataclass(slots=True, unsafe_hash=True)
class Reduce:
    """`name = operation(name, value)` with an associative operation (add, multiply, maximum,
    minimum, logical_and, logical_or, bitwise_*): a renderer may use several accumulators in the
    enclosing loop.
    """

    name: str
    operation: str
    value: Expression


@dataclass(slots=True, unsafe_hash=True)
class Store:
    """`buffer[indices] = value`."""

    buffer: Buffer
    indices: tuple[Expression, ...]
    value: Expression


@dataclass(slots=True, unsafe_hash=True)
class Update:
    """`buffer[indices] = operation(buffer[indices], value)`: a scatter or an accumulation in
    memory.
    """

    buffer: Buffer
    indices: tuple[Expression, ...]
    operation: str
    value: Expression


@dataclass(slots=True, unsafe_hash=True)
class Loop:
    """`for index in range(start, stop)`; `reverse` runs from the top down. `kind` is "parallel"
    where the iterations are independent of each other, "reduce" where they meet only in
    `Reduce`, else "serial". Programs for devices also have "scatter", where iterations meet only
    in associative `Update`s, at places that are data, of memory not touched there otherwise, and
    "product", of one iteration: a matrix product, and what is made of its elements.
    `most` is how often it runs at most where that is known and the bounds do not say it, else 0:
    of use for estimates only.
    """

    index: str
    start: Expression
    stop: Expression
    body: tuple[Statement, ...]
    kind: str = "parallel"
    reverse: bool = False
    most: int = 0


@dataclass(slots=True, unsafe_hash=True)
class If:
    """Run `then` or `otherwise`."""

    condition: Expression
    then: tuple[Statement, ...]
    otherwise: tuple[Statement, ...] = ()


@dataclass(slots=True, unsafe_hash=True)
class While:
    """Run `test`, stop if `condition` is false, run `body`, and again. `Let`s of `test` are
    seen by `condition`.
    """

    test: tuple[Statement, ...]
    condition: Expression
    body: tuple[Statement, ...]


@dataclass(slots=True, unsafe_hash=True)
class Call:
    """A call of a kernel from `kernels/` by name: `results` are written, `operands` read, no
    overlap.
    """

    kernel: str
    results: tuple[View, ...]
    operands: tuple[View, ...]
    params: Mapping[str, object] = field(default_factory=dict)


@dataclass(slots=True, unsafe_hash=True)
class Reserve:
    """Make the first axis of a tape at least `extent` long; what it holds stays.

    A tape is a workspace buffer with -1 as first extent, which grows as the program runs.
    """

    buffer: Buffer
    extent: Expression


@dataclass(slots=True, unsafe_hash=True)
class Check:
    """Leave the program with error number `code` (an index into `Program.errors`) unless
    `condition` holds. `details` are int64 scalars that the message's `{0}`, `{1}` … show.
    """

    condition: Expression
    code: int
    details: tuple[Expression, ...] = ()


Statement = (
    Let | Declare | Assign | Reduce | Store | Update | Loop | If | While | Call | Check | Reserve
)


@dataclass(slots=True, unsafe_hash=True)
class ErrorMessage:
    """What a failed `Check` raises: the built-in exception's name, its text, and the user's
    line.
    """

    kind: str
    text: str
    source: str


@dataclass(slots=True, eq=False)
class Program:
    """One native function: buffers in the order inputs, outputs, constants, workspace; and a
    body.
    """

    name: str
    inputs: tuple[Buffer, ...]
    outputs: tuple[Buffer, ...]
    constants: tuple[Buffer, ...]
    workspace: tuple[Buffer, ...]
    body: tuple[Statement, ...]
    errors: tuple[ErrorMessage, ...] = ()
