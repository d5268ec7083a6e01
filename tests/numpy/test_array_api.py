"""The Python array API standard on traced arrays: the namespace, its names, devices, sorting."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracer.numpy as tnp
from tracer import errors, grad, jit
from tracer.trace import ValueTrace, opened

X = np.array([[3.0, 1.0, 3.0, 2.0], [0.5, -1.0, 4.0, 0.0]])

_STANDARD = """
abs acos acosh add all any arange argmax argmin argsort asarray asin asinh astype atan atan2 atanh
bitwise_and bitwise_invert bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor
broadcast_arrays broadcast_to can_cast ceil clip concat conj copysign cos cosh count_nonzero
cumulative_prod cumulative_sum diff divide e empty empty_like equal exp expand_dims expm1 eye
finfo flip floor floor_divide from_dlpack full full_like greater greater_equal hypot iinfo imag
inf isdtype isfinite isinf isnan less less_equal linspace log log10 log1p log2 logaddexp
logical_and logical_not logical_or logical_xor matmul matrix_transpose max maximum mean meshgrid
min minimum moveaxis multiply nan negative newaxis nextafter nonzero not_equal ones ones_like
permute_dims pi positive pow prod real reciprocal remainder repeat reshape result_type roll round
searchsorted sign signbit sin sinh sort sqrt square squeeze stack std subtract sum take
take_along_axis tan tanh tensordot tile tril triu trunc unique_all unique_counts unique_inverse
unique_values unstack var vecdot where zeros zeros_like linalg fft __array_namespace_info__
"""
NAMES = _STANDARD.split()


@pytest.mark.parametrize("name", NAMES)
def test_the_namespace_of_a_traced_array_has_every_name(name: str) -> None:
    with opened(ValueTrace()) as trace:
        assert hasattr(trace.input(X).__array_namespace__(api_version="2024.12"), name)


def test_a_program_written_for_any_namespace() -> None:
    def normalised(x: Any) -> Any:
        xp = x.__array_namespace__()
        centred = x - xp.mean(x, axis=-1, keepdims=True)
        scale = xp.linalg.vector_norm(centred, axis=-1, keepdims=True)
        table = xp.concat([centred / scale, xp.zeros_like(x)], axis=0)
        running = xp.cumulative_sum(table, axis=1, include_initial=True)
        return (
            xp.vecdot(table, xp.astype(running[:, 1:], xp.float64))
            + xp.permute_dims(x, (1, 0)).mT[0, 0]
        )

    np.testing.assert_allclose(jit(normalised)(X), normalised(X), rtol=1e-14)


def test_an_unknown_version_is_refused() -> None:
    with opened(ValueTrace()) as trace, pytest.raises(ValueError, match="not known here"):
        trace.input(X).__array_namespace__(api_version="1999.01")


def test_what_the_namespace_says_of_itself() -> None:
    info = tnp.__array_namespace_info__()
    assert info.default_device() == "cpu"
    assert info.devices() == ["cpu"]
    assert info.capabilities()["boolean indexing"]
    assert info.default_dtypes()["real floating"] == np.float64
    assert set(info.dtypes(kind="complex floating")) == {"complex64", "complex128"}
    with pytest.raises(ValueError, match="Only"):
        info.dtypes(device="elsewhere")


def test_devices_and_exchange() -> None:
    with opened(ValueTrace()) as trace:
        x = trace.input(X)
        assert x.device == "cpu"
        assert x.to_device("cpu") is x
        assert x.__dlpack_device__() == (1, 0)
        with pytest.raises(ValueError, match="Unsupported device"):
            x.to_device("elsewhere")
        with pytest.raises(errors.ArrayConversionError, match="cannot be exported"):
            x.__dlpack__()


def test_sorting_from_the_largest_down() -> None:
    places = np.array([[0, 2, 3, 1], [2, 0, 3, 1]])
    assert np.array_equal(tnp.argsort(X, descending=True), places)
    assert np.array_equal(jit(lambda x: tnp.argsort(x, descending=True))(X), places)
    expected = -np.sort(-X)
    assert np.array_equal(jit(lambda x: tnp.sort(x, descending=True, stable=True))(X), expected)
    largest = grad(lambda x: tnp.sort(x, axis=1, descending=True)[:, 0] @ np.array([1.0, 2.0]))(X)
    assert np.array_equal(largest, [[1, 0, 0, 0], [0, 0, 2, 0]])
