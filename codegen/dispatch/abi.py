"""How a compiled kernel is called, and how it reports what went wrong.

    int32_t kernel(void **inputs, void **outputs, uint8_t *workspace, int64_t *status)

inputs     one pointer for each leaf of the arguments, in order, then the spec's constants.
           ndarray: its first element (C-contiguous, or with the strides of the leaf; aligned to its
           dtype, not more). Python float, int, bool, complex: a double, int64_t, uint8_t (0 or 1),
           double[2]. NumPy scalar: its value. Nothing may be written through these pointers.
outputs    one pointer for each leaf of the result, in order: uninitialised memory of the leaf's
           size, C-contiguous, which the kernel fills. A bool result is one byte, 0 or 1.
           Outputs never overlap inputs, constants, the workspace or each other.
workspace  the spec's number of bytes, aligned to 64, contents undefined; any pointer if it is 0.
status     four zeroed words for the details of an error.

A pointer to an array of no elements may not be followed. The kernel returns 0, or a code: then
the words of `status` go with it to the entry's error handler, and the outputs are dropped. The
words are the user's source line (an id of the caller's), then what the table says of each code.

| code             | status[1]      | status[2]     | status[3]   | raised            |
| PYTHON_ERROR     |                |               |             | the one that is set |
| INDEX_ERROR      | index          | size          | axis        | IndexError        |
| VALUE_ERROR      | a value        |               |             | ValueError        |
| ZERO_DIVISION    |                |               |             | ZeroDivisionError |
| OVERFLOW         | a value        |               |             | OverflowError     |
| SINGULAR_MATRIX  | pivot          |               |             | LinAlgError       |
| NO_CONVERGENCE   | iterations     |               |             | LinAlgError       |
| OUT_OF_MEMORY    | bytes          |               |             | MemoryError       |
| INTERRUPTED      |                |               |             | KeyboardInterrupt |

Other codes are the caller's own: a handler of its own maps them.

A kernel with a long loop calls `int32_t check(void)`, whose address `signal_check_address` gives,
every few milliseconds, and returns PYTHON_ERROR where that is not 0: Control-C is then honoured.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from enum import IntEnum
from typing import TypeAlias

import numpy as np

STATUS_WORDS = 4

Status: TypeAlias = tuple[int, int, int, int]
ErrorHandler: TypeAlias = Callable[[int, Status], BaseException]
"""Takes the kernel's code and status, gives the exception that the entry raises."""

KernelArguments = (
    ctypes.POINTER(ctypes.c_void_p),
    ctypes.POINTER(ctypes.c_void_p),
    ctypes.c_void_p,
    ctypes.POINTER(ctypes.c_int64),
)


class KernelCode(IntEnum):
    """What a kernel returns."""

    OK = 0
    PYTHON_ERROR = -1
    INDEX_ERROR = 1
    VALUE_ERROR = 2
    ZERO_DIVISION = 3
    OVERFLOW = 4
    SINGULAR_MATRIX = 5
    NO_CONVERGENCE = 6
    OUT_OF_MEMORY = 7
    INTERRUPTED = 8


def default_error(code: int, status: Status) -> BaseException:
    """The exception for a kernel's code, as in the table above."""
    first, second, third = status[1:]
    match code:
        case KernelCode.INDEX_ERROR:
            where = f"index {first} is out of bounds for axis {third} with size {second}"
            return IndexError(where)
        case KernelCode.VALUE_ERROR:
            return ValueError(f"the value {first} is not allowed here")
        case KernelCode.ZERO_DIVISION:
            return ZeroDivisionError("integer division or remainder by zero")
        case KernelCode.OVERFLOW:
            return OverflowError(f"the value {first} does not fit its type")
        case KernelCode.SINGULAR_MATRIX:
            return np.linalg.LinAlgError(f"singular matrix: pivot {first} is zero")
        case KernelCode.NO_CONVERGENCE:
            return np.linalg.LinAlgError(f"no convergence after {first} iterations")
        case KernelCode.OUT_OF_MEMORY:
            return MemoryError(f"a compiled function could not allocate {first} bytes")
        case KernelCode.INTERRUPTED:
            return KeyboardInterrupt()
    return RuntimeError(f"a compiled function failed with code {code} and status {status}")


def workspace_error(size: int) -> MemoryError:
    """The exception where a workspace cannot be had."""
    return MemoryError(f"no memory for a compiled function's workspace of {size} bytes")


def raising(handler: ErrorHandler) -> Callable[..., None]:
    """`handler` as a function of code and four words that always raises."""

    def raise_error(code: int, *status: int) -> None:
        first, second, third, fourth = status
        raise handler(code, (first, second, third, fourth))

    return raise_error
