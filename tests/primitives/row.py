"""What a row of the table of primitives says, and the samples of operands that are made from it."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tests.helpers import Array
from tracer.graph.build import build_closed
from tracer.graph.nodes import Graph
from tracer.graph.primitive import REGISTRY
from tracer.trace import bind
from tracer.types import ArrayType, DType

Shape = tuple[int, ...]
Interval = tuple[float, float]

FLOATS = ("f8", "f4")
COMPLEX = ("c16", "c8")
SIGNED = ("i8", "i4", "i2", "i1")
UNSIGNED = ("u8", "u4", "u2", "u1")
INTEGERS = SIGNED + UNSIGNED
NUMBERS = FLOATS + COMPLEX + INTEGERS
EVERYTHING = (*NUMBERS, "?")


@dataclass(frozen=True)
class Case:
    """One application: operand types, where the operands are drawn from, and static parameters.

    `domains` are open intervals, one an operand (for complex numbers of both parts). With `build`
    the graph is traced from that function instead of being a single node.
    """

    types: tuple[ArrayType, ...]
    domains: tuple[Interval, ...]
    params: Mapping[str, Any] = field(default_factory=dict)
    build: Callable[..., Sequence[Any]] | None = None


@dataclass(frozen=True)
class Row:
    """What the generic tests need to know of one primitive.

    reference  NumPy's (or SciPy's) own function of the operands and params
    cases      applications away from kinks: values, both modes, batching, every backend
    order      how often the derivative is compared with differences (0: it has none)
    ulps       how far, in units in the last place, a compiled value may lie from NumPy's, as long
               as `reason` says why; derivatives, made of several roundings, may lie 16 times as far
    scaled     the units are those of the largest element: sums in which terms cancel
    special    elementwise functions of these dtypes are also compared at NaN, infinities, signed
               zeros, the smallest and largest numbers
    ambiguous  where, among the special values, NumPy disagrees with itself
    unsupported  what it cannot, with the reason: a backend, "text", "forward" (mode)
    """

    reference: Callable[..., Any]
    cases: tuple[Case, ...]
    order: int = 2
    ulps: float = 0.0
    reason: str = ""
    scaled: bool = False
    special: tuple[str, ...] = ()
    ambiguous: Callable[..., Any] | None = None
    unsupported: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        assert self.cases, "a row has at least one case"
        assert self.ulps == 0 or self.reason, "a tolerance has a reason"


def type_of(dtype: str, shape: Shape = ()) -> ArrayType:
    """The type with that dtype (NumPy's short code) and shape."""
    return ArrayType(np.dtype(dtype), shape)


def case_graph(name: str, case: Case) -> Graph:
    """The graph of one case: a single node, or what the case builds."""
    if case.build is not None:
        return build_closed(case.build, case.types, name)

    def apply(*operands: Any) -> Sequence[Any]:
        primitive = REGISTRY[name]
        result = bind(primitive, *operands, **case.params)
        return result if primitive.multiple else [result]

    if not case.types:
        return _without_operands(name, case)
    return build_closed(apply, case.types, name)


def _without_operands(name: str, case: Case) -> Graph:
    from tracer.primitives.linear import create

    return build_closed(lambda: [create(REGISTRY[name], **case.params)], (), name)


def generator(*parts: object) -> np.random.Generator:
    """Random numbers that depend on what they are for only."""
    return np.random.default_rng(zlib.crc32(repr(parts).encode()))


def draw(rng: np.random.Generator, type_: ArrayType, domain: Interval) -> Array:
    """An array of that type in the open interval; for complex dtypes both parts lie in it."""
    low, high = domain
    shape, dtype = type_.shape, type_.dtype
    if dtype.kind == "b":
        return rng.random(shape) < 0.5
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        start, stop = max(math.ceil(low), limits.min), min(math.floor(high), limits.max)
        return rng.integers(start, stop, shape, dtype, endpoint=True)
    if dtype.kind == "c":
        parts = rng.uniform(low, high, (2, *shape))
        return np.asarray(parts[0] + 1j * parts[1]).astype(dtype)
    return np.asarray(rng.uniform(low, high, shape)).astype(dtype)


def operands_of(name: str, case: Case) -> list[Array]:
    """Operands of one case, the same at every call."""
    rng = generator(name, list(map(str, case.types)), sorted(map(repr, case.params.items())))
    pairs = zip(case.types, case.domains, strict=True)
    return [draw(rng, type_, domain) for type_, domain in pairs]


def direction(rng: np.random.Generator, type_: ArrayType) -> Array:
    """A tangent or cotangent of that type, of norm about 1."""
    return draw(rng, type_, (-1.0, 1.0))


def special_values(dtype: DType) -> Array:
    """The numbers at which functions most often go wrong."""
    if dtype.kind == "b":
        return np.array([False, True])
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        small = [limits.min, 0, 1, 2, 3, 7, limits.max - 1, limits.max]
        return np.array(small if dtype.kind == "u" else [*small, -1, -2, -3, -7], dtype)
    part = np.dtype(f"f{dtype.itemsize // (2 if dtype.kind == 'c' else 1)}")
    limits_ = np.finfo(part)
    reals = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, -2.5, 2.0, 3.0, -3.0, 10.25, -20.75]
    edges = [math.inf, -math.inf, math.nan]
    if dtype.kind == "f":
        sizes = [limits_.tiny, -limits_.tiny, limits_.max, limits_.min, limits_.eps]
        return np.array([*reals, *edges, 1e3, -1e3, *map(float, sizes)], dtype)
    finite = [0.0, -0.0, 1.0, -0.5, 3.0]
    return np.array([complex(x, y) for x in finite for y in finite], dtype)


def special_operands(dtypes: Sequence[DType]) -> list[Array]:
    """All combinations of special values, as flat arrays."""
    grids = np.meshgrid(*[special_values(dtype) for dtype in dtypes], indexing="ij")
    return [np.ascontiguousarray(grid.reshape(-1)) for grid in grids]
