"""Jitted functions and their gradients, called from inside `@numba.njit` code."""

import collections
import subprocess
import sys

import numba
import numpy as np
import pytest

import tracer
from tests.helpers import COMPILED
from tracer import grad, jit

POINT = np.linspace(0.1, 1.0, 4)
Pair = collections.namedtuple("Pair", "total doubled")


def energy(x):
    return np.sum(np.sin(x) * x)


@pytest.mark.parametrize("backend", [*COMPILED, "numpy"])
def test_function_and_gradient_inside_a_native_loop(backend):
    slope = jit(grad(energy), backend=backend)
    value = jit(energy, backend=backend)

    @numba.njit
    def descend(x, steps):
        for _ in range(steps):
            x = x - 0.1 * slope(x)
        return value(x), x

    expected = POINT
    for _ in range(5):
        expected = expected - 0.1 * (np.sin(expected) + expected * np.cos(expected))
    end, place = descend(POINT, 5)
    np.testing.assert_allclose(place, expected, rtol=1e-14)
    np.testing.assert_allclose(end, energy(expected), rtol=1e-14)


@pytest.mark.parametrize("backend", COMPILED)
def test_scalars_in_and_several_results_out(backend):
    both = jit(tracer.value_and_grad(lambda a, b: a * b + np.sin(a), argnums=(0, 1)))

    @numba.njit
    def total(a, b):
        value, (by_a, by_b) = both(a, b)
        return value + 10 * by_a + 100 * by_b

    expected = 1.5 * 2 + np.sin(1.5) + 10 * (2 + np.cos(1.5)) + 100 * 1.5
    np.testing.assert_allclose(total(1.5, 2.0), expected, rtol=1e-14)


def test_named_tuples_and_none():
    made = jit(lambda x: Pair(np.sum(x), (2 * x, None)))

    @numba.njit
    def use(x):
        pair = made(x)
        return pair.total + pair.doubled[0][1]

    assert use(POINT) == np.sum(POINT) + 2 * POINT[1]


def test_other_shapes_and_layouts_later():
    product = jit(lambda x: x @ x.T)

    @numba.njit
    def call(x):
        return product(x)

    wide = np.arange(6.0).reshape(2, 3)
    for array in (wide, wide.T, np.asfortranarray(wide), np.arange(40.0).reshape(5, 8)[:, ::2]):
        np.testing.assert_allclose(call(array), array @ array.T, rtol=1e-14)


def test_dtypes_are_those_of_the_graph():
    scaled = jit(lambda x: x * 2)

    @numba.njit
    def call(x):
        return scaled(x)

    for dtype in (np.float32, np.int32, np.uint8, np.complex64, np.complex128):
        array = np.arange(3).astype(dtype)
        result = call(array)
        assert result.dtype == dtype
        np.testing.assert_array_equal(result, array * 2)


def test_errors_arrive_in_python():
    element = jit(lambda x, i: x[i])

    @numba.njit
    def call(x, i):
        return element(x, i)

    assert call(POINT, 2) == POINT[2]
    with pytest.raises(IndexError, match="7"):
        call(POINT, 7)


def test_a_function_that_needs_certain_shapes_is_called_once_before():
    weights = np.ones(37)
    fixed = jit(lambda x: x @ weights)

    def call(x):
        return fixed(x)

    with pytest.raises(numba.TypingError, match="call <lambda> once"):
        numba.njit(call)(np.ones(37))
    assert fixed(np.ones(37)) == 37.0
    assert numba.njit(call)(np.ones(37)) == 37.0


def test_a_result_of_another_rank_than_numba_was_told_raises():
    squeezed = jit(lambda x: np.squeeze(x))

    @numba.njit
    def call(x):
        return squeezed(x)

    assert call(np.ones((2, 3))).shape == (2, 3)
    with pytest.raises(tracer.errors.BackendError, match="2 dimensions"):
        call(np.ones((1, 3)))


def test_results_that_numba_has_no_type_for_raise():
    named = jit(lambda x: {"twice": 2 * x})

    @numba.njit
    def call(x):
        return named(x)

    with pytest.raises(numba.TypingError, match="returns a dict"):
        call(POINT)


def test_arguments_and_results_are_released():
    half = jit(lambda x: (x / 2, np.sum(x)))

    @numba.njit
    def loop(x, times):
        total = 0.0
        for _ in range(times):
            part, whole = half(x)
            total += part[0] + whole
        return total

    array = np.ones(4)
    loop(array, 1)
    before = sys.getrefcount(array)
    assert loop(array, 1000) == 4500.0
    assert sys.getrefcount(array) == before


def test_threads_of_a_parallel_loop():
    value = jit(energy)

    @numba.njit(parallel=True)
    def rows(x, out):
        for i in numba.prange(x.shape[0]):
            out[i] = value(x[i])
        return out

    table = np.arange(40.0).reshape(10, 4)
    expected = [energy(row) for row in table]
    np.testing.assert_allclose(rows(table, np.zeros(10)), expected, rtol=1e-13, atol=1e-13)


def test_numba_is_not_imported_before_it_asks():
    program = (
        "import sys, numpy as np, tracer\n"
        "f = tracer.jit(lambda x: x * 2)\n"
        "f(np.ones(2))\n"
        "assert 'numba' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
