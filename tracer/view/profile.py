"""`profile`: where the time of a compiled function goes, kernel by kernel and line by line."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tracer import backend as backends
from tracer.errors import BackendError, NotAnArrayError
from tracer.graph.nodes import Node, Source
from tracer.jit import JittedFunction, jit
from tracer.view.model import source_text

FORMATS = ("html", "txt")
COLUMNS = ("time", "share", "runs", "Gflop/s", "GB/s", "of limit", "kernel")
UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))


@dataclass(frozen=True)
class Limits:
    """What a machine can do at best: operations a second in float64 and float32, and bytes a second
    by how many bytes are touched (at the sizes of its caches, and in memory).
    """

    flops64: float
    flops32: float
    bandwidths: Mapping[int, float]

    @property
    def known(self) -> bool:
        """Whether there are any."""
        return bool(self.bandwidths)

    def flops(self, width: int) -> float:
        """Operations a second on numbers of so many bytes."""
        return self.flops32 if width == 4 else self.flops64

    def bandwidth(self, touched: float) -> float:
        """Bytes a second where that many lie; that of the largest size for all beyond it."""
        fitting = [size for size in self.bandwidths if size >= touched]
        return self.bandwidths[min(fitting) if fitting else max(self.bandwidths)]


UNKNOWN = Limits(float("nan"), float("nan"), {})
"""Those of a GPU, which nobody has measured."""


def machine_limits() -> Limits:
    """The limits of one thread of this machine, measured once in a process."""
    flops, bandwidths = backends.machine_limits()
    return Limits(flops[8], flops[4], bandwidths)


@dataclass(frozen=True)
class Line:
    """A line of the user's program: its place as "file:line", its text, and its function."""

    place: str
    text: str
    function: str


@dataclass(frozen=True)
class Kernel:
    """One kernel of a call: a loop nest, a matrix product, a call of a library, a branch.

    number     its place in the order in which they run first, from 1
    name       what it is and does
    seconds    its least time in one call, all visits together
    share      of the whole call
    visits     how often it runs in one call
    flops, bytes
               operations, and bytes read and written, of one call
    exact      whether these are known: where a loop's length depends on values, or a library does
               the work, they are what can be counted, and rates are NaN
    limit      the least seconds in which the machine could do it; NaN where not exact
    bound      "compute" or "memory": what binds at that limit; "" where not exact
    width      bytes of the numbers that it computes with
    lines      the lines of the user's program that it computes
    nodes      the nodes of the graph that it computes
    """

    number: int
    name: str
    seconds: float
    share: float
    visits: int
    flops: float
    bytes: float
    exact: bool
    limit: float
    bound: str
    width: int
    lines: tuple[Line, ...]
    nodes: tuple[Node, ...]

    @property
    def gflops(self) -> float:
        """10⁹ operations a second."""
        return self.flops / self.seconds / 1e9 if self.exact and self.seconds else float("nan")

    @property
    def bandwidth(self) -> float:
        """10⁹ bytes a second."""
        return self.bytes / self.seconds / 1e9 if self.exact and self.seconds else float("nan")


class Profile:
    """What a call of a compiled function takes, in parts.

    name       the function's
    seconds    the least time of a whole call, on one thread
    calls      how often it was measured
    kernels    its kernels, in the order in which they run
    limits     the machine's, which the kernels are compared with
    `print` shows a table; `html()` and `save(path)` make a page with a bar of the shares and a
    roofline plot; Jupyter shows it.
    """

    def __init__(
        self, name: str, seconds: float, calls: int, kernels: tuple[Kernel, ...], limits: Limits
    ) -> None:
        self.name = name
        self.seconds = seconds
        self.calls = calls
        self.kernels = kernels
        self.limits = limits

    def text(self) -> str:
        """A table: one row a kernel, the user's lines below it."""
        rows = [("", *COLUMNS), *(cells_of(kernel) for kernel in self.kernels)]
        rest = self.seconds - sum(kernel.seconds for kernel in self.kernels)
        share = percent(rest / self.seconds if self.seconds else 0.0)
        rows.append(("", duration(rest), share, "", "", "", "", "the rest of the call"))
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
        lines = [f"{self.name}: {duration(self.seconds)}, the least of {self.calls} calls", ""]
        for place, row in enumerate(rows):
            cells = [cell.rjust(width) for cell, width in zip(row, widths, strict=False)]
            lines.append("  ".join([*cells, row[-1]]).rstrip())
            if 0 < place <= len(self.kernels):
                indent = " " * (sum(widths) + 2 * len(widths) + 2)
                lines += [
                    f"{indent}{line.place}  {line.text}".rstrip()
                    for line in self.kernels[place - 1].lines
                ]
        return "\n".join(lines)

    def html(self) -> str:
        """One page that needs no network: the shares as a bar, a table, and the roofline plot."""
        from tracer.view.profile_page import render_page

        return render_page(self)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to a file; its ending (.html .txt) names the format."""
        ending = os.path.splitext(os.fspath(path))[1].lstrip(".").lower()
        if ending not in FORMATS:
            raise BackendError(
                f"a profile is saved as {', '.join('.' + name for name in FORMATS)}, not as "
                f"{os.fspath(path)!r}"
            )
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.html() if ending == "html" else self.text() + "\n")

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return f"<Profile of {self.name}: {len(self.kernels)} kernels>"

    def _repr_html_(self) -> str:
        from tracer.view.profile_page import render_parts

        return render_parts(self)


def profile(
    f: Callable[..., Any],
    *args: Any,
    seconds: float = 0.02,
    calls: int = 5,
    limits: Limits | None = None,
    **kwargs: Any,
) -> Profile:
    """Where the time of the compiled `f(*args)` goes.

    f: a function, or a jitted one of the llvm or cuda backend. After a first call it is called for
    so many `seconds`, and at least so many `calls`, on one thread; of each kernel the least time
    counts. What is built for this looks at the clock behind each kernel, and is the same otherwise.
    `limits` are measured where they are not given. On a GPU, whose clock is looked at, kernels are
    launches and calls of libraries, one at a time, and there are no limits but those given.

    Raises BackendError for functions of other backends, and what a call of f raises.
    """
    if not callable(f):
        raise NotAnArrayError(f"profile takes a function, not a {type(f).__name__}")
    function = f if isinstance(f, JittedFunction) else jit(f, backend="llvm")
    chosen = backends.choose(function.backend)
    if chosen not in ("llvm", "cuda"):
        raise BackendError(
            f"profile measures what the llvm and cuda backends compile, and {function.__name__} is "
            f"compiled by {chosen}; write jit(f, backend='llvm')"
        )
    traced = function.trace(*args, **kwargs)
    leaves = function.signature(args, kwargs)[0]
    captured = [value.concrete("profile") for value in traced.captured]
    types = traced.graph.input_types
    inputs = [
        leaf
        if hasattr(leaf, "__cuda_array_interface__")
        else np.ascontiguousarray(np.asarray(leaf, type_.dtype)).reshape(type_.shape)
        for leaf, type_ in zip([*leaves, *captured], types, strict=True)
    ]
    measured = backends.profile(traced.graph, inputs, seconds, calls, chosen)
    known = limits or (machine_limits() if chosen == "llvm" else UNKNOWN)
    kernels = tuple(
        _kernel(number, part, measured.seconds, known)
        for number, part in enumerate(measured.kernels, 1)
    )
    return Profile(function.__name__, measured.seconds, measured.calls, kernels, known)


def _kernel(number: int, part: Any, whole: float, limits: Limits) -> Kernel:
    limit, bound = float("nan"), ""
    if part.exact and limits.known:
        visits = max(1, part.visits)
        compute = part.flops / limits.flops(part.width)
        memory = part.bytes / limits.bandwidth(part.bytes / visits)
        limit, bound = max((compute, "compute"), (memory, "memory"))
    share = part.seconds / whole if whole else 0.0
    return Kernel(
        number,
        part.title,
        part.seconds,
        share,
        part.visits,
        part.flops,
        part.bytes,
        part.exact,
        limit,
        bound,
        part.width,
        tuple(_lines(part.sources)),
        part.nodes,
    )


def _lines(sources: tuple[Source, ...]) -> list[Line]:
    found = {
        str(source): Line(str(source), source_text(source), source.function)
        for source in sorted(sources, key=lambda source: (source.file, source.line))
    }
    return list(found.values())


def duration(seconds: float) -> str:
    """`1.23 ms`: three digits and the unit that suits."""
    for unit, name in UNITS:
        if seconds >= 0.9995 * unit:
            return f"{seconds / unit:.3g} {name}"
    return f"{seconds / 1e-9:.2g} ns"


def percent(share: float) -> str:
    """`12.3 %`."""
    return f"{100 * share:.1f} %"


def rate(number: float) -> str:
    """A rate, or a dash where it is not known."""
    return f"{number:.3g}" if np.isfinite(number) else "–"


def cells_of(kernel: Kernel) -> tuple[str, ...]:
    """A kernel's number and what the columns say of it."""
    return (
        str(kernel.number),
        duration(kernel.seconds),
        percent(kernel.share),
        str(kernel.visits),
        rate(kernel.gflops),
        rate(kernel.bandwidth),
        reached(kernel),
        kernel.name,
    )


def reached(kernel: Kernel) -> str:
    """How much of what the machine can do: `43 % memory`."""
    if not kernel.bound or not kernel.seconds or not kernel.limit:
        return "–"
    return f"{100 * kernel.limit / kernel.seconds:.0f} % {kernel.bound}"
