"""Loads and stores of several neighbouring elements at once.

In the text of kernels `load4(x, i)` is the tuple of x[i] … x[i + 3], `store4(y, i, a, b, c, d)` its
opposite, and `aligned(x)` tells whether `x` starts at a multiple of 16 bytes, which these need, and
i a multiple of 4.
"""

from __future__ import annotations

from codegen.nvvm.arithmetic import cast
from codegen.nvvm.builder import Builder
from codegen.nvvm.device import NONE, Function, element, in_memory, pointer_kind
from codegen.nvvm.kinds import BOOL, Pointer, Scalar, leaves
from codegen.nvvm.values import Value, several

COUNTS = (2, 4, 8)
"""How many elements there are functions for."""
WIDEST = 16
"""Bytes of one access, at most."""
WIDTHS = {"half": 16, "float": 32, "double": 64}


def aligned(builder: Builder, values: list[Value]) -> Value:
    """Whether memory starts at a multiple of 16 bytes."""
    (pointer,) = values
    kind = pointer_kind(pointer)
    address = builder.value(f"ptrtoint {kind.llvm} {pointer.text} to i64")
    rest = builder.value(f"and i64 {address}, {WIDEST - 1}")
    return Value(BOOL, (builder.value(f"icmp eq i64 {rest}, 0"),))


def load(count: int) -> Function:
    """`load2` and its kin."""

    def call(builder: Builder, values: list[Value]) -> Value:
        pointer, place = values
        kind = pointer_kind(pointer)
        numbers: list[str] = []
        vector, addresses, size = _pieces(builder, pointer, place, count)
        for address in addresses:
            whole = builder.value(f"load {vector}, {vector}{_space(kind)}* {address}, align {size}")
            numbers += _numbers(builder, whole, kind.element.stored, size)
        return several(_elements(builder, numbers, kind.element))

    return call


def store(count: int) -> Function:
    """`store2` and its kin."""

    def call(builder: Builder, values: list[Value]) -> Value:
        pointer, place, *given = values
        kind = pointer_kind(pointer)
        numbers = [
            text
            for value in given
            for text in in_memory(builder, cast(builder, value, kind.element))
        ]
        vector, addresses, size = _pieces(builder, pointer, place, count)
        each = 8 * size // _width(kind.element.stored)
        for number, address in enumerate(addresses):
            part = numbers[number * each : (number + 1) * each]
            whole = _vector(builder, part, kind.element.stored, size)
            builder.do(f"store {vector} {whole}, {vector}{_space(kind)}* {address}, align {size}")
        return NONE

    return call


def _space(kind: Pointer) -> str:
    return f" addrspace({kind.space})" if kind.space else ""


def _width(stored: str) -> int:
    """Bits of a number in memory."""
    return WIDTHS.get(stored) or int(stored[1:])


def _word(stored: str, size: int) -> str:
    """What an access of `size` bytes counts in: small numbers go by words of four bytes, of which
    four make one access.
    """
    return "i32" if _width(stored) < 32 and size % 4 == 0 else stored


def _pieces(
    builder: Builder, pointer: Value, place: Value, count: int
) -> tuple[str, list[str], int]:
    """The accesses that `count` elements take: the type of a vector, the addresses, and the bytes
    of each.
    """
    kind = pointer_kind(pointer)
    stored = kind.element.stored
    size = _width(stored) // 8 * len(leaves(kind.element)) * count
    each = min(size, WIDEST)
    word = _word(stored, each)
    vector = f"<{8 * each // _width(word)} x {word}>"
    start = element(builder, pointer, place)
    typed = f"{vector}{_space(kind)}*"
    first = builder.value(f"bitcast {kind.llvm} {start} to {typed}")
    others = [
        builder.value(f"getelementptr inbounds {vector}, {typed} {first}, i64 {piece}")
        for piece in range(1, size // each)
    ]
    return vector, [first, *others], each


def _numbers(builder: Builder, whole: str, stored: str, size: int) -> list[str]:
    """The numbers in a vector of `size` bytes."""
    word, bits = _word(stored, size), _width(stored)
    count = 8 * size // _width(word)
    vector = f"<{count} x {word}>"
    words = [
        builder.value(f"extractelement {vector} {whole}, i32 {position}")
        for position in range(count)
    ]
    if word == stored:
        return words
    # Bit by bit: NVVM takes a vector of small numbers, cast from one of words, apart again.
    found = []
    for value in words:
        for shift in range(0, 32, bits):
            moved = builder.value(f"lshr i32 {value}, {shift}") if shift else value
            small = builder.value(f"trunc i32 {moved} to i{bits}")
            if stored[0] != "i":
                small = builder.value(f"bitcast i{bits} {small} to {stored}")
            found.append(small)
    return found


def _vector(builder: Builder, numbers: list[str], stored: str, size: int) -> str:
    """The vector of numbers that an access writes."""
    word, bits = _word(stored, size), _width(stored)
    words = numbers
    if word != stored:
        each = 32 // bits
        words = []
        for start in range(0, len(numbers), each):
            value = ""
            for position, number in enumerate(numbers[start : start + each]):
                if stored[0] != "i":
                    number = builder.value(f"bitcast {stored} {number} to i{bits}")
                part = builder.value(f"zext i{bits} {number} to i32")
                if position:
                    part = builder.value(f"shl i32 {part}, {bits * position}")
                    part = builder.value(f"or i32 {value}, {part}")
                value = part
            words.append(value)
    vector = f"<{len(words)} x {word}>"
    whole = "undef"
    for position, value in enumerate(words):
        whole = builder.value(f"insertelement {vector} {whole}, {word} {value}, i32 {position}")
    return whole


def _elements(builder: Builder, numbers: list[str], kind: Scalar) -> list[Value]:
    """Elements of the numbers that they are made of: a complex one has two."""
    if kind is BOOL:
        return [Value(kind, (builder.value(f"icmp ne i8 {text}, 0"),)) for text in numbers]
    parts = len(leaves(kind))
    return [
        Value(kind, tuple(numbers[start : start + parts]))
        for start in range(0, len(numbers), parts)
    ]


FUNCTIONS: dict[str, Function] = {
    "aligned": aligned,
    **{f"load{count}": load(count) for count in COUNTS},
    **{f"store{count}": store(count) for count in COUNTS},
}
