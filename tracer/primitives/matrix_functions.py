"""Functions of square matrices with derivatives of every order, at defective matrices too.

The k-th derivative of f at A along E₁ … E_k stands in a corner of f of a block matrix: for k = 1
f([[A, E], [0, A]]) = [[f(A), Df(A)·E], [0, f(A)]] (Higham 2008, section 3.2); for more, of the
block matrix of block matrices. One primitive has all orders; it is linear in each Eᵢ, and its
transpose is the same derivative at Aᵀ.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tracer.errors import LinAlgError, ShapeError
from tracer.graph.build import build_closed
from tracer.graph.evaluate import evaluate
from tracer.graph.nodes import Graph
from tracer.graph.primitive import Lowering, Primitive, register
from tracer.primitives.arithmetic import absolute, ceil
from tracer.primitives.broadcast import reduce_sum, reshape
from tracer.primitives.cast import cast
from tracer.primitives.comparison import greater, isfinite, less, select
from tracer.primitives.lu import solve
from tracer.primitives.matrices import (
    all_lanes,
    columns_of,
    each_matrix,
    identity,
    product,
    rows_of,
    swap,
)
from tracer.primitives.reduce import reduce_max
from tracer.primitives.shape import concatenate
from tracer.primitives.transcendental import exp2, log2
from tracer.trace import bind, type_of
from tracer.types import INT64, ArrayType, is_complex, real_dtype


def _zeros(x: Any) -> Any:
    return np.zeros(x.shape, x.dtype)


def _blocks(a: Any, directions: Sequence[Any]) -> Any:
    """The block matrix of 2^k blocks in whose corner the derivative along k directions stands."""
    rank = len(a.shape)
    for place, direction in enumerate(directions):
        inner = a.shape[-1] // direction.shape[-1]
        corner = _repeated(direction, inner) if place else direction
        top = concatenate([a, corner], rank - 1)
        bottom = concatenate([_zeros(a), a], rank - 1)
        a = concatenate([top, bottom], rank - 2)
    return a


def _repeated(x: Any, count: int) -> Any:
    """A block diagonal matrix of `count` equal blocks."""
    rank = len(x.shape)
    rows = []
    for place in range(count):
        row = [x if place == other else _zeros(x) for other in range(count)]
        rows.append(concatenate(row, rank - 1))
    return concatenate(rows, rank - 2)


def _corner(x: Any, size: int) -> Any:
    total = x.shape[-1]
    return columns_of(rows_of(x, 0, size), total - size, total)


def _check(*operands: ArrayType) -> ArrayType:
    first = operands[0]
    if first.ndim < 2 or first.shape[-1] != first.shape[-2] or any(x != first for x in operands):
        raise ShapeError(f"a matrix function takes square matrices of one type, not {operands}")
    return first


class MatrixFunction:
    """A primitive for a function of matrices and all its derivatives."""

    def __init__(self, name: str, evaluate: Callable[..., Any], lowering: Lowering) -> None:
        self.primitive = register(
            Primitive(
                name,
                lambda *operands, **params: (_check(*operands),),
                evaluate,
                jvp_rule=self._jvp,
                vjp_rule=self._vjp,
                batch_rule=self._batch,
                lowering=lowering,
                multiple=True,
            )
        )

    def params(self, operands: Sequence[Any], params: dict[str, Any]) -> dict[str, Any]:
        """The parameters for other operands."""
        return params

    def apply(self, operands: Sequence[Any], params: dict[str, Any]) -> Any:
        """The derivative of the function of the first operand along the others."""
        return bind(self.primitive, *operands, **self.params(operands, params))[0]

    def _jvp(self, primals: Any, tangents: Any, results: Any, **params: Any) -> Any:
        total = None
        for place, tangent in enumerate(tangents):
            if tangent is None:
                continue
            if place:
                operands = [*primals[:place], tangent, *primals[place + 1 :]]
            else:
                operands = [*primals, tangent]
            term = self.apply(operands, params)
            total = term if total is None else total + term
        return (total,)

    def _vjp(self, cts: Any, primals: Any, results: Any, active: Any, **params: Any) -> list[Any]:
        """⟨C, Dᵏf(A)[E₁, …]⟩ = ⟨Dᵏf(Aᵀ)[C, E₂ᵀ, …], E₁⟩."""
        (ct,) = cts
        a, *directions = primals
        found: list[Any] = [None] * len(primals)
        for place, wanted in enumerate(active):
            if not wanted:
                continue
            others = [x for number, x in enumerate(directions, 1) if number != place]
            operands = [swap(a), ct, *[swap(x) for x in others]]
            found[place] = self.apply(operands, params)
        return found

    def _batch(self, size: int, operands: Any, batched: Any, **params: Any) -> Any:
        return (self.apply(all_lanes(size, operands, batched), params),), (True,)


def _by_scipy(*operands: Any, name: str) -> tuple[Any]:
    """SciPy's function of the block matrix, computed with complex numbers where it has to be."""
    import scipy.linalg

    function = {"logarithm": scipy.linalg.logm, "square_root": scipy.linalg.sqrtm}[name]
    a = operands[0]

    def corner(*parts: Any) -> tuple[Any]:
        found = np.asarray(function(_blocks(parts[0], parts[1:])))
        if found.dtype.kind == "c" and a.dtype.kind != "c":
            size = float(np.max(np.abs(found), initial=0.0))
            if float(np.max(np.abs(found.imag), initial=0.0)) > 1e3 * np.finfo(a.dtype).eps * size:
                raise LinAlgError(
                    f"a real matrix has no real {name.replace('_', ' ')}; cast it to complex"
                )
            found = found.real
        return (_corner(found, a.shape[-1]),)

    return each_matrix(corner, [ArrayType(a.dtype, a.shape)], operands)


matrix_function = MatrixFunction("matrix_function", _by_scipy, Lowering("callback"))


def square_root(a: Any) -> Any:
    """The principal square root; LinAlgError where that of a real matrix is complex."""
    return matrix_function.apply([a], {"name": "square_root"})


def logarithm(a: Any) -> Any:
    """The principal logarithm; LinAlgError where that of a real matrix is complex."""
    return matrix_function.apply([a], {"name": "logarithm"})


PADE = (
    64764752532480000.0,
    32382376266240000.0,
    7771770303897600.0,
    1187353796428800.0,
    129060195264000.0,
    10559470521600.0,
    670442572800.0,
    33522128640.0,
    1323241920.0,
    40840800.0,
    960960.0,
    16380.0,
    182.0,
    1.0,
)
"""Numerator of the [13/13] Padé approximant of exp (Higham 2005, table 2.3)."""
LARGEST_NORM = 4.25


def _approximant(a: Any) -> Any:
    """exp of matrices of norm up to `LARGEST_NORM`, to double precision."""
    unit = identity(a.shape, a.dtype)
    b = [a.dtype.type(value / PADE[0]) for value in PADE]
    second = product(a, a)
    fourth = product(second, second)
    sixth = product(second, fourth)
    odd = product(sixth, sixth * b[13] + fourth * b[11] + second * b[9])
    odd = product(a, odd + sixth * b[7] + fourth * b[5] + second * b[3] + unit * b[1])
    even = product(sixth, sixth * b[12] + fourth * b[10] + second * b[8])
    even = even + sixth * b[6] + fourth * b[4] + second * b[2] + unit * b[0]
    return solve(even - odd, even + odd)


def _exponential(a: Any) -> Any:
    """Scaling and squaring (Higham 2005), as often as each matrix needs."""
    from tracer.control import while_loop

    rank = len(a.shape)
    real = real_dtype(a.dtype)
    norm = reduce_max(reduce_sum(absolute(a), (rank - 2,)), (rank - 2,))
    ratio = select(isfinite(norm), norm / real.type(LARGEST_NORM), real.type(1))
    large = greater(ratio, real.type(1))
    wanted = select(large, ceil(log2(select(large, ratio, real.type(2)))), real.type(0))
    scale = reshape(exp2(-wanted), (*wanted.shape, 1, 1))
    start = _approximant(a * (cast(scale, a.dtype) if is_complex(a.dtype) else scale))
    counts = cast(wanted, INT64)
    most = reduce_max(counts, tuple(range(len(counts.shape)))) if counts.shape else counts

    def square(carry: Any) -> Any:
        step, x = carry
        goes_on = reshape(less(step, counts), (*counts.shape, 1, 1))
        return step + np.int64(1), select(goes_on, product(x, x), x)

    return while_loop(lambda carry: less(carry[0], most), square, (np.int64(0), start))[1]


@functools.lru_cache(maxsize=256)
def _exponential_graph(type_: ArrayType, count: int) -> Graph:
    def function(*operands: Any) -> tuple[Any]:
        whole = _exponential(_blocks(operands[0], operands[1:]))
        return (_corner(whole, type_.shape[-1]),)

    return build_closed(function, [type_] * count, "exponential")


class Exponential(MatrixFunction):
    """exp, which is a graph of products and one solution."""

    def params(self, operands: Sequence[Any], params: dict[str, Any]) -> dict[str, Any]:
        """The graph for these operands."""
        return {"graph": _exponential_graph(type_of(operands[0]), len(operands))}


exponential_p = Exponential(
    "matrix_exponential",
    lambda *operands, graph: tuple(evaluate(graph, operands)),
    Lowering("call"),
)


def exponential(a: Any) -> Any:
    """exp of square matrices that are not empty."""
    return exponential_p.apply([a], {})


def exponential_derivative(a: Any, direction: Any) -> Any:
    """The derivative of exp at `a` along `direction`."""
    return exponential_p.apply([a, direction], {})
