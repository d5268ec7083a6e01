"""What ndarray tells of its memory, and its views of another dtype."""

from __future__ import annotations

from typing import Any

import numpy as np

from tracer.dispatch import METHODS, method
from tracer.errors import ArrayConversionError
from tracer.numpy.common import as_dtype, unsupported, where_text
from tracer.numpy.views import as_view
from tracer.primitives.broadcast import reshape
from tracer.primitives.cast import imag_part, make_complex, real_part
from tracer.primitives.shape import concatenate, slice_axis
from tracer.trace import Tracer
from tracer.types import complex_dtype, is_complex, kind_of, real_dtype


def _parts(x: Any) -> Any:
    """Complex numbers as pairs of real ones, along the last axis."""
    pairs = [reshape(part, (*x.shape, 1)) for part in (real_part(x), imag_part(x))]
    both = concatenate(pairs, len(x.shape))
    return reshape(both, (*x.shape[:-1], 2 * x.shape[-1]))


def _joined(x: Any) -> Any:
    """Pairs of real numbers along the last axis as complex ones."""
    rank = len(x.shape)
    pairs = reshape(x, (*x.shape[:-1], x.shape[-1] // 2, 2))
    first, second = (slice_axis(pairs, rank, place, place + 1) for place in (0, 1))
    shape = (*x.shape[:-1], x.shape[-1] // 2)
    return make_complex(reshape(first, shape), reshape(second, shape))


@method("view")
def view(self: Any, dtype: Any = None, type: Any = None) -> Any:
    """The same elements: in another dtype only complex numbers as their parts, and back."""
    if dtype is None or as_dtype(dtype) == self.dtype:
        return as_view(self, lambda base: Tracer(base.variable), lambda base, part: part)
    wanted = as_dtype(dtype)
    if not self.shape and wanted.itemsize != self.dtype.itemsize:
        raise ValueError(
            f"{where_text()}Changing the dtype of a 0d array is only supported if the itemsize is "
            "unchanged"
        )
    if is_complex(self.dtype) and wanted == real_dtype(self.dtype) and self.shape:
        return as_view(self, _parts, lambda base, part: _joined(part))
    if kind_of(self.dtype) == "f" and wanted == complex_dtype(self.dtype) and self.shape:
        if self.shape[-1] % 2:
            raise ValueError(
                f"{where_text()}When changing to a larger dtype, its size must be a divisor of the "
                "total size in bytes of the last axis of the array."
            )
        return as_view(self, _joined, lambda base, part: _parts(part))
    raise unsupported(
        "ndarray.view",
        f"of {self.dtype} as {wanted}",
        "the bits of a number have no derivative; use astype for its value",
    )


@method("to_device")
def to_device(self: Any, device: Any, /, *, stream: Any = None) -> Any:
    """The array itself: a trace knows no other device than the one that it is compiled for."""
    if device != "cpu":
        raise ValueError(f'{where_text()}Unsupported device: "{device}". Only "cpu" is accepted.')
    if stream is not None:
        raise ValueError(f"{where_text()}The stream argument in to_device() is not supported")
    return self


def strides(x: Any) -> tuple[int, ...]:
    """Bytes from one element to the next along each axis: arrays in a trace are in C order."""
    result = []
    step = x.dtype.itemsize
    for extent in reversed(x.shape):
        result.append(step)
        step *= max(extent, 1)
    return tuple(reversed(result))


METHODS["__strides__"] = strides
METHODS["__flags__"] = lambda x: np.empty(x.shape, x.dtype).flags


@method("__dlpack__")
def dlpack(self: Any, **_: Any) -> Any:
    """No other library can take over what is not computed yet."""
    raise ArrayConversionError(
        f"{where_text()}a traced array of type {self.type} cannot be exported by DLPack: its "
        "elements do not exist yet; return it from the traced function, and export the result"
    )
