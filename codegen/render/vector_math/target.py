"""What the machine code may use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """Instruction set extras that emitted code may rely on.

    `fma` allows `llvm.fma`; without it products are made exact by splitting. `avx512` (the F
    and DQ sets) allows the table permutation and exponent scaling of 512-bit registers. `f16c`
    allows conversions between float16 and float32.
    """

    fma: bool = True
    avx512: bool = False
    f16c: bool = False

    @staticmethod
    def from_features(features: Mapping[str, bool]) -> Target:
        """Target for an LLVM feature map, as `llvmlite.binding.get_host_cpu_features` gives it."""
        avx512 = bool(features.get("avx512f")) and bool(features.get("avx512dq"))
        fma, f16c = bool(features.get("fma")), bool(features.get("f16c"))
        return Target(fma=fma or avx512, avx512=avx512, f16c=f16c)


GENERIC = Target(fma=False, avx512=False)
FMA = Target(fma=True, avx512=False)
AVX512 = Target(fma=True, avx512=True)
