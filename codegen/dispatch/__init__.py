"""From a Python call to machine code and back, in tens of nanoseconds.

`make_entry` turns a signature (`CallSpec`) and a kernel's address (`codegen.dispatch.abi`) into a
callable; `make_dispatcher` chains the entries of several signatures; `function_class` is the class
of public functions, which have attributes and are called as fast. Nothing here knows of graphs.
"""

from __future__ import annotations

from codegen.dispatch.abi import KernelCode, default_error
from codegen.dispatch.compile import ObjectStore, use_object_store
from codegen.dispatch.entry import (
    Entry,
    as_builtin,
    make_dispatcher,
    make_entry,
)
from codegen.dispatch.function import function_class
from codegen.dispatch.python_entry import make_python_entry
from codegen.dispatch.runtime import native_entry_available
from codegen.dispatch.signals import signal_check_address
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
    leaves,
    result_leaf,
)
from codegen.dispatch.workspace import trim_workspace, workspace_size

__all__ = [
    "ArrayLeaf", "CallSpec", "CustomNode", "DictNode", "ListNode", "Node", "ObjectLeaf",
    "ScalarLeaf", "TupleNode", "leaves", "result_leaf",
    "Entry", "as_builtin", "make_dispatcher", "make_entry", "make_python_entry",
    "native_entry_available", "signal_check_address",
    "KernelCode", "default_error",
    "function_class",
    "trim_workspace", "workspace_size",
    "ObjectStore", "use_object_store",
]  # fmt: skip
