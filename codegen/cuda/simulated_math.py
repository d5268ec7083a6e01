"""`math` as a GPU has it, for kernels that are simulated.

Python's `math` raises where a GPU gives an infinity or NaN, and makes float64 of float32. The
functions here have the same names, keep the dtype of their arguments (a Python number is a float64)
and raise nothing:

    kernel.__globals__["math"] = codegen.cuda.simulated_math

They are NumPy's, which warn by the thread's own settings: whoever runs a kernel sets them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.special import gammaln

pi = math.pi
e = math.e
tau = math.tau
inf = math.inf
nan = math.nan

acos = np.arccos
acosh = np.arccosh
asin = np.arcsin
asinh = np.arcsinh
atan = np.arctan
atan2 = np.arctan2
atanh = np.arctanh
cbrt = np.cbrt
ceil = np.ceil
copysign = np.copysign
cos = np.cos
cosh = np.cosh
degrees = np.degrees
exp = np.exp
exp2 = np.exp2
expm1 = np.expm1
fabs = np.fabs
floor = np.floor
fmod = np.fmod
hypot = np.hypot
isfinite = np.isfinite
isinf = np.isinf
isnan = np.isnan
ldexp = np.ldexp
log = np.log
log10 = np.log10
log1p = np.log1p
log2 = np.log2
modf = np.modf
nextafter = np.nextafter
radians = np.radians
sin = np.sin
sinh = np.sinh
sqrt = np.sqrt
tan = np.tan
tanh = np.tanh
trunc = np.trunc


def _real(x: Any) -> Any:
    """An argument as a NumPy scalar of a floating dtype."""
    return x if isinstance(x, np.floating) else np.float64(x)


def pow(x: Any, y: Any) -> Any:
    """x to the power of y; of a single exponent of 0.5 NumPy would make a square root."""
    return np.power(x, np.array([y, y]))[0]


def erf(x: Any) -> Any:
    """The error function."""
    x = _real(x)
    return type(x)(math.erf(x))


def erfc(x: Any) -> Any:
    """1 less the error function."""
    x = _real(x)
    return type(x)(math.erfc(x))


def gamma(x: Any) -> Any:
    """The gamma function: NaN at its poles but zero, infinite where it overflows."""
    x = _real(x)
    if x == 0:
        return np.copysign(type(x)(inf), x)
    if x == -inf or (x < 0 and x == np.floor(x)):
        return type(x)(nan)
    try:
        return type(x)(math.gamma(x))
    except OverflowError:
        return type(x)(inf)


def lgamma(x: Any) -> Any:
    """The logarithm of the gamma function's size, which SciPy has right near its roots too."""
    x = _real(x)
    return type(x)(gammaln(x))


def frexp(x: Any) -> tuple[Any, np.int32]:
    """The mantissa and the exponent, an int32."""
    mantissa, exponent = np.frexp(x)
    return mantissa, np.int32(exponent)


def remainder(x: Any, y: Any) -> Any:
    """What IEEE 754 calls the remainder: x less the nearest whole multiple of y."""
    x, y = _real(x), _real(y)
    if not np.isfinite(x) or y == 0 or np.isnan(y):
        return type(x)(nan) if not np.isnan(x) else x
    return type(x)(math.remainder(x, y))
