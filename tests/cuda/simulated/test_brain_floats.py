"""bfloat16 on a device: rounded after each operation as ml_dtypes rounds, with sums in float32."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import tracer
from tracer.device import device_type_of

Array = np.ndarray[Any, np.dtype[Any]]
BRAIN = np.dtype(ml_dtypes.bfloat16)
X = np.linspace(-2, 2, 24).astype(BRAIN).reshape(4, 6)
ALL = np.arange(1 << 16, dtype=np.uint16)


def number(value: float) -> Any:
    """A scalar of bfloat16."""
    return BRAIN.type(value)


EXACT: dict[str, Callable[[Any], Any]] = {
    "elementwise": lambda x: x * x * number(0.1) + x / number(3),
    "maximum": lambda x: x.max(axis=0),
    "sort": lambda x: np.sort(x, axis=1),
    "order": lambda x: np.argsort(-x, axis=1),
    "choice": lambda x: np.where(x > 0, x, 0),
    "constant": lambda x: np.zeros_like(x) + number(1.5),
    "gather": lambda x: x[[0, 1, 1], ::-1],
    "transpose": lambda x: np.concatenate([x.T, x.T]) * 2,
    "loop": lambda x: tracer.fori_loop(0, 3, lambda k, carry: carry * x, x),
    "table": lambda x: x * np.arange(6).astype(BRAIN),
    "mixed": lambda x: x * x.astype(np.float32) + x.astype(np.float16),
}
"""Each value is rounded by itself: the same bits as ml_dtypes', and no products and sums that a
GPU fuses but rounded ones."""


@pytest.mark.parametrize("name", EXACT)
def test_values_are_those_of_numpy(name: str) -> None:
    result, expected = tracer.jit(EXACT[name], backend="cuda")(X), np.asarray(EXACT[name](X))
    assert (result.dtype, result.shape) == (expected.dtype, expected.shape)
    np.testing.assert_array_equal(result, expected)


ROUNDED: dict[str, Callable[[Any], Any]] = {
    "functions": lambda x: np.exp(x) * x + number(0.5),
    "sum": lambda x: x.sum(axis=1),
    "columns": lambda x: x.sum(axis=0),
    "mean": lambda x: x.mean(),
    "product": lambda x: x @ x.T,
    "dot": lambda x: np.dot(x, x.T),
    "running": lambda x: np.cumsum(x, axis=1),
    "normal": lambda x: tracer.nn.layer_norm(x),
    "gradient": tracer.grad(lambda x: (np.tanh(x) ** 2).sum()),
    "gathered": tracer.grad(lambda x: (x[[0, 1, 1]] * x[0]).sum()),
    "maxima": tracer.grad(lambda x: ((x * x + 1) * x).max(axis=1).sum()),
    "loop": tracer.grad(lambda x: tracer.fori_loop(0, 3, lambda k, c: c * x, x).sum()),
    "scan": tracer.grad(
        lambda x: tracer.scan(lambda c, v: (c * number(0.5) + v, c * v), x[0], x)[1].sum()
    ),
}


@pytest.mark.parametrize("name", ROUNDED)
def test_sums_and_functions_are_those_of_the_reference(name: str) -> None:
    function = ROUNDED[name]
    result, expected = (tracer.jit(function, backend=b)(X) for b in ("cuda", "numpy"))
    assert (result.dtype, result.shape) == (expected.dtype, expected.shape)
    # Functions an ulp apart and sums in another order may round to a neighbour, some steps before.
    size = max(1.0, float(np.abs(expected.astype(np.float64)).max()))
    np.testing.assert_allclose(
        result.astype(np.float64), expected.astype(np.float64), rtol=0, atol=size * 2.0**-7
    )


def test_every_number_is_read_and_written() -> None:
    """A quarter of them at a time: float32's to the nearest, NaN to the quiet one of its sign."""
    with np.errstate(invalid="ignore"):
        for start in range(4):
            x = ALL[start::64].view(BRAIN)
            wide = tracer.jit(lambda x: x.astype(np.float32), backend="cuda")(x)
            np.testing.assert_array_equal(wide, x.astype(np.float32))
            bits = np.concatenate([wide.view(np.uint32) + low for low in (0, 0x7FFF, 0x8000)])
            source = bits.astype(np.uint32).view(np.float32)
            found = tracer.jit(lambda x: x.astype(BRAIN), backend="cuda")(source)
            np.testing.assert_array_equal(
                found.view(np.uint16), source.astype(BRAIN).view(np.uint16)
            )


def test_sums_accumulate_in_float32() -> None:
    ones = np.ones(4096, BRAIN)
    assert tracer.jit(lambda x: x.sum(), backend="cuda")(ones) == number(4096)


def test_products_of_tiles() -> None:
    """A product that a kernel of ours makes, with what comes after it."""
    left = np.random.default_rng(0).integers(-4, 5, (24, 20)).astype(BRAIN)
    right = np.random.default_rng(1).integers(-4, 5, (20, 24)).astype(BRAIN)
    program = tracer.jit(lambda a, b: np.maximum(np.dot(a, b), 0) * 2, backend="cuda")
    expected = np.maximum(left.astype(np.float32) @ right.astype(np.float32), 0) * 2
    np.testing.assert_array_equal(program(left, right).astype(np.float32), expected)


def test_functions_of_python_and_arrays_there_and_back() -> None:
    seen = []

    def cube(x: Any) -> Any:
        seen.append(x.dtype)
        return x**3

    black_box = tracer.primitive(cube, out=lambda x: x)
    program = tracer.jit(lambda x: black_box(x * 2) + x, backend="cuda")
    np.testing.assert_array_equal(program(X), (X * 2) ** 3 + X)
    assert set(seen) == {BRAIN}
    there = tracer.device_put({"x": X, "y": number(2)})
    back = tracer.device_get(there)
    assert back["x"].dtype == BRAIN
    np.testing.assert_array_equal(back["x"], X)


class Tensor:
    """As PyTorch's are: a dtype that is not NumPy's, and no `__array__` of bfloat16."""

    class DType:
        def __repr__(self) -> str:
            return "torch.bfloat16"

    dtype = DType()

    def __init__(self, values: Array) -> None:
        self.values, self.shape = values, values.shape

    def __dlpack_device__(self) -> tuple[int, int]:
        return 1, 0

    def __dlpack__(self, **_: Any) -> None:
        raise AssertionError("NumPy knows no such code")

    def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
        raise TypeError("Got unsupported ScalarType BFloat16")

    def float(self) -> Array:
        """The values as float32."""
        return self.values.astype(np.float32)


def test_tensors_of_other_libraries() -> None:
    assert str(device_type_of(Tensor(X))) == "bf16[4,6]"
    there = tracer.device_put(Tensor(X))
    assert there.dtype == BRAIN
    np.testing.assert_array_equal(there, X)
    np.testing.assert_array_equal(tracer.jit(lambda x: x * 2, backend="cuda")(Tensor(X)), X * 2)


def test_bits_are_refused() -> None:
    with pytest.raises(tracer.errors.UnsupportedProgramError, match="spacing of bfloat16"):
        tracer.jit(np.spacing, backend="cuda")(X)
