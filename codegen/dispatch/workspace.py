"""The memory that kernels work in.

One buffer for the process, as only one kernel at a time runs under the GIL. It grows to the largest
size asked for; one of more than an eighth of the machine's memory is given back after the call. A
kernel that starts while the buffer is in use (called back from another one, or in another thread
while the GIL is released) gets memory of its own for that call.
"""

from __future__ import annotations

import ctypes

from codegen.dispatch.runtime import load, native_entry_available


def workspace_size() -> int:
    """Bytes of the buffer that is kept between calls."""
    if not native_entry_available():
        return 0
    return ctypes.c_int64.from_address(load().workspace_words[1]).value


def trim_workspace() -> None:
    """Give the buffer back to the system, unless a kernel is using it."""
    if native_entry_available():
        load().workspace_trim()
