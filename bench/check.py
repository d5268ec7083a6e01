"""Compare results with the reference before anything is timed."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bench.errors import MismatchError
from bench.workload import Tolerance

Array = np.ndarray[Any, Any]


def relative_difference(result: Array, reference: Array) -> float:
    """The largest difference of two arrays over the reference's largest element.

    Where the reference is zero throughout it is the absolute difference; where one array has a NaN
    or an infinity that the other lacks, it is infinite.
    """
    if reference.size == 0:
        return 0.0
    finite = np.isfinite(reference)
    same = np.array_equal(result[~finite], reference[~finite], equal_nan=True)
    if not same or not np.isfinite(result[finite]).all():
        return float("inf")
    if not finite.any():
        return 0.0
    scale = float(np.max(np.abs(reference[finite])))
    difference = float(np.max(np.abs(result[finite] - reference[finite])))
    return difference / scale if scale > 0.0 else difference


def check_outputs(
    results: Sequence[Any], reference: Sequence[Any], names: Sequence[str], tolerance: Tolerance
) -> float:
    """The largest relative difference of some outputs from the reference's.

    Raises `MismatchError` naming the output, where a shape, a dtype or a value is another.
    """
    if len(results) != len(reference):
        raise MismatchError(f"{len(results)} results, where the reference has {len(reference)}")
    largest = 0.0
    for name, result, expected in zip(names, results, reference, strict=True):
        got, want = np.asarray(result), np.asarray(expected)
        if got.shape != want.shape or got.dtype != want.dtype:
            raise MismatchError(
                f"{name} is {got.dtype}{list(got.shape)}, "
                f"where the reference is {want.dtype}{list(want.shape)}"
            )
        difference = relative_difference(got, want)
        if not difference <= tolerance.relative:
            raise MismatchError(
                f"{name} differs from the reference by {difference:.1e}, relative to its largest "
                f"element; {tolerance.relative:.0e} is allowed ({tolerance.reason})"
            )
        largest = max(largest, difference)
    return largest
