"""Each pass alone, and all in order, leave what a program computes as it is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings

from codegen.loops.build import integer
from codegen.loops.check import check_program
from codegen.loops.interpret import interpret
from codegen.loops.nodes import Buffer, Let, Load, Loop, Operation, Program, Store, Variable
from codegen.loops.text import print_program
from codegen.passes.contract import contract
from codegen.passes.forward import forward
from codegen.passes.fuse import fuse
from codegen.passes.pipeline import PASSES, optimize
from tests.codegen import programs as written
from tests.codegen.passes.random_loops import inputs_of, programs

Pass = Callable[[Program], Program]


def check_equal(program: Program, changed: Program, name: str) -> None:
    """The same outputs, from a well-formed program."""
    check_program(changed)
    inputs = inputs_of(program)
    for result, due in zip(interpret(changed, inputs), interpret(program, inputs), strict=True):
        message = f"{name}\n{print_program(program)}\n\n{print_program(changed)}"
        np.testing.assert_array_equal(result, due, err_msg=message, strict=True)


@pytest.mark.parametrize("change", [change for _, change in PASSES], ids=[n for n, _ in PASSES])
@settings(max_examples=60)
@given(programs())
def test_one_pass(change: Pass, program: Program) -> None:
    check_equal(program, change(program), "one pass")


@settings(max_examples=60)
@given(programs())
def test_all_passes(program: Program) -> None:
    """Compared after each, so that a failure names the pass."""
    changed = program
    for name, change in PASSES:
        changed = change(changed)
        check_equal(program, changed, name)


@settings(max_examples=30)
@given(programs())
def test_fuse_forward_contract_twice(program: Program) -> None:
    """In orders that the pipeline does not have."""
    changed = program
    for change in (forward, contract, fuse, contract, forward, fuse):
        changed = change(changed)
    check_equal(program, changed, "another order")


@settings(max_examples=30)
@given(programs())
def test_optimizing_again_changes_no_result(program: Program) -> None:
    once = optimize(program)
    check_equal(program, optimize(once), "twice")


HAND_WRITTEN = ["softmax", "affine", "scatter", "newton", "padded", "prefix", "statistics"]


@pytest.mark.parametrize("name", HAND_WRITTEN)
def test_hand_written_programs(name: str) -> None:
    program = getattr(written, name)()
    rng = np.random.default_rng(3)
    inputs = [
        rng.integers(0, 2, buffer.shape).astype(buffer.dtype)
        if buffer.dtype.kind in "iu"
        else rng.uniform(0.5, 1.5, buffer.shape).astype(buffer.dtype)
        for buffer in program.inputs
    ]
    changed = optimize(program)
    check_program(changed)
    for result, due in zip(interpret(changed, inputs), interpret(program, inputs), strict=True):
        np.testing.assert_array_equal(result, due, strict=True)
    assert len([s for s in changed.body if isinstance(s, Loop)]) <= len(
        [s for s in program.body if isinstance(s, Loop)]
    )


def test_a_conversion_of_memory_that_changes_is_made_again() -> None:
    """`cast` of an element is one expression, and reads memory all the same."""
    half, single = np.dtype(np.float16), np.dtype(np.float32)
    x, y = Buffer("x", half, (1,), "input"), Buffer("y", single, (2,), "output")
    memory, zero = Buffer("m", half, (1,), "workspace"), (integer(0),)
    loaded = Operation("cast", (Load(memory, zero),), single)
    twice = Operation("add", (Variable("a", single), Variable("a", single)), single)
    body = (
        Store(memory, zero, Load(x, zero)),
        Let("a", loaded),
        Store(y, zero, Variable("a", single)),
        Store(memory, zero, Operation("cast", (twice,), half)),
        Let("b", loaded),
        Store(y, (integer(1),), Variable("b", single)),
    )
    program = Program("twice", (x,), (y,), (), (memory,), body)
    for change in (forward, contract, fuse):
        (result,) = interpret(change(program), [np.array([1.5], half)])
        np.testing.assert_array_equal(result, np.array([1.5, 3.0], single))
