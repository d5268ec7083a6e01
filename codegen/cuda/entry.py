"""Calls of a jitted function by Python that is written for arguments like those of one call.

The function looks at what stands where: the structure of the arguments by the classes and lengths
of tuples, lists and dicts, arrays by dtype and shape, those of the device also by their layout and
place, numbers by their class. What fits goes to `CudaProgram.run`, host arrays and numbers by way
of the device; for all else it calls the slow path, with the arguments as they were.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from codegen.cuda.arrays import devices_of
from tracer.types import PYTHON_SCALARS

if TYPE_CHECKING:
    from codegen.cuda.program import CudaProgram

SAME = 3
"""Calls with one value of a number, in a row, from which on it stays on the device."""


def make_entry(
    program: CudaProgram,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    leaves: Sequence[Any],
    static: frozenset[int],
    build: Callable[..., Any],
    slow_path: Callable[..., Any],
) -> Callable[..., Any] | None:
    """The function for arguments like these; None where they have nodes of other classes.

    As `codegen.compile.CompiledGraph.entry`.
    """
    writer = _Writer(program, slow_path)
    writer.signature(len(args), tuple(kwargs))
    if writer.texts.here and not devices_of(leaves):  # the current GPU is whose they are to be
        writer.require(writer.texts.here)
    for place, value in enumerate(args):
        if place in static:
            writer.require(f"args[{place}] is {writer.name(value)}")
        elif not writer.take(value, f"args[{place}]"):
            return None
    for key, value in kwargs.items():
        if not writer.take(value, f"kwargs[{key!r}]"):
            return None
    found = writer.leaves
    if len(found) != len(leaves) or any(
        one is not other for one, other in zip(found, leaves, strict=True)
    ):
        return None
    return writer.finish(build)


class _Writer:
    """The text of one entry, line by line, and the objects that it names."""

    def __init__(self, program: CudaProgram, slow_path: Callable[..., Any]) -> None:
        self.program = program
        self.texts = program.driver.texts
        self.namespace: dict[str, Any] = {
            "slow_path": slow_path,
            "run": program.run,
            "driver": program.driver,
            **self.texts.names,
        }
        self.lines = ["def entry(*args, **kwargs):"]
        self.leaves: list[Any] = []
        self.names = 0

    def name(self, value: Any) -> str:
        """A name for an object."""
        self.names += 1
        name = f"k{self.names}"
        self.namespace[name] = value
        return name

    def require(self, condition: str) -> None:
        """Go on only where this holds."""
        self.lines += [f"    if not ({condition}):", "        return slow_path(*args, **kwargs)"]

    def signature(self, count: int, names: tuple[str, ...]) -> None:
        """So many positional arguments, and just these by name."""
        self.require(f"len(args) == {count} and len(kwargs) == {len(names)}")
        for name in names:
            self.require(f"{name!r} in kwargs")

    def take(self, value: Any, text: str) -> bool:
        """Take an argument like `value` from the expression; False where that cannot be."""
        kind = type(value)
        if value is None:
            self.require(f"{text} is None")
            return True
        if kind is dict:
            return self._dict(value, text)
        if (
            kind is tuple
            or kind is list
            or (isinstance(value, tuple) and hasattr(value, "_fields"))
        ):
            return self._sequence(value, text)
        return self._leaf(value, text)

    def _node(self, text: str, kind: type, count: int) -> str:
        self.names += 1
        node = f"n{self.names}"
        self.lines.append(f"    {node} = {text}")
        self.require(f"type({node}) is {self.name(kind)} and len({node}) == {count}")
        return node

    def _dict(self, value: dict[Any, Any], text: str) -> bool:
        if not all(type(key) is str for key in value):
            return False
        node = self._node(text, dict, len(value))
        for key in sorted(value):
            self.require(f"{key!r} in {node}")
            if not self.take(value[key], f"{node}[{key!r}]"):
                return False
        return True

    def _sequence(self, value: Sequence[Any], text: str) -> bool:
        node = self._node(text, type(value), len(value))
        return all(self.take(item, f"{node}[{place}]") for place, item in enumerate(value))

    def _leaf(self, value: Any, text: str) -> bool:
        number = len(self.leaves)
        if number >= len(self.program.schedule.inputs):
            return False
        self.leaves.append(value)
        x = f"x{number}"
        buffer = self.program.schedule.inputs[number]
        shape, dtype = self.name(buffer.shape), self.name(buffer.dtype)
        self.lines.append(f"    {x} = {text}")
        if type(value) in PYTHON_SCALARS:
            kind, lift = self.name(type(value)), self.name(_Number(self.program, type(value)))
            self.require(f"type({x}) is {kind}")
            self.lines.append(f"    {x} = {lift}({x}, {self._where()})")
            return True
        lift = self.name(_from_host)
        lines = [
            f"    {x} = {lift}(driver, {x}, {dtype}, {shape})",
            f"    if {x} is None:",
            "        return slow_path(*args, **kwargs)",
        ]
        if self.texts.array is None:
            self.lines += lines
            return True
        array = self.name(self.texts.array)
        same = f"{x}.dtype == {dtype} and {x}.shape == {shape}{self.texts.fits.format(x=x)}"
        self.lines += [
            f"    if type({x}) is {array}:",
            f"        if not ({same}):",
            "            return slow_path(*args, **kwargs)",
            "    else:",
            *(f"    {line}" for line in lines),
        ]
        return True

    def _where(self) -> str:
        """Which stream is the current one of the program's device; found once."""
        line = f"    stream = {self.texts.stream}"
        if line not in self.lines:
            if self.texts.here:
                self.require(self.texts.here)
            self.lines.append(line)
        return self.texts.where

    def finish(self, build: Callable[..., Any]) -> Callable[..., Any]:
        """The function, with the result of all outputs."""
        given = ", ".join(f"x{number}" for number in range(len(self.leaves)))
        count = len(self.program.schedule.outputs)
        made = _result_text(build(*range(count)), list(range(count)))
        if made is None:
            self.lines.append(f"    return {self.name(build)}(*run({given}))")
        else:
            targets = "".join(f"y{number}, " for number in range(count))
            self.lines.append(f"    ({targets}) = run({given})")
            self.lines.append(f"    return {made}")
        exec("\n".join(self.lines), self.namespace)
        entry: Callable[..., Any] = self.namespace["entry"]
        return entry


def _result_text(example: Any, expected: list[int]) -> str | None:
    """The expression for a result of tuples, lists and dicts, whose leaves stand in `example` as
    their numbers; None for other results."""
    order: list[int] = []

    def text(node: Any) -> str:
        kind = type(node)
        if kind is int:
            order.append(node)
            return f"y{node}"
        if node is None:
            return "None"
        if kind is dict and all(type(key) is str for key in node):
            return f"{{{', '.join(f'{key!r}: {text(value)}' for key, value in node.items())}}}"
        if kind is list:
            return f"[{', '.join(text(item) for item in node)}]"
        if kind is tuple:
            return f"({''.join(f'{text(item)}, ' for item in node)})"
        raise TypeError(f"a {kind.__name__} has no text")

    try:
        made = text(example)
    except TypeError:
        return None
    return made if sorted(order) == expected else None


def _from_host(driver: Any, value: Any, dtype: Any, shape: tuple[int, ...]) -> Any:
    """The copy of a host array or number of NumPy's on the device; None for anything else."""
    kind = type(value)
    if kind is not np.ndarray and not (isinstance(value, np.generic) and kind is dtype.type):
        return None
    if value.dtype != dtype or value.shape != shape:
        return None
    return driver.upload(np.asarray(value))


class _Number:
    """Puts a Python number on the device; one that comes again and again, once for each stream."""

    def __init__(self, program: CudaProgram, kind: type) -> None:
        self.driver = program.driver
        self.convert = PYTHON_SCALARS[kind].type
        self.kept: dict[int, tuple[Any, str, Any]] = {}
        self.last, self.times = "", 0

    def __call__(self, value: Any, stream: int) -> Any:
        kept = self.kept.get(stream)
        if kept is not None and kept[0] is value:
            return kept[2]
        said = repr(value)  # 0.0 and -0.0 differ, and a NaN is like another
        if kept is not None and kept[1] == said:
            return kept[2]
        array = self.driver.upload(np.asarray(self.convert(value)))
        self.times = self.times + 1 if said == self.last else 1
        self.last = said
        if self.times >= SAME:
            self.kept[stream] = (value, said, array)
        return array
