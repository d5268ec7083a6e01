"""What kernels may call of `cuda`, and their accesses to memory."""

from __future__ import annotations

from collections.abc import Callable

from codegen.nvvm import arithmetic
from codegen.nvvm.arithmetic import cast
from codegen.nvvm.builder import Builder
from codegen.nvvm.kinds import (
    BOOL,
    FLOAT32,
    FLOAT64,
    INT32,
    INT64,
    UINT16,
    UINT32,
    Pointer,
    Several,
    leaves,
)
from codegen.nvvm.values import KernelError, Value, constant

Function = Callable[[Builder, list[Value]], Value]
NONE = Value(Several(()), ())
EVERYONE = constant(UINT32, 0xFFFFFFFF)
"""All threads of a warp."""

RANGES = {"tid": 2, "ctaid": 3, "ntid": 4, "nctaid": 5}
"""Between which numbers special registers are: the module's metadata of that number."""
REGISTERS = {"threadIdx": "tid", "blockIdx": "ctaid", "blockDim": "ntid", "gridDim": "nctaid"}


def special(builder: Builder, name: str, axis: str) -> Value:
    """A thread's or a block's place, or how many there are, as an int32."""
    register = REGISTERS[name]
    full = f"llvm.nvvm.read.ptx.sreg.{register}.{axis}"
    builder.declared[full] = f"declare i32 @{full}()"
    found = builder.value(f"call i32 @{full}(), !range !{RANGES[register]}")
    return Value(INT32, (found,))


def grid(builder: Builder, values: list[Value]) -> Value:
    """`cuda.grid(1)`: the thread's place in the grid."""
    block = cast(builder, special(builder, "blockIdx", "x"), INT64)
    size = cast(builder, special(builder, "blockDim", "x"), INT64)
    thread = cast(builder, special(builder, "threadIdx", "x"), INT64)
    start = arithmetic.binary(builder, "*", block, size)
    return arithmetic.binary(builder, "+", start, thread)


def grid_size(builder: Builder, values: list[Value]) -> Value:
    """`cuda.gridsize(1)`: how many threads the grid has."""
    blocks = cast(builder, special(builder, "gridDim", "x"), INT64)
    size = cast(builder, special(builder, "blockDim", "x"), INT64)
    return arithmetic.binary(builder, "*", blocks, size)


# Threads together


def barrier(builder: Builder, values: list[Value]) -> Value:
    """Wait for all threads of the block."""
    builder.call("llvm.nvvm.barrier0", "void", (), [])
    return NONE


def counting_barrier(how: str) -> Function:
    """A barrier that says something of the threads' numbers: popc, and, or."""

    def call(builder: Builder, values: list[Value]) -> Value:
        (value,) = values
        number = cast(builder, value, INT32)
        text = builder.call(f"llvm.nvvm.barrier0.{how}", "i32", ("i32",), [number.text])
        return Value(INT32, (text,))

    return call


def warp_barrier(builder: Builder, values: list[Value]) -> Value:
    """Wait for the threads of a warp."""
    mask = cast(builder, values[0] if values else EVERYONE, UINT32)
    builder.call("llvm.nvvm.bar.warp.sync", "void", ("i32",), [mask.text])
    return NONE


def ballot(builder: Builder, values: list[Value]) -> Value:
    """The threads of a warp for which something holds, as bits."""
    mask, value = values
    test = arithmetic.truth(builder, value)
    text = builder.call(
        "llvm.nvvm.vote.ballot.sync",
        "i32",
        ("i32", "i1"),
        [cast(builder, mask, UINT32).text, test.text],
    )
    return Value(INT32, (text,))


def shuffle(mode: int, clamp: int) -> Function:
    """A number of another thread of the warp."""

    def word(builder: Builder, mask: str, text: str, place: str) -> str:
        given = ", ".join(f"i32 {part}" for part in (mask, mode, text, place, clamp))
        name = "llvm.nvvm.shfl.sync.i32"
        builder.declared[name] = f"declare {{i32, i1}} @{name}(i32, i32, i32, i32, i32)"
        pair = builder.value(f"call {{i32, i1}} @{name}({given})")
        return builder.value(f"extractvalue {{i32, i1}} {pair}, 0")

    def call(builder: Builder, values: list[Value]) -> Value:
        mask = cast(builder, values[0], UINT32).text
        place = cast(builder, values[2], INT32).text
        value = values[1]
        kind = value.scalar
        if kind.bits not in (32, 64) or kind.family not in "iuf":
            raise KernelError(f"there is no shuffle of {kind.name}")
        bits = f"i{kind.bits}"
        text = value.text
        if kind.family == "f":
            text = builder.value(f"bitcast {kind.llvm} {text} to {bits}")
        if kind.bits == 32:
            text = word(builder, mask, text, place)
        else:
            low = builder.value(f"trunc i64 {text} to i32")
            high = builder.value(f"lshr i64 {text}, 32")
            high = builder.value(f"trunc i64 {high} to i32")
            low, high = (word(builder, mask, part, place) for part in (low, high))
            low = builder.value(f"zext i32 {low} to i64")
            high = builder.value(f"zext i32 {high} to i64")
            high = builder.value(f"shl i64 {high}, 32")
            text = builder.value(f"or i64 {low}, {high}")
        if kind.family == "f":
            text = builder.value(f"bitcast {bits} {text} to {kind.llvm}")
        return Value(kind, (text,))

    return call


# Numbers


def selected(builder: Builder, values: list[Value]) -> Value:
    """`cuda.selp`: one of two numbers."""
    condition, then, otherwise = values
    return arithmetic.select(builder, condition, then, otherwise)


def counted(name: str, *more: str) -> Function:
    """A function of an integer's bits, which the processor has."""

    def call(builder: Builder, values: list[Value]) -> Value:
        (value,) = values
        kind = value.scalar
        if kind.family not in "iu":
            raise KernelError(f"there is no {name} of {kind.name}")
        types = (kind.llvm, *("i1" for _ in more))
        text = builder.call(f"{name}.{kind.llvm}", kind.llvm, types, [value.text, *more])
        return Value(kind, (text,))

    return call


def fused(builder: Builder, values: list[Value]) -> Value:
    """`cuda.fma`: a product and a sum, rounded once."""
    kind = FLOAT64 if any(value.scalar is FLOAT64 for value in values) else FLOAT32
    given = [cast(builder, value, kind).text for value in values]
    name = f"llvm.fma.f{kind.bits}"
    return Value(kind, (builder.call(name, kind.llvm, (kind.llvm,) * 3, given),))


# Memory


def element(builder: Builder, pointer: Value, place: Value, part: int = 0) -> str:
    """The address of an element, or of one of its parts."""
    kind = pointer_kind(pointer)
    index = cast(builder, place, INT64)
    parts = len(leaves(kind.element))
    if parts == 2:
        index = arithmetic.binary(builder, "*", index, constant(INT64, 2))
        index = arithmetic.binary(builder, "+", index, constant(INT64, part))
    return builder.value(
        f"getelementptr inbounds {kind.element.stored}, {kind.llvm} {pointer.text}, "
        f"i64 {index.text}"
    )


def pointer_kind(pointer: Value) -> Pointer:
    """The kind of an address; KernelError where this is none."""
    if not isinstance(pointer.kind, Pointer):
        raise KernelError(f"only arrays have elements, not {pointer.kind}")
    return pointer.kind


def load(builder: Builder, pointer: Value, place: Value) -> Value:
    """An element of memory."""
    kind = pointer_kind(pointer)
    stored = kind.element.stored
    parts = []
    for part in range(len(leaves(kind.element))):
        address = element(builder, pointer, place, part)
        parts.append(builder.value(f"load {stored}, {kind.llvm} {address}"))
    if kind.element is BOOL:
        parts = [builder.value(f"icmp ne i8 {parts[0]}, 0")]
    return Value(kind.element, tuple(parts))


def store(builder: Builder, pointer: Value, place: Value, value: Value) -> None:
    """Write an element of memory, as one of its kind."""
    kind = pointer_kind(pointer)
    held = in_memory(builder, cast(builder, value, kind.element))
    for part, text in enumerate(held):
        address = element(builder, pointer, place, part)
        builder.do(f"store {kind.element.stored} {text}, {kind.llvm} {address}")


def in_memory(builder: Builder, value: Value) -> list[str]:
    """A number's parts as they are in memory: a boolean is a byte."""
    if value.scalar is BOOL:
        return [builder.value(f"zext i1 {value.text} to i8")]
    return list(value.parts)


FLOATS = {"float": 32, "double": 64}
"""The bits of parts of numbers that can be added in one step."""


def atomic(how: str) -> Function:
    """Read, combine and write in one step; the result is what was there. The parts of a complex
    number are added one after the other.
    """

    def call(builder: Builder, values: list[Value]) -> Value:
        pointer, place, value = values
        kind = pointer_kind(pointer)
        number = kind.element
        held = cast(builder, value, number)
        if number.llvm in FLOATS and how == "add":
            bits, types = FLOATS[number.llvm], (kind.llvm, number.llvm)
            name = f"llvm.nvvm.atomic.load.add.f{bits}.p{kind.space}f{bits}"
            before = []
            for part, text in enumerate(held.parts):
                address = element(builder, pointer, place, part)
                before.append(builder.call(name, number.llvm, types, [address, text]))
            return Value(number, tuple(before))
        address = element(builder, pointer, place)
        if number.family not in "iu" or number.bits < 32:
            raise KernelError(f"there is no atomic {how} of {number.name}")
        word = how if how == "add" or number.family == "i" else f"u{how}"
        text = f"atomicrmw {word} {kind.llvm} {address}, {number.llvm} {held.text} monotonic"
        return Value(number, (builder.value(text),))

    return call


def exchange(builder: Builder, values: list[Value]) -> Value:
    """`cuda.atomic.cas(array, place, old, new)`: write `new` where `old` is, and say what was."""
    pointer, place, old, new = values
    kind = pointer_kind(pointer)
    number = kind.element
    if number.family not in "iu" or number.bits < 32:
        raise KernelError(f"there is no atomic exchange of {number.name}")
    before, after = cast(builder, old, number).text, cast(builder, new, number).text
    address = element(builder, pointer, place)
    pair = builder.value(
        f"cmpxchg {kind.llvm} {address}, {number.llvm} {before}, {number.llvm} {after} "
        "monotonic monotonic"
    )
    return Value(number, (builder.value(f"extractvalue {{{number.llvm}, i1}} {pair}, 0"),))


def single_of_brain(builder: Builder, values: list[Value]) -> Value:
    """The float32 of a bfloat16, which is memory of uint16: its upper half."""
    wide = cast(builder, values[0], UINT32).text
    bits = builder.value(f"shl i32 {wide}, 16")
    return Value(FLOAT32, (builder.value(f"bitcast i32 {bits} to float"),))


def brain_of_single(builder: Builder, values: list[Value]) -> Value:
    """The bfloat16 nearest to a float32, of two the even one; NaN is the quiet one of its sign."""
    bits = builder.value(f"bitcast float {cast(builder, values[0], FLOAT32).text} to i32")
    high = builder.value(f"lshr i32 {bits}, 16")
    odd = builder.value(f"and i32 {high}, 1")
    more = builder.value(f"add i32 {odd}, {0x7FFF}")
    near = builder.value(f"add i32 {bits}, {more}")
    near = builder.value(f"lshr i32 {near}, 16")
    sign = builder.value(f"and i32 {high}, {0x8000}")
    quiet = builder.value(f"or i32 {sign}, {0x7FC0}")
    size = builder.value(f"and i32 {bits}, {0x7FFFFFFF}")
    is_nan = builder.value(f"icmp ugt i32 {size}, {0x7F800000}")
    found = builder.value(f"select i1 {is_nan}, i32 {quiet}, i32 {near}")
    return Value(UINT16, (builder.value(f"trunc i32 {found} to i16"),))


FUNCTIONS: dict[str, Function] = {
    "single_of_brain": single_of_brain,
    "brain_of_single": brain_of_single,
    "cuda.grid": grid,
    "cuda.gridsize": grid_size,
    "cuda.syncthreads": barrier,
    "cuda.syncthreads_or": counting_barrier("or"),
    "cuda.syncthreads_and": counting_barrier("and"),
    "cuda.syncthreads_count": counting_barrier("popc"),
    "cuda.syncwarp": warp_barrier,
    "cuda.ballot_sync": ballot,
    "cuda.shfl_sync": shuffle(0, 31),
    "cuda.shfl_up_sync": shuffle(1, 0),
    "cuda.shfl_down_sync": shuffle(2, 31),
    "cuda.shfl_xor_sync": shuffle(3, 31),
    "cuda.selp": selected,
    "cuda.popc": counted("llvm.ctpop"),
    "cuda.brev": counted("llvm.bitreverse"),
    "cuda.clz": counted("llvm.ctlz", "false"),
    "cuda.fma": fused,
    "cuda.atomic.add": atomic("add"),
    "cuda.atomic.max": atomic("max"),
    "cuda.atomic.min": atomic("min"),
    "cuda.atomic.cas": exchange,
}
