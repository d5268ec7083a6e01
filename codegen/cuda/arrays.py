"""Arrays between host and device, one by one: what `tracer.device_put` and `device_get` do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from codegen.cuda.adoption import (
    check_pointer,
    dlpack_device,
    host_array,
    interface_of,
    is_host_value,
)
from codegen.cuda.driver import choose_driver, cuda_runtime
from codegen.cuda.target import simulated
from tracer.errors import DeviceMismatchError, NotAnArrayError
from tracer.types import kind_of

Array = np.ndarray[Any, np.dtype[Any]]


def put(value: Any, device: int | None) -> Any:
    """The driver's array for an array or number: in place where it lies on that device, else a
    copy.
    """
    driver = choose_driver(device_of(value) if device is None else device)
    try:
        found = driver.adopt(value)
    except DeviceMismatchError:
        return driver.fetch(value)
    return driver.upload(on_host(value)) if found is None else found


def get(value: Any) -> Any:
    """The NumPy array for an array, once it is computed; NumPy's own and numbers as they are."""
    if isinstance(value, (np.ndarray, np.generic, bool, int, float, complex)):
        return value
    if is_host_value(value) and not simulated():
        return on_host(value)
    driver = choose_driver(device_of(value))
    found = driver.adopt(value)
    return on_host(value) if found is None else driver.download(found)


def wait(values: Iterable[Any]) -> None:
    """Return once these arrays are computed; those of the host always are."""
    for device in devices_of(values):
        choose_driver(device).synchronize()


def devices_of(values: Iterable[Any]) -> list[int]:
    """The numbers of the GPUs on which arrays lie, each once."""
    found = {device_of(value) for value in values}
    return sorted(device for device in found if device is not None)


def device_of(value: Any) -> int | None:
    """The number of the GPU on which an array lies; None for the host's, and for no elements.

    Raises DeviceArrayError for memory that is said to be a GPU's, and is not.
    """
    if isinstance(value, (np.ndarray, np.generic)):  # of bfloat16 it has no `data`
        return None
    own = getattr(getattr(value, "data", None), "device_id", None)  # of CuPy's arrays
    if own is not None:
        return int(own)
    if simulated() or is_host_value(value):
        return None
    exchange = dlpack_device(value)
    if exchange is not None:
        return exchange[1]
    interface = interface_of(value)
    if interface is None or 0 in interface["shape"]:
        return None
    runtime = cuda_runtime()
    check_pointer(interface, type(value).__name__, runtime)
    return int(runtime.pointerGetAttributes(interface["data"][0]).device)


def on_host(value: Any) -> Array:
    """The NumPy array of a number or of an array on the host; NotAnArrayError for all else."""
    try:
        array = host_array(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise NotAnArrayError(f"a {type(value).__name__} is no array: {error}") from error
    if kind_of(array.dtype) not in "biufc":
        raise NotAnArrayError(
            f"a {type(value).__name__} ({value!r:.60}) stands where an array was due"
        )
    return array
