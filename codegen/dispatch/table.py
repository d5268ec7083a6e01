"""The data words of one entry: everything in it that is an address or a size.

The code of an entry reads them from here, so that it depends on the structure of its arguments only
and is shared by all entries of that structure, whatever their shapes, dtypes and kernels.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from codegen.dispatch import layout as at
from tracer.types import is_brain

_DTYPE_CODES = "?bBhHiIlLqQefdFD"


class Table:
    """Words under construction, and the objects that they point to."""

    def __init__(self) -> None:
        self.words: list[int] = []
        self.objects: list[object] = []

    def word(self, value: int) -> int:
        """Add a word; gives its offset in bytes."""
        self.words.append(value)
        return 8 * (len(self.words) - 1)

    def row(self, values: tuple[int, ...]) -> int:
        """Add words in a row; gives the offset of the first."""
        offset = 8 * len(self.words)
        self.words.extend(values)
        return offset

    def reference(self, value: object) -> int:
        """Add the address of an object, which is kept alive."""
        self.objects.append(value)
        return self.word(id(value))

    def dtype(self, dtype: np.dtype[Any]) -> int:
        """Add the built-in dtype object and the two type numbers that mean the same values. That of
        bfloat16 has a number from the time on that it was registered.
        """
        if is_brain(dtype):
            self.objects.append(dtype)
            return self.row((id(dtype), dtype.num, dtype.num))
        canonical = np.dtype(dtype.char)
        numbers = [
            other.num
            for other in map(np.dtype, _DTYPE_CODES)
            if (other.kind, other.itemsize) == (dtype.kind, dtype.itemsize)
        ]
        self.objects.append(canonical)
        return self.row((id(canonical), numbers[0], numbers[-1]))

    def build(self) -> Any:
        """The words as memory."""
        return (ctypes.c_int64 * len(self.words))(*self.words)


def required_flags(writeable: bool, contiguous: bool) -> int:
    """The bits that an array's flags must have."""
    flags = at.FLAG_ALIGNED
    if writeable:
        flags |= at.FLAG_WRITEABLE
    return flags | at.FLAG_C_CONTIGUOUS if contiguous else flags
