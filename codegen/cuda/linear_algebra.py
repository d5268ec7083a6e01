"""Calls of LAPACK, as `kernels/lapack.py` describes them, by the routines of a device.

Results and operands that a routine reads or writes lie in C order, and so are the transposes of
what it sees: that is settled where the call is written, and here nothing is transposed but what a
device's routine does not take: a wide matrix, by `gesvd`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from codegen.cuda.routines import Routines
from codegen.loops.nodes import Call

NAN_GIVEN = -4
"""What LAPACK's `gesdd` reports for a matrix with a NaN in it: its fourth argument is wrong."""


class Arguments:
    """The arguments of one call by their place in the routine's own order."""

    def __init__(
        self, call: Call, results: Sequence[Any], operands: Sequence[Any], xp: Any
    ) -> None:
        params: Any = call.params
        self.texts: tuple[str, ...] = params["arguments"]
        self.results = results
        self.operands = operands
        self.xp = xp
        lead = operands[0].shape[: params.get("batch", 0)]
        self.count = math.prod(lead)

    def letter(self, place: int) -> str:
        """A flag."""
        return self._text(place, "c")

    def integer(self, place: int) -> int:
        """A size."""
        return int(self._text(place, "i"))

    def number(self, place: int) -> float:
        """A scalar factor."""
        return float(self._text(place, "n"))

    def array(self, place: int) -> Any:
        """A result, or an operand in C order."""
        kind, _, text = self.texts[place].partition(":")
        if kind == "r":
            return self.results[int(text)]
        return self.xp.ascontiguousarray(self.operands[int(text)])

    def _text(self, place: int, kind: str) -> str:
        found, _, text = self.texts[place].partition(":")
        if found != kind:
            raise ValueError(f"argument {place} is '{self.texts[place]}', not '{kind}:…'")
        return text


def routine_of(call: Call) -> str:
    """The name of a call's routine without the letter of its dtype."""
    return str(call.params["routine"])[1:]


def run_lapack(
    call: Call, results: Sequence[Any], operands: Sequence[Any], xp: Any, routines: Routines
) -> None:
    """Copy what the call says, then run its routine, of `ON_DEVICE`, or of `ON_STACKS` where the
    call is of a stack, on arrays of `xp`."""
    copies: Any = call.params["copies"]
    for result, operand in copies:
        results[result][...] = operands[operand]
    table = ON_STACKS if call.params.get("batch") else ON_DEVICE
    table[routine_of(call)](Arguments(call, results, operands, xp), routines)


def _trsm(given: Arguments, routines: Routines) -> None:
    flags = "".join(given.letter(place) for place in range(4))
    rows, columns, alpha = given.integer(4), given.integer(5), given.number(6)
    routines.trsm(flags, rows, columns, alpha, given.array(7), given.array(9))


def _trsv(given: Arguments, routines: Routines) -> None:
    """A matrix of one column."""
    flags = "L" + "".join(given.letter(place) for place in range(3))
    routines.trsm(flags, given.integer(3), 1, 1.0, given.array(4), given.array(6))


def _potrf(given: Arguments, routines: Routines) -> None:
    routines.potrf(given.letter(0), given.integer(1), given.array(2), given.array(4))


def _getrf(given: Arguments, routines: Routines) -> None:
    sizes = given.integer(0), given.integer(1)
    routines.getrf(*sizes, given.array(2), given.array(4), given.array(5))


def _trsm_stack(given: Arguments, routines: Routines) -> None:
    flags = "".join(given.letter(place) for place in range(4))
    rows, columns, alpha = given.integer(4), given.integer(5), given.number(6)
    routines.trsm_stack(flags, rows, columns, alpha, given.array(7), given.array(9), given.count)


def _trsv_stack(given: Arguments, routines: Routines) -> None:
    """Matrices of one column."""
    flags = "L" + "".join(given.letter(place) for place in range(3))
    arrays = given.array(4), given.array(6)
    routines.trsm_stack(flags, given.integer(3), 1, 1.0, *arrays, given.count)


def _potrf_stack(given: Arguments, routines: Routines) -> None:
    arrays = given.array(2), given.array(4)
    routines.potrf_stack(given.letter(0), given.integer(1), *arrays, given.count)


def _getrf_stack(given: Arguments, routines: Routines) -> None:
    arrays = given.array(2), given.array(4), given.array(5)
    routines.getrf_stack(given.integer(0), *arrays, given.count)


def _geqrf(given: Arguments, routines: Routines) -> None:
    sizes = given.integer(0), given.integer(1)
    routines.geqrf(*sizes, given.array(2), given.array(4), given.array(7))


def _orgqr(given: Arguments, routines: Routines) -> None:
    sizes = given.integer(0), given.integer(1), given.integer(2)
    routines.orgqr(*sizes, given.array(3), given.array(5), given.array(8))


def _gesdd(given: Arguments, routines: Routines) -> None:
    """`gesvd`; of a wide matrix its transpose is taken, whose vectors change sides."""
    job, rows, columns = given.letter(0), given.integer(1), given.integer(2)
    a, values, info = given.array(3), given.array(5), given.array(len(given.texts) - 1)
    u, vt = given.array(6), given.array(8)
    spoiled = given.xp.isnan(a).any()
    if rows >= columns:
        routines.gesvd(job, rows, columns, a, values, u, vt, info)
    else:
        flipped = given.xp.ascontiguousarray(a.reshape(columns, rows).T)
        if job == "N":
            routines.gesvd(job, columns, rows, flipped, values, u, vt, info)
        else:
            right = given.xp.empty(vt.shape[::-1], a.dtype)
            left = given.xp.empty(u.shape[::-1], a.dtype)
            routines.gesvd(job, columns, rows, flipped, values, right, left, info)
            u[...] = left.T
            vt[...] = right.T
    if a.dtype.kind == "c" and job != "N":
        _settle_both(given.xp, u, vt, min(rows, columns), rows >= columns)
    _report_nan(given, spoiled, info)


def _syevd(given: Arguments, routines: Routines) -> None:
    a, info = given.array(3), given.array(len(given.texts) - 1)
    spoiled = given.xp.isnan(a).any()
    job, half, size = given.letter(0), given.letter(1), given.integer(2)
    routines.syevd(job, half, size, a, given.array(5), info)
    if a.dtype.kind == "c" and job == "V":
        vectors = a.reshape(size, size)
        vectors *= _real_phases(given.xp, vectors[:, 0 if half == "L" else size - 1])[:, None]
    _report_nan(given, spoiled, info)


def _real_phases(xp: Any, entries: Any) -> Any:
    """What turns complex numbers real, and hardly those that are real up to rounding.

    Phases of vectors are free, but derivatives are of those with LAPACK's, in which one row is
    real: a device's routine may choose others.
    """
    sizes = xp.abs(entries)
    signs = xp.where(entries.real < 0, -1, 1).astype(sizes.dtype)
    turned = entries.conj() * (signs / xp.where(sizes == 0, 1, sizes))
    return xp.where(sizes == 0, 1, turned).astype(entries.dtype)


def _settle_both(xp: Any, u: Any, vt: Any, count: int, tall: bool) -> None:
    """LAPACK's phases of singular vectors: the first row of V is real, or of a wide matrix that of
    U. A vector is a row of `u`, and a column of `vt`."""
    left, right = u[:count], vt[:, :count]
    phases = _real_phases(xp, right[0] if tall else left[:, 0])
    own, other = (phases.conj(), phases) if tall else (phases, phases.conj())
    left *= own[:, None]
    right *= other


def _report_nan(given: Arguments, spoiled: Any, info: Any) -> None:
    """A failure where the matrix held a NaN, as LAPACK reports; nothing waits for the answer."""
    info[...] = given.xp.where(spoiled, NAN_GIVEN, info)


def _geev(given: Arguments, routines: Routines) -> None:
    """Of a real matrix, LAPACK gives the real and the imaginary parts of the eigenvalues apart."""
    job, size, a = given.letter(1), given.integer(2), given.array(3)
    info = given.array(len(given.texts) - 1)
    if a.dtype.kind == "c":
        routines.geev(job, size, a, given.array(5), given.array(8), info)
        return
    values = given.xp.empty(size, given.xp.result_type(a.dtype, given.xp.complex64))
    routines.geev(job, size, a, values, given.array(9), info)
    given.array(5)[...] = values.real
    given.array(6)[...] = values.imag


ON_DEVICE: dict[str, Callable[[Arguments, Routines], None]] = {
    "trsm": _trsm,
    "trsv": _trsv,
    "potrf": _potrf,
    "getrf": _getrf,
    "geqrf": _geqrf,
    "orgqr": _orgqr,
    "ungqr": _orgqr,
    "gesdd": _gesdd,
    "syevd": _syevd,
    "heevd": _syevd,
    "geev": _geev,
}
"""What runs on the device. Schur's form (`gees`) does not: cuSOLVER has no such routine."""
ON_STACKS: dict[str, Callable[[Arguments, Routines], None]] = {
    "trsm": _trsm_stack,
    "trsv": _trsv_stack,
    "potrf": _potrf_stack,
    "getrf": _getrf_stack,
}
"""What runs on the device for a whole stack: `codegen.passes.batch_calls.BATCHED`."""
STACK_NAMES = {
    "trsm": "cuBLAS trsmBatched",
    "trsv": "cuBLAS trsmBatched",
    "potrf": "cuSOLVER potrfBatched",
    "getrf": "cuBLAS getrfBatched",
}
DEVICE_NAMES = {
    "trsm": "cuBLAS trsm",
    "trsv": "cuBLAS trsm",
    "potrf": "cuSOLVER potrf",
    "getrf": "cuSOLVER getrf",
    "geqrf": "cuSOLVER geqrf",
    "orgqr": "cuSOLVER orgqr",
    "ungqr": "cuSOLVER ungqr",
    "gesdd": "cuSOLVER gesvd",
    "syevd": "cuSOLVER syevd",
    "heevd": "cuSOLVER heevd",
    "geev": "cuSOLVER Xgeev",
}
