"""Where arrays are, and when they are there."""

from __future__ import annotations

from typing import Any

import numpy as np

from tracer import backend, tree
from tracer.errors import DeviceArrayError
from tracer.foreign import INTERFACES, is_foreign_brain
from tracer.trace import Tracer, type_of
from tracer.types import BRAIN, ArrayType, check_dtype, dtype_called


def block_until_ready(values: Any) -> Any:
    """The pytree itself, once all its arrays are computed.

    On the CPU a call returns when its results are there, so that nothing is left to wait for; on a
    GPU it may return before.
    """
    known = (np.ndarray, np.generic, Tracer, bool, int, float, complex)
    rest = [leaf for leaf in tree.leaves(values) if not isinstance(leaf, known)]
    waiting = [leaf for leaf in rest if hasattr(leaf, "__cuda_array_interface__")]
    if waiting:
        backend.device_wait(waiting)
    return values


def device_put(values: Any, device: int | None = None) -> Any:
    """The pytree with all its arrays on a GPU, as CuPy arrays: number `device`, by default the
    current one, or where an array is.

    NumPy arrays and numbers are copied. What lies on that GPU is used in place where DLPack or
    `__cuda_array_interface__` tells of it, if it is C-ordered and aligned, and else copied; so is
    what lies on another GPU. Traced arrays stay as they are. Raises DeviceNotFoundError or
    MissingPackageError where there is no GPU that could be used, DeviceMemoryError where it has no
    room, NotAnArrayError for what is no array. In the simulator the arrays are NumPy's.
    """

    def put(leaf: Any) -> Any:
        return leaf if type(leaf) is Tracer else backend.device_put(leaf, device)

    return tree.map(put, values)


def device_get(values: Any) -> Any:
    """The pytree with all its arrays on the host, as NumPy arrays, once they are computed.

    NumPy's own arrays and numbers stay as they are, without a copy. Raises ArrayConversionError for
    traced arrays, and NotAnArrayError for what is no array.
    """

    def get(leaf: Any) -> Any:
        return np.asarray(leaf) if type(leaf) is Tracer else backend.device_get(leaf)

    return tree.map(get, values)


def device_type_of(value: Any) -> ArrayType:
    """`type_of`, for arrays of other libraries too, on a GPU or the host: what has DLPack or
    `__cuda_array_interface__`.
    """
    if isinstance(value, (np.ndarray, np.generic, Tracer)):
        return type_of(value)
    dtype, kind = getattr(value, "dtype", None), type(value)
    if isinstance(dtype, np.dtype) and any(hasattr(kind, name) for name in INTERFACES):
        return ArrayType(check_dtype(dtype), tuple(value.shape))
    if is_foreign_brain(value):
        return ArrayType(dtype_called(BRAIN), tuple(value.shape))
    try:
        interface = getattr(value, "__cuda_array_interface__", None)
        if interface is None and hasattr(kind, "__dlpack__"):
            return type_of(np.from_dlpack(value))
    except Exception as error:  # a PyTorch tensor that requires a gradient
        raise DeviceArrayError(f"a {kind.__name__} does not give its memory: {error}") from error
    if interface is None:
        return type_of(value)
    return ArrayType(check_dtype(np.dtype(interface["typestr"])), tuple(interface["shape"]))
