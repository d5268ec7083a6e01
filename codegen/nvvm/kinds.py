"""The types of values in kernels, and the type of what is computed from two: Numba's rules.

Kernel text is Numba-CUDA's Python, so what a line means is what Numba says: an integer literal is
an int64 and a float literal a float64, an operation on integers is in 64 bits, and an int64 beside
a float32 makes a float64.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Scalar:
    """A number: `family` is NumPy's kind letter (b, i, u, f, c), `bits` its width, `llvm` the type
    of each of its parts in registers and `stored` in memory. A complex number has two parts.
    """

    name: str
    family: str
    bits: int
    llvm: str
    stored: str

    @property
    def size(self) -> int:
        """Bytes in memory."""
        return max(self.bits, 8) // 8


@dataclass(frozen=True, slots=True)
class Pointer:
    """An address of elements in one of NVVM's address spaces."""

    element: Scalar
    space: int

    @property
    def llvm(self) -> str:
        """The type in registers: that of the address of one part."""
        space = f" addrspace({self.space})" if self.space else ""
        return f"{self.element.stored}{space}*"


@dataclass(frozen=True, slots=True)
class Several:
    """A tuple."""

    items: tuple[Scalar, ...]


Kind = Scalar | Pointer | Several

GLOBAL, SHARED, LOCAL = 1, 3, 0
"""Address spaces; an array of one thread's own lies on its stack."""

BOOL = Scalar("bool", "b", 1, "i1", "i8")
INTEGERS = {
    f"{sign}int{bits}": Scalar(f"{sign}int{bits}", sign or "i", bits, f"i{bits}", f"i{bits}")
    for sign in ("", "u")
    for bits in (8, 16, 32, 64)
}
FLOAT16 = Scalar("float16", "f", 16, "half", "half")
FLOAT32 = Scalar("float32", "f", 32, "float", "float")
FLOAT64 = Scalar("float64", "f", 64, "double", "double")
COMPLEX64 = Scalar("complex64", "c", 64, "float", "float")
COMPLEX128 = Scalar("complex128", "c", 128, "double", "double")
INT32, INT64, UINT32, UINT64 = (INTEGERS[n] for n in ("int32", "int64", "uint32", "uint64"))
INT8, UINT8, UINT16 = (INTEGERS[name] for name in ("int8", "uint8", "uint16"))

SCALARS: dict[str, Scalar] = {
    "bool": BOOL,
    **INTEGERS,
    **{kind.name: kind for kind in (FLOAT16, FLOAT32, FLOAT64, COMPLEX64, COMPLEX128)},
}


def scalar_of(dtype: np.dtype[np.generic]) -> Scalar:
    """The kind of a NumPy dtype's elements; KeyError for one that kernels cannot hold."""
    return SCALARS[dtype.name]


def leaves(kind: Kind) -> tuple[str, ...]:
    """The LLVM types of the registers that hold a value."""
    if isinstance(kind, Several):
        return tuple(part for item in kind.items for part in leaves(item))
    if isinstance(kind, Scalar) and kind.family == "c":
        return (kind.llvm, kind.llvm)
    return (kind.llvm,)


def real_of(kind: Scalar) -> Scalar:
    """The kind of a complex number's parts."""
    return FLOAT32 if kind is COMPLEX64 else FLOAT64


def arithmetic_kind(left: Scalar, right: Scalar) -> Scalar:
    """What `+`, `-` and `*` make of two numbers."""
    families = left.family + right.family
    if "c" in families or "f" in families:
        return _inexact(left, right)
    return UINT64 if "i" not in families and "u" in families and "b" not in families else INT64


def _inexact(left: Scalar, right: Scalar) -> Scalar:
    floats = [kind for kind in (left, right) if kind.family in "fc"]
    others = [kind for kind in (left, right) if kind.family not in "fc"]
    # Whole numbers of up to 16 bits fit a float32, those of up to 8 with a sign a float16.
    bits = max(kind.bits if kind.family == "f" else kind.bits // 2 for kind in floats)
    for other in others:
        bits = max(bits, _needed(other))
    if "c" in left.family + right.family:
        return COMPLEX128 if bits > 32 else COMPLEX64
    return {16: FLOAT16, 32: FLOAT32, 64: FLOAT64}[bits]


def _needed(whole: Scalar) -> int:
    if whole.family == "b" or whole is INT8:
        return 16
    return 32 if whole.bits <= 16 else 64


def compared_kind(left: Scalar, right: Scalar) -> Scalar:
    """What two numbers are compared as."""
    if left is right:
        return left
    if "c" in left.family + right.family or "f" in left.family + right.family:
        return _inexact(left, right)
    return unified(left, right)


def unified(left: Scalar, right: Scalar) -> Scalar:
    """The kind of a name, or of a conditional expression, that is the one or the other."""
    if left is right:
        return left
    if left is BOOL or right is BOOL:
        return right if left is BOOL else left
    if left.family in "fc" or right.family in "fc":
        found = _inexact(left, right)
        if FLOAT16 in (left, right) and UINT8 in (left, right):
            return FLOAT16
        return found
    if left.family == right.family:
        return left if left.bits >= right.bits else right
    signed, unsigned = (left, right) if left.family == "i" else (right, left)
    bits = max(signed.bits, 2 * unsigned.bits)
    return FLOAT64 if bits > 64 else INTEGERS[f"int{bits}"]
