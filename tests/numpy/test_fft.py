"""`numpy.fft` on traced arrays: every function, norm, length and axis; derivatives; errors."""

from __future__ import annotations

import numpy as np
import pytest

import tracer
from tests.helpers import COMPILED

RNG = np.random.default_rng(0)
REAL = RNG.normal(size=(3, 8, 5))
COMPLEX = REAL + 1j * RNG.normal(size=REAL.shape)

ONE_AXIS = [{}, {"n": 6, "axis": 0}, {"n": 9, "norm": "ortho"}, {"norm": "forward"}, {"n": 1}]
MANY_AXES = [
    {},
    {"axes": (0, 2)},
    {"s": (4, 7), "axes": (1, 2), "norm": "ortho"},
    {"s": (-1, 3), "axes": (0, 1)},
    {"axes": (1, 1), "norm": "forward"},
]
FUNCTIONS = {
    **dict.fromkeys(("fft", "ifft", "irfft", "hfft"), (ONE_AXIS, True)),
    **dict.fromkeys(("rfft", "ihfft"), (ONE_AXIS, False)),
    **dict.fromkeys(("fftn", "ifftn", "fft2", "ifft2", "irfftn", "irfft2"), (MANY_AXES, True)),
    **dict.fromkeys(("rfftn", "rfft2"), (MANY_AXES, False)),
    **dict.fromkeys(("fftshift", "ifftshift"), ([{}, {"axes": 1}, {"axes": (0, 2)}], True)),
}
CASES = [
    pytest.param(name, values, options, id=f"{name}-{values.dtype}-{place}")
    for name, (table, complex_too) in FUNCTIONS.items()
    for place, options in enumerate(table)
    for values in (
        (REAL, COMPLEX, REAL.astype("f4"), COMPLEX.astype("c8"))
        if complex_too
        else (REAL, REAL.astype("f4"))
    )
]


@pytest.mark.parametrize(("name", "values", "options"), CASES)
def test_numpys_values(name, values, options):
    function = getattr(np.fft, name)
    expected = function(values, **options)
    eager = tracer.jvp(lambda x: function(x, **options), (values,), (values,))[0]
    compiled = tracer.jit(lambda x: function(x, **options))(values)
    tolerance = 4 * np.finfo(expected.dtype).eps * max(1, np.abs(expected).max())
    for got in (eager, compiled):
        assert got.dtype == expected.dtype
        assert got.shape == expected.shape
        np.testing.assert_allclose(got, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("dtype", ["i8", "?", "u1", "f4"])
def test_other_dtypes(dtype):
    values = np.array([1, 0, 3, 1], dtype)
    for name in ("fft", "rfft", "irfft", "ihfft"):
        function = getattr(np.fft, name)
        expected = function(values)
        got = tracer.jit(function)(values)
        assert got.dtype == expected.dtype
        np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-7)


DERIVATIVES = [
    ("fft", {}), ("ifft", {"n": 7}), ("rfft", {}), ("rfft", {"n": 7, "norm": "ortho"}),
    ("irfft", {}), ("irfft", {"n": 9, "norm": "forward"}), ("irfft", {"n": 5}), ("hfft", {}),
    ("ihfft", {"norm": "ortho"}), ("fft2", {}), ("rfft2", {"s": (5, 4)}), ("irfft2", {}),
    ("ifftn", {"axes": (0,)}), ("fftshift", {}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "options"), DERIVATIVES)
def test_derivatives(name, options):
    function = getattr(np.fft, name)

    def weighted(re, im):
        x = re if name in ("rfft", "ihfft", "rfft2") else re + 1j * im
        out = function(x, **options)
        weights = np.cos(1 + np.arange(out.size)).reshape(out.shape)
        return (out.real * weights).sum() + (out.imag**2).sum()

    args = (REAL[0, :4], COMPLEX[0, :4].imag.copy())
    tracer.check_grads(weighted, args, order=2)
    slope = tracer.grad(weighted, argnums=(0, 1))
    for got, expected in zip(tracer.jit(slope)(*args), slope(*args), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("backend", COMPILED)
def test_inside_a_compiled_program(backend):
    """Forward, a filter, and back, with everything around it compiled."""

    def smoothed(x, width):
        frequency = np.fft.rfftfreq(x.shape[-1])
        return np.fft.irfft(np.fft.rfft(x) * np.exp(-((frequency * width) ** 2)), x.shape[-1])

    x = REAL[0]
    slope = tracer.grad(lambda x, w: (smoothed(x, w) ** 3).sum(), argnums=(0, 1))
    for got, expected in zip(
        tracer.jit(slope, backend=backend)(x, 3.0), slope(x, 3.0), strict=True
    ):
        np.testing.assert_allclose(got, expected, rtol=1e-11, atol=1e-12)


def test_batched():
    rows = tracer.vmap(np.fft.rfft)(REAL)
    np.testing.assert_allclose(rows, np.fft.rfft(REAL, axis=-1), rtol=1e-13)
    columns = tracer.vmap(lambda x: np.fft.fft2(x), in_axes=1)(COMPLEX)
    np.testing.assert_allclose(columns, np.fft.fft2(COMPLEX.swapaxes(0, 1)), rtol=1e-12, atol=1e-12)


def test_parsevals_theorem_has_a_derivative():
    slope = tracer.grad(lambda x: (np.abs(np.fft.fft(x, norm="ortho")) ** 2).sum())(REAL[0])
    np.testing.assert_allclose(slope, 2 * REAL[0], rtol=1e-12)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: np.fft.fft(x, n=0),
        lambda x: np.fft.fft(x, axis=3),
        lambda x: np.fft.fft(x, norm="other"),
        lambda x: np.fft.fftn(x, s=(1, 2), axes=(0,)),
        lambda x: np.fft.rfft(x + 0j),
        lambda x: np.fft.rfftn(x, axes=()),
    ],
)
def test_errors_are_numpys(call):
    with pytest.raises(Exception, match=r".") as theirs:
        call(REAL)
    kind = next(c for c in (IndexError, ValueError, TypeError) if isinstance(theirs.value, c))
    with pytest.raises(kind):
        tracer.jit(call)(REAL)
