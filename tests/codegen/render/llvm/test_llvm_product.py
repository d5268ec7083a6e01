"""Matrix products in tiles, on every vector width: sizes around tiles and blocks, operands that lie
transposed, special values, no access outside.
"""

from __future__ import annotations

import ctypes
import itertools
from typing import Any

import llvmlite.binding as llvm
import numpy as np
import pytest

from codegen.loops.nodes import Call, Program, View
from codegen.lower.graph import lower_graph
from codegen.passes.pipeline import optimize
from codegen.passes.products import is_product, use_products
from codegen.render.llvm_call import compile_llvm
from codegen.render.llvm_machine import object_code, target_machine
from codegen.render.llvm_product_text import (
    PRODUCT_PARAMETERS,
    library_text,
    product_name,
)
from codegen.render.llvm_product_writer import Tile, tile_for
from kernels import product as sizes
from kernels.product import scratch_elements
from tests.codegen.programs import FLOAT, buffer
from tracer import grad, jit, vmap

Array = np.ndarray[Any, np.dtype[Any]]
RNG = np.random.default_rng(7)
WIDTHS = [16, 32, 64]
SHAPES = [
    (1, 1, 1),
    (2, 3, 5),
    (4, 8, 12),
    (5, 1, 13),
    (9, 17, 25),
    (97, 33, 31),
    (3, sizes.DEPTH_BLOCK + 1, 14),
    (sizes.ROW_BLOCK + 3, 7, 50),
    (6, 5, sizes.COLUMN_BLOCK + 26),
    (sizes.ROW_BLOCK + 1, sizes.DEPTH_BLOCK + 44, 37),
]
"""Rows, depth, columns."""


class Library:
    """The product of a tile, called with arrays; guards lie around everything that is written."""

    def __init__(self, tile: Tile, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype
        self.engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), target_machine())
        code = object_code(library_text(tile))
        self.engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        self.engine.finalize_object()
        kinds = [part.split()[0] for part in PRODUCT_PARAMETERS.split(", ")]
        types = {"ptr": ctypes.c_void_p, "i64": ctypes.c_int64, "i1": ctypes.c_bool}
        prototype = ctypes.CFUNCTYPE(None, *(types[kind] for kind in kinds))
        self.function = prototype(self.engine.get_function_address(product_name(tile)))

    def __call__(self, left: Array, right: Array, packing: tuple[bool, ...]) -> Array:
        rows, depth = left.shape
        columns = right.shape[1]
        guard = 64
        result = np.full(rows * columns + 2 * guard, 7.0, self.dtype)
        scratch = np.full(scratch_elements(rows, columns, depth) + 2 * guard, 7.0, self.dtype)
        size = self.dtype.itemsize
        self.function(
            left.ctypes.data,
            *(stride // size for stride in left.strides),
            right.ctypes.data,
            *(stride // size for stride in right.strides),
            result[guard:].ctypes.data,
            columns,
            *(rows, columns, depth),
            scratch[guard:].ctypes.data,
            *packing,
            False,
        )
        for memory in (result, scratch):
            assert (memory[:guard] == 7.0).all(), "nothing is written in front of the array"
            assert (memory[-guard:] == 7.0).all(), "nothing is written behind the array"
        return result[guard:-guard].reshape(rows, columns)


@pytest.fixture(scope="module", params=itertools.product(WIDTHS, ["f4", "f8"]), ids=str)
def library(request: pytest.FixtureRequest) -> Library:
    """The product for one width of vectors and one dtype."""
    vector_bytes, name = request.param
    dtype = np.dtype(name)
    return Library(tile_for(dtype.itemsize, vector_bytes), dtype)


def matrix(rows: int, columns: int, flipped: bool, dtype: np.dtype[Any]) -> Array:
    """Random numbers; `flipped` lies in memory with its axes exchanged. NaN follow."""
    guarded = np.full(rows * columns + 64, np.nan, dtype)
    guarded[: rows * columns] = RNG.normal(size=rows * columns)
    part = guarded[: rows * columns]
    return part.reshape(columns, rows).T if flipped else part.reshape(rows, columns)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_products(library: Library, shape: tuple[int, int, int]) -> None:
    rows, depth, columns = shape
    for flipped in itertools.product((False, True), repeat=2):
        left = matrix(rows, depth, flipped[0], library.dtype)
        right = matrix(depth, columns, flipped[1], library.dtype)
        exact = left.astype(np.longdouble) @ right.astype(np.longdouble)
        bound = np.abs(left).astype(np.float64) @ np.abs(right).astype(np.float64)
        tolerance = (depth + 2) * np.finfo(library.dtype).eps * bound
        for packing in itertools.product((False, True), repeat=2):
            if flipped[1] and not packing[1]:
                continue  # columns of B are then not contiguous
            got = library(left, right, packing)
            assert (np.abs(got - exact) <= tolerance).all(), (flipped, packing)


def test_nothing_to_sum(library: Library) -> None:
    left, right = np.ones((5, 0), library.dtype), np.ones((0, 14), library.dtype)
    np.testing.assert_array_equal(library(left, right, (False, False)), np.zeros((5, 14)))


@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
def test_special_values_stay_in_their_row_and_column(library: Library, special: float) -> None:
    left = np.abs(matrix(9, 20, False, library.dtype)) + 1
    right = np.abs(matrix(20, 14, False, library.dtype)) + 1
    wanted = left @ right
    left[8, 3] = right[5, 13] = special
    wanted[8] = wanted[:, 13] = special
    for packing in itertools.product((False, True), repeat=2):
        np.testing.assert_allclose(library(left, right, packing), wanted, rtol=1e-5)


DTYPES = ["f4", "f8", "c8", "c16", "i8", "i4", "?"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(12, 9, 16), (40, 30, 20), (1, 50, 40), (40, 50, 1), (0, 8, 8)])
def test_compiled_like_numpy(shape: tuple[int, int, int], dtype: str) -> None:
    rows, depth, columns = shape
    for empty in (False, True):
        deep = 0 if empty else depth
        left = RNG.integers(-4, 5, (rows, deep)).astype(dtype)
        right = RNG.integers(-4, 5, (columns, deep)).astype(dtype)
        got = jit(lambda a, b: a @ b.T, backend="llvm")(left, right)
        np.testing.assert_array_equal(got, left @ right.T, strict=True)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_views_of_every_kind(dtype: str) -> None:
    """Slices, negative steps, transposes and broadcasts of operands; numbers are small integers, so
    that every order of summation gives the same.
    """
    cube = RNG.integers(-4, 5, (3, 40, 32)).astype(dtype)
    square = RNG.integers(-4, 5, (32, 32)).astype(dtype)
    functions = [
        lambda c, s: c @ s,
        lambda c, s: c[1, ::-1] @ s.T,
        lambda c, s: c[:, 5:29, ::-1] @ s[::-1, ::2],
        lambda c, s: np.swapaxes(c, 1, 2) @ c,
        lambda c, s: s.T @ c[2].T,
        lambda c, s: np.einsum("bij,kj->bik", c, s),
        lambda c, s: np.einsum("bij,bik->jk", c, c),
        lambda c, s: vmap(lambda x: x @ s @ x.T)(c),
        lambda c, s: np.broadcast_to(s, (3, 32, 32)) @ np.swapaxes(c, 1, 2),
    ]
    for function in functions:
        got = jit(function, backend="llvm")(cube, square)
        wanted = jit(function, backend="numpy")(cube, square)
        np.testing.assert_array_equal(got, wanted, strict=True)


def test_gradients_of_products() -> None:
    a, b = RNG.normal(size=(20, 30)), RNG.normal(size=(30, 25))

    def loss(x: Any, y: Any) -> Any:
        return np.sum(np.tanh(x @ y) ** 2)

    got = jit(grad(loss, argnums=(0, 1)), backend="llvm")(a, b)
    wanted = jit(grad(loss, argnums=(0, 1)), backend="numpy")(a, b)
    for one, other in zip(got, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-12)


def call_of(rows: int, depth: int, columns: int, dtype: Any = FLOAT) -> tuple[Call, Program]:
    """A program of one product."""
    left = buffer("a", (rows, depth), "input", dtype)
    right = buffer("b", (depth, columns), "input", dtype)
    result = buffer("c", (rows, columns), "output", dtype)
    call = Call("matmul", (View(result),), (View(left), View(right)))
    return call, Program("p", (left, right), (result,), (), (), (call,))


def test_which_products_run_in_tiles() -> None:
    assert is_product(call_of(8, 8, 8)[0], 32)
    assert is_product(call_of(8, 8, 8, np.float32)[0], 16)
    assert not is_product(call_of(8, 8, 8, np.complex128)[0], 32)
    assert not is_product(call_of(8, 8, 8, np.int64)[0], 32)
    assert not is_product(call_of(8, 0, 8)[0], 32)
    assert not is_product(call_of(1, 80, 8)[0], 32)
    assert not is_product(call_of(600, 600, 600)[0], 32), "BLAS has threads"
    assert is_product(call_of(600, 600, 600)[0], 64)


def test_memory_for_panels_is_workspace() -> None:
    _, program = call_of(30, 40, 50)
    changed = use_products(program, 32)
    (packed,) = changed.workspace
    assert packed.shape == (scratch_elements(30, 50, 40),)
    assert use_products(changed, 32) is changed


@pytest.mark.parametrize("mode", ["always", "never"])
def test_threads_share_batches(mode: str) -> None:
    """Each thread packs into memory of its own."""
    batch = RNG.integers(-4, 5, (40, 16, 24)).astype(float)
    other = RNG.integers(-4, 5, (40, 24, 20)).astype(float)
    program = optimize(lower_graph(jit(np.matmul).trace(batch, other).graph))
    compiled = compile_llvm(program, mode)
    for _ in range(20):
        np.testing.assert_array_equal(compiled([batch, other])[0], batch @ other)
