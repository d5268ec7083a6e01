"""`numpy.fft`: discrete Fourier transforms in every norm, length and axis."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from tracer.errors import ShapeError
from tracer.numpy.common import array_function, as_array, store
from tracer.numpy.shapes import moveaxis
from tracer.primitives import fourier
from tracer.primitives.arithmetic import conjugate
from tracer.primitives.cast import cast
from tracer.primitives.shape import pad, slice_axis
from tracer.types import complex_dtype, is_half, kind_of, normalize_axis, real_dtype

fftfreq = np.fft.fftfreq
rfftfreq = np.fft.rfftfreq
NORMS = {None: "backward", "backward": "backward", "ortho": "ortho", "forward": "forward"}
OPPOSITE = {"backward": "forward", "ortho": "ortho", "forward": "backward"}


def _norm(norm: str | None) -> str:
    if norm not in NORMS:
        raise ValueError(f'Invalid norm value {norm}; should be "backward", "ortho" or "forward".')
    return NORMS[norm]


def _length(n: Any) -> int:
    count = operator.index(n)
    if count < 1:
        raise ShapeError(f"Invalid number of FFT data points ({count}) specified.")
    return count


def _complex(a: Any) -> Any:
    x = as_array(a)
    return x if x.dtype.kind == "c" else cast(_real(x), complex_dtype(_real_dtype(x)))


def _real_dtype(x: Any) -> Any:
    return real_dtype(x.dtype) if kind_of(x.dtype) in "fc" else np.dtype(np.float64)


def _real(a: Any) -> Any:
    """A real array of floats; NumPy discards no imaginary part here but refuses."""
    x = as_array(a)
    if x.dtype.kind == "c":
        raise TypeError(f"a real transform takes a real array, not one of {x.dtype}")
    wanted = _real_dtype(x)
    if is_half(wanted):
        wanted = np.dtype(np.float32)
    return x if x.dtype == wanted else cast(x, wanted)


def _resized(x: Any, n: int, axis: int) -> Any:
    """x cut or filled with zeros to n entries along an axis."""
    length = x.shape[axis]
    if n < length:
        return slice_axis(x, axis, 0, n)
    if n > length:
        none = (0,) * len(x.shape)
        high = tuple(n - length if place == axis else 0 for place in range(len(x.shape)))
        return pad(x, x.dtype.type(0), none, high, none)
    return x


def _at(x: Any, axis: int) -> int:
    return normalize_axis(operator.index(axis), len(x.shape))


def _one(x: Any, n: Any, axis: int, inverse: bool, norm: str) -> Any:
    place = _at(x, axis)
    x = _resized(x, _length(x.shape[place] if n is None else n), place)
    return fourier.fft(x, (place - len(x.shape),), inverse, norm)


@array_function(np.fft.fft)
def fft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    """`numpy.fft.fft`."""
    return store(_one(_complex(a), n, axis, False, _norm(norm)), out)


@array_function(np.fft.ifft)
def ifft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    """`numpy.fft.ifft`."""
    return store(_one(_complex(a), n, axis, True, _norm(norm)), out)


def _rfft(x: Any, n: Any, axis: int, norm: str) -> Any:
    place = _at(x, axis)
    x = _resized(x, _length(x.shape[place] if n is None else n), place)
    return moveaxis(fourier.rfft(moveaxis(x, place, -1), norm), -1, place)


def _irfft(x: Any, n: Any, axis: int, norm: str) -> Any:
    place = _at(x, axis)
    count = _length(2 * (x.shape[place] - 1) if n is None else n)
    half = moveaxis(_resized(x, count // 2 + 1, place), place, -1)
    return moveaxis(fourier.irfft(half, count, norm), -1, place)


@array_function(np.fft.rfft)
def rfft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    """`numpy.fft.rfft`."""
    return store(_rfft(_real(a), n, axis, _norm(norm)), out)


@array_function(np.fft.irfft)
def irfft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    """`numpy.fft.irfft`."""
    return store(_irfft(_complex(a), n, axis, _norm(norm)), out)


@array_function(np.fft.hfft)
def hfft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    """`numpy.fft.hfft`."""
    return store(_irfft(conjugate(_complex(a)), n, axis, OPPOSITE[_norm(norm)]), out)


@array_function(np.fft.ihfft)
def ihfft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    """`numpy.fft.ihfft`."""
    return store(conjugate(_rfft(_real(a), n, axis, OPPOSITE[_norm(norm)])), out)


def _shape_and_axes(
    x: Any, s: Any, axes: Any, *, inverse_real: bool = False
) -> tuple[list[int], list[int]]:
    """Lengths and axes of a transform over several, as NumPy reads them."""
    rank = len(x.shape)
    given = None if s is None else [operator.index(n) for n in s]
    if axes is None:
        chosen = list(range(rank)) if given is None else list(range(-len(given), 0))
    else:
        chosen = [operator.index(axis) for axis in axes]
    places = [normalize_axis(axis, rank) for axis in chosen]
    if given is None:
        lengths = [x.shape[place] for place in places]
        if inverse_real and lengths:
            lengths[-1] = 2 * (lengths[-1] - 1)
    else:
        if len(given) != len(places):
            raise ValueError("Shape and axes have different lengths.")
        lengths = [x.shape[p] if n == -1 else n for n, p in zip(given, places, strict=True)]
    return [_length(n) for n in lengths], places


def _many(x: Any, lengths: Sequence[int], places: Sequence[int], inverse: bool, norm: str) -> Any:
    if len(set(places)) < len(places):  # NumPy transforms a repeated axis again
        for n, place in reversed(list(zip(lengths, places, strict=True))):
            x = _one(x, n, place, inverse, norm)
        return x
    for n, place in zip(lengths, places, strict=True):
        x = _resized(x, n, place)
    if not places:
        return x
    return fourier.fft(x, [place - len(x.shape) for place in places], inverse, norm)


@array_function(np.fft.fftn)
def fftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None, out: Any = None) -> Any:
    """`numpy.fft.fftn`."""
    x = _complex(a)
    return store(_many(x, *_shape_and_axes(x, s, axes), False, _norm(norm)), out)


@array_function(np.fft.ifftn)
def ifftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None, out: Any = None) -> Any:
    """`numpy.fft.ifftn`."""
    x = _complex(a)
    return store(_many(x, *_shape_and_axes(x, s, axes), True, _norm(norm)), out)


@array_function(np.fft.fft2)
def fft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None, out: Any = None) -> Any:
    """`numpy.fft.fft2`."""
    return fftn(a, s, axes, norm, out)


@array_function(np.fft.ifft2)
def ifft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None, out: Any = None) -> Any:
    """`numpy.fft.ifft2`."""
    return ifftn(a, s, axes, norm, out)


@array_function(np.fft.rfftn)
def rfftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None, out: Any = None) -> Any:
    """`numpy.fft.rfftn`."""
    x = _real(a)
    lengths, places = _shape_and_axes(x, s, axes)
    if not places:
        raise IndexError("a real transform needs at least one axis")
    half = _rfft(x, lengths[-1], places[-1], _norm(norm))
    return store(_many(half, lengths[:-1], places[:-1], False, _norm(norm)), out)


@array_function(np.fft.rfft2)
def rfft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None, out: Any = None) -> Any:
    """`numpy.fft.rfft2`."""
    return rfftn(a, s, axes, norm, out)


@array_function(np.fft.irfftn)
def irfftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None, out: Any = None) -> Any:
    """`numpy.fft.irfftn`."""
    x = _complex(a)
    lengths, places = _shape_and_axes(x, s, axes, inverse_real=True)
    if not places:
        raise IndexError("a real transform needs at least one axis")
    x = _many(x, lengths[:-1], places[:-1], True, _norm(norm))
    return store(_irfft(x, lengths[-1], places[-1], _norm(norm)), out)


@array_function(np.fft.irfft2)
def irfft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None, out: Any = None) -> Any:
    """`numpy.fft.irfft2`."""
    return irfftn(a, s, axes, norm, out)


def _shifted(x: Any, axes: Any, sign: int) -> Any:
    from tracer.numpy.shapes import roll

    x = as_array(x)
    rank = len(x.shape)
    chosen = range(rank) if axes is None else (axes,) if np.ndim(axes) == 0 else axes
    places = [normalize_axis(operator.index(axis), rank) for axis in chosen]
    shifts = [x.shape[place] // 2 if sign > 0 else -(x.shape[place] // 2) for place in places]
    return roll(x, shifts, places)


@array_function(np.fft.fftshift)
def fftshift(x: Any, axes: Any = None) -> Any:
    """`numpy.fft.fftshift`."""
    return _shifted(x, axes, 1)


@array_function(np.fft.ifftshift)
def ifftshift(x: Any, axes: Any = None) -> Any:
    """`numpy.fft.ifftshift`."""
    return _shifted(x, axes, -1)
