"""Loads and stores of several neighbouring elements at once, for Numba's CUDA compiler.

In the text of kernels `load4(x, i)` is the tuple of x[i] … x[i + 3], `store4(y, i, a, b, c, d)` its
opposite, and `aligned(x)` tells whether `x` starts at a multiple of 16 bytes, which these need, and
i a multiple of 4. A pointer's type promises no more than the alignment of one element, so Numba's
own loads are never merged.
"""

from __future__ import annotations

from functools import cache
from typing import Any

COUNTS = (2, 4, 8)
"""How many elements there are functions for."""
WIDEST = 16
"""Bytes of one access, at most."""


@cache
def vector_functions() -> dict[str, Any]:
    """The functions by the names that kernels call them by."""
    found: dict[str, Any] = {"aligned": _aligned()}
    for count in COUNTS:
        found[f"load{count}"] = _load(count)
        found[f"store{count}"] = _store(count)
    return found


def _aligned() -> Any:
    from llvmlite import ir
    from numba.cuda import types
    from numba.cuda.extending import intrinsic
    from numba.cuda.typing import signature

    def aligned(context: Any, pointer: Any) -> Any:
        def emit(target: Any, builder: Any, typed: Any, operands: Any) -> Any:
            address = builder.ptrtoint(operands[0], ir.IntType(64))
            rest = builder.and_(address, ir.Constant(ir.IntType(64), WIDEST - 1))
            return builder.icmp_unsigned("==", rest, ir.Constant(ir.IntType(64), 0))

        return signature(types.boolean, pointer), emit

    return intrinsic(aligned)


def _load(count: int) -> Any:
    from numba.cuda import types
    from numba.cuda.extending import intrinsic
    from numba.cuda.typing import signature

    def load(context: Any, pointer: Any, place: Any) -> Any:
        result = types.UniTuple(pointer.dtype, count)

        def emit(target: Any, builder: Any, typed: Any, operands: Any) -> Any:
            model = target.data_model_manager[pointer.dtype]
            kind = model.get_data_type()
            numbers: list[Any] = []
            for address, number, alignment in _pieces(builder, operands, count):
                whole = builder.load(address)
                whole.align = alignment
                numbers += _numbers(builder, whole, number, alignment)
            values = _elements(builder, numbers, kind, count)
            found = [model.from_data(builder, value) for value in values]
            return target.make_tuple(builder, result, found)

        return signature(result, pointer, place), emit

    return intrinsic(load)


def _store(count: int) -> Any:
    from numba.cuda import types
    from numba.cuda.extending import intrinsic
    from numba.cuda.typing import signature

    def emit(target: Any, builder: Any, typed: Any, operands: Any) -> Any:
        kind = typed.args[0].dtype
        model = target.data_model_manager[kind]
        values = [
            model.as_data(builder, target.cast(builder, value, given, kind))
            for value, given in zip(operands[2:], typed.args[2:], strict=True)
        ]
        numbers = _parts(builder, values)
        for address, number, alignment in _pieces(builder, operands, count):
            each = 8 * alignment // _width(number)
            whole = _vector(builder, numbers[:each], address.type.pointee)
            builder.store(whole, address).align = alignment
            numbers = numbers[each:]
        return target.get_dummy_value()

    # Numba counts an intrinsic's parameters.
    names = ", ".join(f"v{position}" for position in range(count))
    namespace: dict[str, Any] = {"signature": signature, "none": types.none, "emit": emit}
    exec(
        f"def store(context, pointer, place, {names}):\n"
        f"    return signature(none, pointer, place, {names}), emit\n",
        namespace,
    )
    return intrinsic(namespace["store"])


def _pieces(builder: Any, operands: Any, count: int) -> list[tuple[Any, Any, int]]:
    """The accesses that `count` elements take: the address of a vector, the type of the numbers in
    it, and its bytes. Small numbers go by words of four bytes, of which four make one access.
    """
    from llvmlite import ir

    start = builder.gep(operands[0], [operands[1]])
    number, parts = start.type.pointee, 1
    if isinstance(number, ir.LiteralStructType):
        number, parts = number.elements[0], len(number.elements)
    size = _width(number) // 8 * parts * count
    each = min(size, WIDEST)
    word = ir.IntType(32) if _width(number) < 32 and each % 4 == 0 else number
    vector = ir.VectorType(word, 8 * each // _width(word))
    first = builder.bitcast(start, vector.as_pointer())
    return [
        (builder.gep(first, [ir.Constant(ir.IntType(64), piece)]), number, each)
        for piece in range(size // each)
    ]


def _width(number: Any) -> int:
    """Bits of a number."""
    from llvmlite import ir

    known = {ir.HalfType: 16, ir.FloatType: 32, ir.DoubleType: 64}
    return number.width if isinstance(number, ir.IntType) else known[type(number)]


def _numbers(builder: Any, whole: Any, number: Any, size: int) -> list[Any]:
    """The numbers in a vector of `size` bytes."""
    from llvmlite import ir

    word, bits = whole.type.element, _width(number)
    words = [
        builder.extract_element(whole, ir.Constant(ir.IntType(32), position))
        for position in range(8 * size // _width(word))
    ]
    if word == number:
        return words
    # Bit by bit: NVVM takes a vector of small numbers, cast from one of words, apart again.
    found = []
    for value in words:
        for shift in range(0, _width(word), bits):
            moved = builder.lshr(value, ir.Constant(word, shift))
            found.append(builder.bitcast(builder.trunc(moved, ir.IntType(bits)), number))
    return found


def _vector(builder: Any, numbers: list[Any], kind: Any) -> Any:
    """The vector of numbers, as one of `kind`."""
    from llvmlite import ir

    word, bits = kind.element, _width(numbers[0].type)
    words = numbers
    if word != numbers[0].type:
        each = _width(word) // bits
        words = []
        for start in range(0, len(numbers), each):
            value = ir.Constant(word, 0)
            for position, number in enumerate(numbers[start : start + each]):
                part = builder.zext(builder.bitcast(number, ir.IntType(bits)), word)
                value = builder.or_(value, builder.shl(part, ir.Constant(word, bits * position)))
            words.append(value)
    whole = ir.Constant(kind, ir.Undefined)
    for position, value in enumerate(words):
        whole = builder.insert_element(whole, value, ir.Constant(ir.IntType(32), position))
    return whole


def _elements(builder: Any, numbers: list[Any], kind: Any, count: int) -> list[Any]:
    """Elements of the numbers that they are made of: a complex one has two."""
    from llvmlite import ir

    parts = len(numbers) // count
    if parts == 1:
        return numbers
    found = []
    for position in range(count):
        value = ir.Constant(kind, ir.Undefined)
        for part in range(parts):
            value = builder.insert_value(value, numbers[position * parts + part], part)
        found.append(value)
    return found


def _parts(builder: Any, values: list[Any]) -> list[Any]:
    """The numbers that elements are made of."""
    from llvmlite import ir

    if not isinstance(values[0].type, ir.LiteralStructType):
        return values
    parts = range(len(values[0].type.elements))
    return [builder.extract_value(value, part) for value in values for part in parts]
