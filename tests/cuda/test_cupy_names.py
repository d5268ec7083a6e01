"""CuPy and CUDA's bindings have every name that the driver uses; neither needs a GPU for that."""

from __future__ import annotations

import ast
import ctypes
import functools
import importlib
import inspect
from pathlib import Path

import pytest

from codegen.cuda import adoption, arrays, cupy_driver, driver, products_lt
from codegen.cuda.packing import Packed

ROOTS = {
    "cupy": "cupy",
    "self.cupy": "cupy",
    "runtime": "cupy.cuda.runtime",
    "self.bindings": "cuda.bindings.driver",
}
NUMPY_LIKE = ("copy", "data", "device", "dtype", "flags", "get", "nbytes", "reshape", "shape")
MEMBERS = {
    "cupy.ndarray": (
        *NUMPY_LIKE,
        "size",
        "strides",
        "view",
        "transpose",
        "__getitem__",
        "_c_contiguous",
    ),
    "cupy.cuda.MemoryPointer": (
        "ptr",
        "mem",
        "device_id",
        "memset_async",
        "copy_from_device_async",
        "copy_to_host_async",
        "__add__",
    ),
    "cupy.cuda.Device": ("id", "attributes", "compute_capability", "mem_info", "__enter__"),
    "cupy.cuda.Stream.null": ("ptr",),
    "cupy.cuda.Stream": (
        "begin_capture",
        "end_capture",
        "synchronize",
        "is_capturing",
        "__enter__",
    ),
    "cupy.cuda.Event": ("record", "done", "synchronize"),
    "cupy.cuda.PinnedMemoryPointer": ("ptr", "size"),
    "cupy.cuda.MemoryPool": ("malloc",),
    "cupy.cuda.function.Module": ("load", "get_function"),
    "cupy.cuda.function.Function": ("ptr",),
    "cupy.cuda.graph.Graph": ("graphExec", "launch"),
    "cupy.cuda.runtime.PointerAttributes": ("type", "device"),
}


def resolve(dotted: str) -> object:
    """The object of a dotted name of a package."""
    parts = dotted.split(".")
    for count in range(len(parts), 0, -1):
        try:
            module = importlib.import_module(".".join(parts[:count]))
        except ImportError:
            continue
        return functools.reduce(getattr, parts[count:], module)
    raise ImportError(dotted)


def used_names() -> set[str]:
    """What the driver's files ask of the two packages, as dotted names."""
    found = set()
    for module in (adoption, arrays, cupy_driver, driver, products_lt):
        for node in ast.walk(ast.parse(Path(inspect.getfile(module)).read_text("utf-8"))):
            text = ast.unparse(node) if isinstance(node, ast.Attribute) else ""
            for root, package in ROOTS.items():
                rest = text.removeprefix(f"{root}.")
                if rest != text and all(part.isidentifier() for part in rest.split(".")):
                    found.add(f"{package}.{rest}")
    return found


@pytest.mark.parametrize("name", sorted(used_names()))
def test_the_name_exists(name: str) -> None:
    assert resolve(name) is not None


@pytest.mark.parametrize(
    ("owner", "member"), [(owner, name) for owner, names in MEMBERS.items() for name in names]
)
def test_the_member_exists(owner: str, member: str) -> None:
    assert hasattr(resolve(owner), member)


def test_names_are_found() -> None:
    names = used_names()
    assert {"cupy.cuda.alloc", "cuda.bindings.driver.cuLaunchKernel"} <= names
    with pytest.raises(AttributeError):
        resolve("cupy.cuda.no_such_name")


def test_what_cuda_is_told_of_a_node_points_to_the_words() -> None:
    bindings = importlib.import_module("cuda.bindings.driver")
    packed = Packed([3, 2**64 - 1])
    params = bindings.CUDA_KERNEL_NODE_PARAMS()
    params.func, params.gridDimX = bindings.CUfunction(1234), 7
    params.kernelParams = packed.pointers
    # CUfunction; seven unsigned ints, and room to align; then the address of the addresses.
    fields = (ctypes.c_uint64 * 6).from_address(params.getPtr())
    assert (fields[0], fields[1]) == (1234, 7)
    places = (ctypes.c_uint64 * 2).from_address(fields[5])
    assert [ctypes.c_uint64.from_address(place).value for place in places] == [3, 2**64 - 1]
    packed.fill([4, 5])
    assert [ctypes.c_uint64.from_address(place).value for place in places] == [4, 5]
