"""Functions without branches: near NumPy's values everywhere, used where loops are long."""

from __future__ import annotations

import ast
import math

import numpy as np
import pytest

from codegen.loops.build import index, loop
from codegen.loops.nodes import Buffer, Load, Operation, Program, Store
from codegen.loops.operations import OPERATIONS, evaluate
from codegen.render.numba import render_kernel
from codegen.render.numba_call import compile_numba
from codegen.render.numba_vector import vector_source

NAMES = [name for name in OPERATIONS if vector_source(name) is not None]
i = index("i")
# The smallest numbers to the largest, both signs, what is special, and where functions turn.
SPECIAL = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 5e-324, -5e-324, 1e-310, 0.5, -0.5]
SPECIAL += [709.7, 709.8, -745.0, -745.3, -708.5, 1e300, -1e300, 2.0, 22.0, -37.5, 0.999, 1.001]


def arguments() -> np.ndarray:
    """8192 numbers."""
    rng = np.random.default_rng(5)
    moderate = rng.normal(size=4000) * 3
    unit = rng.uniform(-1, 1, 2000)
    wide = rng.choice([-1.0, 1.0], 8192) * 10.0 ** rng.uniform(-320, 305, 8192)
    return np.concatenate([SPECIAL, moderate, unit, wide])[:8192]


def make_program(names: list[str], dtype: type) -> Program:
    """Every function on the same numbers; binary ones on pairs of neighbours in two inputs."""
    kind = np.dtype(dtype)
    x, y = Buffer("x", kind, (8192,), "input"), Buffer("y", kind, (8192,), "input")
    outputs, body = [], []
    for name in names:
        output = Buffer(f"out_{name}", kind, (8192,), "output")
        operands = (Load(x, (i,)), Load(y, (i,)))[: OPERATIONS[name].arity]
        body.append(loop("i", 8192, Store(output, (i,), Operation(name, operands, kind))))
        outputs.append(output)
    return Program("functions", (x, y), tuple(outputs), (), (), tuple(body))


# Small differences of large terms, where NumPy loses digits of the result.
CANCELLING = {"logaddexp", "logaddexp2"}


@pytest.mark.parametrize(
    ("dtype", "names"), [(np.float64, NAMES), (np.float32, ["exp", "log", "tanh", "arctan2"])]
)
def test_values_are_numpys_within_a_few_ulp(dtype: type, names: list[str]) -> None:
    assert {"exp", "log", "tanh", "expm1", "log1p", "erf", "expit"} <= set(NAMES)
    program = make_program(names, dtype)
    with np.errstate(all="ignore"):
        x = arguments().astype(dtype)
    y = np.roll(x, 17)
    epsilon, smallest = np.finfo(dtype).eps, np.finfo(dtype).smallest_subnormal
    problems = []
    for name, got in zip(names, compile_numba(program)([x, y]), strict=True):
        operands = (x, y)[: OPERATIONS[name].arity]
        expected = evaluate(name, np.dtype(dtype), operands)
        if name == "erfc":
            # SciPy's is off by up to 100 units in the last place, the C library's by one.
            expected = np.array([math.erfc(value) for value in x], dtype)
        with np.errstate(all="ignore"):
            size = np.abs(expected)
            if name in CANCELLING:
                size = np.maximum(size, np.minimum(np.abs(x), np.abs(y)))
            near = np.abs(got - expected) <= 6 * epsilon * size + smallest
        same = near | (got == expected) | ((got != got) & (expected != expected))
        wrong = np.flatnonzero(~same)[:5]
        shown = [(*(v[p] for v in operands), expected[p], got[p]) for p in wrong]
        if shown:
            problems.append(f"{name}: (operands, NumPy, got) {shown}")
        # SciPy's erfinv gives 0 for -0; an odd function may as well keep the sign.
        zero = (expected == 0) & (name != "erfinv")
        np.testing.assert_array_equal(np.signbit(got[zero]), np.signbit(expected[zero]), name)
    assert not problems, "\n".join(problems)


def test_the_sources_are_straight_lines() -> None:
    for name in NAMES:
        function = vector_source(name)
        assert function is not None
        (parsed,) = ast.parse(function.source).body
        assert isinstance(parsed, ast.FunctionDef)
        assert all(isinstance(line, ast.Assign) for line in parsed.body[1:-1]), name
        assert not any(isinstance(part, ast.IfExp | ast.BoolOp) for part in ast.walk(parsed)), name


def test_functions_with_branches_stay_calls() -> None:
    assert vector_source("sin") is None
    assert vector_source("sqrt") is None
    assert vector_source("add") is None
    assert vector_source("nextafter") is None, "a function of the bits, not by way of float64"


def test_short_loops_call_the_library() -> None:
    def kernel(extent: int) -> str:
        x, y = (
            Buffer(n, np.dtype("f8"), (extent,), r) for n, r in (("x", "input"), ("y", "output"))
        )
        body = loop("i", extent, Store(y, (i,), Operation("exp", (Load(x, (i,)),), x.dtype)))
        return render_kernel(Program("f", (x,), (y,), (), (), (body,))).source

    assert "math.exp(x[i])" in kernel(100)
    assert "vector_exp" not in kernel(100)
    assert "y[i] = vector_exp(x[i])" in kernel(10_000)
    assert "def vector_exp(x0):" in kernel(10_000)


def test_long_loops_do_not_call_the_library() -> None:
    names = ["exp", "tanh", "log"]
    kernel = compile_numba(make_program(names, np.float64)).kernel
    (assembly,) = kernel.inspect_asm().values()
    called = {line.split()[-1] for line in assembly.splitlines() if line.strip().startswith("call")}
    assert not called & set(names), "no call of the C library"
