"""NVIDIA's libdevice, function by function, for the host."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

import llvmlite.binding as llvm

from codegen.nvvm.library import device_library
from tests.cuda.native import intrinsics
from tests.cuda.native.text import REFLECT, USED, plain

ANSWERS = {"__CUDA_ARCH": 900, "__CUDA_FTZ": 0, "__CUDA_PREC_SQRT": 1, "__CUDA_PREC_DIV": 1}
"""What libdevice asks its compiler for: as for sm_90, without options."""
ATTACHED = re.compile(r", ![\w.]+ !\d+| #\d+")
SHIFT = re.compile(r"\b(shl|lshr|ashr)(?: nuw| nsw| exact)* (i\d+) (\S+), (%[\w.]+)")
"""By as many bits as a number has, and by more, gives 0 on a GPU, or the sign everywhere."""
START = re.compile(r"^(?:define|declare) ", re.MULTILINE)


class Library:
    """Texts of functions and constants by name: libdevice's, and those that stand for NVIDIA's
    instructions.
    """

    def __init__(self) -> None:
        whole = str(llvm.parse_bitcode(device_library()))
        head, *functions = START.split(whole)
        self.asked = dict(re.findall(r'^@([\w.]+) = .* c"(__CUDA_\w+)\\00"', head, re.MULTILINE))
        self.structures = "\n".join(re.findall(r"^%[\w.]+ = type .*$", head, re.MULTILINE))
        self.raw: dict[str, str] = {}
        for text in re.findall(r"^@.*$", head, re.MULTILINE):
            self._add("", text)
        for text in functions:
            end = text.find("\n}\n")
            first = text.split("\n", 1)[0]
            self._add("declare " if end < 0 else "define ", first if end < 0 else text[: end + 3])
        self.clean = intrinsics.texts()

    def _add(self, start: str, text: str) -> None:
        name = USED.search(text)
        assert name is not None, text
        self.raw[name[1].replace("llvm.nvvm.", "host.")] = start + text

    def text(self, name: str) -> str | None:
        """What defines the name for the host; None where nothing does."""
        if name not in self.clean and name in self.raw:
            text = plain(ATTACHED.sub("", self.raw[name]))
            text = re.sub(r"^define (?:internal )?", "define internal ", text)
            # Once in a kernel, however often it is called.
            text = re.sub(r"^(define .*) \{$", r"\1 noinline {", text, flags=re.MULTILINE)
            text = SHIFT.sub(r"call \2 @host.\1.\2(\2 \3, \2 \4)", text)
            answer = REFLECT.sub(lambda found: f"add i32 0, {ANSWERS[self.asked[found[1]]]}", text)
            self.clean[name] = answer
        return self.clean.get(name)

    def closure(self, names: Iterable[str]) -> dict[str, str]:
        """The names' texts, and those of all that they use."""
        found: dict[str, str] = {}
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            text = None if name in found else self.text(name)
            if text is not None:
                found[name] = text
                waiting += USED.findall(text)
        return found


@cache
def library() -> Library:
    """The one that there is."""
    return Library()
