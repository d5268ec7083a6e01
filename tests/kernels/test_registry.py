"""Kernels are found by name, and each is complete."""

from __future__ import annotations

import pkgutil

import numpy as np
import pytest

import kernels
from kernels.registry import ArraySpec, Kernel, find_kernel

NAMES = [
    module.name for module in pkgutil.iter_modules(kernels.__path__) if module.name != "registry"
]
FLOAT = np.dtype(np.float64)


@pytest.mark.parametrize("name", NAMES)
def test_every_file_holds_a_kernel_of_its_name(name: str) -> None:
    kernel = find_kernel(name)
    assert isinstance(kernel, Kernel)
    assert kernel.name == name


@pytest.mark.parametrize("name", ["no_such", "registry", "os.path", ""])
def test_unknown_kernels(name: str) -> None:
    with pytest.raises(KeyError, match="kernel"):
        find_kernel(name)


@pytest.mark.parametrize(
    ("left", "right", "result"),
    [((3, 4), (4, 5), (3, 5)), ((4,), (4, 5), (5,)), ((3, 4), (4,), (3,)), ((4,), (4,), ())],
)
def test_matmul_results_are_numpys(
    left: tuple[int, ...], right: tuple[int, ...], result: tuple[int, ...]
) -> None:
    kernel = find_kernel("matmul")
    specs = (ArraySpec(FLOAT, left), ArraySpec(FLOAT, right))
    assert kernel.results(specs, {}) == (ArraySpec(FLOAT, result),)
    a, b = np.ones(left), np.ones(right)
    (product,) = kernel.evaluate((a, b), {})
    assert product.shape == result
    np.testing.assert_array_equal(product, a @ b)


@pytest.mark.parametrize(
    ("left", "right", "error", "message"),
    [
        (ArraySpec(FLOAT, (3, 4)), ArraySpec(FLOAT, (3, 4)), ValueError, "cannot contract"),
        (ArraySpec(FLOAT, (2, 3, 4)), ArraySpec(FLOAT, (4,)), ValueError, "vectors and matrices"),
        (
            ArraySpec(FLOAT, (4,)),
            ArraySpec(np.dtype(np.float32), (4,)),
            TypeError,
            "cast one of them first",
        ),
    ],
)
def test_matmul_refuses(
    left: ArraySpec, right: ArraySpec, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        find_kernel("matmul").results((left, right), {})


@pytest.mark.parametrize("dtype", ["f8", "i4"])
@pytest.mark.parametrize(
    ("left", "right"),
    [((3, 4), (4, 5)), ((4,), (4, 5)), ((3, 4), (4,)), ((4,), (4,)), ((3, 0), (0, 5))],
)
def test_matmul_forms_as_plain_python(
    left: tuple[int, ...], right: tuple[int, ...], dtype: str
) -> None:
    kernel = find_kernel("matmul")
    rng = np.random.default_rng(0)
    a, b = (np.asarray(rng.integers(-5, 5, shape), dtype) for shape in (left, right))
    specs = (ArraySpec(a.dtype, left), ArraySpec(b.dtype, right))
    (spec,) = kernel.results(specs, {})
    result = np.full(spec.shape, 77, spec.dtype)
    kernel.numba_form(specs, {})(result, a, b)
    np.testing.assert_array_equal(result, a @ b)
