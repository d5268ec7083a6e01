"""Random graphs of all kinds of primitives, for property tests.

Each value carries a bound on its size, so that nothing overflows, and the number of binary digits
after its point while those are exact: comparisons and truncations are made of exact values only,
because there a difference in the last place would change the result altogether.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from tests.helpers import Array
from tests.simulation import is_tiny
from tracer.graph.build import build_closed
from tracer.graph.nodes import Graph
from tracer.primitives import arithmetic, comparison, contract, index, reduce, shape, transcendental
from tracer.primitives.broadcast import broadcast_to, reduce_sum, reshape
from tracer.primitives.cast import cast
from tracer.types import ArrayType

LARGEST = 1000.0
EXACT_DIGITS = 12
Shape = tuple[int, ...]
SHAPES: tuple[Shape, ...] = ((), (1,), (3,), (2, 3), (3, 2), (1, 3), (2, 1), (2, 3, 2), (4,))
if is_tiny():
    SHAPES += ((11, 5), (3, 17), (40,))  # more than is written out, so that loops remain
FLOAT64 = np.dtype(np.float64)
DTYPES = tuple(map(np.dtype, ("f8", "f8", "f8", "f4", "i8", "?")))


@dataclass
class Value:
    """A traced array, a bound on its elements, its exact digits after the point (None: inexact)."""

    array: Any
    bound: float
    digits: int | None

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype."""
        return self.array.dtype  # type: ignore[no-any-return]

    @property
    def shape(self) -> Shape:
        """The shape."""
        return self.array.shape  # type: ignore[no-any-return]

    @property
    def is_exact(self) -> bool:
        """Whether every evaluation gives the same bits."""
        return self.digits is not None


class Example(NamedTuple):
    """A graph and inputs for it."""

    graph: Graph
    inputs: list[Array]

    @property
    def has_single(self) -> bool:
        """Whether anything in it is in single precision."""
        everything = [*self.graph.inputs, *(r for node in self.graph.nodes for r in node.results)]
        return any(variable.type.dtype == np.float32 for variable in everything)


Draw = Callable[[Any], Any]


@dataclass
class Builder:
    """The values so far, and the drawing of what comes next."""

    draw: Draw
    smooth: bool
    values: list[Value] = field(default_factory=list)

    def pick(self, kinds: str = "", *, exact: bool = False, rank: int = 0) -> Value | None:
        """One of the values of those dtype kinds, late ones more often."""
        found = [
            value
            for value in self.values
            if (not kinds or value.dtype.kind in kinds)
            and (value.is_exact or not exact)
            and len(value.shape) >= rank
        ]
        if not found:
            return None
        places = st.integers(0, len(found) - 1)
        return found[max(self.draw(places), self.draw(places))]

    def partner(self, value: Value, *, exact: bool = False) -> Value:
        """A value of the same dtype whose shape broadcasts with that of `value`."""
        found = [
            other
            for other in self.values
            if other.dtype == value.dtype
            and (other.is_exact or not exact)
            and _broadcasts(other.shape, value.shape)
        ]
        return self.draw(st.sampled_from(found or [value]))

    def add(self, array: Any, bound: float, digits: int | None) -> None:
        """Keep a new value; large ones are made small."""
        if array.dtype.kind == "b":
            digits = 0
        if digits is not None and array.dtype.kind == "f" and digits > EXACT_DIGITS:
            digits = None
        if bound > LARGEST and array.dtype.kind == "f":
            array, bound, digits = transcendental.tanh(array), 1.0, None
        elif bound > LARGEST and array.dtype.kind in "iu":
            array, bound = arithmetic.remainder(array, np.int64(7)), 7.0
        self.values.append(Value(array, bound, digits))

    def step(self) -> None:
        """One more operation."""
        operations = SMOOTH if self.smooth else SMOOTH + ROUGH
        self.draw(st.sampled_from(operations))(self)


def _broadcasts(one: Shape, two: Shape) -> bool:
    try:
        return math.prod(np.broadcast_shapes(one, two)) <= 24
    except ValueError:
        return False


def _sum_digits(*values: Value) -> int | None:
    digits = [value.digits for value in values if value.digits is not None]
    return sum(digits) if len(digits) == len(values) else None


def _most_digits(*values: Value) -> int | None:
    digits = [value.digits for value in values if value.digits is not None]
    return max(digits) if len(digits) == len(values) else None


def bounded_function(b: Builder) -> None:
    value = b.pick("f")
    if value is not None:
        names = ("sin", "cos", "tanh", "arctan", "erf", "expit", "arcsinh")
        function = getattr(transcendental, b.draw(st.sampled_from(names)))
        b.add(function(value.array), max(2.0, value.bound), None)


def growing_function(b: Builder) -> None:
    value = b.pick("f")
    if value is not None:
        small = transcendental.tanh(value.array)
        if b.draw(st.booleans()):
            b.add(transcendental.exp(small), 3.0, None)
        else:
            b.add(arithmetic.sqrt(small + small.dtype.type(1.5)), 2.0, None)


def sums_and_products(b: Builder) -> None:
    value = b.pick("fi")
    if value is None:
        return
    other = b.partner(value)
    x, y = value.array, other.array
    which = b.draw(st.sampled_from(("add", "subtract", "multiply", "negative", "square")))
    if which in ("add", "subtract"):
        bound = value.bound + other.bound
        b.add(getattr(arithmetic, which)(x, y), bound, _most_digits(value, other))
    elif which == "multiply":
        b.add(arithmetic.multiply(x, y), value.bound * other.bound, _sum_digits(value, other))
    elif which == "square":
        b.add(arithmetic.square(x), value.bound**2, _sum_digits(value, value))
    else:
        b.add(arithmetic.negative(x), value.bound, value.digits)


def quotient(b: Builder) -> None:
    value = b.pick("f")
    if value is not None:
        other = b.partner(value)
        below = arithmetic.square(other.array) + other.array.dtype.type(1)
        b.add(arithmetic.divide(value.array, below), value.bound, None)


def _some_axes(b: Builder, rank: int) -> tuple[int, ...]:
    chosen = b.draw(st.sets(st.integers(0, rank - 1), min_size=1, max_size=rank))
    return tuple(sorted(chosen))


def total(b: Builder) -> None:
    value = b.pick("fi", rank=1)
    if value is not None:
        axes = _some_axes(b, len(value.shape))
        count = math.prod(value.shape[axis] for axis in axes)
        b.add(reduce_sum(value.array, axes), value.bound * max(1, count), value.digits)


def product(b: Builder) -> None:
    value = b.pick("f", rank=1)
    if value is not None:
        small = transcendental.sin(value.array)
        b.add(reduce.reduce_prod(small, _some_axes(b, len(value.shape))), 1.0, None)


def _factorings(size: int) -> list[Shape]:
    found = [(size,), (1, size), (size, 1)]
    found += [(a, size // a) for a in (2, 3) if size and size % a == 0]
    return [*found, ()] if size == 1 else found


def moved_axes(b: Builder) -> None:
    value = b.pick()
    if value is None:
        return
    x, rank = value.array, len(value.shape)
    which = b.draw(st.sampled_from(("reshape", "transpose", "flip", "broadcast", "slice")))
    if which == "reshape":
        result = reshape(x, b.draw(st.sampled_from(_factorings(math.prod(value.shape)))))
    elif which == "broadcast":
        wide = (b.draw(st.integers(1, 3)), *value.shape)
        result = broadcast_to(x, wide) if math.prod(wide) <= 24 else x
    elif rank == 0:
        return
    elif which == "transpose":
        result = shape.transpose(x, tuple(b.draw(st.permutations(range(rank)))))
    elif which == "flip":
        result = shape.flip(x, _some_axes(b, rank))
    else:
        result = _part(b, x)
    if result is not x:
        b.add(result, value.bound, value.digits)


def _part(b: Builder, x: Any) -> Any:
    rows = []
    for extent in x.shape:
        start = b.draw(st.integers(0, extent))
        rows.append((start, b.draw(st.integers(start, extent)), b.draw(st.integers(1, 2))))
    if math.prod(len(range(*row)) for row in rows) == 0:
        rows = [(0, extent, 1) for extent in x.shape]
    start, stop, step = zip(*rows, strict=True)
    return shape.take_slice(x, start, stop, step)


def joined(b: Builder) -> None:
    value = b.pick(rank=1)
    if value is None:
        return
    x, rank = value.array, len(value.shape)
    if b.draw(st.booleans()) and 2 * math.prod(value.shape) <= 24:
        axis = b.draw(st.integers(0, rank - 1))
        b.add(shape.concatenate([x, shape.flip(x, (axis,))], axis), value.bound, value.digits)
        return
    low = tuple(b.draw(st.integers(0, 1)) for _ in range(rank))
    gap = tuple(b.draw(st.integers(0, 1)) for _ in range(rank))
    wide = shape.pad(x, x.dtype.type(0), low, low[::-1], gap)
    if wide is not x and wide.size <= 24:
        b.add(wide, value.bound, value.digits)


def written(b: Builder) -> None:
    value = b.pick(rank=1)
    if value is None or min(value.shape) < 1:
        return
    x = value.array
    part = shape.take_slice(x, (0,) * x.ndim, (1,) * x.ndim, (1,) * x.ndim)
    start = tuple(b.draw(st.integers(0, extent - 1)) for extent in value.shape)
    b.add(shape.slice_update(x, part, start, (1,) * x.ndim), value.bound, value.digits)


def indexed(b: Builder) -> None:
    value = b.pick(rank=1)
    if value is None:
        return
    extent = value.shape[0]
    places = b.draw(st.lists(st.integers(-extent, extent - 1), min_size=1, max_size=3))
    where = [np.array(places)]
    taken = index.gather(value.array, where, (0,))
    if b.draw(st.booleans()) or value.dtype.kind == "b":
        b.add(taken, value.bound, value.digits)
    else:
        mode = b.draw(st.sampled_from(("add", "set")))
        changed = index.scatter(value.array, taken, where, (0,), mode)
        b.add(changed, 4 * value.bound, value.digits)


def contraction(b: Builder) -> None:
    value = b.pick("f", rank=1)
    if value is None:
        return
    x = value.array
    others = [
        other
        for other in b.values
        if other.dtype == value.dtype and other.shape[:1] == value.shape[-1:]
    ]
    y = b.draw(st.sampled_from(others)).array if others else x
    pair = ((x.ndim - 1,), (0,)) if others else ((0,), (0,))
    result = contract.dot_general(x, y, pair)
    if result.size <= 24:
        b.add(result, 24 * LARGEST**2, None)


def extreme(b: Builder) -> None:
    value = b.pick("fi")
    if value is not None:
        other = b.partner(value)
        name = b.draw(st.sampled_from(("maximum", "minimum")))
        result = getattr(arithmetic, name)(value.array, other.array)
        b.add(result, max(value.bound, other.bound), _most_digits(value, other))


def extreme_along(b: Builder) -> None:
    value = b.pick("fi", rank=1)
    if value is not None and math.prod(value.shape):
        name = b.draw(st.sampled_from(("reduce_max", "reduce_min")))
        axes = _some_axes(b, len(value.shape))
        b.add(getattr(reduce, name)(value.array, axes), value.bound, value.digits)


def place_of_extreme(b: Builder) -> None:
    value = b.pick("fi", exact=True, rank=1)
    if value is not None:
        axis = b.draw(st.integers(0, len(value.shape) - 1))
        b.add(reduce.argmax(value.array, axis), 24.0, 0)


def compared(b: Builder) -> None:
    value = b.pick("fi", exact=True)
    if value is not None:
        other = b.partner(value, exact=True)
        name = b.draw(st.sampled_from(("less", "greater_equal", "equal", "not_equal")))
        b.add(getattr(comparison, name)(value.array, other.array), 1.0, 0)


def logic(b: Builder) -> None:
    value = b.pick("b")
    if value is not None:
        name = b.draw(st.sampled_from(("logical_and", "logical_or", "logical_xor")))
        b.add(getattr(comparison, name)(value.array, b.partner(value).array), 1.0, 0)


def chosen(b: Builder) -> None:
    condition, value = b.pick("b"), b.pick("fi")
    if condition is None or value is None or not _broadcasts(condition.shape, value.shape):
        return
    other = b.partner(value)
    if _broadcasts(np.broadcast_shapes(condition.shape, value.shape), other.shape):
        result = comparison.select(condition.array, value.array, other.array)
        b.add(result, max(value.bound, other.bound), _most_digits(value, other))


def converted(b: Builder) -> None:
    value = b.pick(exact=True)
    if value is not None:
        dtype = b.draw(st.sampled_from(DTYPES))
        if dtype != value.dtype:
            whole = dtype.kind != "f" or value.dtype.kind != "f"
            b.add(cast(value.array, dtype), value.bound, 0 if whole else value.digits)


def rounded(b: Builder) -> None:
    value = b.pick("f", exact=True)
    if value is not None:
        name = b.draw(st.sampled_from(("floor", "ceil", "trunc", "rint", "sign")))
        b.add(getattr(arithmetic, name)(value.array), value.bound + 1, 0)


SMOOTH: tuple[Callable[[Builder], None], ...] = (
    bounded_function,
    bounded_function,
    growing_function,
    sums_and_products,
    sums_and_products,
    quotient,
    total,
    product,
    moved_axes,
    moved_axes,
    joined,
    written,
    indexed,
    contraction,
)
ROUGH: tuple[Callable[[Builder], None], ...] = (
    extreme,
    extreme_along,
    place_of_extreme,
    compared,
    logic,
    chosen,
    converted,
    rounded,
)


def _inputs(draw: Draw, types: Sequence[ArrayType]) -> list[Array]:
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    arrays = []
    for type_ in types:
        eighths = rng.integers(-16, 17, type_.shape)
        exact = eighths / 8 if type_.dtype.kind == "f" else eighths
        arrays.append(np.asarray(exact).astype(type_.dtype))
    return arrays


@st.composite
def examples(draw: Draw, *, smooth: bool = False, steps: int = 40) -> Example:
    """A graph of about `steps` nodes with inputs for it. `smooth`: of float64, without kinks."""
    dtypes = st.just(FLOAT64) if smooth else st.sampled_from(DTYPES)
    one_type = st.builds(ArrayType, dtypes, st.sampled_from(SHAPES))
    types = [ArrayType(FLOAT64, (2, 3)), *draw(st.lists(one_type, min_size=1, max_size=3))]

    def function(*inputs: Any) -> list[Any]:
        builder = Builder(draw, smooth)
        for array in inputs:
            builder.values.append(Value(array, 2.0, 3 if array.dtype.kind == "f" else 0))
        for _ in range(draw(st.integers(steps // 2, steps))):
            builder.step()
        count = draw(st.integers(1, 4))
        return [value.array for value in builder.values[-count:]]

    graph = build_closed(function, types, "random").check()
    return Example(graph, _inputs(draw, types))
