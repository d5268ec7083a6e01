"""Tapes in the reference evaluator: stacks of elements whose number only the run knows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tracer.types import RAGGED, ArrayType, DType


class RaggedStack:
    """A stack of tapes of different lengths."""

    is_tape = True  # it stands where arrays do, between the loops that make and take it

    def __init__(self, rows: Sequence[Any], type_: ArrayType) -> None:
        self.rows = list(rows)
        self.element = type_

    @property
    def dtype(self) -> DType:
        """The dtype of all elements."""
        return self.element.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape, RAGGED where rows differ."""
        return (len(self.rows), *self.element.shape)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.rows)

    def __getitem__(self, index: int) -> Any:
        return self.rows[index]

    def __add__(self, other: RaggedStack) -> RaggedStack:
        rows = [a + b for a, b in zip(self.rows, other.rows, strict=True)]
        return RaggedStack(rows, self.element)


def stack_elements(rows: Sequence[Any], type_: ArrayType) -> Any:
    """The elements of a loop's results, stacked along a new first axis."""
    if RAGGED in type_.shape:
        return RaggedStack(rows, type_)
    out = np.empty((len(rows), *type_.shape), type_.dtype)
    for position, row in enumerate(rows):
        out[position] = row
    return out
