"""Where a traced array is meant to differ from NumPy's, each with the reason."""

from __future__ import annotations

import re

_NO_LAYOUT = "arrays in a trace are in C order, whatever the order of the array that came in"
_UNORDERED = "NumPy's default order of equal elements is not defined; ours keeps their order"
_NUMBER = "a 0-d traced array stands for NumPy's scalar as well, which does not change in place"
_TWO_ERRORS = "the call is wrong in two ways, and either error says so"
_ROUNDING = "the rounding of an intermediate result in half or single precision, made larger"
_REFUSED = "NumPy's answer is of no use: complex numbers are ordered, or lose a part, on the way"
_UNCHECKED = "booleans are refused always, not only where a part that negates them is reached"
_NUMPY_BUG = "NumPy raises by mistake"

_TABLE: dict[str, tuple[str, ...]] = {
    _NO_LAYOUT: (
        "xp.ravel(t, order='K') fortran",
        "xp.ravel(x, 'A') fortran",
        "xp.dot(m, n, out=xp.copy(m)) fortran",
        "(x + 0j).view((x + 0j).real.dtype) fortran",
    ),
    _UNORDERED: (
        "xp.argsort(x, axis=None) zeros",
        "x.argsort(axis=None) zeros",
        "xp.argpartition(u, 2)[2] ?",
        "u.argpartition(2)[2] ?",
    ),
    _NUMBER: tuple(
        f"after(x, lambda a: a.__{name}__({operand})) scalar"
        for name, operand in (
            ("iadd", "y"),
            ("iadd", "1.5"),
            ("isub", "y"),
            ("imul", "2"),
            ("itruediv", "y"),
            ("ifloordiv", "y"),
            ("imod", "2"),
            ("ipow", "2"),
        )
    ),
    _TWO_ERRORS: (
        "after(x, lambda a: setitem(a, 0, 1j)) scalar",
        "after(x, lambda a: setitem(a, 0, 1j)) empty",
    ),
    _ROUNDING: ("xp.float_power(xp.abs(x), y) c8", "xp.i0(x * 9) f2"),
    _REFUSED: (
        "xp.interp(u, w.cumsum(), v, period=2.5) c8",
        "xp.interp(u, w.cumsum(), v, period=2.5) c16",
    ),
    _NUMPY_BUG: (
        "xp.median(x, axis=()) empty",
        "xp.piecewise(x, b, [1, 2]) scalar",
    ),
    _UNCHECKED: (
        "xp.gradient(u, w.cumsum(), edge_order=2) ?",
        "xp.piecewise(x, [x < 0, x >= 0.5], [lambda a: -a, lambda a: a * 2, 3]) ?",
    ),
}
_PATTERNS = {_REFUSED: r"xp\.histogram(2d|dd)?\(.*\) c\d+"}


def deviation(name: str) -> str | None:
    """Why the call of that name and variant may differ from NumPy, or None."""
    for reason, names in _TABLE.items():
        if name in names:
            return reason
    return next((why for why, text in _PATTERNS.items() if re.fullmatch(text, name)), None)


def names() -> list[str]:
    """The calls and variants that are named one by one."""
    return [name for group in _TABLE.values() for name in group]
