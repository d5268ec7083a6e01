"""Python functions by handle: their life, their types, their exceptions, and the native function
that compiled code calls.
"""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from kernels import callback
from kernels.callback import KERNEL, NOT_FINISHED, Callback, Handle, register, take_error
from kernels.registry import Array, ArraySpec

FLOAT = ArraySpec(np.dtype(np.float64), (3,))
COUNT = ArraySpec(np.dtype(np.int32), ())


def called(handle: int, results: Sequence[Array], operands: Sequence[Array]) -> int:
    """The status after a call through the native function, as compiled code makes it."""
    status = np.array(NOT_FINISHED, np.int64)
    arrays = (status, *results, *operands)
    addresses = np.array([array.ctypes.data for array in arrays], np.int64)
    native = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_void_p)(callback.call_back_address())
    native(handle, addresses.ctypes.data)
    return int(status)


def doubled_and_counted(x: Array, weight: Array) -> list[Any]:
    return [x * weight, np.array(np.count_nonzero(x), np.int32)]


def test_native_call_writes_the_results() -> None:
    handle = register(doubled_and_counted, [FLOAT, ArraySpec(FLOAT.dtype, ())], [FLOAT, COUNT])
    product, count = np.full(3, np.nan), np.array(-7, np.int32)
    operands = [np.array([1.0, 0.0, -2.0]), np.array(3.0)]
    assert called(handle, [product, count], operands) == 0
    np.testing.assert_array_equal(product, [3.0, 0.0, -6.0])
    assert count == 2


def test_twin_gives_the_same() -> None:
    handle = register(doubled_and_counted, [FLOAT, ArraySpec(FLOAT.dtype, ())], [FLOAT, COUNT])
    operands = (np.array([1.0, 0.0, -2.0]), np.array(3.0))
    status, product, count = KERNEL.evaluate(operands, {"handle": handle})
    assert status == 0
    np.testing.assert_array_equal(product, [3.0, 0.0, -6.0])
    assert count == 2


@pytest.mark.parametrize("dtype", ["?", "i1", "u2", "i8", "f4", "f8", "c8", "c16"])
@pytest.mark.parametrize("shape", [(), (0,), (4,), (2, 3), (2, 0, 3)])
def test_every_type_of_array(dtype: str, shape: tuple[int, ...]) -> None:
    spec = ArraySpec(np.dtype(dtype), shape)
    handle = register(lambda x: [x[..., ::-1] if x.ndim else x], [spec], [spec])
    operand = np.asarray(np.arange(np.prod(shape)).reshape(shape) % 3, dtype)
    result = np.empty(shape, dtype)
    assert called(handle, [result], [operand]) == 0
    np.testing.assert_array_equal(result, operand[..., ::-1] if shape else operand)


def test_operands_can_be_kept_but_not_changed() -> None:
    kept: list[Array] = []

    def keep(x: Array) -> list[Array]:
        kept.append(x)
        return []

    handle = register(keep, [FLOAT], [])
    memory = np.array([1.0, 2.0, 3.0])
    assert called(handle, [], [memory]) == 0
    memory[:] = 0.0
    np.testing.assert_array_equal(kept[0], [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="read-only"):
        kept[0][0] = 5.0


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, SystemExit, MemoryError])
def test_every_exception_is_kept_and_taken_once(kind: type[BaseException]) -> None:
    error = kind("from the function")

    def fail(x: Array) -> list[Array]:
        raise error

    handle = register(fail, [FLOAT], [FLOAT])
    status = called(handle, [np.empty(3)], [np.ones(3)])
    assert status > 0
    assert take_error(status) is error
    assert take_error(status) is None
    twin_status, zeros = KERNEL.evaluate((np.ones(3),), {"handle": handle})
    assert take_error(int(twin_status)) is error
    np.testing.assert_array_equal(zeros, np.zeros(3))


@pytest.mark.parametrize(
    "returned",
    [
        [np.ones(4)],
        [np.ones(3, np.float32)],
        [np.ones((1, 3))],
        [np.array(1.0)],
        [],
        [np.ones(3)] * 2,
    ],
)
def test_results_of_another_type_are_refused(returned: list[Array]) -> None:
    handle = register(lambda x: returned, [FLOAT], [FLOAT])
    target = np.full(3, 7.0)
    error = take_error(called(handle, [target], [np.ones(3)]))
    assert isinstance(error, ValueError)
    assert "float64[3] is due" in str(error)
    np.testing.assert_array_equal(target, [7.0, 7.0, 7.0])


def test_a_function_lives_as_long_as_its_handle() -> None:
    handle = register(lambda x: [x], [FLOAT], [FLOAT])
    number = int(handle)
    assert called(number, [np.empty(3)], [np.ones(3)]) == 0
    del handle
    gc.collect()
    error = take_error(called(number, [np.empty(3)], [np.ones(3)]))
    assert isinstance(error, LookupError)
    assert f"Python function {number}, which is not there" in str(error)
    with pytest.raises(ValueError, match="no Python function"):
        KERNEL.results((FLOAT,), {"handle": number})


def test_errors_that_nobody_takes_do_not_pile_up() -> None:
    def fail(x: Array) -> list[Array]:
        raise ValueError("again")

    handle = register(fail, [FLOAT], [])
    numbers = [called(handle, [], [np.ones(3)]) for _ in range(callback.MOST_ERRORS + 5)]
    assert take_error(numbers[0]) is None
    assert [take_error(number) is None for number in numbers[5:]] == [False] * callback.MOST_ERRORS


def test_results_of_the_kernel() -> None:
    handle = register(lambda x: [x], [FLOAT], [COUNT])
    assert isinstance(handle, Handle)
    assert isinstance(handle.callback, Callback)
    status = ArraySpec(np.dtype(np.int64), ())
    assert KERNEL.results((FLOAT,), {"handle": handle}) == (status, COUNT)
    with pytest.raises(TypeError, match=r"takes float64\[3\], not int32\[\]"):
        KERNEL.results((COUNT,), {"handle": handle})
    with pytest.raises(ValueError, match="one parameter"):
        KERNEL.results((FLOAT,), {})


def test_text_of_the_call() -> None:
    handle = register(lambda x: [x], [FLOAT], [FLOAT])
    assert KERNEL.numba_call is not None
    text = KERNEL.numba_call(("s", "y", "x"), {"handle": handle})
    addresses = "np.array([s.ctypes.data, y.ctypes.data, x.ctypes.data])"
    assert text == f"call_python(s, {addresses}, {int(handle)})"
