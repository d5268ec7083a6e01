"""Values that branches and loops hand over: which of their leaves are arrays, and how two of them
agree."""

from __future__ import annotations

import contextlib
from types import CodeType
from typing import Any

import numpy as np
import optree

from tracer.source.protocol import Host
from tracer.source.slots import UNBOUND, Undefined
from tracer.types import kind_of

NUMBERS = (bool, int, float, complex)
_DEFAULTS = {bool: np.bool_, int: np.int64, float: np.float64, complex: np.complex128}
Type = tuple[np.dtype[Any], tuple[int, ...]]


class Again(Exception):
    """The trace of a body taught something: it is to be traced again under another plan."""


class Needless(Exception):
    """The trace of a body showed that it has no result, so that it needs no node."""


def mark_conditional(error: Exception, where: str) -> None:
    """Note on an exception that it left a block of which only the run knows whether it happens."""
    with contextlib.suppress(AttributeError):  # a class of exceptions may have slots
        error.__dict__.setdefault("conditional", where)


def place(code: CodeType) -> str:
    """The line of the user's where a branch or loop stands."""
    return f"{code.co_filename.rpartition('/')[2]}:{code.co_firstlineno}"


def flatten(value: Any) -> tuple[list[Any], Any]:
    """The leaves of a value, and its structure."""
    leaves, structure = optree.tree_flatten(value)
    return leaves, structure


def unflatten(structure: Any, leaves: list[Any]) -> Any:
    """The value back."""
    return optree.tree_unflatten(structure, leaves)


def frozen(value: Any, host: Host) -> Any:
    """`value` with its traced arrays copied, so that they stay what they are when those are put
    back."""
    leaves, structure = flatten(value)
    return unflatten(
        structure, [host.copy(leaf) if host.is_traced(leaf) else leaf for leaf in leaves]
    )


def is_unbound(value: Any) -> bool:
    """Whether a variable is unbound on at least one path."""
    return value is UNBOUND or type(value) is Undefined


def is_array(value: Any, host: Host) -> bool:
    """Whether a leaf is an array or a number, which a loop can carry."""
    if host.is_traced(value) or type(value) in NUMBERS:
        return True
    return isinstance(value, (np.ndarray, np.generic)) and kind_of(value.dtype) in "biufc"


def is_same(first: Any, second: Any) -> bool:
    """Whether two leaves that are no arrays are the same."""
    if first is second:
        return True
    return (
        type(first) is type(second)
        and isinstance(first, (str, bytes, *NUMBERS))
        and first == second
    )


def default_type(value: Any, host: Host) -> Type:
    """The dtype and shape that a leaf has by itself."""
    if type(value) in NUMBERS:
        return np.dtype(_DEFAULTS[type(value)]), ()
    return host.dtype_and_shape(value)


def is_number(value: Any, host: Host) -> bool:
    """Whether a value is a Python number, or a traced one, which takes the dtype of what it
    meets."""
    return type(value) in NUMBERS or (host.is_traced(value) and host.is_number(value))


def widens(dtype: np.dtype[Any], other: np.dtype[Any]) -> bool:
    """Whether a Python number whose own dtype is `dtype` may take the `other`: its kind, or a wider
    one."""
    if "b" in (dtype.kind, other.kind):
        return dtype == other
    return "uifc".index(kind_of(other)) >= "uifc".index(kind_of(dtype)) - (dtype.kind == "i")


def joint_dtype(first: Any, second: Any, host: Host) -> np.dtype[Any] | None:
    """The dtype of a value that is `first` or `second`; None if they do not agree.

    A Python number takes the dtype of the other side if that is of its kind, or of a wider one.
    """
    (one, shape), (two, other_shape) = default_type(first, host), default_type(second, host)
    if shape != other_shape:
        return None
    if one == two:
        return one
    if is_number(first, host) and widens(one, two):
        return two
    if is_number(second, host) and widens(two, one):
        return one
    return None


def describe(value: Any, host: Host) -> str:
    """A value's type in words, for errors."""
    if is_unbound(value):
        return "nothing"
    if host.is_traced(value) or isinstance(value, (np.ndarray, np.generic)):
        dtype, shape = host.dtype_and_shape(value)
        return f"{dtype.name}{list(shape)}" if shape else f"a {dtype.name}"
    if value is None or type(value) in NUMBERS:
        return f"the Python value {value!r}"
    if isinstance(value, (list, tuple, dict)):
        leaves, structure = flatten(value)
        inner = ", ".join(describe(leaf, host) for leaf in leaves[:6])
        return f"a {type(value).__name__} of {structure.num_leaves} leaves ({inner})"
    return f"a {type(value).__name__} ({value!r:.40})"
