"""The same entry in plain Python and ctypes, for interpreters which native entries do not serve."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from codegen.dispatch.abi import (
    STATUS_WORDS,
    ErrorHandler,
    KernelArguments,
    KernelCode,
    default_error,
    workspace_error,
)
from codegen.dispatch.memory import CHECKED, memory_error
from codegen.dispatch.spec import (
    ArrayLeaf,
    CallSpec,
    CustomNode,
    DictNode,
    ListNode,
    Node,
    ObjectLeaf,
    ScalarLeaf,
    TupleNode,
)

_INT64 = range(-(2**63), 2**63)
_ALIGNMENT = 64


class _MismatchError(Exception):
    """An argument does not fit the signature."""


def _require(condition: bool) -> None:
    if not condition:
        raise _MismatchError


def _check_array(leaf: ArrayLeaf, value: Any) -> np.ndarray[Any, Any]:
    _require(type(value) is np.ndarray)
    array: np.ndarray[Any, Any] = value
    same = (array.dtype.kind, array.dtype.itemsize) == (leaf.dtype.kind, leaf.dtype.itemsize)
    same = same and (leaf.dtype.kind != "V" or array.dtype == leaf.dtype)
    _require(same and array.dtype.isnative and array.shape == leaf.shape)
    flags = array.flags
    _require(flags.aligned and (flags.writeable or not leaf.writeable))
    _require(flags.c_contiguous if leaf.strides is None else array.strides == leaf.strides)
    return array


def _scalar_memory(leaf: ScalarLeaf, value: Any) -> np.ndarray[Any, Any]:
    _require(type(value) is leaf.kind)
    if leaf.kind is int:
        _require(value in _INT64)
    return np.array(value, dtype=leaf.dtype)


def _gather(node: Node, value: Any) -> Iterator[np.ndarray[Any, Any]]:
    """The memory of every leaf of one argument; raises _MismatchError."""
    if isinstance(node, ArrayLeaf):
        yield _check_array(node, value)
    elif isinstance(node, ScalarLeaf):
        yield _scalar_memory(node, value)
    elif isinstance(node, ObjectLeaf):
        _require(value is node.value)
    elif isinstance(node, DictNode):
        _require(type(value) is dict and len(value) == len(node.items))
        _require(all(type(key) is str for key in value))
        for key, child in node.items:
            _require(key in value)
            yield from _gather(child, value[key])
    elif isinstance(node, TupleNode | ListNode):
        kind = list if isinstance(node, ListNode) else node.kind
        _require(type(value) is kind and len(value) == len(node.children))
        for child, item in zip(node.children, value, strict=True):
            yield from _gather(child, item)


def _build(node: Node, outputs: Iterator[np.ndarray[Any, Any]]) -> Any:
    if isinstance(node, ArrayLeaf):
        return next(outputs)
    if isinstance(node, ScalarLeaf):
        return next(outputs)[()]
    if isinstance(node, ObjectLeaf):
        return node.value
    children = [_build(child, outputs) for child in node.children]
    if isinstance(node, DictNode):
        keys = (key for key, _ in node.items)
        return dict(zip(keys, children, strict=True))
    if isinstance(node, CustomNode):
        return node.build(*children)
    return children if isinstance(node, ListNode) else tuple(children)


def _pointers(arrays: list[np.ndarray[Any, Any]], more: tuple[int, ...] = ()) -> Any:
    addresses = [array.ctypes.data for array in arrays]
    count = len(addresses) + len(more)
    return (ctypes.c_void_p * max(count, 1))(*addresses, *more)


class PythonEntry:
    """One signature's callable; made by `make_python_entry`."""

    def __init__(
        self,
        spec: CallSpec,
        kernel: Callable[..., int],
        slow_path: Callable[..., Any],
        on_error: ErrorHandler,
        keep_alive: object,
    ) -> None:
        self.next = slow_path
        self.keep = (spec, keep_alive)
        self._spec = spec
        self._kernel = kernel
        self._on_error = on_error

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the kernel where the arguments fit, else call `next` with the same arguments."""
        fits = tuple(kwargs) == self._spec.keywords
        inputs = self._inputs((*args, *kwargs.values())) if fits else None
        if inputs is None:
            return self.next(*args, **kwargs)
        needed = self._spec.bytes_needed
        error = memory_error(needed, "a compiled function") if needed >= CHECKED else None
        if error is not None:
            raise error
        outputs = [np.empty(_shape(leaf), leaf.dtype) for leaf in self._spec.outputs]
        self._run(inputs, outputs)
        return _build(self._spec.result, iter(outputs))

    def _inputs(self, args: tuple[Any, ...]) -> list[np.ndarray[Any, Any]] | None:
        if len(args) != len(self._spec.arguments):
            return None
        try:
            pairs = zip(self._spec.arguments, args, strict=True)
            return [memory for node, value in pairs for memory in _gather(node, value)]
        except _MismatchError:
            return None

    def _run(
        self, inputs: list[np.ndarray[Any, Any]], outputs: list[np.ndarray[Any, Any]]
    ) -> None:
        size = self._spec.workspace
        try:
            workspace = np.empty(size + _ALIGNMENT, np.uint8) if size else np.empty(1, np.uint8)
        except (MemoryError, ValueError):
            raise workspace_error(size) from None
        status = (ctypes.c_int64 * STATUS_WORDS)()
        aligned = -(-workspace.ctypes.data // _ALIGNMENT) * _ALIGNMENT
        pointers = _pointers(inputs, self._spec.constants), _pointers(outputs)
        try:
            code = self._kernel(*pointers, aligned, status)
        except SystemError as error:
            # ctypes finds the exception that the kernel has set, and wraps it.
            raise error.__cause__ or error from None
        if code not in (KernelCode.OK, KernelCode.PYTHON_ERROR):
            first, second, third, fourth = status
            raise self._on_error(code, (first, second, third, fourth))


def _shape(leaf: ArrayLeaf | ScalarLeaf) -> tuple[int, ...]:
    return leaf.shape if isinstance(leaf, ArrayLeaf) else ()


def make_python_entry(
    spec: CallSpec,
    kernel_address: int,
    slow_path: Callable[..., Any],
    *,
    keep_alive: object = None,
    on_error: ErrorHandler = default_error,
    release_gil: bool = False,
) -> PythonEntry:
    """`make_entry` without machine code of its own: the same behaviour, some 20 µs a call."""
    prototype = ctypes.CFUNCTYPE if release_gil else ctypes.PYFUNCTYPE
    kernel = prototype(ctypes.c_int32, *KernelArguments)(kernel_address)
    return PythonEntry(spec, kernel, slow_path, on_error, keep_alive)
