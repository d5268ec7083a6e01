"""cuBLASLt on the host's memory: its functions as `codegen.cuda.products_lt` calls them, whose
structures it fills in its own way, and products by the stand-in of cuBLAS.

Sizes of attributes are those that cuBLASLt 13.0.2 takes; any other is refused, as there.
"""

from __future__ import annotations

import ctypes
from typing import Any, NamedTuple

import numpy as np

from codegen.cuda.operands import COMPUTE_CODES, TYPE_CODES, Operand
from codegen.cuda.products_lt import Heuristic
from tests.cuda.host_routines import HostRoutines
from tests.cuda.memory import memory

CODES = {code: np.dtype(name) for name, code in TYPE_CODES.items()}
SUCCESS, INVALID, NOT_SUPPORTED = 0, 7, 15
ROOM = 48
"""Bytes of workspace that the algorithm asks for."""
DESC, LAYOUT, PREFERENCE = 11, 22, 33
"""What the first word of a structure says that it is; the others are attributes, by number."""
ATTRIBUTES = {
    DESC: {3: 4, 4: 4, 7: 4, 8: 8},
    LAYOUT: {5: 4, 6: 8},
    PREFERENCE: {1: 8, 5: 4, 6: 4, 7: 4, 8: 4},
}
"""Bytes of each attribute that is set."""
MOST, NUMBER = 2, 15
"""Where a preference and a product note what else they were told."""


class Told(NamedTuple):
    """What a product was: of the operands' alignments, the least that was promised."""

    epilogue: int
    compute: int
    scale: int


class HostProducts:
    """The library. `keeps_nan` is what relu does, `refuses` are epilogues without an algorithm, and
    `fails` is a status that products end with; `asked` notes what was run, `plans` how many
    algorithms were looked for."""

    def __init__(self, host: HostRoutines, handle: int) -> None:
        self.host, self.handle = host, handle
        self.keeps_nan = True
        self.refuses: set[int] = set()
        self.fails = SUCCESS
        self.asked: list[Told] = []
        self.plans = 0

    def cublasLtMatmulDescInit_internal(
        self, desc: Any, size: Any, compute: int, scale: int
    ) -> int:
        assert size.value == ctypes.sizeof(desc) == 256
        desc[0], desc[1], desc[2], desc[7] = DESC, compute, scale, 1
        return SUCCESS

    def cublasLtMatrixLayoutInit_internal(
        self, layout: Any, size: Any, kind: int, rows: Any, columns: Any, leading: Any
    ) -> int:
        assert size.value == ctypes.sizeof(layout) == 64
        layout[0], layout[1], layout[2] = LAYOUT, kind, rows.value
        layout[3], layout[4], layout[5] = columns.value, leading.value, 1
        return SUCCESS

    def cublasLtMatmulPreferenceInit_internal(self, preference: Any, size: Any) -> int:
        assert size.value == ctypes.sizeof(preference) == 64
        preference[0] = PREFERENCE
        return SUCCESS

    def _set(self, structure: Any, attribute: int, value: Any, size: Any) -> int:
        due = ATTRIBUTES[structure[0]][attribute]
        if size.value != due or ctypes.sizeof(value._obj) != due:
            return INVALID
        # A preference has fewer words than numbers.
        structure[attribute % len(structure) or MOST] = value._obj.value or 0
        return SUCCESS

    cublasLtMatmulDescSetAttribute = _set
    cublasLtMatrixLayoutSetAttribute = _set
    cublasLtMatmulPreferenceSetAttribute = _set

    def cublasLtMatmulAlgoGetHeuristic(
        self, handle: Any, desc: Any, a: Any, b: Any, c: Any, d: Any, preference: Any, *rest: Any
    ) -> int:
        count, found, returned = rest
        assert (handle.value, count, c is d) == (self.handle, 1, True)
        assert [part[0] for part in (desc, a, b, d)] == [DESC, LAYOUT, LAYOUT, LAYOUT]
        self.plans += 1
        if desc[7] in self.refuses:
            return NOT_SUPPORTED
        answer: Heuristic = found._obj
        answer.workspace, answer.state = ROOM, SUCCESS
        # The algorithm knows what was promised of addresses.
        promised = [preference[place] for place in (5, 6, 7)] + [preference[MOST]]
        for place, least in enumerate(promised):
            answer.algorithm[place] = least
        answer.algorithm[4] = min(desc[8] & -desc[8], 256)
        returned._obj.value = 1
        return SUCCESS

    def cublasLtMatmul(
        self,
        handle: Any,
        desc: Any,
        alpha: Any,
        A: Any,
        a: Any,
        B: Any,
        b: Any,
        beta: Any,
        *rest: Any,
    ) -> int:
        C, c, D, d, algorithm, work, room, stream = rest
        assert (handle.value, room.value, stream.value, c is d) == (self.handle, ROOM, 5, True)
        assert C.value == D.value
        assert len(memory(work.value, np.uint8, ROOM)) == ROOM
        for place, least in zip((A, B, C, D), algorithm, strict=False):
            assert place.value % least == 0, "an address is less aligned than was said"
        if self.fails:
            return self.fails
        dtype, scale = CODES[d[1]], CODES[desc[2]]
        assert a[1] == b[1] == d[1]
        assert desc[1] == COMPUTE_CODES[dtype.str[1:]]
        assert memory(beta.value, scale, 1)[0] == 0
        self._multiply((A, B, D), (a, b, d), desc, dtype)
        result = memory(D.value, dtype, d[5] * d[2] * d[3]).reshape(d[5], d[3], d[2])
        result *= memory(alpha.value, scale, 1)[0].astype(dtype)
        if desc[7] & 4:
            assert desc[8] % algorithm[4] == 0, "the bias is less aligned than was said"
            result += memory(desc[8], dtype, d[2])
        if desc[7] & 2:
            cut = np.maximum if self.keeps_nan else np.fmax
            result[...] = cut(result, 0)
        self.asked.append(Told(desc[7], desc[1], desc[2]))
        return SUCCESS

    def _multiply(self, places: Any, layouts: Any, desc: Any, dtype: Any) -> None:
        count, (rows, columns) = layouts[2][5], (layouts[2][2], layouts[2][3])
        flags = (desc[3], desc[4], 0)
        depth = layouts[0][2] if flags[0] else layouts[0][3]
        due = [(rows, depth), (depth, columns), (rows, columns)]
        operands = []
        for place, layout, flag, extents in zip(places, layouts, flags, due, strict=True):
            shape = (layout[2], layout[3])
            assert (shape[::-1] if flag else shape) == extents
            assert layout[5] == count
            assert layout[4] >= shape[0], "columns overlap"
            stride = layout[6] if count > 1 else 0
            held = memory(place.value, dtype, (count - 1) * stride + layout[4] * shape[1])
            operands.append(Operand(held, layout[4], stride, bool(flag)))
        self.host.gemm((rows, columns, depth), *operands, count)
