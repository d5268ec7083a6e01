"""Control-C while a kernel runs: a function that it calls every few milliseconds."""

from __future__ import annotations

import ctypes
from functools import cache

from codegen.dispatch.compile import compile_module

_NAMES = ("PyGILState_Ensure", "PyErr_CheckSignals", "PyGILState_Release")
_TEXT = """
define i32 @check() {{
  %ensure = inttoptr i64 {} to ptr
  %look = inttoptr i64 {} to ptr
  %release = inttoptr i64 {} to ptr
  %state = call i32 %ensure()
  %answer = call i32 %look()
  call void %release(i32 %state)
  ret i32 %answer
}}
"""


def _address(name: str) -> int:
    return ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value or 0


@cache
def _check_with_gil() -> int:
    return compile_module(_TEXT.format(*map(_address, _NAMES)), ("check",), stored=False)[0]


def signal_check_address(release_gil: bool = False) -> int:
    """Address of `int32_t check(void)` for long kernels: not 0 where an exception is now set.

    release_gil: as given to the entry; with it, the check takes the GIL for its moment.
    """
    return _check_with_gil() if release_gil else _address("PyErr_CheckSignals")
