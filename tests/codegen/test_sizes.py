"""One piece of machine code for many sizes: what it computes, and when another is made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracer
from codegen.loops.sizes import SMALL, Recipe, Sizes, is_size, larger, smaller
from codegen.passes.sizes import outline
from codegen.render.llvm_code import number_bits
from tests.codegen import programs

RNG = np.random.default_rng(11)


def mean_of_squares(x: Any) -> Any:
    return np.mean((x[1:] - x[:-1]) ** 2)


def scanned(x: Any) -> Any:
    def step(carry: Any, row: Any) -> Any:
        carry = 0.5 * carry + row
        return carry, np.sum(carry)

    return tracer.scan(step, x[0], x)


def log_sum_exp(x: Any) -> Any:
    largest = np.max(x, axis=1, keepdims=True)
    return largest[:, 0] + np.log(np.sum(np.exp(x - largest), axis=1))


def indexed(x: Any) -> Any:
    places = np.arange(x.shape[0])[::-2]
    return x[places] + x.at[places].add(1.0)[places]


def normalised(x: Any) -> Any:
    return (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0, ddof=1) + 0.1)


PROGRAMS: dict[str, tuple[Callable[..., Any], list[tuple[int, ...]]]] = {
    "elementwise": (lambda x: np.tanh(x) * 3.7 + x, [(1000, 8), (1234, 8), (33, 8), (47, 8)]),
    "sum": (lambda x: np.sum(x, axis=0), [(100, 5), (101, 5), (103, 5), (38, 5)]),
    "row sums": (lambda x: np.sum(x * x, axis=1), [(100, 33), (57, 45), (1000, 61)]),
    "maximum": (lambda x: np.max(x, axis=1), [(39, 50), (34, 41), (80, 177)]),
    "mean": (mean_of_squares, [(1000,), (1024,), (333,)]),
    "matrix product": (lambda x: x @ x.T, [(40, 35), (50, 34), (67, 41)]),
    "small product": (lambda x: x @ np.ones((8, 3)), [(1000, 8), (1234, 8), (3000, 8)]),
    "slices": (lambda x: x[5:-3] * x[8:] - x[:-8], [(100,), (200,), (77,)]),
    "strided": (lambda x: x[::2].sum() + x[1::3], [(200,), (300,), (177,)]),
    "reversed": (lambda x: x[::-1] + x, [(100, 3), (200, 3), (77, 3)]),
    "transposed": (lambda x: x.T * 2.0, [(100, 38), (40, 70), (33, 35)]),
    "concatenated": (lambda x: np.concatenate([x, 2 * x, x[:7]]), [(100,), (60,), (999,)]),
    "reshaped": (lambda x: x.reshape(-1, 4).sum(axis=0), [(100, 8), (120, 8), (300, 8)]),
    "running": (lambda x: np.cumsum(x), [(100,), (60,), (999,)]),
    "masked": (lambda x: np.where(x > 0, x, np.exp(x)), [(100,), (60,), (999,)]),
    "broadcast": (lambda x: x[:, None] * x[None, :], [(40,), (60,), (99,)]),
    "single": (lambda x: (x.astype(np.float32) * 1.3).sum(axis=1), [(50, 70), (60, 65), (90, 99)]),
    "bytes": (lambda x: (x > 0.3).astype(np.int8), [(100,), (60,), (999,)]),
    "complex": (lambda x: (x + 1j * x[::-1]).sum(), [(100,), (60,), (999,)]),
    "sorted": (lambda x: np.sort(x, axis=1), [(100, 9), (90, 9), (33, 9)]),
    "variance": (normalised, [(100, 5), (1000, 5), (54, 5)]),
    "log-sum-exp": (log_sum_exp, [(100, 40), (60, 33), (200, 111)]),
    "scan": (scanned, [(100, 40), (60, 33), (200, 111)]),
    "indexed": (indexed, [(100, 3), (80, 3), (202, 3)]),
    "gradient": (tracer.grad(mean_of_squares), [(1000,), (1024,), (333,)]),
    "gradient of rows": (
        tracer.grad(lambda x: np.sum(log_sum_exp(x) ** 2)),
        [(100, 40), (60, 33), (200, 111)],
    ),
    "gradient of a scan": (
        tracer.grad(lambda x: np.sum(scanned(x)[1] ** 2)),
        [(100, 40), (60, 33), (200, 111)],
    ),
    "Hessian times vector": (
        lambda x: tracer.hvp(mean_of_squares, (x,), (np.ones(x.shape),)),
        [(100,), (60,), (999,)],
    ),
    "batched": (
        tracer.vmap(lambda x: tracer.grad(mean_of_squares)(x)),
        [(100, 5), (60, 5), (200, 5)],
    ),
}


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_one_code_serves_many_sizes(name: str) -> None:
    function, shapes = PROGRAMS[name]
    compiled = tracer.jit(function, backend="llvm", parallel=False)
    for shape in shapes:
        x = RNG.normal(size=shape)
        expected = tracer.jit(function, backend="numpy")(x)
        got = compiled(x)
        for one, other in zip(tracer.tree.leaves(got), tracer.tree.leaves(expected), strict=True):
            assert (one.dtype, one.shape) == (other.dtype, other.shape)
            bound = 1e-5 if one.dtype.itemsize == 4 and one.dtype.kind == "f" else 1e-11
            np.testing.assert_allclose(one, other, rtol=bound, atol=bound)
    info = compiled.cache_info()
    assert info.compiles + info.loaded <= 1, info.reasons
    assert info.reused >= len(shapes) - 1
    assert info.misses == len(shapes)


def doubled(x: Any) -> Any:
    return (x * 2.0).sum(axis=-1)


def test_why_code_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("codegen.render.llvm_code.object_store", lambda: None)
    tracer_code().forget_code()
    f = tracer.jit(doubled, parallel=False)
    for x in (
        np.ones((1000, 8)),
        np.ones((1234, 8)),
        np.ones((1000, 8), np.float32),
        np.ones(50),
        np.ones((1000, 9)),
        np.ones((5, 8)),
        np.ones((1000, 800)),
        2.0 + np.ones((40, 40)),
    ):
        f(x)
    info = f.cache_info()
    assert info.reused == 1
    assert info.compiles == 7
    assert info.reasons[:6] == (
        "first call",
        "new dtype",
        "new rank",
        "a dimension is another small one: axis 1 of array 0, from 8 to 9",
        "a dimension became small: axis 0 of array 0, from 1000 to 5",
        "a dimension is no longer small: axis 0 of array 0, from 5 to 1000",
    )
    assert info.reasons[6] == "other dimensions are equal to each other"
    f.clear_cache()
    assert tuple(f.cache_info()) == (0, 0, 0, 0, 0, 0, ())


def tracer_code() -> Any:
    """The module that keeps machine code in memory."""
    import codegen.render.llvm_code

    return codegen.render.llvm_code


def test_other_relations_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("codegen.render.llvm_code.object_store", lambda: None)
    f = tracer.jit(lambda x: np.exp(-x) @ np.ones((8, 300)), parallel=False)
    for rows in (40, 40000, 50000):
        f(np.ones((rows, 8)))
    assert all(
        reason.startswith("other loop structure: ") for reason in f.cache_info().reasons[1:]
    ), f.cache_info().reasons


def test_static_arguments_and_structure_are_reasons() -> None:
    f = tracer.jit(lambda n, *x: sum(part * n for part in x), static_argnums=0)
    f(3, np.ones(30))
    f(4, np.ones(30))
    f(4, np.ones(30), np.ones(30))
    f(4, 2.0)
    info = f.cache_info()
    assert info.compiles + info.reused + info.loaded == 4
    possible = {"first call", "new static arguments", "new structure of arguments", "new rank"}
    assert set(info.reasons) <= possible


def test_the_reference_compiles_nothing() -> None:
    f = tracer.jit(doubled, backend="numpy")
    f(np.ones((3, 3)))
    info = f.cache_info()
    assert (info.misses, info.compiles, info.reused, info.loaded) == (1, 0, 0, 0)


def test_sizes_compute_and_note_what_was_decided() -> None:
    sizes = Sizes((100, 40))
    n, m = sizes.word(0), sizes.word(1)
    product = (n + 3) * m - m
    assert is_size(product)
    assert product.value == 4080
    assert (n // 7).value == 14
    assert (n % 7).value == 2
    assert (1000 // n).value == 10
    assert n - n == 0
    assert (n + 2) - n == 2
    assert n * 0 == 0
    assert larger(n, 120).value == 120
    assert smaller(5, m).value == 5
    assert n > SMALL
    assert not sizes.guards, "that holds for every size"
    assert n > m
    assert n < 128.5
    assert n != 7.5
    slots = [sizes.slot(part.place, part.offset) for part in (n, product, n + 1)]
    assert slots == [0, 1, 2]
    recipe = Recipe.from_plain(sizes.recipe().plain())
    assert recipe == sizes.recipe()
    assert recipe.table((100, 40)) == [100, 4080, 101]
    assert recipe.table((90, 50)) == [90, 93 * 50 - 50, 91]
    assert recipe.table((128, 40)) == [128, 131 * 40 - 40, 129]
    assert recipe.table((129, 40)) is None
    assert recipe.table((40, 100)) is None
    assert recipe.broken_guard((100, 40)) == ""
    assert recipe.broken_guard((129, 40)) == "129 is not < 129, and was"


def test_a_plain_integer_of_a_size_is_right_for_that_size_only() -> None:
    sizes = Sizes((100,))
    assert list(range(sizes.word(0)))[-1] == 99
    recipe = sizes.recipe()
    assert recipe.table((100,)) == []
    assert recipe.table((101,)) is None
    sizes = Sizes((100,))
    assert float(sizes.word(0)) / 4 == 25.0
    assert sizes.recipe().table((104,)) is None
    sizes = Sizes((100,))
    assert repr(sizes.word(0) + 3) == str(sizes.word(0) + 3) == "$0+3", "no value in the text"


def test_a_division_by_zero_serves_nobody() -> None:
    sizes = Sizes((100, 40))
    whole = sizes.word(0) // (sizes.word(1) - 17)
    sizes.slot(whole.place, whole.offset)
    assert sizes.recipe().table((100, 40)) == [4]
    assert sizes.recipe().table((100, 17)) is None
    assert sizes.recipe().broken_guard((100, 17)) == ""


def test_numbers_go_to_the_table_as_they_are() -> None:
    values: list[tuple[float, Any]] = [
        (0.1, np.dtype(np.float64)),
        (-1e-30, np.dtype(np.float32)),
    ]
    entries = np.array(number_bits(values), np.int64)
    assert entries[:1].view(np.float64)[0] == 0.1
    assert entries[1:].view(np.float32)[0] == np.float32(-1e-30)


def test_an_outline_has_no_sizes() -> None:
    found = outline(programs.softmax())
    again = outline(programs.softmax())
    assert found == again
    assert found.text == again.text
