"""Products made by panels of rows with the loops that read them: which, and that results stay."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from codegen.loops.check import check_program
from codegen.loops.interpret import interpret
from codegen.loops.nodes import Call, Loop, Program
from codegen.loops.text import print_program
from codegen.loops.walk import statements
from codegen.lower.graph import lower_graph
from codegen.passes import panels as panels_module
from codegen.passes.panels import panels
from codegen.passes.pipeline import optimize
from codegen.passes.products import use_products
from codegen.render.llvm_call import LlvmProgram
from kernels.product import DEPTH_BLOCK
from tracer import grad, jit, scan

Array = np.ndarray[Any, np.dtype[Any]]
RNG = np.random.default_rng(3)


@pytest.fixture(autouse=True)
def small_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """Products of any size are taken, so that the interpreter is quick."""
    monkeypatch.setattr(panels_module, "SMALLEST", 1)
    monkeypatch.setattr(panels_module, "FEWEST_PANELS", 3)
    monkeypatch.setattr(panels_module, "PANEL_ROWS", (4, 3))


def program_of(f: Callable[..., Any], *args: Array) -> Program:
    """The program with products that are made at once."""
    return use_products(optimize(lower_graph(jit(f).trace(*args).graph)), 32)


def panel_loops(program: Program) -> list[Loop]:
    """The loops over panels."""
    return [
        part
        for part in statements(program.body)
        if isinstance(part, Loop)
        and any(isinstance(inner, Call) and "panel" in inner.params for inner in part.body)
    ]


def layer(x: Any, w: Any, b: Any) -> Any:
    return np.tanh(x @ w + b)


def two_layers(x: Any, w: Any, b: Any) -> Any:
    hidden = layer(x, w, b)
    return np.sum(layer(hidden, w.T, b) ** 2) + np.sum(hidden, axis=0)[0]


def kept(x: Any, w: Any, b: Any) -> Any:
    """The product is a result too, and is read by columns in the end."""
    product = x @ w
    return product, np.exp(product), np.sum(product, axis=0) + b


def carried(x: Any, w: Any, b: Any) -> Any:
    """What is done with the rows of the product goes where the product reads."""

    def step(state: Any, _: Any) -> Any:
        state = np.tanh(state @ w + b)
        return state, state

    return scan(step, x, length=3)[1]


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "layer": layer,
    "two_layers": two_layers,
    "gradient": grad(two_layers, argnums=(0, 1, 2)),
    "kept": kept,
}


def arguments(rows: int) -> tuple[Array, Array, Array]:
    return RNG.normal(size=(rows, 9)), RNG.normal(size=(9, 9)), RNG.normal(size=9)


@pytest.mark.parametrize("rows", [12, 15, 20])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_same_results(name: str, rows: int) -> None:
    args = arguments(rows)
    program = program_of(FUNCTIONS[name], *args)
    changed = panels(program)
    assert panel_loops(changed)
    check_program(changed)
    compiled = LlvmProgram(changed, "never")(list(args))
    due = interpret(program, args)
    for got, native, wanted in zip(interpret(changed, args), compiled, due, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-13, atol=1e-14)
        np.testing.assert_allclose(native, wanted, rtol=1e-12, atol=1e-13)


def test_a_product_that_only_its_loop_reads_is_one_panel_long() -> None:
    changed = panels(program_of(layer, *arguments(12)))
    assert "f64[4,9]" in print_program(changed)
    assert not any(buffer.shape == (12, 9) for buffer in changed.workspace)


def test_a_product_that_is_a_result_stays_whole() -> None:
    text = print_program(panels(program_of(kept, *arguments(12))))
    assert "reshape(3, 4, 9)" in text


@pytest.mark.parametrize("shape", [(7, 9), (8, 9), (12, DEPTH_BLOCK + 1)])
def test_products_that_stay_in_one_piece(shape: tuple[int, int]) -> None:
    """A prime number of rows, too few panels, and a sum of more than one block."""
    x, w, b = RNG.normal(size=shape), RNG.normal(size=(shape[1], 9)), RNG.normal(size=9)
    program = program_of(layer, x, w, b)
    assert panels(program) is program


def test_rows_that_are_read_out_of_order_stay() -> None:
    program = program_of(lambda x, w, b: np.tanh((x @ w)[::-1] + b), *arguments(12))
    assert panels(program) is program


def test_a_loop_that_overwrites_an_operand_stays_behind() -> None:
    args = arguments(12)
    program = program_of(carried, *args)
    assert panels(program) is program
