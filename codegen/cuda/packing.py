"""A launch's arguments as CUDA takes them: eight bytes each, and an array of where they lie."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

from codegen.cuda.driver import Span
from codegen.device.schedule import Argument


def words_of(
    declared: Sequence[Argument], given: Sequence[Any], address_of: Callable[[Span], int]
) -> list[int]:
    """The 64-bit words for a kernel's parameters: addresses, and numbers."""
    words: list[int] = []
    for argument, value in zip(declared, given, strict=True):
        if argument.kind == "scalar":
            words.append(int.from_bytes(argument.dtype.type(value).tobytes(), "little"))
        else:
            words.append(address_of(value))
    return words


class Packed:
    """Words in memory; `pointers` is the address of the array of their addresses."""

    __slots__ = ("_places", "_words", "pointers")

    def __init__(self, words: Sequence[int]) -> None:
        count = len(words)
        self._words = (ctypes.c_uint64 * count)(*words)
        start = ctypes.addressof(self._words)
        self._places = (ctypes.c_void_p * count)(*range(start, start + 8 * count, 8))
        self.pointers = ctypes.addressof(self._places)

    def fill(self, words: Sequence[int]) -> None:
        """Other words in the same place."""
        self._words[:] = list(words)
