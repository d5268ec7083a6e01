"""The printed form of programs, line by line."""

from __future__ import annotations

import numpy as np

from codegen.loops.build import cast, integer, literal, operation
from codegen.loops.nodes import Literal, Load, Program, Store
from codegen.loops.text import print_expression, print_program, print_statement
from tests.codegen import programs
from tests.codegen.programs import buffer, constant, i, j, real

SOFTMAX = """\
program softmax(x: f64[5,7]) -> (y: f64[5,7])
workspace w: f64[7]
  for i in 0:5 serial
    declare top: f64 = -inf
    for j in 0:7 reduce
      reduce top maximum x[i, j]
    declare total: f64 = 0.0
    for j in 0:7 reduce
      let e: f64 = exp(x[i, j] - top)
      w[j] = e
      reduce total add e
    for j in 0:7 parallel
      y[i, j] = w[j] / total
"""

SCATTER = """\
program scatter(places: i64[8], values: f64[8]) -> (y: f64[6])
error 0: IndexError 'index {0} at position {1} is out of bounds' at user.py:3
  for i in 0:6 parallel
    y[i] = 0.0
  for i in 0:8 serial
    let place: i64 = places[i]
    check logical_and(place >= 0, place < 6) else error 0, place, i
    update y[place] add values[i]
"""

NEWTON = """\
program newton(x: f64[6]) -> (y: f64[6], steps: i64[6])
  for i in 0:6 parallel
    declare count: i64 = 0
    declare root: f64 = maximum(x[i], 1.0)
    if x[i] < 0.0
      root = nan
    else
      while
        let next: f64 = 0.5 * (root + (x[i] / root))
        let change: f64 = absolute(next - root)
      holds change > (1e-14 * root)
        root = 0.5 * (root + (x[i] / root))
        count = count + 1
    y[i] = root
    steps[i] = count
"""


def test_programs_print_as_written() -> None:
    assert print_program(programs.softmax()) == SOFTMAX
    assert print_program(programs.scatter()) == SCATTER
    assert print_program(programs.newton()) == NEWTON


def test_calls_show_views_and_transposes() -> None:
    call = programs.affine().body[0]
    lines = print_program(programs.affine()).splitlines()
    assert print_statement(call) == "for i in 0:2 parallel"
    assert "    w[i, ...] = call matmul(x[i, ...], weights[...].transpose(1, 0))" in lines


def test_reverse_loops_say_so() -> None:
    assert "  for i in 0:7 serial reverse" in print_program(programs.prefix()).splitlines()


def test_dtypes_show_where_the_value_does_not_tell_them() -> None:
    single = literal(1.5, np.dtype(np.float32))
    assert print_expression(single) == "1.5:f32"
    assert print_expression(literal(3, np.dtype(np.uint8))) == "3:u8"
    assert print_expression(integer(3)) == "3"
    assert print_expression(literal(True, np.dtype(np.bool_))) == "True"
    assert print_expression(literal(1 + 2j, np.dtype(np.complex128))) == "(1+2j):c128"
    assert print_expression(cast(operation("add", i, j), np.dtype(np.float32))) == "f32(i + j)"


def test_select_and_nested_operations_are_unambiguous() -> None:
    inner = operation("subtract", i, operation("subtract", j, integer(1)))
    assert print_expression(inner) == "i - (j - 1)"
    chosen = operation("select", operation("less", i, j), real(1.0), real(2.0))
    assert print_expression(chosen) == "select(i < j, 1.0, 2.0)"


def _with_constant(value: np.ndarray) -> str:
    c, y = constant("c", value), buffer("y", (), "output", value.dtype)
    store = Store(y, (), Load(c, (integer(0),)))
    return print_program(Program("first", (), (y,), (c,), (), (store,)))


def test_constants_tell_programs_apart() -> None:
    assert "constant c: f64[2] = [1.0, 2.0]" in _with_constant(np.array([1.0, 2.0]))
    large = np.arange(1000.0)
    other = large.copy()
    other[500] = -1.0
    assert "sha256" in _with_constant(large)
    assert _with_constant(large) == _with_constant(large.copy())
    assert _with_constant(large) != _with_constant(other)
    assert _with_constant(np.array([0.0])) != _with_constant(np.array([-0.0]))


def test_literals_are_equal_if_they_are_the_same_number() -> None:
    def of(value: complex) -> Literal:
        return Literal(value, np.dtype(type(value)))

    nan = float("nan")
    assert of(1.5) == of(1.5)
    assert of(0.0) != of(-0.0)
    assert of(complex(0.0, -0.0)) != of(0j)
    assert of(nan) == of(-nan)
    assert hash(of(nan)) == hash(of(float("nan")))
    assert of(1) != of(1.0)
    assert of(1) != of(True)
