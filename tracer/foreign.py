"""Arrays of other libraries, as far as tracing has to know them."""

from __future__ import annotations

from typing import Any

INTERFACES = ("__cuda_array_interface__", "__cuda_ndarray__", "__dlpack__")
"""What their classes have: memory of a GPU told of, Numba's own arrays there, memory lent."""

_HOST = (1, 3)
"""DLPack's numbers for the host's memory, and what of it is pinned."""


def lies_on_a_device(value: Any) -> bool:
    """Whether it is an array of a GPU's: to print it, as errors do, would copy it."""
    kind = type(value)
    if hasattr(kind, "__dlpack_device__"):
        return int(value.__dlpack_device__()[0]) not in _HOST
    return any(hasattr(kind, name) for name in INTERFACES)


def is_foreign_brain(value: Any) -> bool:
    """Whether it is a tensor of bfloat16 whose dtype is not NumPy's: PyTorch's, which lends its
    memory by DLPack alone.
    """
    return str(getattr(value, "dtype", "")) == "torch.bfloat16" and hasattr(value, "__dlpack__")


def no_array_text(value: Any) -> str:
    """What an error says of a value that stands where an array of the host was due."""
    kind = type(value)
    if lies_on_a_device(value):
        return (
            f"a {kind.__module__}.{kind.__name__}, which lies on a GPU, stands where an array of "
            "the host was due; use jit(f, backend='cuda'), or tracer.device_get"
        )
    return f"a {kind.__name__} ({value!r:.60}) stands where an array was due"
