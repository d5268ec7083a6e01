"""What one native entry accepts and what it returns: plain data, hashable, checked when made.

A `CallSpec` holds one tree for each positional argument and one tree for the result. Leaves of the
arguments, in the order in which they stand, become the kernel's inputs; leaves of the result become
its outputs. `codegen.dispatch.abi` says what the kernel finds behind each pointer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from tracer.types import kind_of

_KINDS = "biufc"
_PYTHON_SCALARS: dict[type, np.dtype[Any]] = {
    float: np.dtype(np.float64),
    int: np.dtype(np.int64),
    bool: np.dtype(np.bool_),
    complex: np.dtype(np.complex128),
}


def _check_dtype(dtype: np.dtype[Any]) -> None:
    plain = kind_of(dtype) in _KINDS and dtype.char not in "gG" and dtype.names is None
    if not plain or not dtype.isnative:
        raise ValueError(f"an entry cannot take or give arrays of dtype {dtype!r}")


@dataclass(frozen=True, slots=True)
class ArrayLeaf:
    """An ndarray, exactly of that class, aligned, in native byte order.

    As an argument: C-contiguous where `strides` is None, else with just these strides in bytes.
    With `writeable` False, read-only arrays are accepted too. As a result: fresh, C-contiguous.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    strides: tuple[int, ...] | None = None
    writeable: bool = True

    def __post_init__(self) -> None:
        _check_dtype(self.dtype)
        if any(size < 0 for size in self.shape):
            raise ValueError(f"negative dimension in the shape {self.shape}")
        if self.strides is not None and len(self.strides) != len(self.shape):
            raise ValueError(f"strides {self.strides} do not fit the shape {self.shape}")


@dataclass(frozen=True, slots=True)
class ScalarLeaf:
    """A Python float, int, bool or complex, or a NumPy scalar, exactly of the class `kind`."""

    kind: type

    def __post_init__(self) -> None:
        if self.kind not in _PYTHON_SCALARS:
            if not (isinstance(self.kind, type) and issubclass(self.kind, np.generic)):
                raise ValueError(f"{self.kind!r} is no class of scalars")
            _check_dtype(self.dtype)
            if self.dtype.type is not self.kind:
                raise ValueError(f"{self.kind!r} is not the class of any dtype's scalars")

    @property
    def dtype(self) -> np.dtype[Any]:
        """dtype of what the kernel reads or writes: int64 for a Python int, and so on."""
        known = _PYTHON_SCALARS.get(self.kind)
        return np.dtype(self.kind) if known is None else known

    @property
    def is_python(self) -> bool:
        """True for Python's own four classes."""
        return self.kind in _PYTHON_SCALARS


@dataclass(frozen=True, slots=True, eq=False)
class ObjectLeaf:
    """Just this object, by identity (None, a static argument). The kernel does not see it."""

    value: object

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ObjectLeaf) and other.value is self.value

    def __hash__(self) -> int:
        return hash((ObjectLeaf, id(self.value)))


@dataclass(frozen=True, slots=True)
class TupleNode:
    """A tuple, or as an argument a named tuple where `kind` is its class."""

    children: tuple[Node, ...]
    kind: type[tuple[Any, ...]] = tuple

    def __post_init__(self) -> None:
        if not issubclass(self.kind, tuple):
            raise ValueError(f"{self.kind!r} is no class of tuples")


@dataclass(frozen=True, slots=True)
class ListNode:
    """A list of fixed length."""

    children: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class DictNode:
    """A dict with just these keys, inserted in any order; leaves follow the order given here."""

    items: tuple[tuple[str, Node], ...]

    def __post_init__(self) -> None:
        keys = [key for key, _ in self.items]
        if len(set(keys)) != len(keys) or any(type(key) is not str for key in keys):
            raise ValueError(f"the keys of a dict must be distinct strings, got {keys}")

    @property
    def children(self) -> tuple[Node, ...]:
        """The values' trees."""
        return tuple(child for _, child in self.items)


@dataclass(frozen=True, slots=True)
class CustomNode:
    """Result only: `build(*children)`, called after the kernel (named tuples, dataclasses)."""

    build: Callable[..., object]
    children: tuple[Node, ...]


Leaf: TypeAlias = ArrayLeaf | ScalarLeaf | ObjectLeaf
Node: TypeAlias = Leaf | TupleNode | ListNode | DictNode | CustomNode


def leaves(node: Node) -> Iterator[ArrayLeaf | ScalarLeaf]:
    """The leaves which the kernel sees, from left to right."""
    if isinstance(node, ArrayLeaf | ScalarLeaf):
        yield node
    elif not isinstance(node, ObjectLeaf):
        for child in node.children:
            yield from leaves(child)


def _nodes(node: Node) -> Iterator[Node]:
    yield node
    if not isinstance(node, ArrayLeaf | ScalarLeaf | ObjectLeaf):
        for child in node.children:
            yield from _nodes(child)


def result_leaf(dtype: np.dtype[Any], shape: tuple[int, ...]) -> ArrayLeaf | ScalarLeaf:
    """A result as NumPy gives it: a scalar where `shape` is (), else an array."""
    return ArrayLeaf(dtype, shape) if shape else ScalarLeaf(dtype.type)


@dataclass(frozen=True, slots=True)
class CallSpec:
    """One signature of a function.

    keywords: names of the last arguments, where those are given by keyword, in this order.
    workspace: bytes that the kernel may use while it runs, aligned to 64.
    constants: addresses handed to the kernel after the inputs; whoever makes the entry passes what
    owns the memory as `keep_alive`.
    """

    arguments: tuple[Node, ...]
    result: Node
    workspace: int = 0
    constants: tuple[int, ...] = ()
    keywords: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.keywords) > len(self.arguments):
            count = len(self.arguments)
            raise ValueError(f"{count} arguments cannot have the names {self.keywords}")
        if self.workspace < 0:
            raise ValueError(f"a workspace of {self.workspace} bytes")
        for argument in self.arguments:
            if any(isinstance(node, CustomNode) for node in _nodes(argument)):
                raise ValueError("a CustomNode stands for results only")
        for node in _nodes(self.result):
            if isinstance(node, ArrayLeaf) and node.strides is not None:
                raise ValueError("a result is always C-contiguous")
            if isinstance(node, ScalarLeaf) and node.is_python:
                raise ValueError(f"a result is a NumPy scalar, not a {node.kind.__name__}")
            if isinstance(node, TupleNode) and node.kind is not tuple:
                raise ValueError("a named tuple as a result is a CustomNode")

    @property
    def inputs(self) -> tuple[ArrayLeaf | ScalarLeaf, ...]:
        """The kernel's inputs, in order, without the constants."""
        return tuple(leaf for argument in self.arguments for leaf in leaves(argument))

    @property
    def outputs(self) -> tuple[ArrayLeaf | ScalarLeaf, ...]:
        """The kernel's outputs, in order."""
        return tuple(leaves(self.result))

    @property
    def bytes_needed(self) -> int:
        """Bytes of all results and of the workspace."""
        arrays = (leaf for leaf in self.outputs if isinstance(leaf, ArrayLeaf))
        sizes = (math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in arrays)
        return self.workspace + sum(sizes)
