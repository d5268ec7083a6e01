"""Python functions called back from compiled code.

A function is known to compiled code by a number, its handle. The one native function here takes the
handle and a table of addresses (those of the status, the results and the operands, in this order),
calls the Python function with copies of the operands, and copies what it returns into the results.
No exception passes through compiled code: it is kept, the status becomes its number, and the
program, which leaves at once, raises it with `take_error`.
"""

from __future__ import annotations

import ctypes
import itertools
import math
import weakref
from collections.abc import Callable, Sequence

import numpy as np

from kernels.registry import Array, ArraySpec, Kernel, Params

Function = Callable[..., Sequence[Array]]

NOT_FINISHED = -1
"""The status until the function has returned or raised."""
MOST_ERRORS = 1024


class Callback:
    """A Python function that takes and returns arrays of just these types."""

    def __init__(
        self,
        function: Function,
        operands: tuple[ArraySpec, ...],
        results: tuple[ArraySpec, ...],
    ) -> None:
        self.function = function
        self.operands = operands
        self.results = results
        # ctypes forgets types that nobody holds, and making one takes longer than a call
        self.table = ctypes.c_int64 * (1 + len(results) + len(operands))
        self.memory = [
            ctypes.c_char * (math.prod(spec.shape) * spec.dtype.itemsize)
            for spec in (*results, *operands)
        ]

    def arrays_at(self, addresses: int) -> list[Array]:
        """The results and the operands, where a table of addresses behind the status says."""
        table = self.table.from_address(addresses)
        specs = (*self.results, *self.operands)
        return [
            _array_at(table[1 + place], spec, memory)
            for place, (spec, memory) in enumerate(zip(specs, self.memory, strict=True))
        ]

    def call(self, operands: Sequence[Array]) -> list[Array]:
        """The results for these operands; ValueError where they have other types than was said."""
        found = list(self.function(*operands))
        got = tuple(ArraySpec(array.dtype, array.shape) for array in found)
        if got != self.results:
            raise ValueError(
                f"the function returned {_said(got)}, but {_said(self.results)} is due"
            )
        return found


class Handle(int):
    """The number of a callback; whoever holds it keeps the callback alive."""

    callback: Callback


_CALLBACKS: weakref.WeakValueDictionary[int, Callback] = weakref.WeakValueDictionary()
_ERRORS: dict[int, BaseException] = {}
_handles = itertools.count(1)
_error_numbers = itertools.count(1)


def register(
    function: Function, operands: Sequence[ArraySpec], results: Sequence[ArraySpec]
) -> Handle:
    """Make a function known; it is forgotten with the last reference to the handle.

    function: takes one read-only array for each of `operands`, and returns a sequence of arrays
    which have just the dtypes and shapes of `results`.
    """
    callback = Callback(function, tuple(operands), tuple(results))
    handle = Handle(next(_handles))
    handle.callback = callback
    _CALLBACKS[int(handle)] = callback
    return handle


def take_error(status: int) -> BaseException | None:
    """The exception that a status stands for, once; None where there is none."""
    return _ERRORS.pop(status, None)


def _keep(error: BaseException) -> int:
    """A number for the exception. Those that nobody takes are forgotten when there are many."""
    number = next(_error_numbers)
    while len(_ERRORS) >= MOST_ERRORS:
        _ERRORS.pop(next(iter(_ERRORS)), None)
    _ERRORS[number] = error
    return number


def _known(handle: int) -> Callback:
    callback = _CALLBACKS.get(handle)
    if callback is None:
        raise LookupError(
            f"compiled code calls Python function {handle}, which is not there: such code runs "
            "only in the process that made it, while its compiled function is alive"
        )
    return callback


def _said(specs: Sequence[ArraySpec]) -> str:
    return ", ".join(f"{spec.dtype}{list(spec.shape)}" for spec in specs) or "nothing"


def _array_at(address: int, spec: ArraySpec, memory: type[ctypes.Array[ctypes.c_char]]) -> Array:
    """The memory there as an array."""
    if 0 in spec.shape:
        return np.empty(spec.shape, spec.dtype)
    bytes_there = memoryview(memory.from_address(address))
    return np.frombuffer(bytes_there, spec.dtype).reshape(spec.shape)


def _read_only_copy(array: Array) -> Array:
    """A copy, since the function may keep it longer than compiled code keeps the memory."""
    copied = array.copy()
    copied.flags.writeable = False
    return copied


def _run(handle: int, addresses: int) -> None:
    status = ctypes.c_int64.from_address(ctypes.c_int64.from_address(addresses).value)
    try:
        callback = _known(handle)
        arrays = callback.arrays_at(addresses)
        count = len(callback.results)
        found = callback.call([_read_only_copy(array) for array in arrays[count:]])
        for target, value in zip(arrays[:count], found, strict=True):
            np.copyto(target, value)
        status.value = 0
    except BaseException as error:
        status.value = _keep(error)


call_back = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_void_p)(_run)
"""`void call_back(int64_t handle, int64_t *addresses)`. It takes the GIL by itself."""


def call_back_address() -> int:
    """The address of `call_back`, for compiled code that is not Numba's."""
    return ctypes.cast(call_back, ctypes.c_void_p).value or 0


def result_spec(operands: tuple[ArraySpec, ...], params: Params) -> tuple[ArraySpec, ...]:
    """The status, then the results of the function."""
    callback = _CALLBACKS.get(_handle_of(params))
    if callback is None:
        raise ValueError(f"there is no Python function {_handle_of(params)}")
    if operands != callback.operands:
        raise TypeError(f"the function takes {_said(callback.operands)}, not {_said(operands)}")
    return (ArraySpec(np.dtype(np.int64), ()), *callback.results)


def _handle_of(params: Params) -> int:
    handle = params.get("handle")
    if not isinstance(handle, int) or len(params) != 1:
        raise ValueError("a callback has one parameter, its handle")
    return handle


def evaluate(operands: tuple[Array, ...], params: Params) -> tuple[Array, ...]:
    """The status and the results; zeros where the function raised."""
    callback = _known(_handle_of(params))
    try:
        found = callback.call([_read_only_copy(array) for array in operands])
    except BaseException as error:
        zeros = [np.zeros(spec.shape, spec.dtype) for spec in callback.results]
        return (np.array(_keep(error), np.int64), *zeros)
    return (np.array(0, np.int64), *found)


def call_python(status: Array, addresses: Array, handle: int) -> None:
    """Call the function; status[()] is 0 afterwards, or the number of its exception."""
    status[()] = -1
    call_back(handle, addresses.ctypes)


def choose_form(operands: tuple[ArraySpec, ...], params: Params) -> Callable[..., None]:
    """One form for all: what differs is how many addresses it is passed."""
    return call_python


def call_text(arguments: tuple[str, ...], params: Params) -> str:
    """The call of `call_python` for these arguments: the status, the results, the operands."""
    addresses = ", ".join(f"{argument}.ctypes.data" for argument in arguments)
    return f"call_python({arguments[0]}, np.array([{addresses}]), {_handle_of(params):d})"


KERNEL = Kernel(
    "callback",
    result_spec,
    evaluate,
    choose_form,
    numba_call=call_text,
    numba_imports=("from kernels.callback import call_back",),
)
