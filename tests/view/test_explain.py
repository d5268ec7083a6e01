"""Derivations in words, and the command line."""

from __future__ import annotations

import numpy as np
import pytest
import sympy

import tracer
from tracer.__main__ import main
from tracer.view import explain
from tracer.view.formulas import FORMS, form
from tracer.view.symbolic import OPERATIONS

SOURCE = """
import numpy as np

table = np.array([1.0, 2.0, 3.0])

def textbook(a, b):
    return (a + b) * (b + 1)

def weighted(x):
    return (table * x).sum()
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "textbook_functions.py"
    path.write_text(SOURCE)
    return path


def test_the_textbook_example():
    text = explain(lambda a, b: (a + b) * (b + 1), 2, 1).text()
    for line in (
        "v3 = v1 · v2 = 3 · 2 = 6",
        "∂v3/∂v1 = v2 = 2   (product rule)",
        "∂/∂b = ∂/∂v1 · ∂v1/∂b + ∂/∂v2 · ∂v2/∂b = 2 · 1 + 3 · 1 = 5",
    ):
        assert line in text


def test_the_sums_are_the_gradient():
    def f(x):
        return np.sin(x) * np.exp(-(x**2)) + np.log(x) / x

    found = explain(f, 0.7)
    total = found.sums[-1]
    assert total.name == "x"
    assert total.value == tracer.view.numbers.number(tracer.grad(f)(0.7))
    assert len(total.terms) == 4


IN_WORDS = {"maximum", "minimum", "reduce_sum", "dot_general"}


@pytest.mark.parametrize("name", sorted(set(FORMS) - IN_WORDS))
def test_every_formula_of_a_local_derivative_is_right(name):
    """Each text formula, read as Python, against the derivative of the operation."""
    import math

    functions = {
        "add": np.add, "subtract": np.subtract, "multiply": np.multiply, "divide": np.divide,
        "power": np.power, "maximum": np.maximum, "minimum": np.minimum, "absolute": np.abs,
    }  # fmt: skip
    operands = (0.35, 0.8)[: len(FORMS[name].partials)]
    if name == "erf":
        out, slopes = math.erf(0.35), [2 / math.sqrt(math.pi) * math.exp(-(0.35**2))]
    else:
        function = functions.get(name) or getattr(np, name)
        out = function(*operands)
        slopes = [tracer.grad(function, k)(*operands) for k in range(len(operands))]
    python = {
        "ln": math.log, "cos": math.cos, "sin": math.sin, "sinh": math.sinh, "cosh": math.cosh,
        "exp": math.exp, "sign": np.sign, "root": math.sqrt, "pi": math.pi,
    }  # fmt: skip
    for (text, _), slope in zip(FORMS[name].partials, slopes, strict=True):
        code = text.format(*operands, out=f"({out})")
        for sign, spelled in (
            ("ln ", "ln"), ("−", "-"), ("·", "*"), ("^", "**"), ("²", "**2"),
            ("2/√π", "2/root(pi)"), ("√", "root"),
        ):  # fmt: skip
            code = code.replace(sign, spelled)
        code = code.replace("ln2", "ln(2)").replace("ln10", "ln(10)").replace("ln0.35", "ln(0.35)")
        assert eval(code, python) == pytest.approx(slope, rel=1e-9), (name, code)


def test_markdown_and_html():
    found = explain(lambda x: np.sqrt(x) / x, 4.0)
    assert r"$v_{1} = \sqrt{x} = 2$" in found.markdown()
    assert r"\bar{x}" in found.markdown()
    assert found._repr_markdown_() == found.markdown()
    assert "quotient rule" in found.html()
    assert "http" not in found.html()


def test_operations_without_a_formula_are_named():
    assert form("gather", 2).text == "gather({0}, {1})"
    text = explain(lambda x: np.cumsum(x)[2] * 2, np.ones(4)).text()
    assert "cumsum" in text


def test_symbolic_operations_agree_with_numpy():
    for name, operation in OPERATIONS.items():
        if name in ("erf", "erfc"):
            continue
        function = {"log": np.log, "power": np.power}.get(name) or getattr(np, name)
        for count in (1, 2):
            try:
                symbolic = operation(sympy, *[sympy.Rational(7, 20), sympy.Rational(4, 5)][:count])
            except TypeError:
                continue
            assert float(symbolic) == pytest.approx(function(*(0.35, 0.8)[:count])), name
            break


def test_short_formulas():
    found = explain(lambda a, b: (a + b) * (b + 1), 2, 1).symbolic
    assert found["a"][0] == "b + 1"
    assert found["b"][0] == "a + 2·b + 1"


def test_the_command_draws(file, tmp_path, capsys):
    assert main(["draw", f"{file}:textbook", "--args", "2, 1"]) == 0
    assert "∂ = 5" in capsys.readouterr().out
    page = tmp_path / "picture.html"
    assert main(["draw", f"{file}:textbook", "--args", "2., 1.", "--adjoint", "-o", str(page)]) == 0
    assert page.read_text().startswith("<!DOCTYPE html>")
    assert main(["draw", f"{file}:weighted", "--args", "table * 2"]) == 0


def test_the_command_explains(file, tmp_path, capsys):
    words = ["explain", f"{file}:textbook", "--args", "2, 1"]
    assert main(words) == 0
    assert "product rule" in capsys.readouterr().out
    assert main([*words, "--format", "markdown", "-o", str(tmp_path / "e.md")]) == 0
    assert r"\bar{b}" in (tmp_path / "e.md").read_text()


def test_the_command_names_the_environment(capsys):
    assert main(["env"]) == 0
    out = capsys.readouterr().out
    assert f"numpy       {np.__version__}" in out
    assert "TRACER_CACHE_DIR" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["draw", "nowhere"], "write FILE.py:FUNCTION"),
        (["draw", "nowhere.py:f"], "there is no file nowhere.py"),
        (["draw", "{file}:missing"], "has no function missing"),
        (["draw", "{file}:textbook", "--args", "2, unknown"], "NameError"),
        (["draw", "{file}:textbook", "--args", "2, 1", "-o", "x.gif"], "saved as .svg"),
    ],
)
def test_bad_commands(file, capsys, words, said):
    assert main([word.replace("{file}", str(file)) for word in words]) == 2
    assert said in capsys.readouterr().err
