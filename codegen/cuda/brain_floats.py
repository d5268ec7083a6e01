"""bfloat16 in kernels: two functions of the compiler's (`codegen.nvvm.device`) in the simulator.

Memory of bfloat16 is memory of uint16 to a kernel. In its text `single_of_brain(bits)` is the
float32 of a uint16, which is exact, and `brain_of_single(x)` the uint16 of the bfloat16 that is
nearest to a float32, the even one in the middle; NaN becomes the quiet NaN of its sign, 0x7fc0 or
0xffc0, as ml_dtypes has it. Integer arithmetic does both: instructions for it there are from sm_80
on, with another NaN.
"""

from __future__ import annotations

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
