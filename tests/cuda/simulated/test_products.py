"""Matrix products by the threads of a group, and in tiles, in the simulator."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from codegen.cuda.simulator_driver import SimulatorDriver
from codegen.device.products import TILINGS, Product, Tiling, choose_tiling
from codegen.device.schedule import Argument, Kernel
from codegen.render.cuda_products import (
    Operand,
    ProductKernel,
    group_product,
    product_kernel,
)

Array = np.ndarray[Any, np.dtype[Any]]
SMALL = Tiling(4, 4, 4, 2, 2)
FLAT = Tiling(2, 4, 2, 1, 2)
random = np.random.default_rng(3)


def whole(dtype: str, *shape: int) -> Array:
    """Whole numbers, of which products and sums are exact."""
    values = random.integers(-3, 4, shape)
    return (values + 1j * random.integers(-3, 4, shape) if dtype[0] == "c" else values).astype(
        dtype
    )


def run(source: str, c: Array, a: Array, b: Array, blocks: int, threads: int) -> Array:
    """c afterwards; its memory is given as it is."""
    driver = SimulatorDriver()
    arguments = (
        Argument("c", c.dtype, written=True),
        Argument("a", a.dtype),
        Argument("b", b.dtype),
    )
    loaded = driver.load(Kernel("product", source, arguments))
    uploaded = [driver.upload(np.ascontiguousarray(array).ravel()) for array in (c, a, b)]
    driver.launch(loaded, blocks, threads, [driver.span(array) for array in uploaded])
    return driver.download(uploaded[0]).reshape(c.shape)


def grouped(lines: list[str]) -> str:
    head = [
        "import math",
        "import numpy as np",
        "from numba import cuda",
        "",
        "def product(c, a, b):",
    ]
    body = ["lane = cuda.threadIdx.x", *lines]
    return "\n".join(head + ["    " + line for line in body]) + "\n"


@pytest.mark.parametrize("dtype", ["f8", "f4", "f2", "c16", "c8", "i8", "i2", "?"])
@pytest.mark.parametrize("flipped", [(False, False), (True, False), (False, True)])
def test_a_group(dtype: str, flipped: tuple[bool, bool]) -> None:
    m, k, n = 3, 4, 5
    a, b = whole(dtype, m, k), whole(dtype, k, n)
    memory = [x.T if flip else x for x, flip in zip((a, b), flipped, strict=True)]
    first = Operand("a", "2", *((1, m) if flipped[0] else (k, 1)))
    second = Operand("b", "0", *((1, k) if flipped[1] else (n, 1)))
    padded = np.concatenate([np.zeros(2, dtype), np.ascontiguousarray(memory[0]).ravel()])
    c = np.full((m, n + 1), 7, dtype)
    for size, threads in (("4", 4), ("1", 1)):
        lines = group_product(
            Operand("c", "1", n + 1, 1), first, second, m, k, n, np.dtype(dtype), "lane", size
        )
        found = run(grouped(lines), c, padded, memory[1], 1, threads).ravel()
        due = c.copy()
        due[:, 1:] = a @ b
        np.testing.assert_array_equal(found, due.ravel())


def test_a_group_sums_half_precision_in_single() -> None:
    ones = np.ones((1, 3000), np.float16)
    lines = group_product(
        Operand("c", "0", 1, 1),
        Operand("a", "0", 3000, 1),
        Operand("b", "0", 1, 1),
        *(1, 3000, 1),
        np.dtype(np.float16),
        "lane",
        "1",
    )
    found = run(grouped(lines), np.zeros((1, 1), np.float16), ones, ones, 1, 1)
    assert found.item() == 3000.0  # in float16 the sum would stop at 2048


@pytest.mark.parametrize("sizes", [(4, 3, 4), (8, 6, 4), (5, 7, 6), (3, 2, 9), (1, 1, 1)])
@pytest.mark.parametrize("flipped", [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize("tiling", [SMALL, FLAT], ids=["4x4", "2x4"])
def test_tiles(sizes: tuple[int, int, int], flipped: tuple[bool, bool], tiling: Tiling) -> None:
    m, k, n = sizes
    a, b = whole("f4", m, k), whole("f4", k, n)
    memory = [x.T if flip else x for x, flip in zip((a, b), flipped, strict=True)]
    kernel = product_kernel(m, k, n, np.dtype("f4"), *flipped, tiling=tiling)
    c = np.full((m, n), np.nan, np.float32)
    found = run(kernel.source, c, *memory, kernel.blocks(2), kernel.threads)
    np.testing.assert_array_equal(found, a @ b)


@pytest.mark.parametrize("dtype", ["f8", "f2"])
def test_tiles_of_other_dtypes(dtype: str) -> None:
    a, b = whole(dtype, 5, 7), whole(dtype, 7, 3)
    kernel = product_kernel(5, 7, 3, np.dtype(dtype), tiling=SMALL)
    c = np.full((5, 3), np.nan, dtype)
    found = run(kernel.source, c, a, b, kernel.blocks(2), kernel.threads)
    np.testing.assert_array_equal(found, a @ b)


@pytest.mark.parametrize("shared", [False, True])
def test_stacks(shared: bool) -> None:
    """Several products in one launch, of one b or of many."""
    a, b = whole("f8", 3, 5, 4), whole("f8", 1 if shared else 3, 4, 2)
    product = Product(5, 4, 2, np.dtype("f8"), count=3, strides=(20, 0 if shared else 8))
    kernel = ProductKernel(product, SMALL)
    c = np.full((3, 5, 2), np.nan)
    found = run(kernel.source, c, a, b, kernel.blocks(2), kernel.threads)
    np.testing.assert_array_equal(found, a @ b)


def test_what_is_made_of_the_sums() -> None:
    """Something else than the sum is kept, with more parameters."""
    a, b, bias = whole("f8", 5, 4), whole("f8", 4, 6), whole("f8", 6)

    def store(stack: str, row: str, column: str, value: str) -> list[str]:
        return [f"c[{row} * 6 + {column}] = max({value} + bias[{column}], 0.0)"]

    kernel = ProductKernel(
        Product(5, 4, 6, np.dtype("f8")),
        SMALL,
        more=("bias",),
        head=("if bias[0] > 100.0:", "    return"),
        store=store,
    )
    driver = SimulatorDriver()
    arguments = [Argument(name, np.dtype("f8"), written=name == "c") for name in ("c", "a", "b")]
    arguments.append(Argument("bias", np.dtype("f8")))
    loaded = driver.load(Kernel("product", kernel.source, tuple(arguments)))
    uploaded = [driver.upload(x) for x in (np.full(30, np.nan), a.ravel(), b.ravel(), bias)]
    spans = [driver.span(array) for array in uploaded]
    driver.launch(loaded, kernel.blocks(2), kernel.threads, spans)
    due = np.maximum(a @ b + bias, 0.0)
    np.testing.assert_array_equal(driver.download(uploaded[0]).reshape(5, 6), due)


def test_the_choice_of_tiles() -> None:
    f4 = np.dtype("f4")
    assert choose_tiling(Product(1024, 64, 1024, f4)) == TILINGS[0]
    assert choose_tiling(Product(64, 64, 64, f4, count=500)) == TILINGS[0]
    assert choose_tiling(Product(256, 256, 256, f4)) == TILINGS[-1]
    assert choose_tiling(Product(256, 256, 256, f4), processors=64) == TILINGS[1]
    assert choose_tiling(Product(8, 8, 8, f4, count=5000)) == TILINGS[-1]
    assert [tiling.threads for tiling in TILINGS] == [256, 128, 256, 256]


def test_what_has_no_tiles() -> None:
    with pytest.raises(TypeError, match="float16, float32 and float64"):
        assert product_kernel(4, 4, 4, np.dtype("i4")).source
    with pytest.raises(ValueError, match="nothing to multiply"):
        assert product_kernel(4, 0, 4, np.dtype("f4")).source
    with pytest.raises(ValueError, match="powers of two"):
        Tiling(4, 4, 4, 3, 1)
    for depth in (2, 32):
        with pytest.raises(ValueError, match="equally much"):
            Tiling(4, 4, depth)
