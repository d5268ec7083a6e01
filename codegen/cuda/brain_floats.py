"""bfloat16 in kernels: two functions for Numba's CUDA compiler, and what they are in the simulator.

Memory of bfloat16 is memory of uint16 to a kernel. In its text `single_of_brain(bits)` is the
float32 of a uint16, which is exact, and `brain_of_single(x)` the uint16 of the bfloat16 that is
nearest to a float32, the even one in the middle; NaN becomes the quiet NaN of its sign, 0x7fc0 or
0xffc0, as ml_dtypes has it. Integer arithmetic does both: instructions for it there are from sm_80
on, with another NaN.
"""

from __future__ import annotations

from functools import cache
from typing import Any

SIMULATED = """

def single_of_brain(bits):
    return (np.uint32(bits) << np.uint32(16)).view(np.float32)


def brain_of_single(x):
    bits = np.float32(x).view(np.uint32)
    if bits & np.uint32(0x7FFFFFFF) > np.uint32(0x7F800000):
        return np.uint16(bits >> np.uint32(16) & np.uint32(0x8000) | np.uint32(0x7FC0))
    odd = bits >> np.uint32(16) & np.uint32(1)
    return np.uint16(bits + np.uint32(0x7FFF) + odd >> np.uint32(16))
"""
"""Python that defines both for NumPy's scalars."""


@cache
def brain_functions() -> dict[str, Any]:
    """The functions by the names that kernels call them by."""
    from llvmlite import ir
    from numba.cuda import types
    from numba.cuda.extending import intrinsic
    from numba.cuda.typing import signature

    word = ir.IntType(32)

    def number(value: int) -> Any:
        return ir.Constant(word, value)

    def single_of_brain(context: Any, bits: Any) -> Any:
        def emit(target: Any, builder: Any, typed: Any, operands: Any) -> Any:
            wide = builder.shl(builder.zext(operands[0], word), number(16))
            return builder.bitcast(wide, ir.FloatType())

        return signature(types.float32, types.uint16), emit

    def brain_of_single(context: Any, x: Any) -> Any:
        def emit(target: Any, builder: Any, typed: Any, operands: Any) -> Any:
            bits = builder.bitcast(operands[0], word)
            high = builder.lshr(bits, number(16))
            odd = builder.and_(high, number(1))
            near = builder.lshr(builder.add(bits, builder.add(odd, number(0x7FFF))), number(16))
            quiet = builder.or_(builder.and_(high, number(0x8000)), number(0x7FC0))
            size = builder.and_(bits, number(0x7FFFFFFF))
            is_nan = builder.icmp_unsigned(">", size, number(0x7F800000))
            return builder.trunc(builder.select(is_nan, quiet, near), ir.IntType(16))

        return signature(types.uint16, types.float32), emit

    return {
        "single_of_brain": intrinsic(single_of_brain),
        "brain_of_single": intrinsic(brain_of_single),
    }
