"""The rendered source: readable, runs by itself, and its shape is what makes it fast."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import numpy as np
import pytest

from codegen.loops.build import integer, loop, operation
from codegen.loops.nodes import Let, Load, Program, Reduce, Store
from codegen.render.numba import render_kernel
from codegen.render.numba_call import compile_numba
from codegen.render.numba_source import render
from tests.codegen import programs
from tests.codegen.programs import buffer, constant, i, j, real, scalar

SOFTMAX_KERNEL = '''\
def kernel(x, y, work_f64):
    """softmax: arrays in C order that do not overlap; workspace is flat."""
    x_flat = view(x, 0, (35,))
    y_flat = view(y, 0, (35,))
    for i in range(5):
        top = -np.inf
        top_nan = top != top
        for j in range(7):
            t1 = x_flat[i * 7 + j]
            top_nan |= t1 != t1
            top = maximum_any_order(top, t1)
        top = where(top_nan, np.nan, top)
        total = 0.0
        for j in range(7):
            e = math.exp(x_flat[i * 7 + j] - top)
            work_f64[j] = e
            total = add_any_order(total, e)
        for j in range(7):
            y_flat[i * 7 + j] = work_f64[j] / total
'''


def kernel_text(program: Program) -> str:
    """The source of the kernel's function alone."""
    source = render_kernel(program).source
    return source[source.index("def kernel(") :]


def test_the_kernel_reads_like_a_program() -> None:
    assert kernel_text(programs.softmax()) == SOFTMAX_KERNEL


def test_only_helpers_in_use_are_taken_along() -> None:
    source = render(programs.padded())
    assert "intrinsic" not in source
    assert "def kernel(x, y):" in source


def test_loops_over_memory_in_order_become_one() -> None:
    x, y = buffer("x", (3, 4, 5), "input"), buffer("y", (3, 4, 5), "output")
    k = programs.k
    doubled = operation("add", Load(x, (i, j, k)), Load(x, (i, j, k)))
    nest = loop("i", 3, loop("j", 4, loop("k", 5, Store(y, (i, j, k), doubled))))
    text = kernel_text(Program("doubled", (x,), (y,), (), (), (nest,)))
    assert "for k in range(60):\n        y_flat[k] = x_flat[k] + x_flat[k]\n" in text
    bias = buffer("bias", (5,), "input")
    added = operation("add", Load(x, (i, j, k)), Load(bias, (k,)))
    nest = loop("i", 3, loop("j", 4, loop("k", 5, Store(y, (i, j, k), added))))
    text = kernel_text(Program("biased", (x, bias), (y,), (), (), (nest,)))
    assert "for j in range(12):\n        for k in range(5):\n" in text
    assert "y_flat[j * 5 + k] = x_flat[j * 5 + k] + bias[k]" in text


def test_reserved_names_are_changed() -> None:
    text = kernel_text(programs.mixed())
    assert text.startswith("def kernel(lambda_, np_, empty):")
    assert "range_ = math.sqrt(lambda__flat[0])" in text


def test_long_expressions_are_broken_up() -> None:
    x, y = buffer("x", (4,), "input"), buffer("y", (4,), "output")
    expression = operation("add", Load(x, (i,)), real(1.0))
    for step in range(40):
        expression = operation("multiply", expression, real(1.0 + step / 7))
    program = Program("long", (x,), (y,), (), (), (loop("i", 4, Store(y, (i,), expression)),))
    assert max(map(len, kernel_text(program).splitlines())) <= 120
    data = np.linspace(-1, 1, 4)
    expected = (data + 1.0) * np.prod([1.0 + step / 7 for step in range(40)])
    np.testing.assert_allclose(compile_numba(program)([data])[0], expected, rtol=1e-13)


def _large_constants() -> Program:
    table = constant("table", np.random.default_rng(3).normal(size=(70, 100)))
    medium = constant("medium", np.arange(200, dtype=np.float32) / 3)
    odd = constant("odd", np.array([np.nan, np.inf, -np.inf, -0.0]))
    flags = constant("flags", np.array([True, False, True, True]))
    y = buffer("y", (4,), "output")
    value = operation(
        "add", Load(table, (i, integer(99))), programs.cast(Load(medium, (i,)), programs.FLOAT)
    )
    chosen = operation("select", Load(flags, (i,)), scalar("v"), Load(odd, (i,)))
    body = loop("i", 4, Let("v", value), Store(y, (i,), chosen))
    return Program("tables", (), (y,), (table, medium, odd, flags), (), (body,))


@pytest.mark.parametrize(
    ("make", "inputs"),
    [
        (programs.softmax, [np.arange(35.0).reshape(5, 7) % 4]),
        (programs.affine, [np.linspace(-1, 1, 24).reshape(2, 3, 4)]),
        (programs.scatter, [np.arange(8) % 6, np.arange(8.0)]),
        (_large_constants, []),
        (programs.mixed, [np.array(2.25)]),
    ],
)
def test_a_saved_program_runs_without_this_library(
    make: object, inputs: list[np.ndarray], tmp_path: pathlib.Path
) -> None:
    program = make()  # type: ignore[operator]
    (tmp_path / "saved.py").write_text(render(program))
    np.savez(tmp_path / "inputs.npz", *inputs)
    script = (
        "import sys, numpy as np, saved\n"
        "inputs = np.load('inputs.npz')\n"
        "results = saved.run(*(inputs[name] for name in inputs))\n"
        "np.savez('results.npz', *results)\n"
        "assert not {'tracer', 'codegen', 'kernels'} & set(sys.modules)\n"
    )
    (tmp_path / "script.py").write_text(script)
    subprocess.run(
        [sys.executable, "-W", "error", "script.py"], cwd=tmp_path, check=True, timeout=600
    )
    expected = compile_numba(program)(inputs)
    results = np.load(tmp_path / "results.npz")
    assert len(results.files) == len(expected)
    for name, wanted in zip(results.files, expected, strict=True):
        np.testing.assert_array_equal(results[name], wanted)


def test_a_saved_program_run_as_a_script_shows_its_outputs(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "scatter.py"
    path.write_text(render(programs.scatter()))
    result = subprocess.run(
        [sys.executable, str(path)], capture_output=True, text=True, check=True, timeout=600
    )
    assert result.stdout == "y: float64[6]\n[8. 0. 0. 0. 0. 0.]\n"


def test_a_saved_program_checks_its_inputs_and_raises_its_errors() -> None:
    namespace: dict[str, object] = {"__name__": "saved"}
    exec(render(programs.scatter()), namespace)
    run = namespace["run"]
    assert callable(run)
    with pytest.raises(IndexError, match=r"index 9 at position 0 is out of bounds \(user.py:3\)"):
        run(np.full(8, 9), np.ones(8))
    with pytest.raises(TypeError, match=r"values must be float64\[8\], not float64\[7\]"):
        run(np.zeros(8, np.int64), np.ones(7))
    with pytest.raises(TypeError, match="expected 2 arrays, not 1"):
        run(np.zeros(8, np.int64))


def test_a_reduction_that_is_read_stays_in_order() -> None:
    x, y = buffer("x", (9,), "input"), buffer("y", (9,), "output")
    step = (Reduce("s", "add", Load(x, (i,))), Store(y, (i,), scalar("s")))
    body = (programs.Declare("s", real(0.0)), loop("i", 9, *step, kind="serial"))
    assert "any_order" not in kernel_text(Program("running", (x,), (y,), (), (), body))
