"""Calls of elementwise functions and ufunc methods for the differential tests."""

from __future__ import annotations

from tests.numpy.differential import Table

_ANYWHERE = (
    "negative positive absolute sign square sqrt cbrt reciprocal exp exp2 expm1 log log2 log10 "
    "log1p sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh arctanh deg2rad rad2deg degrees "
    "radians sinc conjugate conj abs isnan isinf isfinite signbit logical_not invert bitwise_not "
    "bitwise_invert bitwise_count rint floor ceil trunc fix fabs spacing frexp modf round around "
    "real imag angle isreal iscomplex isposinf isneginf nan_to_num acos acosh asin asinh atan "
    "atanh i0"
)
_PAIRS = (
    "add subtract multiply divide true_divide floor_divide remainder mod fmod divmod maximum "
    "minimum fmax fmin hypot logaddexp logaddexp2 arctan2 atan2 copysign nextafter equal not_equal "
    "less less_equal greater greater_equal logical_and logical_or logical_xor bitwise_and "
    "bitwise_or bitwise_xor gcd lcm heaviside isclose"
)
_OPTIONS: dict[str, tuple[str, ...]] = {
    "add": (
        "x, 1",
        "x, 2.5",
        "x, z, where=b, out=xp.copy(x)",
        "x, y, dtype='f4'",
        "x, y, dtype='c16'",
        "x, y, casting='safe'",
        "= after(x, lambda a: xp.add(a, y, out=a))",
        "= after(x, lambda a: xp.add(a, y, a, where=b))",
    ),
    "multiply": ("x, 2", "x, True", "x, 1.5", "= 2 * x", "= x * 3j"),
    "subtract": ("x, 1", "= 1 - x", "= 2.5 - x"),
    "divide": ("x, 2", "= 1 / x", "x, 0", "= x / 4", "x, y, out=xp.copy(x)"),
    "floor_divide": ("x, 2", "!= 7 // x", "x, -3", "x, 0.75", "x, x"),
    "remainder": ("x, 2", "!= 7 % x", "x, -3", "x, 0.75"),
    "power": (
        "xp.abs(x), y",
        "x, 2",
        "x, 3",
        "x, -1",
        "x, 0",
        "x, 0.5",
        "= 2 ** x",
        "= 2.0 ** x",
        "= x ** 2.0",
        "xp.abs(x), xp.abs(y)",
        "x, k",
        "= pow(x, 2)",
    ),
    "pow": ("xp.abs(x), z", "x, 2"),
    "log": ("xp.abs(x) + 0.5", "x * 0"),
    "log2": ("xp.abs(x) + 0.5",),
    "log10": ("xp.abs(x) + 0.5",),
    "log1p": ("xp.abs(x)",),
    "arctanh": ("x / 3",),
    "arcsin": ("x / 3", "x / 3 + 2j"),
    "arccos": ("x / 3",),
    "sqrt": ("xp.abs(x)",),
    "sign": ("x * 0", "-x * 0"),
    "float_power": ("xp.abs(x), y", "x, 2", "x, 3"),
    "left_shift": ("x, k", "x, 3", "x, 70", "= x << 1", "= 3 << xp.abs(x)"),
    "right_shift": ("x, k", "x, 1", "x, 70", "= x >> 1"),
    "bitwise_left_shift": ("x, 2",),
    "bitwise_right_shift": ("x, 2",),
    "ldexp": ("x, k", "x, 3"),
    "arccosh": ("xp.abs(x) + 1.5", "x"),
    "maximum": ("x, 0", "x, 0.5", "x, x"),
    "minimum": ("x, 0", "x, 0.5"),
    "clip": (
        "x, -0.5, 0.5",
        "x, y, None",
        "x, None, y",
        "x, min=y",
        "x, max=z",
        "x, y, z",
        "x, 1, 0",
        "x, 0, 3",
        "= x.clip(-0.5, 0.5)",
        "= x.clip(max=0.5)",
        "x, 0, 1, out=xp.copy(x)",
        "x, None, None",
        "x, -0.5, 0.5, dtype='f4', casting='unsafe'",
    ),
    "where": (
        "b, x, y",
        "b, x, 0",
        "b, 1.5, x",
        "b, x, z",
        "x, x, y",
        "~b",
        "b, y, s",
        "x > 0, s, z",
    ),
    "round": ("x, 1", "x, -1", "!x, decimals=2", "x, 1, out=xp.copy(x)"),
    "around": ("x, 1",),
    "fix": ("x, out=xp.copy(x)",),
    "exp": ("x, where=b, out=xp.copy(x)", "x, dtype='f4'"),
    "cbrt": ("xp.abs(x)",),
    "angle": ("x, deg=True",),
    "nan_to_num": ("x, nan=1.5", "x, posinf=2.0, neginf=-3", "x, copy=False", "x, nan=y"),
    "isclose": ("x, x", "x, y, rtol=2", "x, y, 1.0, y", "x, z, equal_nan=True", "x, x, atol=0.5"),
    "allclose": ("x, x", "x, z", "x, x, equal_nan=True"),
    "array_equal": ("x, x", "x, z", "x, x, equal_nan=True", "x, y"),
    "array_equiv": ("x, x", "x, y", "x, u"),
    "real_if_close": ("x", "~x + 0j", "~x + 1e-20j"),
    "iscomplexobj": ("x",),
    "isrealobj": ("x",),
    "heaviside": ("x, 0.5", "x * 0, 0.5"),
    "sinc": ("x * 0", "x, "),
    "unwrap": ("4 * x", "4 * x, axis=0", "!4 * x, period=2.0", "9 * x, discont=4.0"),
    "select": (
        "[x > 0.5, x > 0], [x, z]",
        "[b, ~b], [x, y]",
        "[b], [x], default=2",
        "[x > 0, b], [x, 2.5], 7",
    ),
    "piecewise": (
        "x, [x < 0, x >= 0.5], [-1, lambda a: a * 2]",
        "x, [x < 0, x >= 0.5], [lambda a: -a, lambda a: a * 2, 3]",
        "x, x > 0, [lambda a, q: a * q, 0], 2.5",
        "x, b, [1, 2]",
    ),
    "choose": (
        "i, [x, z, x + z]",
        "k, [x, y, s]",
        "i + 2, [x, z, y], mode='wrap'",
        "i - 1, [x, z], mode='clip'",
        "i + 2, [x, z, y]",
    ),
    "vectorize": (
        "@= xp.vectorize(lambda a, q: a * q + 1)(x, y)",
        "@= xp.vectorize(lambda a: a.sum(), signature='(n)->()')(x)",
        "@= xp.vectorize(lambda a, q=2: a * q, excluded=['q'])(x, q=3)",
    ),
    "i0": ("x * 9", "xp.real(x)"),
    "astype": (
        "x, 'f4'",
        "x, xp.float64",
        "x, 'i4'",
        "x, 'c16'",
        "x, bool",
        "x, 'f2'",
        "x, 'u1'",
        "x, x.dtype, copy=False",
    ),
    "bitwise_count": ("k",),
    "packbits": ("b", "b, axis=0", "b, bitorder='little'", "x", "x, 1"),
    "unpackbits": (
        "k.astype('u1')",
        "x",
        "x, axis=0",
        "x, axis=1, count=5",
        "x, bitorder='little'",
    ),
}


def elementwise() -> Table:
    """All calls of elementwise functions."""
    table: dict[str, tuple[str, ...]] = {}
    for name in _ANYWHERE.split():
        table[name] = ("x",)
    for name in _PAIRS.split():
        mark = "!" if name == "nextafter" else ""
        table[name] = (f"{mark}x, y", f"{mark}x, s")
    for name, texts in _OPTIONS.items():
        table[name] = table.get(name, ()) + texts
    return table


_REDUCED = "add multiply maximum minimum logical_and logical_or bitwise_and bitwise_or fmax hypot"
_ACCUMULATED = "add multiply maximum minimum logical_or logaddexp subtract bitwise_xor fmin"


def ufunc_methods() -> Table:
    """reduce, accumulate, outer, at and reduceat."""
    table: dict[str, tuple[str, ...]] = {}
    for name in _REDUCED.split():
        table[f"{name}.reduce"] = ("x", "x, axis=None", "x, -1, keepdims=True", "x, axis=(0, 1)")
        table[f"{name}.reduceat"] = ("u, [0, 3, 1]", "x, [0, 2], axis=-1")
    for name in _ACCUMULATED.split():
        table[f"{name}.accumulate"] = ("x", "x, axis=-1")
    for name in ["add", "multiply", "subtract", "power", "maximum", "arctan2", "less", "divide"]:
        table[f"{name}.outer"] = ("xp.abs(u), v", "x, y")
    table |= {
        "add.at": (
            "= after(u, lambda a: xp.add.at(a, [0, 2, 0], 3))",
            "= after(x, lambda a: xp.add.at(a, (i, 0), s))",
            "= after(u, lambda a: xp.add.at(a, slice(0, 3), v[:3]))",
        ),
        "multiply.at": ("= after(u, lambda a: xp.multiply.at(a, [0, 2, 0], v[:3]))",),
        "subtract.at": ("= after(u, lambda a: xp.subtract.at(a, [0, 2, 0], v[:3]))",),
        "maximum.at": ("= after(u, lambda a: xp.maximum.at(a, [0, 2, 0], v[:3]))",),
        "divide.at": ("= after(u, lambda a: xp.divide.at(a, [0, 2, 0], v[:3]))",),
        "negative.at": ("= after(u, lambda a: xp.negative.at(a, [0, 2]))",),
        "power.at": ("= after(xp.abs(u), lambda a: xp.power.at(a, [0, 2, 0], 2))",),
        "logaddexp.at": ("= after(u, lambda a: xp.logaddexp.at(a, [0, 2, 0], v[:3]))",),
    }
    table["add.reduce"] += (
        "x, initial=3",
        "x, where=b",
        "x, dtype='f4'",
        "x, axis=()",
        "x, out=xp.copy(y)",
        "x, axis=None, keepdims=True",
    )
    table["multiply.reduce"] += ("x, where=b, initial=2",)
    table["maximum.reduce"] += ("x, initial=0", "x, where=b, initial=-9", "x, where=b")
    table["subtract.reduce"] = ("x", "x, -1")
    table["divide.reduce"] = ("x",)
    table["logaddexp.reduce"] = ("x", "x, axis=None")
    table["bitwise_xor.reduce"] = ("x",)
    table["gcd.reduce"] = ("x", "x, axis=1")
    table["logaddexp.reduce"] += ("x, where=b, axis=None, initial=0",)
    table["add.accumulate"] += ("x, 0, 'f4'", "x, out=xp.copy(x)")
    return table
