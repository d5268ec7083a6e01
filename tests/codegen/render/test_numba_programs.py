"""Whole programs: what Numba makes of reductions, products, merged loops and workspace."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from codegen.loops.build import index, integer, loop, operation
from codegen.loops.nodes import Call as KernelCall
from codegen.loops.nodes import Load, Program, Store, View
from codegen.render.numba_call import compile_numba
from tests.codegen.programs import INT, buffer, i, j, matrix_reduction

Array = np.ndarray[Any, np.dtype[Any]]
RNG = np.random.default_rng(2)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    ("name", "first", "plain"), [("maximum", -np.inf, np.max), ("minimum", np.inf, np.min)]
)
def test_nan_wins_a_maximum_wherever_it_stands(
    name: str, first: float, plain: Callable[[Array], Any], dtype: type
) -> None:
    run = compile_numba(matrix_reduction(name, dtype, first))
    x = RNG.normal(size=(40, 25)).astype(dtype)
    assert run([x])[0] == plain(x)
    for place in ((0, 0), (3, 7), (39, 24), (17, 12)):
        with_nan = x.copy()
        with_nan[place] = np.nan
        assert np.isnan(run([with_nan])[0])
    assert np.isinf(run([np.full((40, 25), first, dtype)])[0])


@pytest.mark.parametrize("dtype", ["f4", "c16", "i8", "?"])
def test_matrix_products_of_every_kind_of_dtype(dtype: str) -> None:
    kind = np.dtype(dtype)
    x, y = buffer("x", (3, 4), "input", kind), buffer("y", (5, 4), "input", kind)
    z, row = buffer("z", (3, 5), "output", kind), buffer("row", (5,), "output", kind)
    column, dot = buffer("column", (3,), "output", kind), buffer("dot", (), "output", kind)
    first = View(y, (integer(2),))
    body = (
        KernelCall("matmul", (View(z),), (View(x), View(y, (), (1, 0)))),
        KernelCall("matmul", (View(row),), (View(x, (integer(1),)), View(y, (), (1, 0)))),
        KernelCall("matmul", (View(column),), (View(x), first)),
        KernelCall("matmul", (View(dot),), (View(x, (integer(1),)), first)),
    )
    program = Program("products", (x, y), (z, row, column, dot), (), (), body)
    a = (RNG.normal(size=(3, 4)) * 5).astype(kind)
    b = (RNG.normal(size=(5, 4)) * 5).astype(kind)
    results = compile_numba(program)([a, b])
    expected = [a @ b.T, a[1] @ b.T, a @ b[2], a[1] @ b[2]]
    for got, wanted in zip(results, expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-5 if dtype == "f4" else 1e-12)


def test_merged_loops_keep_index_values_and_gaps_apart() -> None:
    x, y = buffer("x", (3, 4, 5), "input"), buffer("y", (3, 5, 4), "output")
    k = index("k")
    body = loop("i", 3, loop("j", 4, loop("k", 5, Store(y, (i, k, j), Load(x, (i, j, k))))))
    program = Program("swapped", (x,), (y,), (), (), (body,))
    data = RNG.normal(size=(3, 4, 5))
    np.testing.assert_array_equal(compile_numba(program)([data])[0], data.transpose(0, 2, 1))


def test_workspace_of_several_dtypes() -> None:
    x, y = buffer("x", (6,), "input"), buffer("y", (6,), "output")
    order = buffer("order", (6,), "workspace", INT)
    doubled = buffer("doubled", (6,), "workspace")
    body = (
        loop("i", 6, Store(order, (i,), operation("subtract", integer(5), i))),
        loop("i", 6, Store(doubled, (i,), operation("add", Load(x, (i,)), Load(x, (i,))))),
        loop("i", 6, Store(y, (i,), Load(doubled, (Load(order, (i,)),)))),
    )
    program = Program("reversed", (x,), (y,), (), (order, doubled), body)
    run = compile_numba(program)
    data = RNG.normal(size=6)
    np.testing.assert_array_equal(run([data])[0], 2 * data[::-1])
    assert run.workspace_bytes == 128
