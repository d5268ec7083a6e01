"""The interpreter against NumPy, and the faults that it must see."""

from __future__ import annotations

import numpy as np
import pytest

from codegen.loops.build import integer, loop
from codegen.loops.errors import ProgramError
from codegen.loops.interpret import interpret
from codegen.loops.nodes import Load, Program, Store
from tests.codegen import programs
from tests.codegen.programs import buffer, i

RNG = np.random.default_rng(1)


def test_softmax() -> None:
    x = RNG.normal(size=(5, 7))
    (y,) = interpret(programs.softmax(), [x])
    e = np.exp(x - x.max(1, keepdims=True))
    np.testing.assert_allclose(y, e / e.sum(1, keepdims=True), rtol=1e-14)


def test_affine_calls_the_kernel_on_views() -> None:
    program = programs.affine()
    x = RNG.normal(size=(2, 3, 4))
    (y,) = interpret(program, [x])
    weights, bias = (part.value for part in program.constants)
    assert weights is not None, "constants have values"
    np.testing.assert_allclose(y, np.maximum(x @ weights.T + bias, 0.0), rtol=1e-13)


def test_scatter_adds_at_repeated_places() -> None:
    places = np.array([0, 5, 5, 1, 0, 0, 2, 5])
    values = RNG.normal(size=8)
    (y,) = interpret(programs.scatter(), [places, values])
    expected = np.zeros(6)
    np.add.at(expected, places, values)
    np.testing.assert_allclose(y, expected, rtol=1e-15)


def test_failed_check_raises_the_programs_error() -> None:
    places = np.array([0, 1, 2, 6, 4, 5, 0, 1])
    with pytest.raises(IndexError, match=r"index 6 at position 3 is out of bounds \(user.py:3\)"):
        interpret(programs.scatter(), [places, np.ones(8)])


def test_while_and_if() -> None:
    x = np.array([0.25, 2.0, 1.0, -1.0, 100.0, 1e-3])
    y, steps = interpret(programs.newton(), [x])
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(y, np.sqrt(x), rtol=1e-12)
    assert (steps[[2, 3]] == 0).all(), "nothing to improve"
    assert (steps[[0, 1, 4, 5]] > 2).all(), "some steps for the others"


def test_tapes_grow_and_keep_what_they_hold() -> None:
    (y,) = interpret(programs.collatz(), [np.array(6)])
    assert y.tolist() == [6 + 3 + 10 + 5 + 16 + 8 + 4 + 2, 8, 2]


def test_select_does_not_evaluate_the_other_branch() -> None:
    x = RNG.normal(size=6)
    (y,) = interpret(programs.padded(), [x])
    np.testing.assert_array_equal(y, np.concatenate([[0, 0], x, [0]]))


def test_reverse_loop() -> None:
    x = np.arange(7, dtype=np.float32)
    forward, backward = interpret(programs.prefix(), [x])
    np.testing.assert_array_equal(forward, np.cumsum(x))
    np.testing.assert_array_equal(backward, np.cumsum(x[::-1])[::-1])


def test_reductions() -> None:
    x = RNG.normal(size=(6, 9))
    y, flags = interpret(programs.statistics(), [x])
    np.testing.assert_allclose(y, [x.sum(), x.prod(), x.max(), x.min()], rtol=1e-12)
    assert flags.tolist() == [True, False]


def _copy_program(extent: int) -> Program:
    x, y = buffer("x", (4,), "input"), buffer("y", (4,), "output")
    return Program("copy", (x,), (y,), (), (), (loop("i", extent, Store(y, (i,), Load(x, (i,)))),))


def test_out_of_range_access_is_an_error() -> None:
    with pytest.raises(ProgramError, match=r"y\[i\] = x\[i\]': \[4\] lies outside of y\[4\]"):
        interpret(_copy_program(5), [np.ones(4)])


def test_unwritten_output_is_an_error() -> None:
    with pytest.raises(ProgramError, match="leaves output y unwritten"):
        interpret(_copy_program(3), [np.ones(4)])


def test_read_before_write_is_an_error() -> None:
    w, y = buffer("w", (2,), "workspace"), buffer("y", (), "output")
    program = Program("early", (), (y,), (), (w,), (Store(y, (), Load(w, (integer(1),))),))
    with pytest.raises(ProgramError, match=r"w\[1\] is read before it is written"):
        interpret(program, [])


@pytest.mark.parametrize("wrong", [np.ones(5), np.ones(4, np.float32)])
def test_inputs_must_have_the_declared_type(wrong: np.ndarray) -> None:
    with pytest.raises(ProgramError, match="input x is"):
        interpret(_copy_program(4), [wrong])
