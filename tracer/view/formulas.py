"""Formulas of primitives and of their local derivatives, as text and as LaTeX.

In a template `{0}`, `{1}` … are the operands and `{out}` the result.
"""

from __future__ import annotations

from typing import NamedTuple


class Form(NamedTuple):
    """An operation as text and LaTeX, and its partial derivatives as (text, LaTeX) an operand."""

    text: str
    latex: str
    partials: tuple[tuple[str, str], ...]


def _function(name: str, latex: str, text_slope: str, latex_slope: str) -> Form:
    return Form(f"{name}({{0}})", latex + r"\left({0}\right)", ((text_slope, latex_slope),))


FORMS = {
    "add": Form("{0} + {1}", "{0} + {1}", (("1", "1"), ("1", "1"))),
    "subtract": Form("{0} − {1}", "{0} - {1}", (("1", "1"), ("−1", "-1"))),
    "multiply": Form("{0} · {1}", r"{0} \cdot {1}", (("{1}", "{1}"), ("{0}", "{0}"))),
    "divide": Form(
        "{0} / {1}",
        r"\frac{{{0}}}{{{1}}}",
        (("1 / {1}", r"\frac{{1}}{{{1}}}"), ("−{0} / {1}²", r"-\frac{{{0}}}{{{1}^2}}")),
    ),
    "negative": Form("−{0}", "-{0}", (("−1", "-1"),)),
    "power": Form(
        "{0} ^ {1}",
        "{{{0}}}^{{{1}}}",
        (
            ("{1} · {0} ^ ({1} − 1)", r"{1} \cdot {{{0}}}^{{{1} - 1}}"),
            ("{out} · ln {0}", r"{out} \ln {0}"),
        ),
    ),
    "square": Form("{0}²", "{{{0}}}^2", (("2 · {0}", "2 {0}"),)),
    "sqrt": Form("√{0}", r"\sqrt{{{0}}}", (("1 / (2 · {out})", r"\frac{{1}}{{2 {out}}}"),)),
    "reciprocal": Form("1 / {0}", r"\frac{{1}}{{{0}}}", (("−1 / {0}²", r"-\frac{{1}}{{{0}^2}}"),)),
    "absolute": Form("|{0}|", r"\left|{0}\right|", (("sign({0})", r"\operatorname{{sign}} {0}"),)),
    "exp": Form("exp({0})", "e^{{{0}}}", (("{out}", "{out}"),)),
    "log": _function("ln", r"\ln", "1 / {0}", r"\frac{{1}}{{{0}}}"),
    "log2": _function("log2", r"\log_2", "1 / ({0} · ln 2)", r"\frac{{1}}{{{0} \ln 2}}"),
    "log10": _function("log10", r"\log_{{10}}", "1 / ({0} · ln 10)", r"\frac{{1}}{{{0} \ln 10}}"),
    "log1p": _function(
        "ln(1 + x)", r"\operatorname{{log1p}}", "1 / (1 + {0})", r"\frac{{1}}{{1 + {0}}}"
    ),
    "expm1": _function("expm1", r"\operatorname{{expm1}}", "{out} + 1", "{out} + 1"),
    "sin": _function("sin", r"\sin", "cos({0})", r"\cos {0}"),
    "cos": _function("cos", r"\cos", "−sin({0})", r"-\sin {0}"),
    "tan": _function("tan", r"\tan", "1 + {out}²", "1 + {out}^2"),
    "arcsin": _function(
        "arcsin", r"\arcsin", "1 / √(1 − {0}²)", r"\frac{{1}}{{\sqrt{{1 - {0}^2}}}}"
    ),
    "arccos": _function(
        "arccos", r"\arccos", "−1 / √(1 − {0}²)", r"-\frac{{1}}{{\sqrt{{1 - {0}^2}}}}"
    ),
    "arctan": _function("arctan", r"\arctan", "1 / (1 + {0}²)", r"\frac{{1}}{{1 + {0}^2}}"),
    "sinh": _function("sinh", r"\sinh", "cosh({0})", r"\cosh {0}"),
    "cosh": _function("cosh", r"\cosh", "sinh({0})", r"\sinh {0}"),
    "tanh": _function("tanh", r"\tanh", "1 − {out}²", "1 - {out}^2"),
    "cbrt": Form("∛{0}", r"\sqrt[3]{{{0}}}", (("1 / (3 · {out}²)", r"\frac{{1}}{{3 {out}^2}}"),)),
    "erf": _function(
        "erf", r"\operatorname{{erf}}", "2/√π · exp(−{0}²)", r"\frac{{2}}{{\sqrt\pi}} e^{{-{0}^2}}"
    ),
    "maximum": Form(
        "max({0}, {1})",
        r"\max({0}, {1})",
        (
            ("1 where {0} is larger, else 0", r"[{0} > {1}]"),
            ("1 where {1} is larger, else 0", r"[{1} > {0}]"),
        ),
    ),
    "minimum": Form(
        "min({0}, {1})",
        r"\min({0}, {1})",
        (
            ("1 where {0} is smaller, else 0", r"[{0} < {1}]"),
            ("1 where {1} is smaller, else 0", r"[{1} < {0}]"),
        ),
    ),
    "reduce_sum": Form("sum of {0}", r"\sum {0}", (("1 for each entry that is summed", "1"),)),
    "dot_general": Form(
        "{0} @ {1}", r"{0} \, {1}", (("multiply by {1}", "{1}"), ("multiply by {0}", "{0}"))
    ),
}


def form(name: str, count: int) -> Form:
    """The formulas of a primitive with `count` operands; those without a form of their own show
    their name.
    """
    known = FORMS.get(name)
    if known is not None and len(known.partials) == count:
        return known
    operands = ", ".join(f"{{{k}}}" for k in range(count))
    plain = name.replace("_", r"\_")
    partials = tuple(
        (
            f"∂{name}/∂{{{k}}}",
            rf"\frac{{{{\partial\,\mathrm{{{{{plain}}}}}}}}}{{{{\partial {{{k}}}}}}}",
        )
        for k in range(count)
    )
    return Form(f"{name}({operands})", rf"\mathrm{{{{{plain}}}}}({operands})", partials)
