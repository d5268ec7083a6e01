"""Arrays on memory of which the address is known."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np


def memory(address: int, dtype: Any, size: int) -> np.ndarray[Any, np.dtype[Any]]:
    """`size` elements at an address."""
    dtype = np.dtype(dtype)
    bytes_there = (ctypes.c_char * (size * dtype.itemsize)).from_address(address)
    return np.frombuffer(bytes_there, dtype)
