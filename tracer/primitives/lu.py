"""The LU factorisation with row exchanges, and what follows from it: solutions, determinants.

`lu` gives the factors transposed, as LAPACK leaves them in memory. `factored_solve` takes the
matrix and its factors: its value comes from the factors, its derivative from the matrix, by
A·dx = db − dA·x, so that one factorisation serves the solution and its derivatives.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tracer.errors import LinAlgError, ShapeError
from tracer.graph.primitive import Lowering, Primitive, register
from tracer.primitives.cast import imag_part, real_part
from tracer.primitives.matrices import (
    all_lanes,
    columns_of,
    each_matrix,
    imaginary,
    lower,
    permuted_rows,
    product,
    real_type,
    rows_of,
    swap,
    trace,
    upper,
)
from tracer.primitives.shape import concatenate
from tracer.primitives.triangular import (
    check_square,
    lanes_of_columns,
    one_more_column,
    triangular_solve,
)
from tracer.trace import bind
from tracer.types import INT64, ArrayType, is_complex

INT32 = np.dtype(np.int32)
SINGULAR = "Singular matrix"


def _lu_type(a: ArrayType, *, nonsingular: bool, constant: bool) -> tuple[ArrayType, ...]:
    if a.ndim < 2 or 0 in a.shape[-2:]:
        raise ShapeError(f"lu takes matrices that are not empty, not {a}")
    *lead, rows, columns = a.shape
    return (
        ArrayType(a.dtype, (*lead, columns, rows)),
        ArrayType(INT32, (*lead, min(rows, columns))),
        ArrayType(INT64, (*lead, rows)),
    )


def permutation_of(pivots: Any, rows: int) -> Any:
    """The order of the rows after exchanges of row i with row `pivots[i]`, one after the other."""
    order = np.arange(rows)
    for row, other in enumerate(pivots):
        order[[row, other]] = order[[other, row]]
    return order


def _lu_evaluate(a: Any, *, nonsingular: bool, constant: bool) -> Any:
    from scipy.linalg import get_lapack_funcs

    (getrf,) = get_lapack_funcs(("getrf",), (a,))

    def factor(one: Any) -> Any:
        factors, pivots, info = getrf(one)
        if nonsingular and info > 0:
            raise LinAlgError(SINGULAR)
        return factors.T, pivots, permutation_of(pivots, one.shape[0])

    types = _lu_type(ArrayType(a.dtype, a.shape), nonsingular=nonsingular, constant=constant)
    return each_matrix(factor, types, [a])


def _lu_jvp(primals: Any, tangents: Any, results: Any, *, nonsingular: bool, constant: bool) -> Any:
    """dL = L·tril(F, −1) and dU = triu(F)·U with F = L⁻¹·P·dA·U⁻¹, where A is square."""
    if constant:
        return None, None, None
    factors, _, permutation = results
    packed = swap(factors)
    rows, columns = packed.shape[-2:]
    size = min(rows, columns)
    square = rows_of(columns_of(packed, 0, size), 0, size)
    moved = permuted_rows(tangents[0], permutation)

    def behind_inverse(x: Any) -> Any:
        """x·U⁻¹"""
        return swap(triangular_solve(square, swap(x), lower=False, transposed=True))

    top = triangular_solve(square, rows_of(moved, 0, size), lower=True, unit=True)
    middle = behind_inverse(columns_of(top, 0, size))
    below, above = lower(middle, -1), upper(middle)
    unit = lower(square, -1) + np.eye(size, dtype=square.dtype)
    change = product(unit, below) + product(above, upper(square))
    # Of L·tril(F, −1) only what lies below the diagonal is stored, of triu(F)·U what does not.
    if columns > size:
        rest = columns_of(top, size, columns) - product(below, columns_of(packed, size, columns))
        change = concatenate([change, rest], len(packed.shape) - 1)
    if rows > size:
        rest = behind_inverse(rows_of(moved, size, rows))
        rest = rest - product(rows_of(packed, size, rows), above)
        change = concatenate([change, rest], len(packed.shape) - 2)
    return swap(change), None, None


lu_p: Primitive = register(
    Primitive(
        "lu",
        _lu_type,
        _lu_evaluate,
        jvp_rule=_lu_jvp,
        batch_rule=lambda size, operands, batched, **params: (
            bind(lu_p, operands[0], **params),
            (True,) * 3,
        ),
        lowering=Lowering("lapack", "lu"),
        multiple=True,
    )
)


def lu(a: Any, *, nonsingular: bool = False, constant: bool = False) -> Any:
    """P·A = L·U: (factors, pivots, permutation) of matrices (…, m, n).

    factors (…, n, m): transposed, L below the diagonal without its ones, U on and above. pivots
    int32 (…, min(m, n)): row i is exchanged with row pivots[i]. permutation int64 (…, m).
    With `nonsingular`, LinAlgError where a diagonal element of U is 0. `constant` factors have no
    derivative: whoever uses them takes it from the matrix."""
    return bind(lu_p, a, nonsingular=nonsingular, constant=constant)


def _solve_type(
    a: ArrayType,
    factors: ArrayType,
    pivots: ArrayType,
    permutation: ArrayType,
    b: ArrayType,
    *,
    transposed: bool,
) -> ArrayType:
    check_square(a, "factored_solve")
    if a.dtype != b.dtype or a.shape[:-1] != b.shape[:-1] or a.ndim != b.ndim:
        raise ShapeError(f"a system takes a matrix and right-hand sides that fit, not {a} and {b}")
    return b


def _solve_evaluate(
    a: Any, factors: Any, pivots: Any, permutation: Any, b: Any, *, transposed: bool
) -> Any:
    from scipy.linalg import get_lapack_funcs

    (getrs,) = get_lapack_funcs(("getrs",), (factors, b))
    result = np.empty(b.shape, b.dtype)
    if b.size:
        for place in np.ndindex(b.shape[:-2]):
            found = getrs(factors[place].T, pivots[place], b[place], trans=int(transposed))
            result[place] = found[0]
    return result


def _solve_jvp(primals: Any, tangents: Any, x: Any, *, transposed: bool) -> Any:
    *system, _ = primals
    da, db = tangents[0], tangents[4]
    right = db
    if da is not None:
        moved = -product(swap(da) if transposed else da, x)
        right = moved if right is None else right + moved
    if right is None:
        return None
    return bind(factored_solve_p, *system, right, transposed=transposed)


def _solve_vjp(ct: Any, primals: Any, x: Any, active: Any, *, transposed: bool) -> list[Any]:
    *system, _ = primals
    multiplier = bind(factored_solve_p, *system, ct, transposed=not transposed)
    of_a = None
    if active[0]:
        first, second = (x, multiplier) if transposed else (multiplier, x)
        of_a = -product(first, swap(second))
    return [of_a, None, None, None, multiplier if active[4] else None]


def _solve_batch(size: int, operands: Any, batched: Any, *, transposed: bool) -> Any:
    *system, b = operands
    if not any(batched[:4]):
        columns = one_more_column(size, b)
        return lanes_of_columns(
            size, bind(factored_solve_p, *system, columns, transposed=transposed)
        )
    return bind(factored_solve_p, *all_lanes(size, operands, batched), transposed=transposed)


factored_solve_p: Primitive = register(
    Primitive(
        "factored_solve",
        _solve_type,
        _solve_evaluate,
        jvp_rule=_solve_jvp,
        vjp_rule=_solve_vjp,
        batch_rule=_solve_batch,
        lowering=Lowering("lapack", "factored_solve"),
    )
)


class Factored:
    """Square matrices with their factors: systems with them are solved, and differentiated."""

    def __init__(self, a: Any, *, nonsingular: bool) -> None:
        self.a = a
        self.factors, self.pivots, self.permutation = lu(a, nonsingular=nonsingular, constant=True)

    def solve(self, b: Any, *, transposed: bool = False) -> Any:
        """The x of A·x = b, or Aᵀ·x = b; `b` (…, n, k)."""
        system = (self.a, self.factors, self.pivots, self.permutation)
        return bind(factored_solve_p, *system, b, transposed=transposed)

    def log_determinant(self) -> Any:
        """The sign of the determinant (of absolute value 1 where complex), and log |det|."""
        system = (self.a, self.factors, self.pivots, self.permutation)
        return bind(log_determinant_p, *system)


def solve(a: Any, b: Any) -> Any:
    """The x of A·x = b; LinAlgError where A is singular. `a` (…, n, n), `b` (…, n, k)."""
    return Factored(a, nonsingular=True).solve(b)


def _log_determinant_type(
    a: ArrayType, factors: ArrayType, pivots: ArrayType, permutation: ArrayType
) -> tuple[ArrayType, ...]:
    check_square(a, "log_determinant")
    return ArrayType(a.dtype, a.shape[:-2]), real_type(a, a.shape[:-2])


def _log_determinant_evaluate(a: Any, factors: Any, pivots: Any, permutation: Any) -> Any:
    entries = np.diagonal(factors, axis1=-2, axis2=-1)
    size = np.abs(entries)
    exchanges = np.sum(pivots != np.arange(pivots.shape[-1]), -1) % 2
    with np.errstate(divide="ignore", invalid="ignore"):
        if entries.dtype.kind == "c":
            phases = np.where(size == 0, entries.dtype.type(0), entries / size)
        else:  # NaN counts as positive
            phases = np.where(entries < 0, -1, 1) * (entries != 0)
        sign = np.prod(phases, -1) * np.where(exchanges, -1, 1).astype(size.dtype)
        return np.asarray(sign, a.dtype), np.asarray(np.sum(np.log(size), -1), size.dtype)


def _log_determinant_jvp(primals: Any, tangents: Any, results: Any) -> Any:
    """d log det A = tr(A⁻¹·dA)."""
    if tangents[0] is None:
        return None, None
    moved = trace(bind(factored_solve_p, *primals, tangents[0], transposed=False))
    if not is_complex(moved.dtype):
        return None, moved
    return results[0] * imaginary(imag_part(moved)), real_part(moved)


log_determinant_p: Primitive = register(
    Primitive(
        "log_determinant",
        _log_determinant_type,
        _log_determinant_evaluate,
        jvp_rule=_log_determinant_jvp,
        batch_rule=lambda size, operands, batched: (
            bind(log_determinant_p, *all_lanes(size, operands, batched)),
            (True, True),
        ),
        lowering=Lowering("lapack", "log_determinant"),
        multiple=True,
    )
)
