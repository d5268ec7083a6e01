"""Results against float64: NumPy's where that takes seconds, and the CPU backend's where not."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import tracer
from bench.check import relative_difference
from bench.errors import MismatchError
from bench.gpu.case import Case, as_dtype
from bench.subjects import TRACER
from bench.workload import Inputs, Size

LARGE = 2e7
"""Operations of a row above which the CPU's compiled code is the reference: it is compared with
NumPy's by itself, and keeps no intermediate arrays."""


def reference_outputs(case: Case, size: Size, inputs: Inputs) -> tuple[Any, ...]:
    """The results in float64, of inputs that were rounded to the row's dtype.

    Random numbers are those of the row's dtype, since each dtype draws its own.
    """
    exact = inputs if case.by_moments else tuple(as_dtype(value, "float64") for value in inputs)
    function = case.program.make(TRACER, case.workload.build(size))
    if case.plain:
        return tuple(function(*exact))
    backend = "llvm" if case.work(size, 8).flops > LARGE else "numpy"
    return tuple(tracer.jit(function, backend=backend)(*exact))


def check(
    case: Case, results: Sequence[Any], reference: Sequence[Any], dtype: str, *, own: bool
) -> float:
    """The largest difference from the reference, relative to its largest element.

    `own` says whether the results are this library's, whose random numbers can be compared one by
    one. Raises `MismatchError` naming the output, where a shape, a dtype or a value is another.
    """
    if len(results) != len(reference):
        raise MismatchError(f"{len(results)} results, where the reference has {len(reference)}")
    allowed = case.tolerance if dtype == "float32" else case.workload.tolerance
    largest = 0.0
    for name, got, want in zip(case.program.outputs, results, reference, strict=True):
        if got.shape != want.shape or got.dtype != np.dtype(dtype):
            raise MismatchError(
                f"{name} is {got.dtype}{list(got.shape)}, where {dtype}{list(want.shape)} is due"
            )
        if case.by_moments and not own:
            largest = max(largest, check_moments(name, got, want))
            continue
        difference = relative_difference(got.astype(np.float64), want.astype(np.float64))
        if not difference <= allowed.relative:
            raise MismatchError(
                f"{name} differs from float64's by {difference:.1e}, relative to its largest "
                f"element; {allowed.relative:.0e} is allowed ({allowed.reason})"
            )
        largest = max(largest, difference)
    return largest


def check_moments(name: str, got: Any, want: Any) -> float:
    """How far the mean is off, in standard deviations; `MismatchError` where it is more than six.

    The variance of n normal variates has a relative deviation of √(2 / n).
    """
    spread, n = float(np.std(want.astype(np.float64))), got.size
    numbers = got.astype(np.float64)
    mean = abs(float(np.mean(numbers) - np.mean(want))) / (spread * (2.0 / n) ** 0.5)
    variance = abs(float(np.var(numbers)) / spread**2 - 1.0) / (4.0 / n) ** 0.5
    if not max(mean, variance) <= 6.0:
        raise MismatchError(f"{name}: mean or variance are {max(mean, variance):.0f} σ off")
    return 0.0


def save(arrays: Sequence[Any], folder: Path) -> None:
    """Write arrays where other processes find them."""
    folder.mkdir(parents=True, exist_ok=True)
    for position, value in enumerate(arrays):
        np.save(folder / f"{position}.npy", np.asarray(value))


def load(folder: Path) -> list[Any]:
    """What `save` wrote, mapped rather than read."""
    count = len(list(folder.glob("*.npy")))
    return [np.load(folder / f"{position}.npy", mmap_mode="r") for position in range(count)]
