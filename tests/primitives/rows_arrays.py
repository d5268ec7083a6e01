"""Rows of the primitives that move, join, reduce, contract and index arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tests.primitives.builders import FULL, LIBRARY, REORDERED, case, plain
from tests.primitives.row import FLOATS, INTEGERS, NUMBERS, Case, Row, Shape, type_of
from tracer.graph.build import build_closed
from tracer.primitives.arithmetic import multiply
from tracer.primitives.transcendental import sin

SHAPING = {
    "reshape": plain(
        np.reshape,
        case("f8 2,3", shape=(3, 2)),
        case("f8 2,3", shape=(6,)),
        case("f8 2,1,3", shape=(1, 2, 3)),
        case("f8", shape=(1, 1)),
        case("f8 1", shape=()),
        case("f8 0,3", shape=(3, 0, 2)),
        case("c16 4", shape=(2, 2)),
        case("? 4", shape=(2, 2)),
    ),
    "broadcast_to": plain(
        np.broadcast_to,
        case("f8", shape=(2, 3)),
        case("f8 3", shape=(2, 3)),
        case("f8 2,1", shape=(2, 3)),
        case("f8 1,1", shape=(4, 1, 1)),
        case("f8 1", shape=(0,)),
        case("f8 0", shape=(2, 0)),
        case("i4 3", shape=(2, 3)),
    ),
    "transpose": plain(
        np.transpose,
        case("f8 2,3", axes=(1, 0)),
        case("f8 2,3,4", axes=(2, 0, 1)),
        case("f8 2,1,3", axes=(1, 2, 0)),
        case("f8 0,3", axes=(1, 0)),
        case("c8 2,3", axes=(1, 0)),
    ),
    "slice": plain(
        lambda x, start, stop, step: x[tuple(map(slice, start, stop, step))],
        case("f8 5", start=(1,), stop=(4,), step=(1,)),
        case("f8 5", start=(0,), stop=(5,), step=(2,)),
        case("f8 6", start=(1,), stop=(6,), step=(4,)),
        case("f8 4,5", start=(1, 0), stop=(3, 4), step=(1, 3)),
        case("f8 4", start=(2,), stop=(2,), step=(1,)),
        case("f8 4", start=(3,), stop=(4,), step=(7,)),
        case("i2 4", start=(1,), stop=(3,), step=(1,)),
    ),
    "flip": plain(
        lambda x, axes: np.flip(x, axes),
        case("f8 3", axes=(0,)),
        case("f8 2,3", axes=(1,)),
        case("f8 2,3", axes=(0, 1)),
        case("f8 0", axes=(0,)),
        case("u8 3", axes=(0,)),
    ),
    "concatenate": plain(
        lambda *operands, axis: np.concatenate(operands, axis),
        case("f8 2", "f8 3", axis=0),
        case("f8 2,3", "f8 2,1", "f8 2,2", axis=1),
        case("f8 0,2", "f8 1,2", axis=0),
        case("c16 2", "c16 1", axis=0),
    ),
}


def _pad(x: Any, value: Any, low: Shape, high: Shape, interior: Shape) -> Any:
    for axis, gap in enumerate(interior):
        places = np.repeat(np.arange(1, x.shape[axis]), gap)
        x = np.insert(x, places, value, axis)
    for axis, (before, after) in enumerate(zip(low, high, strict=True)):
        extent = x.shape[axis]
        x = np.take(x, np.arange(max(0, -before), extent - max(0, -after)), axis)
    widths = [(max(0, before), max(0, after)) for before, after in zip(low, high, strict=True)]
    return np.pad(x, widths, constant_values=value)


def _slice_update(x: Any, part: Any, start: Shape, step: Shape) -> Any:
    out = x.copy()
    places = zip(start, step, part.shape, strict=True)
    out[tuple(slice(first, first + n * by, by) for first, by, n in places)] = part
    return out


PADDING = {
    "pad": plain(
        _pad,
        case("f8 3", "f8", low=(1,), high=(2,), interior=(0,)),
        case("f8 3", "f8", low=(0,), high=(1,), interior=(2,)),
        case("f8 2,3", "f8", low=(1, 0), high=(0, 2), interior=(1, 0)),
        case("f8 0", "f8", low=(1,), high=(1,), interior=(0,)),
        case("f4 2", "f4", low=(1,), high=(0,), interior=(0,)),
        case("? 2", "?", low=(1,), high=(0,), interior=(0,)),
    ),
    "slice_update": plain(
        _slice_update,
        case("f8 5", "f8 2", start=(1,), step=(1,)),
        case("f8 5", "f8 2", start=(0,), step=(3,)),
        case("f8 3,4", "f8 2,2", start=(1, 0), step=(1, 2)),
        case("f8 3", "f8 0", start=(1,), step=(1,)),
        case("i4 4", "i4 2", start=(1,), step=(1,)),
    ),
    "iota": plain(
        lambda length, dtype: np.arange(length, dtype=dtype),
        case(length=4, dtype=np.dtype("i8")),
        case(length=0, dtype=np.dtype("i8")),
        case(length=3, dtype=np.dtype("f4")),
        order=0,
    ),
}


def _reduction(reference: Callable[..., Any], *dtypes: str, **options: Any) -> Row:
    empty = options.pop("empty", True)
    domain = options.pop("domain", FULL)
    shapes = [("2,3,4", (1,)), ("2,3,4", (0, 2)), ("5", (0,)), ("3,2", (0,)), ("1,3", (0,))]
    shapes += [("0,3", (0,)), ("2,0", (0,))] if empty else [("0,3", (1,))]
    cases = [case(f"{dtypes[0]} {shape}", domains=[domain], axes=axes) for shape, axes in shapes]
    cases += [case(f"{dtype} 3,4", domains=[domain], axes=(1,)) for dtype in dtypes[1:]]
    cases += [case(f"{dtype} 3,4", domains=[domain], axes=(0,)) for dtype in dtypes[1:]]
    return plain(lambda x, axes: reference(x, axis=axes), *cases, **options)


def _arg_reduction(reference: Callable[..., Any]) -> Row:
    cases = [case(f"f8 {shape}", axis=axis) for shape, axis in (("5", 0), ("2,3", 0), ("2,3", 1))]
    cases += [case(f"{dtype} 9", axis=0) for dtype in ("f4", "i8", "u1", "?")]
    return plain(reference, *cases, order=0)


REDUCTIONS = {
    "reduce_sum": _reduction(
        lambda x, axis: np.sum(x, axis, dtype=x.dtype),
        *NUMBERS,
        ulps=16,
        reason=REORDERED,
        scaled=True,
    ),
    "reduce_prod": _reduction(
        lambda x, axis: np.prod(x, axis, dtype=x.dtype),
        *NUMBERS,
        ulps=16,
        reason=REORDERED,
        scaled=True,
    ),
    "reduce_max": _reduction(np.max, *FLOATS, *INTEGERS, "?", empty=False, domain=(-100, 100)),
    "reduce_min": _reduction(np.min, *FLOATS, *INTEGERS, "?", empty=False, domain=(-100, 100)),
    "reduce_and": _reduction(np.all, "?", order=0),
    "reduce_or": _reduction(np.any, "?", order=0),
    "argmax": _arg_reduction(np.argmax),
    "argmin": _arg_reduction(np.argmin),
}


def _dot(x: Any, y: Any, contract: Any, batch: Any) -> Any:
    letters = "abcdefghijklmnop"
    in_x = list(letters[: x.ndim])
    in_y = list(letters[x.ndim : x.ndim + y.ndim])
    for a, b in (*zip(*contract, strict=True), *zip(*batch, strict=True)):
        in_y[b] = in_x[a]
    free = [in_x[a] for a in range(x.ndim) if a not in contract[0] + batch[0]]
    free += [in_y[b] for b in range(y.ndim) if b not in contract[1] + batch[1]]
    out = [in_x[a] for a in batch[0]] + free
    return np.einsum(f"{''.join(in_x)},{''.join(in_y)}->{''.join(out)}", x, y).astype(x.dtype)


def _product(x: str, y: str, contract: Any, batch: Any = ((), ())) -> Case:
    return case(x, y, contract=contract, batch=batch)


CONTRACTIONS = {
    "dot_general": plain(
        _dot,
        _product("f8 2,3", "f8 3,4", ((1,), (0,))),
        _product("f8 3,2", "f8 4,3", ((0,), (1,))),
        _product("f8 3", "f8 3", ((0,), (0,))),
        _product("f8 2,3", "f8 3", ((1,), (0,))),
        _product("f8 3", "f8 2", ((), ())),
        _product("f8 2,3,4", "f8 2,4,5", ((2,), (1,)), ((0,), (0,))),
        _product("f8 3,2,4", "f8 4,5,2", ((2,), (0,)), ((1,), (2,))),
        _product("f8 2,3,4", "f8 4,3,2", ((1, 2), (1, 0))),
        _product("f8 2,0", "f8 0,3", ((1,), (0,))),
        _product("f8 20,17", "f8 17,19", ((1,), (0,))),
        _product("f8 17,20", "f8 19,17", ((0,), (1,))),
        _product("f8 2,20,17", "f8 2,17,19", ((2,), (1,)), ((0,), (0,))),
        _product("f4 2,3", "f4 3,4", ((1,), (0,))),
        _product("c16 2,3", "c16 3,4", ((1,), (0,))),
        _product("c8 20,17", "c8 17,19", ((1,), (0,))),
        _product("i8 2,3", "i8 3,4", ((1,), (0,))),
        _product("? 2,3", "? 3,4", ((1,), (0,))),
        ulps=256,
        reason=REORDERED,
        scaled=True,
    ),
}


def _axes_first(x: Any, axes: Shape) -> Any:
    return np.moveaxis(x, axes, range(len(axes)))


def _gather(x: Any, *indices: Any, axes: Shape) -> Any:
    return _axes_first(x, axes)[indices]


_WRITE = {"add": np.add, "multiply": np.multiply, "minimum": np.minimum, "maximum": np.maximum}


def _scatter(x: Any, updates: Any, *indices: Any, axes: Shape, mode: str, unique: bool) -> Any:
    out = x.copy()
    view = _axes_first(out, axes)
    lead = np.broadcast_shapes(*[index.shape for index in indices])
    whole = [np.broadcast_to(index, lead) for index in indices]
    for place in np.ndindex(*lead):
        where = tuple(index[place] for index in whole)
        view[where] = updates[place] if mode == "set" else _WRITE[mode](view[where], updates[place])
    return out


def _indexed(x: str, *indices: str, axes: Shape = (0,), low: int = -2, high: int = 1) -> Case:
    """Indices of both signs, with repetitions; the extents along `axes` are 2 or more."""
    return case(x, *indices, domains=[FULL, *((low, high),) * len(indices)], axes=axes)


def _written(mode: str, dtype: str = "f8", *, low: float = -3, high: float = 3) -> Case:
    return case(
        f"{dtype} 4", f"{dtype} 5", "i8 5", domains=[FULL, (low, high), (-3, 3)],
        axes=(0,), mode=mode, unique=False,
    )  # fmt: skip


def _written_once(mode: str) -> Case:
    """Unique indices: a single one."""
    return case(
        "f8 4", "f8 1", "i8 1", domains=[FULL, FULL, (-3, 3)], axes=(0,), mode=mode, unique=True
    )


INDEXING = {
    "gather": plain(
        _gather,
        _indexed("f8 3", "i8 5"),
        _indexed("f8 3,2", "i8 4"),
        _indexed("f8 3,2", "i8"),
        _indexed("f8 3,2", "i8 2,1", "i8 3", axes=(0, 1)),
        _indexed("f8 3,2,4", "i8 3", axes=(1,)),
        _indexed("f8 3,2,4", "i8 3", "i8 3", axes=(2, 0)),
        _indexed("f8 3", "i8 0"),
        _indexed("f8 3", "i4 5"),
        _indexed("f8 3", "u1 5", low=0, high=2),
        _indexed("i8 3", "i8 2"),
        _indexed("c16 3", "i8 2"),
    ),
    "scatter": plain(
        _scatter,
        _written("add"),
        _written("set"),
        _written("add", "c16"),
        _written("add", "i4"),
        _written("set", "?"),
        _written_once("add"),
        _written_once("set"),
        _written_once("multiply"),
        case("f8 3,2", "f8 4,2", "i8 4", domains=[FULL, FULL, (-3, 2)],
             axes=(0,), mode="add", unique=False),
        case("f8 3,2", "f8 2,3", "i8 2,1", "i8 3", domains=[FULL, FULL, (-3, 2), (-2, 1)],
             axes=(0, 1), mode="add", unique=False),
        case("f8 3,4", "f8 3,3", "i8 3", domains=[FULL, FULL, (-4, 3)],
             axes=(1,), mode="set", unique=False),
        case("f8 4", "f8 1", "i8 1", domains=[(0, 1), (2, 3), (-3, 3)],
             axes=(0,), mode="maximum", unique=True),
        case("f8 4", "f8 1", "i8 1", domains=[(2, 3), (0, 1), (-3, 3)],
             axes=(0,), mode="minimum", unique=True),
        ulps=16,
        reason=REORDERED, scaled=True,
    ),
}  # fmt: skip


def _call_of(kind: str, backend: str = "numpy") -> Case:
    def build(x: Any, y: Any) -> Sequence[Any]:
        from tracer.primitives.call import call

        types = (type_of("f8", (3,)), type_of("f8"))
        body = build_closed(lambda a, b: [multiply(sin(a), b), multiply(b, b)], types, "body")
        return list(call(body, [x, y], backend, kind))

    return Case((type_of("f8", (3,)), type_of("f8")), (FULL, FULL), {}, build)


CALLS = {
    "call": plain(
        lambda x, y: (np.sin(x) * y, y * y), _call_of("jit"), _call_of("checkpoint"),
        ulps=4, reason=LIBRARY,
    ),
}  # fmt: skip


def _running(function: np.ufunc) -> Row:
    def reference(x: Any, axis: int, reverse: bool) -> Any:
        x = np.flip(x, axis) if reverse else x
        result = function.accumulate(x, axis, x.dtype)
        return np.flip(result, axis) if reverse else result

    domain = (-100.0, 100.0) if function in (np.maximum, np.minimum) else FULL
    shapes = [("5", 0), ("2,3", 0), ("2,3", 1), ("1", 0), ("0,2", 0)]
    cases = [
        case(f"f8 {shape}", domains=[domain], axis=axis, reverse=reverse)
        for shape, axis in shapes
        for reverse in (False, True)
    ]
    others = [case(f"{dtype} 4", axis=0, reverse=False) for dtype in ("f4", "c16", "i8", "u1")]
    real = function in (np.maximum, np.minimum)
    others = [other for other in others if not (real and other.types[0].dtype.kind == "c")]
    return plain(reference, *cases, *others, ulps=16, reason=REORDERED, scaled=True)


def _recurrence(a: Any, b: Any, axis: int, reverse: bool) -> Any:
    a, b = np.moveaxis(a, axis, 0), np.moveaxis(b, axis, 0)
    out, last = np.empty_like(b), np.zeros_like(b[:1].sum(0))
    for place in range(len(b))[:: -1 if reverse else 1]:
        out[place] = last = a[place] * last + b[place]
    return np.moveaxis(out, 0, axis)


def _sorted_table(table: str, values: str, side: str) -> Case:
    return case(table, values, domains=[(1, 1), (0, 3)], side=side)


RUNNING = {
    "cumsum": _running(np.add),
    "cumprod": _running(np.multiply),
    "cummax": _running(np.maximum),
    "cummin": _running(np.minimum),
    "recurrence": plain(
        _recurrence,
        *(
            case("f8 2,3", "f8 2,3", axis=axis, reverse=reverse)
            for axis in (0, 1)
            for reverse in (False, True)
        ),
        case("f4 4", "f4 4", axis=0, reverse=False),
        case("c16 4", "c16 4", axis=0, reverse=True),
        ulps=16,
        reason=REORDERED,
        scaled=True,
    ),
    "convolve": plain(
        np.convolve,
        case("f8 3", "f8 4"),
        case("f8 1", "f8 2"),
        case("f4 4", "f4 2"),
        case("c16 3", "c16 2"),
        case("i8 3", "i8 2"),
        ulps=16,
        reason=REORDERED,
        scaled=True,
    ),
    "argsort": plain(
        lambda x, axis: np.argsort(x, axis, kind="stable"),
        case("f8 9", axis=0),
        case("f8 3,4", axis=0),
        case("f8 3,4", axis=1),
        case("i8 20", axis=0),
        case("? 5", axis=0),
        order=0,
    ),
    "searchsorted": plain(
        np.searchsorted,
        _sorted_table("f8 3", "f8 4", "left"),
        _sorted_table("f8 3", "f8 2,2", "right"),
        _sorted_table("i8 3", "i8 5", "left"),
        _sorted_table("i8 3", "i8 5", "right"),
        order=0,
    ),
}

ROWS: dict[str, Row] = {
    **SHAPING,
    **PADDING,
    **REDUCTIONS,
    **CONTRACTIONS,
    **INDEXING,
    **CALLS,
    **RUNNING,
}
