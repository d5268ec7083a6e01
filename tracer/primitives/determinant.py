"""Determinants, whose derivative is right for singular matrices too, and pseudoinverses."""

from __future__ import annotations

from typing import Any

from tracer.primitives.arithmetic import multiply
from tracer.primitives.broadcast import full, reduce_sum, reshape
from tracer.primitives.cast import cast, real_part
from tracer.primitives.comparison import greater, select
from tracer.primitives.composite import Composite
from tracer.primitives.lu import Factored
from tracer.primitives.matrices import (
    adjoint,
    as_column,
    as_row,
    columns_of,
    conjugated,
    diagonal,
    product,
    rows_of,
    swap,
    trace,
)
from tracer.primitives.orthogonal import safe_inverse, svd
from tracer.primitives.reduce import reduce_max, reduce_prod
from tracer.primitives.shape import concatenate, slice_axis
from tracer.primitives.transcendental import exp
from tracer.types import INT64, is_complex

EXPLICIT = 3


def _minor(a: Any, row: int, column: int) -> Any:
    """The matrix without a row and a column."""
    size = a.shape[-1]
    parts = [rows_of(a, 0, row), rows_of(a, row + 1, size)]
    rest = concatenate([part for part in parts if part.shape[-2]], len(a.shape) - 2)
    parts = [columns_of(rest, 0, column), columns_of(rest, column + 1, size)]
    return concatenate([part for part in parts if part.shape[-1]], len(a.shape) - 1)


def _entry(a: Any, row: int, column: int) -> Any:
    found = columns_of(rows_of(a, row, row + 1), column, column + 1)
    return reshape(found, found.shape[:-2])


def _polynomial(a: Any) -> Any:
    """The determinant of a small matrix by its minors."""
    size = a.shape[-1]
    if size == 1:
        return _entry(a, 0, 0)
    total = None
    for column in range(size):
        term = _entry(a, 0, column) * _polynomial(_minor(a, 0, column))
        if total is None:
            total = term
        else:
            total = total - term if column % 2 else total + term
    return total


def _explicit_cofactors(a: Any) -> Any:
    size, lead = a.shape[-1], a.shape[:-2]
    if size == 1:
        return full(a.shape, 1, a.dtype)
    rows = []
    for row in range(size):
        entries = []
        for column in range(size):
            value = _polynomial(_minor(a, row, column))
            value = -value if (row + column) % 2 else value
            entries.append(reshape(value, (*lead, 1, 1)))
        rows.append(concatenate(entries, len(lead) + 1))
    return concatenate(rows, len(lead))


def _unitary_determinant(q: Any) -> Any:
    """The determinant of unitary matrices: 1 or −1, or a phase."""
    return Factored(q, nonsingular=False).log_determinant()[0]


def _cofactors(a: Any) -> tuple[Any]:
    """conj(U)·diag(∏_{j≠i} s_j)·conj(Vᴴ)·det U·det Vᴴ: no division, so that singular matrices are
    as good as any."""
    size = a.shape[-1]
    s, u_t, v_c = svd(a)
    lead = s.shape[:-1]
    others = [
        concatenate(
            [part for part in (_part(s, 0, i), _part(s, i + 1, size)) if part.shape[-1]],
            len(lead),
        )
        for i in range(size)
    ]
    products = [reshape(reduce_prod(other, (len(lead),)), (*lead, 1)) for other in others]
    weights = as_column(concatenate(products, len(lead)))
    weights = cast(weights, a.dtype) if is_complex(a.dtype) else weights
    turned = _unitary_determinant(u_t) * _unitary_determinant(v_c)
    found = product(conjugated(swap(u_t)), weights * conjugated(swap(v_c)))
    return (found * reshape(turned, (*lead, 1, 1)),)


def _part(s: Any, start: int, stop: int) -> Any:
    return slice_axis(s, len(s.shape) - 1, start, stop)


def _cofactors_jvp(primals: Any, tangents: Any, results: Any) -> Any:
    """dC = C·tr(A⁻¹·dA) − A⁻ᵀ·dAᵀ·C, which a singular matrix has not: LinAlgError there."""
    (a,), (change,), (found,) = primals, tangents, results
    factored = Factored(a, nonsingular=True)
    ratio = trace(factored.solve(change))
    moved = factored.solve(product(swap(change), found), transposed=True)
    return (found * reshape(ratio, (*ratio.shape, 1, 1)) - moved,)


cofactors = Composite("cofactors", _cofactors, _cofactors_jvp)


def _determinant(a: Any) -> tuple[Any]:
    sign, logarithm = Factored(a, nonsingular=False).log_determinant()
    size = exp(logarithm)
    return (sign * (cast(size, a.dtype) if is_complex(a.dtype) else size),)


def _determinant_jvp(primals: Any, tangents: Any, results: Any) -> Any:
    """The cofactors are the partial derivatives. Of small matrices they are polynomials, so that
    every order is right everywhere."""
    (a,), (change,) = primals, tangents
    small = a.shape[-1] <= EXPLICIT
    weights = _explicit_cofactors(a) if small else cofactors(a)[0]
    rank = len(a.shape)
    return (reduce_sum(multiply(weights, change), (rank - 2, rank - 1)),)


determinant_p = Composite("determinant", _determinant, _determinant_jvp)


def determinant(a: Any) -> Any:
    """The determinants of square matrices that are not empty."""
    return determinant_p(a)[0]


def _pseudoinverse(a: Any, cutoff: Any) -> tuple[Any]:
    s, u_t, v_c = svd(a)
    inverse = as_row(_cut_inverse(s, cutoff)[0])
    inverse = cast(inverse, a.dtype) if is_complex(a.dtype) else inverse
    return (product(conjugated(v_c) * inverse, conjugated(u_t)),)


def _cut_inverse(s: Any, cutoff: Any) -> tuple[Any, Any]:
    """The inverses of singular values, 0 for those below a part of the largest; which are not."""
    largest = reduce_max(s, (len(s.shape) - 1,))
    large = greater(s, as_column(largest * cutoff))
    return safe_inverse(select(large, s, s.dtype.type(0))), large


def _pseudoinverse_change(a: Any, change: Any, inverse: Any) -> Any:
    """d A⁺ where the rank stays (Golub and Pereyra 1973, eq. 4.12)."""
    back = adjoint(change)
    first = product(product(inverse, change), inverse)
    outer = product(inverse, product(adjoint(inverse), back))
    second = outer - product(product(outer, a), inverse)
    inner = product(product(back, adjoint(inverse)), inverse)
    third = inner - product(inverse, product(a, inner))
    return second + third - first


def _pseudoinverse_jvp(primals: Any, tangents: Any, results: Any) -> Any:
    if tangents[0] is None:
        return (None,)
    return (_pseudoinverse_change(primals[0], tangents[0], results[0]),)


pseudoinverse_p = Composite("pseudoinverse", _pseudoinverse, _pseudoinverse_jvp)


def pseudoinverse(a: Any, cutoff: Any) -> Any:
    """The pseudoinverses; singular values up to `cutoff` (…) times the largest count as 0."""
    return pseudoinverse_p(a, cutoff)[0]


def _least_squares(a: Any, b: Any, cutoff: Any) -> tuple[Any, ...]:
    s, u_t, v_c = svd(a)
    inverse, large = _cut_inverse(s, cutoff)
    weights = as_column(inverse)
    weights = cast(weights, a.dtype) if is_complex(a.dtype) else weights
    x = product(conjugated(v_c), weights * product(conjugated(u_t), b))
    rank = reduce_sum(cast(large, INT64), (len(s.shape) - 1,))
    return x, rank, s


def _least_squares_jvp(primals: Any, tangents: Any, results: Any) -> Any:
    """dx = A⁺·(db − dA·x) + A⁺·A⁺ᴴ·dAᴴ·(b − A·x) + (1 − A⁺·A)·dAᴴ·A⁺ᴴ·x, where the rank stays."""
    (a, b, cutoff), (da, db, _), x = primals, tangents, results[0]
    if da is None and db is None:
        return None, None, None
    inverse = pseudoinverse(a, cutoff)
    right = None if db is None else product(inverse, db)
    if da is None:
        return right, None, None
    back = adjoint(da)
    change = -product(inverse, product(da, x))
    residual = b - product(a, x)
    change = change + product(inverse, product(adjoint(inverse), product(back, residual)))
    rest = product(back, product(adjoint(inverse), x))
    change = change + rest - product(inverse, product(a, rest))
    _, u_t, v_c = svd(a)
    moved = product(product(conjugated(u_t), da), conjugated(v_c))
    ds = diagonal(moved)
    ds = real_part(ds) if is_complex(ds.dtype) else ds
    return (change if right is None else change + right), None, ds


least_squares_p = Composite("least_squares", _least_squares, _least_squares_jvp)


def least_squares(a: Any, b: Any, cutoff: Any) -> Any:
    """The shortest x of least |A·x − b|, the rank, and the singular values."""
    return least_squares_p(a, b, cutoff)
