"""The product with memory for packed blocks: what it is given, and that it is NumPy's product."""

from __future__ import annotations

import numpy as np
import pytest

from kernels.product import KERNEL, scratch_elements
from kernels.registry import ArraySpec

FLOAT = np.dtype(np.float64)


def test_results_are_the_product_and_memory() -> None:
    left, right = ArraySpec(FLOAT, (5, 7)), ArraySpec(FLOAT, (7, 3))
    product, memory = KERNEL.results((left, right), {})
    assert product == ArraySpec(FLOAT, (5, 3))
    assert memory == ArraySpec(FLOAT, (scratch_elements(5, 3, 7),))
    a, b = np.arange(35.0).reshape(5, 7), np.ones((7, 3))
    values = KERNEL.evaluate((a, b), {})
    np.testing.assert_array_equal(values[0], a @ b)
    assert values[1].shape == memory.shape


def test_vectors_are_refused() -> None:
    with pytest.raises(ValueError, match="matrices"):
        KERNEL.results((ArraySpec(FLOAT, (7,)), ArraySpec(FLOAT, (7, 3))), {})


@pytest.mark.parametrize("depth", [0, 4])
def test_the_numba_form(depth: int) -> None:
    a, b = np.ones((3, depth)), np.ones((depth, 2))
    specs = tuple(ArraySpec(FLOAT, array.shape) for array in (a, b))
    result = np.full((3, 2), np.nan)
    KERNEL.numba_form(specs, {})(result, np.zeros(1), a, b)
    np.testing.assert_array_equal(result, a @ b)


def test_memory_stops_growing_at_whole_blocks() -> None:
    assert scratch_elements(10**4, 10**4, 10**4) == scratch_elements(10**5, 10**5, 10**5)
    assert scratch_elements(0, 0, 0) > 0
