"""What a jitted function's cache did, and why code had to be compiled."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from tracer.types import ArrayType


class CacheInfo(NamedTuple):
    """What became of the calls of a jitted function.

    hits      calls with a known signature
    misses    calls with a new one: the function was traced
    entries   signatures that are kept
    compiles  signatures for which machine code was made
    reused    signatures that code in memory serves, mostly of other sizes
    loaded    signatures whose code was on disk
    reasons   why each compile was necessary
    """

    hits: int
    misses: int
    entries: int
    compiles: int = 0
    reused: int = 0
    loaded: int = 0
    reasons: tuple[str, ...] = ()


class Signature(NamedTuple):
    """What a compiled function depends on."""

    form: Any
    types: tuple[ArrayType, ...]
    weak: tuple[bool, ...]
    static: tuple[Any, ...]

    def resembles(self, other: Signature) -> bool:
        """Whether the arguments agree in structure, dtypes and numbers of dimensions."""
        return (
            self.form == other.form
            and self.weak == other.weak
            and [(t.dtype, t.ndim) for t in self.types] == [(t.dtype, t.ndim) for t in other.types]
        )


FIRST = "first call"
STATIC = "new static arguments"
FORM = "new structure of arguments"
RANK = "new rank"
DTYPE = "new dtype"
WEAK = "a Python number in place of an array, or the other way round"
EQUAL = "other dimensions are equal to each other"
STRUCTURE = "other loop structure"


def why_compiled(
    signature: Signature, earlier: Iterable[Signature], small: int, told: str = ""
) -> str:
    """The first thing that no earlier signature shares with this one.

    Dimensions up to `small` are part of the code. `told` is what the backend says.
    """
    rest = list(earlier)
    if not rest:
        return FIRST
    shapes = [type_.shape for type_ in signature.types]
    for reason, part in (
        (FORM, lambda other: other.form),
        (STATIC, lambda other: other.static),
        (RANK, lambda other: [len(type_.shape) for type_ in other.types]),
        (DTYPE, lambda other: [type_.dtype for type_ in other.types]),
        (WEAK, lambda other: other.weak),
    ):
        wanted = part(signature)
        rest = [other for other in rest if part(other) == wanted]
        if not rest:
            return reason
    alike = [other for other in rest if _small(other, small) == _small(signature, small)]
    if not alike:
        return _small_reason(shapes, [type_.shape for type_ in rest[-1].types], small)
    if not any(_pattern(other) == _pattern(signature) for other in alike):
        return EQUAL
    return f"{STRUCTURE}: {told}" if told else STRUCTURE


def _small(signature: Signature, small: int) -> list[int]:
    return [size if size <= small else -1 for type_ in signature.types for size in type_.shape]


def _pattern(signature: Signature) -> list[int]:
    """Dimensions by the first one of their size."""
    sizes = [size for type_ in signature.types for size in type_.shape]
    return [sizes.index(size) for size in sizes]


def _small_reason(shapes: list[tuple[int, ...]], before: list[tuple[int, ...]], small: int) -> str:
    for place, (shape, other) in enumerate(zip(shapes, before, strict=True)):
        for axis, (size, earlier) in enumerate(zip(shape, other, strict=True)):
            if size != earlier and min(size, earlier) <= small:
                change = "became small" if size <= small < earlier else "is another small one"
                if earlier <= small < size:
                    change = "is no longer small"
                return (
                    f"a dimension {change}: axis {axis} of array {place}, from {earlier} to {size}"
                )
    return STRUCTURE
