"""Foreign arrays on a GPU: what they say of their memory, checked before anything trusts it.

DLPack comes before `__cuda_array_interface__`, since only its exchange makes the consumer's stream
wait for whatever stream the producer has used.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tracer.errors import DeviceArrayError
from tracer.foreign import is_foreign_brain
from tracer.types import BRAIN, dtype_called

HOST, DEVICE, PINNED, MANAGED = 1, 2, 3, 13
"""DLPack's kinds of devices, those that matter here."""
UNREGISTERED = 0
"""The runtime's kind of memory that CUDA knows nothing of."""


def is_host_value(value: Any) -> bool:
    """Whether NumPy can read it where it is: its own arrays, numbers, arrays on the CPU."""
    if isinstance(value, (np.ndarray, np.generic, bool, int, float, complex)):
        return True
    device = dlpack_device(value)
    if device is not None:
        return device[0] in (HOST, PINNED)
    return interface_of(value) is None


def host_array(value: Any) -> np.ndarray[Any, np.dtype[Any]]:
    """NumPy's array of a number, or of an array on the host."""
    if is_foreign_brain(value):  # all of whose numbers are float32's, which NumPy can read
        return np.asarray(value.float()).astype(dtype_called(BRAIN))
    return np.asarray(value)


def dlpack_device(value: Any) -> tuple[int, int] | None:
    """Kind and number of the device, for objects with DLPack's methods."""
    if not (hasattr(type(value), "__dlpack__") and hasattr(type(value), "__dlpack_device__")):
        return None
    kind, number = value.__dlpack_device__()
    return int(kind), int(number)


def interface_of(value: Any) -> dict[str, Any] | None:
    """`__cuda_array_interface__`, where there is one; DeviceArrayError where it is not whole."""
    kind = type(value).__name__
    try:
        found = value.__cuda_array_interface__
    except AttributeError:
        return None
    except Exception as error:
        raise DeviceArrayError(f"a {kind} does not give its memory: {error}") from error
    missing = {"shape", "typestr", "data", "version"} - set(found)
    if missing:
        raise DeviceArrayError(
            f"the __cuda_array_interface__ of a {kind} has no {', '.join(sorted(missing))}"
        )
    interface: dict[str, Any] = found
    return interface


def device_view(value: Any, cupy: Any) -> Any:
    """A CuPy array on the memory of a foreign array, ready for the current stream.

    Raises DeviceArrayError for memory of the host's, and with the producer's own words where it
    does not give its memory away.
    """
    kind = type(value).__name__
    device = dlpack_device(value)
    if device is not None:
        if device[0] not in (DEVICE, MANAGED):
            raise DeviceArrayError(f"a {kind} lies on a device that CUDA does not know: {device}")
        try:
            return cupy.from_dlpack(value)
        except Exception as error:
            if interface_of(value) is None:
                raise DeviceArrayError(f"a {kind} does not give its memory: {error}") from error
    interface = interface_of(value)
    if interface is None:
        raise DeviceArrayError(f"a {kind} has no memory on a device")
    check_pointer(interface, kind, cupy.cuda.runtime)
    return cupy.asarray(value)


def check_pointer(interface: dict[str, Any], kind: str, runtime: Any) -> None:
    """DeviceArrayError where memory that is offered as a GPU's is unknown to CuPy's `runtime`."""
    if 0 in interface["shape"]:
        return
    pointer = interface["data"][0]
    if not pointer or runtime.pointerGetAttributes(pointer).type == UNREGISTERED:
        raise DeviceArrayError(
            f"a {kind} offers address {pointer:#x} as memory of a GPU, but no GPU knows it: it is "
            "the host's; pass the host's array itself, or tracer.device_put of it"
        )


def aligned_copy(array: Any, cupy: Any) -> Any:
    """The array in new memory, in C order; its own may start anywhere.

    Reading a number at an odd address is an error on a GPU, so the bytes are what is copied.
    """
    step = array.dtype.itemsize
    strides = (*array.strides, 1)
    octets = cupy.ndarray((*array.shape, step), np.uint8, memptr=array.data, strides=strides)
    return octets.copy(order="C").view(array.dtype).reshape(array.shape)
