"""Peak memory of one call.

On Linux it is the growth of the process's resident set: the kernel's high-water mark is reset
before the call (`/proc/self/clear_refs`), the heap's free pages are given back, and the mark is
read afterwards. It sees every library alike, to within some 0.3 MB. Elsewhere `tracemalloc` counts
what Python and NumPy allocate, and cannot see into native libraries; the result says which it was.

The runner takes the larger of a first call, which alone shows what is kept from then on, and a
later one, before which no compiler's memory is still on its way back to the system.
"""

import ctypes
import gc
import re
import sys
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

Result = TypeVar("Result")
_STATUS = Path("/proc/self/status")
_CLEAR_REFERENCES = Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class PeakMemory:
    """Bytes by which memory grew at the peak of a call, and the method that counted them."""

    bytes: int
    method: str


def measure_peak(call: Callable[[], Result]) -> tuple[Result, PeakMemory]:
    """Call `call` once; its result, and the peak of the memory that it took."""
    gc.collect()
    if _can_reset_peak():
        return _resident_growth(call)
    return _traced_growth(call)


def _can_reset_peak() -> bool:
    if sys.platform != "linux":
        return False
    try:
        _CLEAR_REFERENCES.write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


def _resident_growth(call: Callable[[], Result]) -> tuple[Result, PeakMemory]:
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    _CLEAR_REFERENCES.write_text("5", encoding="ascii")
    before = _status_bytes("VmRSS")
    result = call()
    growth = max(0, _status_bytes("VmHWM") - before)
    return result, PeakMemory(growth, "resident set")


def _traced_growth(call: Callable[[], Result]) -> tuple[Result, PeakMemory]:
    tracemalloc.start()
    try:
        result = call()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    return result, PeakMemory(peak, "tracemalloc")


def _status_bytes(field: str) -> int:
    match = re.search(rf"^{field}:\s+(\d+) kB$", _STATUS.read_text("ascii"), re.MULTILINE)
    if match is None:
        raise OSError(f"{_STATUS} has no field {field}")
    return int(match.group(1)) * 1024
