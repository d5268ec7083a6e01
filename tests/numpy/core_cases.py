"""Cases of NumPy's elementwise functions, reductions, shapes, products and indexing."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.numpy.compare import Case

_generator = np.random.default_rng(3)


def normal(*shape: int) -> Any:
    """Normal numbers of that shape."""
    return _generator.normal(size=shape)


def positive(*shape: int) -> Any:
    """Numbers between 0.5 and 2."""
    return _generator.uniform(0.5, 2.0, size=shape)


def complex_normal(*shape: int) -> Any:
    """Complex normal numbers of that shape."""
    return normal(*shape) + 1j * normal(*shape)


def integers(*shape: int) -> Any:
    """Integers between −5 and 5."""
    return _generator.integers(-5, 6, size=shape)


def booleans(*shape: int) -> Any:
    """Truth values."""
    return _generator.uniform(size=shape) < 0.5


A34, B34, V4, S = normal(3, 4), normal(3, 4), normal(4), normal()
T234, P34, C34, Z4 = normal(2, 3, 4), positive(3, 4), complex_normal(3, 4), complex_normal(4)
I34, M34 = integers(3, 4), booleans(3, 4)
F34 = A34.astype(np.float32)
SQ, SQ2 = normal(4, 4), normal(2, 4, 4)


def _unary() -> list[Case]:
    smooth = (
        "negative positive absolute square sin cos sinh cosh tanh arctan arcsinh exp exp2 "
        "expm1 sign floor ceil trunc rint deg2rad rad2deg radians degrees sinc cbrt fabs"
    )
    cases = [
        Case(name, lambda xp, x, n=name: getattr(xp, n)(x), (A34,), 2) for name in smooth.split()
    ]
    above = "sqrt log log2 log10 log1p reciprocal arccosh"
    cases += [
        Case(name, lambda xp, x, n=name: getattr(xp, n)(x + 1.0), (P34,), 2)
        for name in above.split()
    ]
    inside = "arcsin arccos arctanh tan"
    cases += [
        Case(name, lambda xp, x, n=name: getattr(xp, n)(x * 0.3), (P34,), 2)
        for name in inside.split()
    ]
    holomorphic = (
        "negative square sin cos sinh cosh tanh exp expm1 conjugate absolute sqrt log log1p"
    )
    cases += [
        Case(f"{name} of complex", lambda xp, z, n=name: getattr(xp, n)(z), (C34,), 1)
        for name in holomorphic.split()
    ]
    tests = "isnan isinf isfinite signbit logical_not spacing"
    cases += [
        Case(name, lambda xp, x, n=name: getattr(xp, n)(x), (A34,), 0) for name in tests.split()
    ]
    whole = "negative absolute sign square sqrt sin exp invert floor bitwise_count positive rint"
    cases += [
        Case(f"{name} of int", lambda xp, x, n=name: getattr(xp, n)(abs(x)), (I34,), 0)
        for name in whole.split()
    ]
    cases += [
        Case(f"{name} of float32", lambda xp, x, n=name: getattr(xp, n)(x), (F34,), 0)
        for name in ["sin", "exp", "tanh", "absolute", "square", "deg2rad", "rad2deg", "sinc"]
    ]
    cases += [
        Case("modf", lambda xp, x: xp.modf(x), (A34 * 3,), 1),
        Case("frexp", lambda xp, x: xp.frexp(x), (A34 * 3,), 1),
        Case("angle", lambda xp, z: xp.angle(z), (C34,), 2),
        Case("angle deg", lambda xp, z: xp.angle(z, deg=True), (C34,)),
        Case("real imag", lambda xp, z: (xp.real(z), xp.imag(z), z.real, z.imag), (C34,), 1),
        Case("imag of real", lambda xp, x: xp.imag(x), (A34,), 0),
    ]
    return cases


def _binary() -> list[Case]:
    arithmetic = (
        "add subtract multiply divide maximum minimum fmax fmin arctan2 hypot logaddexp logaddexp2"
    )
    cases = [
        Case(name, lambda xp, x, y, n=name: getattr(xp, n)(x, y), (A34, V4), 2)
        for name in arithmetic.split()
    ]
    cases += [
        Case(name, lambda xp, x, y, n=name: getattr(xp, n)(x * 4, y * 3), (P34, P34[0]), 1)
        for name in [
            "floor_divide",
            "remainder",
            "fmod",
            "power",
            "float_power",
            "copysign",
            "nextafter",
            "divmod",
        ]
        if name != "nextafter"
    ]
    comparisons = (
        "equal not_equal less less_equal greater greater_equal logical_and logical_or logical_xor"
    )
    cases += [
        Case(name, lambda xp, x, y, n=name: getattr(xp, n)(x, y), (A34, V4), 0)
        for name in (*comparisons.split(), "nextafter", "isclose")
    ]
    whole = "add multiply floor_divide remainder bitwise_and bitwise_or bitwise_xor maximum gcd "
    whole += "lcm divide power"
    cases += [
        Case(f"{n} of ints", lambda xp, x, y, n=n: getattr(xp, n)(x, abs(y) + 1), (I34, I34[0]), 0)
        for n in whole.split()
    ]
    cases += [
        Case("left_shift", lambda xp, x: xp.left_shift(x, 3), (I34,), 0),
        Case("right_shift", lambda xp, x: xp.right_shift(x, 1), (I34,), 0),
        Case("heaviside", lambda xp, x: xp.heaviside(x, 0.5), (A34,), 1),
        Case("ldexp", lambda xp, x: xp.ldexp(x, np.arange(4)), (A34,), 1),
        Case("multiply complex", lambda xp, x, z: x * z + z / (2 + x * x), (A34, Z4), 1),
        Case("power complex", lambda xp, z: z**3 + z**2.5 + z**0, (C34,), 1),
        Case("power negative", lambda xp, x: x**-2 + x**3 + x**1, (P34,), 2),
        Case("power root", lambda xp, x: x**0.5 + x**1.5, (P34,), 2),
        Case("power exponent", lambda xp, x: 2.0**x + 3**x, (P34,), 2),
        Case(
            "operators",
            lambda xp, x, y: (x + y, x - 2, 3 - x, 2 * x, x / y, 1 / x, -x, abs(x), +x),
            (A34, V4),
        ),
        Case(
            "operators mod",
            lambda xp, x: (x % 0.7, 5 % x, x // 0.7, 5.0 // x, divmod(x, 2)),
            (P34,),
        ),
        Case(
            "operators int",
            lambda xp, i: (i & 3, 1 | i, i ^ 5, ~i, i << 2, i >> 1, 5 & i, i % 3),
            (I34,),
            0,
        ),
        Case(
            "operators compare",
            lambda xp, x, y: (x < y, x <= 1, x < 0, x >= y, x == y, x != 0),
            (A34, V4),
            0,
        ),
        Case(
            "mixed dtypes", lambda xp, f, i: (f * i, f + 1, i / 2, i * 2.5, f * 2.5), (F34, I34), 0
        ),
        Case(
            "mixed narrow",
            lambda xp, f, i: (f * i, f + i, i + i, f * True, i * 3),
            (F34, I34.astype(np.int8)),
            0,
        ),
        Case(
            "array first", lambda xp, x: (V4 * x, V4 + x, np.float64(3) * x, V4 - x, x > V4), (A34,)
        ),
        Case("where", lambda xp, x, y: xp.where(x > 0, x * y, y), (A34, V4), 2),
        Case("where weak", lambda xp, f: xp.where(f > 0, f, 1.0), (F34,), 0),
        Case("where mixed", lambda xp, x, i: xp.where(x > 0, x, i), (A34, I34)),
        Case("clip", lambda xp, x: xp.clip(x, -0.5, 0.7), (A34,)),
        Case("clip one side", lambda xp, x: (xp.clip(x, None, 0.7), xp.clip(x, 0.1, None)), (A34,)),
        Case("clip arrays", lambda xp, x, y: xp.clip(x, y, y + 1), (A34, V4)),
        Case("clip int", lambda xp, i: xp.clip(i, 0, 3), (I34,), 0),
        Case("clip keywords", lambda xp, x: xp.clip(x, min=0.1, max=0.5), (A34,)),
        Case("clip method", lambda xp, x: x.clip(-0.5, 0.7), (A34,)),
        Case(
            "round",
            lambda xp, x: (xp.round(x), xp.round(x, 2), xp.round(100 * x, -1), x.round(1)),
            (A34,),
            0,
        ),
        Case("round is flat", lambda xp, x: x * xp.round(x), (A34,)),
        Case("round int", lambda xp, i: (xp.round(i), xp.round(i * 7, -1)), (I34,), 0),
        Case("round complex", lambda xp, z: xp.round(z, 1), (C34,), 0),
        Case("fix", lambda xp, x: xp.fix(3 * x), (A34,), 1),
        Case(
            "nan_to_num",
            lambda xp, x: xp.nan_to_num(x),
            (np.array([1.0, np.nan, np.inf, -np.inf]),),
            0,
        ),
        Case(
            "nan_to_num values",
            lambda xp, x: xp.nan_to_num(x, nan=2.0, posinf=3.0, neginf=4.0),
            (np.array([1.0, np.nan, np.inf, -np.inf]),),
            0,
        ),
        Case("nan_to_num smooth", lambda xp, x: xp.nan_to_num(x), (A34,)),
        Case("allclose", lambda xp, x: xp.allclose(x, x + 1e-12), (A34,), 0),
        Case(
            "array_equal", lambda xp, x: (xp.array_equal(x, x), xp.array_equiv(x, x[0])), (A34,), 0
        ),
        Case(
            "isclose nan",
            lambda xp, x: xp.isclose(x, x, equal_nan=True),
            (np.array([1.0, np.nan]),),
            0,
        ),
        Case(
            "isposinf",
            lambda xp, x: (xp.isposinf(x), xp.isneginf(x)),
            (np.array([1.0, np.inf, -np.inf, np.nan]),),
            0,
        ),
        Case("iscomplex", lambda xp, z: (xp.iscomplex(z), xp.isreal(z)), (C34,), 0),
        Case("select", lambda xp, x: xp.select([x > 1, x > 0], [x * x, xp.sin(x)], 0.5), (A34,)),
        Case("select int", lambda xp, i: xp.select([i > 1, i > 0], [i, 2 * i], -1), (I34,), 0),
        Case(
            "piecewise",
            lambda xp, x: xp.piecewise(x, [x < 0, x > 1], [np.sin, lambda v: v * v, 3.0]),
            (A34,),
        ),
        Case("choose", lambda xp, x, y: xp.choose(np.array([0, 1, 1, 0]), [x, y]), (A34, V4)),
        Case(
            "choose clip",
            lambda xp, x: xp.choose(np.array([0, 5, -1, 1]), [x, 2 * x], mode="clip"),
            (A34,),
        ),
        Case("unwrap", lambda xp, x: xp.unwrap(4 * x), (A34,)),
        Case("unwrap period", lambda xp, x: xp.unwrap(4 * x, period=3.0, axis=0), (A34,)),
        Case("ufunc where out", lambda xp, x: np.add(x, 1.0, where=x > 0, out=x * 0), (A34,)),
        Case("ufunc dtype", lambda xp, f: np.add(f, 1, dtype=np.float64), (F34,), 0),
    ]
    return cases


def _reductions() -> list[Case]:
    cases = []
    for name in ["sum", "prod", "max", "min", "mean", "var", "std", "ptp"]:
        for label, options in {
            "": {},
            " axis 1": {"axis": 1},
            " axes": {"axis": (0, -1)},
            " keepdims": {"axis": 0, "keepdims": True},
            " no axes": {"axis": ()},
        }.items():
            if label == " no axes" and name in ("std", "ptp", "var"):
                continue
            cases.append(
                Case(
                    name + label,
                    lambda xp, x, n=name, o=options: getattr(xp, n)(x, **o),
                    (T234,),
                    2,
                )
            )
        cases += [
            Case(f"{name} of ints", lambda xp, i, n=name: getattr(xp, n)(i, axis=0), (I34,), 0),
            Case(f"{name} of float32", lambda xp, f, n=name: getattr(xp, n)(f, 0), (F34,), 0),
        ]
    cases += [
        Case(f"{n} of bools", lambda xp, m, n=n: getattr(xp, n)(m, axis=0), (M34,), 0)
        for n in ["sum", "prod", "max", "min", "mean", "any", "all", "count_nonzero", "argmax"]
    ]
    cases += [
        Case(
            f"{n} of {t}",
            lambda xp, x, n=n: (getattr(xp, n)(x), getattr(xp, n)(x, axis=-1)),
            (x,),
            0,
        )
        for n in ["any", "all", "argmax", "argmin", "count_nonzero"]
        for t, x in {"floats": A34, "ints": I34}.items()
    ]
    cases += [
        Case("sum where", lambda xp, x: xp.sum(x, axis=0, where=M34, initial=2.0), (A34,)),
        Case("prod where", lambda xp, x: xp.prod(x, where=M34), (A34,)),
        Case("max where", lambda xp, x: xp.max(x, axis=1, where=M34, initial=-0.1), (A34,)),
        Case("min initial", lambda xp, x: xp.min(x, axis=1, initial=0.1), (A34,)),
        Case(
            "mean where",
            lambda xp, x: xp.mean(x, axis=1, where=np.array([True, False, True, True])),
            (A34,),
        ),
        Case(
            "var where",
            lambda xp, x: xp.var(x, axis=1, ddof=1, where=np.array([True, False, True, True])),
            (A34,),
        ),
        Case(
            "any where",
            lambda xp, m: xp.any(m, axis=0, where=np.array([[True], [False], [True]])),
            (M34,),
            0,
        ),
        Case("sum dtype", lambda xp, i: xp.sum(i, dtype=np.float32), (I34,), 0),
        Case(
            "sum of int8",
            lambda xp, i: (xp.sum(i), xp.prod(i, 0), xp.mean(i)),
            (I34.astype(np.int8),),
            0,
        ),
        Case("sum of uint16", lambda xp, i: xp.sum(i, axis=1), (abs(I34).astype(np.uint16),), 0),
        Case(
            "mean of float16",
            lambda xp, x: (xp.mean(x), xp.var(x), xp.std(x)),
            (F34.astype(np.float16),),
            0,
        ),
        Case("var ddof", lambda xp, x: (xp.var(x, ddof=1), xp.std(x, axis=0, ddof=1)), (A34,), 2),
        Case("var correction", lambda xp, x: xp.var(x, axis=0, correction=1), (A34,)),
        Case("var of complex", lambda xp, z: (xp.var(z), xp.std(z, axis=0)), (C34,)),
        Case("mean of complex", lambda xp, z: xp.mean(z, axis=1), (C34,)),
        Case("sum of a list", lambda xp, x: xp.sum(x[0] * 1.0) + xp.sum([1.0, 2.0]), (A34,)),
        Case(
            "methods",
            lambda xp, x: (x.sum(), x.mean(0), x.max(axis=1), x.prod(), x.var(), x.std(0), x.min()),
            (A34,),
        ),
        Case(
            "methods of truth",
            lambda xp, x: (x.any(), x.all(axis=0), x.argmax(), x.argmin(1)),
            (A34,),
            0,
        ),
        Case("sum of 0-d", lambda xp, x: (xp.sum(x), xp.max(x), xp.mean(x)), (np.float64(1.5),)),
        Case(
            "sum of empty",
            lambda xp, x: (xp.sum(x), xp.prod(x, axis=0), xp.any(x)),
            (np.zeros((0, 3)),),
            0,
        ),
        Case(
            "argmax keepdims",
            lambda xp, x: (xp.argmax(x, axis=1, keepdims=True), xp.argmin(x, keepdims=True)),
            (A34,),
            0,
        ),
        Case(
            "prod with zeros",
            lambda xp, x: xp.prod(x, axis=1),
            (np.array([[1.0, 0.0, 2.0], [0.0, 3.0, 0.0]]),),
            2,
        ),
        Case("cumsum", lambda xp, x: (xp.cumsum(x), xp.cumsum(x, axis=1), x.cumsum(0)), (T234,), 2),
        Case("cumprod", lambda xp, x: (xp.cumprod(x), xp.cumprod(x, axis=1)), (A34,), 2),
        Case(
            "cumprod with zeros",
            lambda xp, x: xp.cumprod(x),
            (np.array([2.0, 0.0, 3.0, 0.0, 1.5]),),
            2,
        ),
        Case(
            "cumsum of ints",
            lambda xp, i: (xp.cumsum(i, 0), xp.cumprod(i, 1), xp.cumsum(i > 0)),
            (I34,),
            0,
        ),
        Case(
            "cumulative_sum",
            lambda xp, x: xp.cumulative_sum(x, axis=1, include_initial=True),
            (A34,),
        ),
        Case(
            "cumulative_prod",
            lambda xp, x: xp.cumulative_prod(x, axis=0, include_initial=True),
            (A34,),
        ),
        Case("maximum.accumulate", lambda xp, x: np.maximum.accumulate(x, axis=1), (A34,), 2),
        Case("minimum.accumulate", lambda xp, x: np.minimum.accumulate(x), (A34,)),
        Case("add.accumulate", lambda xp, x: np.add.accumulate(x, axis=1), (A34,)),
        Case("logaddexp.accumulate", lambda xp, x: np.logaddexp.accumulate(x, axis=1), (A34,)),
        Case(
            "nancumsum",
            lambda xp, x: (xp.nancumsum(x), xp.nancumprod(x)),
            (np.array([1.0, np.nan, 2.0]),),
            0,
        ),
        Case(
            "diff",
            lambda xp, x: (xp.diff(x), xp.diff(x, 2, axis=0), xp.diff(x, prepend=0.5)),
            (A34,),
            1,
        ),
        Case("diff of bools", lambda xp, m: xp.diff(m), (M34,), 0),
        Case("ediff1d", lambda xp, x: xp.ediff1d(x, to_begin=1.0, to_end=[2.0, 3.0]), (A34,)),
        Case(
            "ufunc reduce",
            lambda xp, x: (
                np.add.reduce(x),
                np.multiply.reduce(x, axis=1),
                np.maximum.reduce(x),
                np.logaddexp.reduce(x, axis=1),
            ),
            (A34,),
        ),
        Case(
            "ufunc reduce axes",
            lambda xp, x: (
                np.hypot.reduce(x, axis=(0, 2)),
                np.subtract.reduce(x, axis=1, keepdims=True),
            ),
            (T234,),
        ),
        Case(
            "ufunc outer", lambda xp, x, y: (np.multiply.outer(x, y), np.add.outer(y, x)), (A34, V4)
        ),
        Case("ufunc reduceat", lambda xp, x: np.add.reduceat(x, [0, 2, 1], axis=1), (A34,)),
    ]
    return cases


CASES = [*_unary(), *_binary(), *_reductions()]
