"""What the verifier refuses, with the statement in its message."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from codegen.loops.build import integer, literal, loop, operation
from codegen.loops.check import check_program
from codegen.loops.errors import ProgramError
from codegen.loops.nodes import (
    Assign,
    Buffer,
    Call,
    Check,
    Declare,
    ErrorMessage,
    Expression,
    If,
    Let,
    Literal,
    Load,
    Loop,
    Operation,
    Program,
    Reduce,
    Statement,
    Store,
    Update,
    Variable,
    View,
    While,
)
from tests.codegen import programs
from tests.codegen.programs import FLOAT, INT, buffer, constant, i, j, real, scalar

X = buffer("x", (4, 3), "input")
Y = buffer("y", (4,), "output")
C = constant("c", np.ones((3, 4)))
W = buffer("w", (4, 4), "workspace")
TRUE = literal(True, np.dtype(np.bool_))
STRANGER = buffer("stranger", (4,), "output")
ERRORS = (ErrorMessage("IndexError", "index {0}", "user.py:1"),)

ALL = [
    programs.softmax,
    programs.affine,
    programs.scatter,
    programs.newton,
    programs.padded,
    programs.prefix,
    programs.statistics,
    programs.mixed,
    programs.collatz,
]


def make(*body: Statement) -> Program:
    """A program of those statements on the buffers of this module."""
    return Program("test", (X,), (Y,), (C,), (W,), body, ERRORS)


@pytest.mark.parametrize("program", ALL, ids=lambda make_one: make_one.__name__)
def test_well_formed_programs_pass(program: Callable[[], Program]) -> None:
    check_program(program())


def deep(depth: int) -> Expression:
    expression: Expression = real(1.0)
    for _ in range(depth):
        expression = Operation("negative", (expression,), FLOAT)
    return expression


def at(body: Statement) -> Loop:
    return loop("i", 4, body)


REFUSED: dict[str, tuple[Statement, str]] = {
    "unknown name": (at(Store(Y, (i,), scalar("a"))), "at 'y[i] = a': 'a' is not defined"),
    "index out of scope": (Store(Y, (i,), real(0.0)), "'i' is not defined here"),
    "wrong dtype of a name": (
        at(Store(Y, (i,), Variable("i", FLOAT))),
        "'i' is int64, not float64",
    ),
    "defined twice": (
        at(loop("i", 3, Store(Y, (i,), real(0.0)))),
        "at 'for i in 0:3 parallel': 'i' is already defined",
    ),
    "name of a buffer": (Let("x", real(0.0)), "'x' is already defined here"),
    "not an identifier": (Let("a b", real(0.0)), "'a b' is not an identifier"),
    "stored dtype": (at(Store(Y, (i,), i)), "'y' holds float64, not int64"),
    "too few indices": (at(Let("a", Load(X, (i,)))), "'x' has 2 dimensions, not 1"),
    "index dtype": (at(Store(Y, (real(0.0),), real(0.0))), "an index of 'y' is float64"),
    "input written": (at(Store(X, (i, i), real(0.0))), "'x' is input and cannot be written"),
    "constant written": (
        at(Update(C, (i, i), "add", real(0.0))),
        "'c' is constant and cannot be written",
    ),
    "unknown buffer": (
        at(Store(STRANGER, (i,), real(0.0))),
        "'stranger' is not a buffer of the program",
    ),
    "base of another size": (
        at(Let("a", Load(Buffer("x2", FLOAT, (5,), "input", None, X), (i,)))),
        "'x2' does not fit its base 'x'",
    ),
    "operation dtype": (Let("a", Operation("add", (i, i), FLOAT)), "'i' is not defined here"),
    "operation result": (
        at(Let("a", Operation("add", (i, i), FLOAT))),
        "add gives int64, not float64",
    ),
    "converted operand": (
        at(Let("a", Operation("sin", (i,), FLOAT))),
        "sin has no loop for (int64)",
    ),
    "unknown operation": (Let("a", Operation("sum", (real(1.0),), FLOAT)), "no scalar operation"),
    "cast to real": (
        Let("a", Operation("cast", (literal(1j, np.dtype(np.complex128)),), FLOAT)),
        "cast from complex128 to float64",
    ),
    "literal kind": (Let("a", Literal(1, FLOAT)), "1 is not a literal of float64"),
    "literal range": (Let("a", Literal(300, np.dtype(np.uint8))), "300 is not a literal of uint8"),
    "deep expression": (Let("a", deep(200)), "more than 100 deep: use Let"),
    "assign to let": (
        If(TRUE, (Let("a", real(0.0)), Assign("a", real(1.0)))),
        "'a' is not declared as mutable",
    ),
    "assign undefined": (Assign("a", real(1.0)), "'a' is not defined here"),
    "assign dtype": (
        If(TRUE, (Declare("a", real(0.0)), Assign("a", integer(1)))),
        "'a' is float64, the value is int64",
    ),
    "not associative": (
        If(TRUE, (Declare("a", real(0.0)), Reduce("a", "subtract", real(1.0)))),
        "subtract is not associative",
    ),
    "combiner dtype": (
        at(Update(Y, (i,), "less", real(1.0))),
        "less of two float64 is not float64",
    ),
    "loop kind": (
        Loop("i", integer(0), integer(4), (), "vector"),
        "the kind of loop is one of",
    ),
    "loop bound": (Loop("i", real(0.0), integer(4), ()), "the start is float64, not int64"),
    "condition": (If(integer(1), ()), "the condition is int64, not bool"),
    "while condition": (While((), integer(1), ()), "at 'while': the condition is int64"),
    "unknown error": (Check(TRUE, 1), "the program has 1 errors"),
    "message without detail": (Check(TRUE, 0), "the message of error 0 cannot be filled in"),
    "detail dtype": (Check(TRUE, 0, (real(1.0),)), "a detail is float64"),
    "unknown kernel": (Call("no_such", (View(Y),), (View(X),)), "kernels/ has no kernel"),
    "kernel operands": (Call("matmul", (View(W),), (View(X), View(X))), "cannot contract"),
    "kernel result": (
        Call("matmul", (View(Y),), (View(X), View(C))),
        "matmul gives (float64[4, 4])",
    ),
    "result is operand": (
        Call("matmul", (View(W),), (View(W), View(W))),
        "a result lies in the buffer of an operand",
    ),
    "transposed result": (
        Call("matmul", (View(W, (), (1, 0)),), (View(X), View(C))),
        "results are not transposed",
    ),
    "axes": (Call("matmul", (View(W),), (View(X, (), (0, 2)), View(C))), "does not permute 2 axes"),
}


@pytest.mark.parametrize("case", sorted(REFUSED))
def test_refused(case: str) -> None:
    statement, message = REFUSED[case]
    with pytest.raises(ProgramError) as caught:
        check_program(make(statement))
    assert message in str(caught.value)
    assert "in test, at '" in str(caught.value)


def test_a_name_keeps_its_dtype_in_the_whole_program() -> None:
    body = (If(TRUE, (Let("a", real(0.0)),)), If(TRUE, (Let("a", integer(0)),)))
    with pytest.raises(ProgramError, match="'a' is float64 elsewhere in the program"):
        check_program(make(*body))


def test_a_name_may_be_defined_again_after_its_block() -> None:
    body = (
        loop("i", 4, loop("j", 3, Let("a", Load(X, (i, j))))),
        loop("i", 4, Let("a", operation("sqrt", real(2.0)))),
    )
    check_program(make(*body))


def test_names_of_a_while_test_are_not_seen_by_its_body() -> None:
    inside = Let("a", real(0.0))
    loop_ = While((inside,), operation("less", scalar("a"), real(1.0)), (Let("b", scalar("a")),))
    with pytest.raises(ProgramError, match="'a' is not defined here"):
        check_program(make(loop_))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (Buffer("x", FLOAT, (4,), "output"), "two buffers have this name"),
        (Buffer("z", FLOAT, (4,), "input"), "the buffer's role is 'input'"),
        (Buffer("z", FLOAT, (4, -1), "output"), "negative extent"),
        (Buffer("z", FLOAT, (-1,), "output"), "only workspace grows"),
        (Buffer("z z", FLOAT, (4,), "output"), "not an identifier"),
        (Buffer("z", FLOAT, (4,), "output", np.ones(4)), "constants have a value"),
        (Buffer("z", FLOAT, (2, 6), "output", None, X), "buffers of a program have no base"),
    ],
)
def test_refused_buffers(bad: Buffer, message: str) -> None:
    with pytest.raises(ProgramError, match=message):
        check_program(Program("test", (X,), (bad,), (), (), ()))


def test_a_constant_has_a_value_of_its_type() -> None:
    wrong = Buffer("k", FLOAT, (3,), "constant", np.ones(3, INT))
    with pytest.raises(ProgramError, match=r"the value is int64\[3\], not float64\[3\]"):
        check_program(Program("test", (), (), (wrong,), (), ()))
