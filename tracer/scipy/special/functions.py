"""Functions of `scipy.special` that are no universal functions: combinations, orders, branches."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tracer.errors import UnsupportedFunctionError
from tracer.numpy.common import as_array, cast_to, result_dtype, where_text
from tracer.numpy.elementwise import where
from tracer.primitives import transcendental
from tracer.primitives.cast import make_complex
from tracer.primitives.comparison import less, select
from tracer.primitives.special import bessel, entropy, gamma, integrals
from tracer.trace import Tracer
from tracer.types import resolve_ufunc

FLOAT64 = np.dtype(np.float64)


def _floating(*values: Any) -> list[Any]:
    """The values as arrays of one floating dtype; whole numbers count as float64."""
    arrays = [as_array(value) for value in values]
    dtypes = [
        value if type(value) in (int, float) else array
        for value, array in zip(values, arrays, strict=True)
    ]
    dtype = result_dtype(*dtypes)
    dtype = dtype if dtype.kind == "f" else FLOAT64
    return [cast_to(array, dtype) for array in arrays]


def polygamma(n: Any, x: Any) -> Any:
    """The n-th derivative of digamma at x; n whole and not traced."""
    if type(n) is Tracer:
        raise UnsupportedFunctionError(f"{where_text()}polygamma takes a known order n")
    order, (x,) = np.asarray(n), _floating(x)
    x = cast_to(x, FLOAT64)
    first = transcendental.digamma(x)
    degree = np.maximum(order, 1).astype(np.float64)
    factor = np.array([math.factorial(int(k)) for k in degree.reshape(-1)], np.float64)
    factor = (factor * (-1.0) ** (degree.reshape(-1) + 1)).reshape(degree.shape)
    if np.all(order == 0):
        return first if order.shape == () else first + np.zeros(order.shape)
    higher = factor * transcendental.zeta(degree + 1.0, x)
    return higher if np.all(order != 0) else where(order == 0, first, higher)


def multigammaln(a: Any, d: int) -> Any:
    """log of the multivariate gamma function of dimension d, for a > (d − 1)/2."""
    (a,) = _floating(a)
    places = np.arange(d) / 2.0
    total: Any = a.dtype.type(d * (d - 1) * 0.25 * math.log(math.pi))
    for place in places:
        total = total + transcendental.gammaln(a - a.dtype.type(place))
    return total


def zeta(x: Any, q: Any = None) -> Any:
    """Riemann's ζ(x), or Hurwitz's ζ(x, q); derivatives in both."""
    if q is None:
        (x,) = _floating(x)
        return integrals.riemann_zeta(x)
    x, q = _floating(x, q)
    return transcendental.zeta(x, q)


def factorial(n: Any, exact: bool = False, extend: str = "zero") -> Any:
    """n! = Γ(n + 1), 0 for negative n."""
    if exact or extend != "zero":
        raise UnsupportedFunctionError(
            f"{where_text()}factorial of a traced array is that of exact=False, extend='zero'"
        )
    (n,) = _floating(n)
    negative = less(n, n.dtype.type(0))
    zero = n.dtype.type(0)
    return select(negative, zero, gamma.gamma(select(negative, zero, n) + n.dtype.type(1)))


def comb(N: Any, k: Any, *, exact: bool = False, repetition: bool = False) -> Any:
    """Ways to take k of N things (with repetition: N + k − 1 things); 0 where there are none."""
    if exact:
        raise UnsupportedFunctionError(
            f"{where_text()}comb of a traced array is that of exact=False"
        )
    if repetition:
        return comb(N + k - 1, k)
    N, k = _floating(N, k)
    zero = N.dtype.type(0)
    possible = ~less(N, k) & ~less(k, zero) & ~less(N, zero)
    one = N.dtype.type(1)
    value = gamma.binom(select(possible, N, one), select(possible, k, zero))
    return select(possible, value, zero)


def perm(N: Any, k: Any, exact: bool = False) -> Any:
    """Ways to order k of N things; 0 where there are none."""
    if exact:
        raise UnsupportedFunctionError(
            f"{where_text()}perm of a traced array is that of exact=False"
        )
    N, k = _floating(N, k)
    zero, one = N.dtype.type(0), N.dtype.type(1)
    possible = ~less(N, k) & ~less(k, zero) & ~less(N, zero)
    value = gamma.poch(select(possible, N - k + one, one), select(possible, k, zero))
    return select(possible, value, zero)


def lambertw(z: Any, k: int = 0, tol: float = 1e-8) -> Any:
    """Lambert's W of real z on its real branches, k = 0 and −1; complex, as SciPy's.

    NaN where W is not real: below −1/e, and for k = −1 from 0 on.
    """
    if k not in (0, -1):
        raise UnsupportedFunctionError(f"{where_text()}lambertw is traced for k = 0 and −1")
    z = as_array(z)
    if z.dtype.kind == "c":
        raise UnsupportedFunctionError(f"{where_text()}lambertw is traced for real z")
    value = (integrals.lambertw_upper if k == 0 else integrals.lambertw_lower)(
        cast_to(z, FLOAT64)
    )
    return make_complex(value, value * 0.0)


def softplus(x: Any) -> Any:
    """log(1 + eˣ)."""
    (x,) = _floating(x)
    return -entropy.log_expit(-x)


def loggamma(z: Any) -> Any:
    """log Γ(z) of real z: NaN below 0, where it is complex."""
    (z,) = _floating(z)
    zero = z.dtype.type(0)
    below = less(z, zero)
    value = transcendental.gammaln(select(below, z.dtype.type(1), z))
    return select(below, z.dtype.type(np.nan), value)


def _by_order(name: str, v: Any, z: Any, functions: tuple[Any, Any]) -> Any:
    if type(v) is Tracer or not np.all(np.isin(v, (0, 1))):
        raise UnsupportedFunctionError(
            f"{where_text()}scipy.special.{name} is traced for the known orders 0 and 1, not {v!r}"
        )
    order = np.asarray(v)
    z = as_array(z)
    from tracer.primitives.pointwise import promotion_key
    from tracer.primitives.programs import of_scipy

    keys = (promotion_key(v), promotion_key(z))
    z = cast_to(z, resolve_ufunc(of_scipy(name), keys)[1])
    if order.ndim == 0:
        return functions[int(order)](z)
    return where(order == 0, functions[0](z), functions[1](z))


def jv(v: Any, z: Any) -> Any:
    """The Bessel function of the first kind, of order 0 or 1."""
    return _by_order("jv", v, z, (bessel.j0, bessel.j1))


def yv(v: Any, z: Any) -> Any:
    """The Bessel function of the second kind, of order 0 or 1."""
    return _by_order("yv", v, z, (bessel.y0, bessel.y1))


def kv(v: Any, z: Any) -> Any:
    """The modified Bessel function of the second kind, of order 0 or 1."""
    return _by_order("kv", v, z, (bessel.k0, bessel.k1))


def kve(v: Any, z: Any) -> Any:
    """eᶻ times the modified Bessel function of the second kind, of order 0 or 1."""
    return _by_order("kve", v, z, (bessel.k0e, bessel.k1e))


__all__ = [
    "comb", "factorial", "jv", "kv", "kve", "lambertw", "loggamma", "multigammaln", "perm",
    "polygamma", "softplus", "yv", "zeta",
]  # fmt: skip
