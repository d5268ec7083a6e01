"""Calls written as text, on inputs of every layout and dtype: the material of differential tests.

A table maps a name to calls, one a string of arguments: `"sum": ("x", "x, 0", "z, where=b")`. For
`ndarray.…` the array stands first: `"ndarray.sum": ("", "axis=0")`. A call may begin with marks:
    =   what follows is the whole expression (`xp` is numpy or tracer.numpy)
    ~   the shape of the result depends on values: it works without jit only
    @   through tracer.numpy only: NumPy itself does not dispatch the name
    !   it has no derivative to be compared: it is not smooth there, or not a function of numbers
"""

from __future__ import annotations

import functools
import re
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

import tracer.numpy as tnp
from tests.numpy.compare import Case

Table = Mapping[str, tuple[str, ...]]

LAYOUTS = ("plain", "strided", "reversed", "fortran", "scalar", "empty", "one", "row")
DTYPES = ("?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16")
SPECIAL: dict[str, tuple[float, ...]] = {
    "nan": (np.nan,),
    "infinite": (np.inf, -np.inf),
    "zeros": (0.0, -0.0),
}
_SHAPES: dict[str, dict[str, tuple[int, ...]]] = {
    "plain": {"x": (3, 4), "y": (4,)},
    "scalar": {"x": (), "y": ()},
    "empty": {"x": (0, 4), "y": (4,)},
    "one": {"x": (1, 1), "y": (1,)},
    "row": {"x": (5,), "y": (5,)},
}
_FIXED = {"s": (), "u": (5,), "v": (5,), "m": (3, 3), "n": (3, 3), "t": (2, 3, 4)}


class Call(NamedTuple):
    """One call of a table: the function's name, the expression, and its marks."""

    name: str
    expression: str
    eager: bool
    smooth: bool
    ours: bool

    def __str__(self) -> str:
        return self.expression


def calls_of(table: Table) -> list[Call]:
    """The calls of a table."""
    return [_call(name, text) for name, texts in table.items() for text in texts]


def _call(name: str, text: str) -> Call:
    marks = re.match(r"[=~!@]*", text)
    assert marks is not None
    rest, found = text[marks.end() :].strip(), marks[0]
    if "=" in found:
        expression = rest
    elif name.startswith("ndarray."):
        expression = f"x.{name.partition('.')[2]}({rest})"
    else:
        expression = f"xp.{name}({rest})"
    return Call(name, expression, "~" in found, "!" not in found, "@" in found)


@functools.cache
def _code(expression: str) -> types.CodeType:
    return compile(expression, expression, "eval")


NAMES = ("x", "z", "y", "s", "u", "v", "m", "n", "t", "w", "b", "i", "k")


@functools.cache
def names_of(expression: str) -> tuple[str, ...]:
    """The inputs that an expression takes, in order."""
    found: set[str] = set()
    codes = [_code(expression)]
    while codes:
        code = codes.pop()
        found.update(code.co_names)
        codes.extend(item for item in code.co_consts if isinstance(item, types.CodeType))
    return tuple(name for name in NAMES if name in found)


def after(array: Any, change: Callable[[Any], Any]) -> Any:
    """A copy of an array, once it has been changed."""
    array = array.copy()
    change(array)
    return array


def setitem(array: Any, index: Any, value: Any) -> None:
    """`array[index] = value`, as an expression."""
    array[index] = value


def function_of(call: Call) -> Callable[..., Any]:
    """`function(xp, *arrays)` for the arrays that the call names."""
    code, names = _code(call.expression), names_of(call.expression)
    helpers = {"np": np, "after": after, "setitem": setitem}

    def function(xp: Any, *arrays: Any) -> Any:
        return eval(code, {**helpers, "xp": xp, **dict(zip(names, arrays, strict=True))})

    return function


def _numbers(rng: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    """Distinct numbers, none near 0, in no order."""
    size = int(np.prod(shape))
    if dtype.kind == "b":
        return rng.random(shape) < 0.6
    if dtype.kind in "iu":
        low = -6 if dtype.kind == "i" else 1
        choice = [value for value in range(low, low + max(13, size + 2)) if value != 0]
        return rng.permutation(choice)[:size].reshape(shape).astype(dtype)
    parts = (rng.permutation(size) + rng.uniform(0.3, 0.7, size)) / max(size, 1) * 3.0 - 1.4
    if dtype.kind == "c":
        parts = parts + 1j * rng.permutation(parts + 0.11)
    return parts.reshape(shape).astype(dtype)


def _laid_out(array: Any, layout: str) -> Any:
    if layout == "strided":
        wide = np.zeros([2 * extent for extent in array.shape], array.dtype)
        view = wide[(..., *(slice(None, None, 2) for _ in array.shape))]
        view[...] = array
        return view
    if layout == "reversed":
        turned = (..., *(slice(None, None, -1) for _ in array.shape))
        return np.array(array[turned], order="C")[turned]
    return np.array(array, order="F") if layout == "fortran" else array


def inputs(layout: str, dtype: str, special: str = "") -> dict[str, Any]:
    """The arrays that expressions name, in a layout and dtype, some elements special."""
    rng = np.random.default_rng(20)
    shapes = _SHAPES.get(layout, _SHAPES["plain"])
    wanted = np.dtype(dtype)
    found = {}
    for name, shape in {**shapes, "z": shapes["x"], **_FIXED}.items():
        found[name] = np.asarray(_numbers(rng, shape, wanted))
        if special and found[name].size > 1:
            places = rng.permutation(found[name].size)
            for place, value in zip(places, SPECIAL[special], strict=False):
                found[name].flat[place] = value
        found[name] = _laid_out(found[name], layout)
    shape = shapes["x"]
    found["w"] = rng.uniform(0.5, 2.0, 5)
    found["b"] = np.asarray(rng.random(shape) < 0.6)
    if len(shape) == 2:
        found["b"][:1] = found["b"][:, :1] = True
    found["i"] = rng.integers(0, 3, shape)
    found["k"] = rng.integers(0, 3, shapes["y"])
    return found


def case_of(call: Call, values: Mapping[str, Any], label: str) -> Case:
    """The call on those inputs."""
    arrays = tuple(values[name] for name in names_of(call.expression))
    namespace = tnp if call.ours else np
    return Case(f"{call} {label}", function_of(call), arrays, namespace=namespace)


def variants(call: Call) -> Iterator[Case]:
    """The call on every layout, dtype and kind of special value."""
    for layout in LAYOUTS:
        yield case_of(call, inputs_once(layout, "f8"), layout)
    for dtype in DTYPES:
        if dtype != "f8":
            yield case_of(call, inputs_once("plain", dtype), dtype)
    for special in SPECIAL:
        yield case_of(call, inputs_once("plain", "f8", special), special)


inputs_once = functools.cache(inputs)
