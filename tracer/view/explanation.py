"""`explain`: the derivation of a derivative in words and formulas, step by step."""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tracer import backend as backends
from tracer.graph.nodes import Constant, Graph, Variable
from tracer.jit import JittedFunction
from tracer.view.formulas import Form, form
from tracer.view.numbers import array
from tracer.view.picture import traced_arguments
from tracer.view.symbols import rule
from tracer.view.values import Local, Numbers, numbers_of


@dataclass(slots=True)
class Slope:
    """One local derivative: its operand, its formula as text and LaTeX, and its value."""

    operand: str
    operand_latex: str
    text: str
    latex: str
    value: str


@dataclass(slots=True)
class Step:
    """One forward step: `name = formula = value`, the rule, and the local derivatives."""

    name: str
    latex_name: str
    text: str
    latex: str
    numeric: str
    value: str
    rule: str
    source: str
    slopes: list[Slope] = field(default_factory=list)


@dataclass(slots=True)
class Sum:
    """One adjoint: the sum over what uses the value, of (user's adjoint, local derivative)."""

    name: str
    latex_name: str
    terms: list[tuple[str, str, str, Slope]]
    value: str


class Explanation:
    """A derivation. `print` shows it as text; `markdown()` has LaTeX formulas; `html()` is a page;
    `symbolic` maps inputs to short formulas of their derivatives, where SymPy found them;
    `launches` is what a call of the cuda backend launches.
    """

    def __init__(
        self, name: str, inputs: list[tuple[str, str]], steps: list[Step], sums: list[Sum]
    ) -> None:
        self.name = name
        self.inputs = inputs
        self.steps = steps
        self.sums = sums
        self.result = ""
        self.symbolic: dict[str, tuple[str, str]] = {}
        self.launches = ""

    def text(self) -> str:
        """The derivation as plain text."""
        return "\n".join(self._text_lines())

    def _text_lines(self) -> Iterator[str]:
        yield f"The function {self.name}, step by step"
        yield ""
        for name, value in self.inputs:
            yield f"  {name} = {value}"
        for step in self.steps:
            yield f"  {step.name} = {step.text} = {_joined(step.numeric, step.value)}"
            for slope in step.slopes:
                yield (
                    f"      ∂{step.name}/∂{slope.operand} = {_joined(slope.text, slope.value)}"
                    f"   ({step.rule})"
                )
        yield f"  result: {self.result}"
        if self.sums:
            yield ""
            yield "Backwards: the derivative of the result with respect to each value,"
            yield "the sum over everything that uses it"
            yield ""
        for total in self.sums:
            if not total.terms:
                yield f"  ∂/∂{total.name} = {total.value}"
                continue
            symbols = " + ".join(
                f"∂/∂{user} · ∂{user}/∂{total.name}" for user, _, _, _ in total.terms
            )
            values = " + ".join(_product(adjoint, s.value) for _, _, adjoint, s in total.terms)
            yield f"  ∂/∂{total.name} = {symbols} = {_joined(values, total.value)}"
        if self.symbolic:
            yield ""
            yield "In one formula"
            yield ""
            for name, (text, _) in self.symbolic.items():
                yield f"  ∂{self.name}/∂{name} = {text}"
        if self.launches:
            yield ""
            yield "On a GPU"
            yield ""
            yield from ("  " + line for line in self.launches.splitlines())

    def markdown(self) -> str:
        """The derivation as Markdown with LaTeX formulas between dollar signs."""
        return "\n".join(self._markdown_lines())

    def _markdown_lines(self) -> Iterator[str]:
        yield f"## The function {self.name}, step by step"
        yield ""
        for name, value in self.inputs:
            yield f"- ${_latex_name(name)} = {_latex_value(value)}$"
        for step in self.steps:
            formula = f"{step.latex_name} = {step.latex} = {_latex_value(step.value)}"
            yield f"- ${formula}$"
            for slope in step.slopes:
                partial = rf"\frac{{\partial {step.latex_name}}}{{\partial {slope.operand_latex}}}"
                value = _joined(slope.latex, _latex_value(slope.value))
                yield f"    - ${partial} = {value}$ ({step.rule})"
        if self.sums:
            yield ""
            yield "## Backwards"
            yield ""
            yield "The derivative of the result with respect to each value is the sum over all"
            yield "that uses it."
            yield ""
        for total in self.sums:
            bar = rf"\bar{{{total.latex_name}}}"
            if not total.terms:
                yield f"- ${bar} = {_latex_value(total.value)}$"
                continue
            symbols = " + ".join(
                rf"\bar{{{user}}} \cdot \frac{{\partial {user}}}{{\partial {total.latex_name}}}"
                for _, user, _, _ in total.terms
            )
            yield f"- ${bar} = {symbols} = {_latex_value(total.value)}$"
        if self.symbolic:
            yield ""
            yield "## In one formula"
            yield ""
            for name, (_, latex) in self.symbolic.items():
                whole = rf"\frac{{\partial {_upright(self.name)}}}{{\partial {_latex_name(name)}}}"
                yield f"- ${whole} = {latex}$"
        if self.launches:
            yield ""
            yield "## On a GPU"
            yield ""
            yield from ("    " + line for line in self.launches.splitlines())

    def html(self) -> str:
        """The derivation as one page that needs no network."""
        rows = "\n".join(html.escape(line) for line in self._text_lines())
        return (
            '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
            f"<title>{html.escape(self.name)}</title><style>body{{margin:2em;"
            "font:15px 'DejaVu Sans Mono',monospace;line-height:1.5}</style></head>"
            f"<body><pre>{rows}</pre></body></html>\n"
        )

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return f"<Explanation of {self.name}: {len(self.steps)} steps>"

    def _repr_markdown_(self) -> str:
        return self.markdown()


def explain(f: Any, *args: Any, **kwargs: Any) -> Explanation:
    """The derivation of `f(*args)` and of its derivative, step by step, with numbers.

    f: a function, a jitted function, or a `Graph`. Where the result is one real number, the
    backward pass follows: each adjoint as the sum over what uses the value. Where all is scalar and
    SymPy is installed (the extra `symbolic`), short formulas of the derivatives are given too. Of a
    function jitted with backend="cuda" the launches of a call follow.
    """
    graph, leaves, names = traced_arguments(f, args, kwargs)
    numbers = numbers_of(graph, leaves or [])
    labels = _labels(graph, names)
    steps = [_step(graph, position, labels, numbers) for position in range(len(graph.nodes))]
    made = Explanation(
        graph.name,
        [(name, array(numbers.values[v])) for name, v in zip(names, graph.inputs, strict=False)],
        steps,
        _sums(graph, labels, numbers, steps),
    )
    made.result = ", ".join(_label(output, labels)[0] for output in graph.outputs)
    from tracer.view.symbolic import short_derivatives

    made.symbolic = short_derivatives(graph, names)
    if isinstance(f, JittedFunction) and backends.choose(f.backend) == "cuda":
        made.launches = backends.render(graph, "cuda", "launches")
    return made


def _labels(graph: Graph, names: list[str]) -> dict[Variable, tuple[str, str]]:
    labels: dict[Variable, tuple[str, str]] = {}
    for variable, name in zip(graph.inputs, names, strict=False):
        labels[variable] = (name, _latex_name(name))
    for k, (variable, value) in enumerate(graph.constants):
        labels[variable] = (f"constant {k} ({array(value)})", rf"c_{{{k}}}")
    count = 0
    for node in graph.nodes:
        for result in node.results:
            count += 1
            labels[result] = (f"v{count}", f"v_{{{count}}}")
    return labels


def _label(operand: Any, labels: dict[Variable, tuple[str, str]]) -> tuple[str, str]:
    if type(operand) is Constant:
        text = array(operand.value)
        return text, _latex_value(text)
    return labels[operand]


def _step(
    graph: Graph, position: int, labels: dict[Variable, tuple[str, str]], numbers: Numbers
) -> Step:
    node = graph.nodes[position]
    result = node.results[0]
    name, latex = labels[result]
    operands = [_label(operand, labels) for operand in node.operands]
    shape = form(node.primitive.name, len(operands))
    values = [
        array(operand.value if type(operand) is Constant else numbers.values[operand])
        for operand in node.operands
    ]
    scalar = all(operand.type.shape == () for operand in node.operands)
    made = Step(
        name,
        latex,
        shape.text.format(*[text for text, _ in operands], out=name),
        shape.latex.format(*[text for _, text in operands], out=latex),
        _numeric(shape, values, name) if scalar else "",
        array(numbers.values[result]),
        rule(node.primitive.name),
        str(node.source or ""),
    )
    for place in range(len(operands)):
        local = numbers.locals.get((position, place))
        if local is not None:
            made.slopes.append(_slope(shape.partials[place], operands, place, made, local))
    return made


def _slope(
    partial: tuple[str, str],
    operands: list[tuple[str, str]],
    place: int,
    step: Step,
    local: Local,
) -> Slope:
    text, latex = partial
    return Slope(
        operands[place][0],
        operands[place][1],
        text.format(*[name for name, _ in operands], out=step.name),
        latex.format(*[name for _, name in operands], out=step.latex_name),
        "a linear map" if local.value is None else array(local.value),
    )


def _sums(
    graph: Graph,
    labels: dict[Variable, tuple[str, str]],
    numbers: Numbers,
    steps: list[Step],
) -> list[Sum]:
    if not numbers.adjoints:
        return []
    terms: dict[Variable, list[tuple[str, str, str, Slope]]] = {}
    for position, node in enumerate(graph.nodes):
        result = node.results[0]
        if result not in numbers.adjoints:
            continue
        slopes = iter(steps[position].slopes)
        for place, operand in enumerate(node.operands):
            if (position, place) in numbers.locals:
                term = (*labels[result], array(numbers.adjoints[result]), next(slopes))
                terms.setdefault(operand, []).append(term)
    ordered = [*(r for node in graph.nodes for r in node.results)][::-1] + list(graph.inputs)
    return [
        Sum(*labels[variable], terms.get(variable, []), array(numbers.adjoints[variable]))
        for variable in ordered
        if variable in numbers.adjoints
    ]


def _numeric(shape: Form, values: list[str], name: str) -> str:
    """The formula with numbers in it; negative ones in brackets where none stand there yet."""
    filled = [
        value if f"({{{k}}})" in shape.text or len(values) == 1 else _bracketed(value)
        for k, value in enumerate(values)
    ]
    return shape.text.format(*filled, out=name)


def _joined(formula: str, value: str) -> str:
    """`formula = value`, or one of them where they are the same or the formula is missing."""
    return value if formula in ("", value) else f"{formula} = {value}"


def _product(adjoint: str, slope: str) -> str:
    return f"{_bracketed(adjoint)} · {_bracketed(slope)}"


def _bracketed(value: str) -> str:
    return f"({value})" if value.startswith("−") or "," in value or "…" in value else value


def _latex_name(name: str) -> str:
    return name if len(name) == 1 and name.isalpha() else _upright(name)


def _upright(name: str) -> str:
    escaped = name.replace("_", r"\_").replace("%", r"\%").replace("'", "'")
    return rf"\mathrm{{{escaped}}}"


def _latex_value(value: str) -> str:
    text = value.replace("−", "-").replace("×", r" \times ").replace("…", r"\dots")
    text = text.replace("∞", r"\infty").replace("·10", r" \cdot 10")
    powers = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
    out, raised = "", ""
    for letter in text:
        if letter in "⁻⁰¹²³⁴⁵⁶⁷⁸⁹":
            raised += letter.translate(powers)
            continue
        out += f"^{{{raised}}}{letter}" if raised else letter
        raised = ""
    return out + (f"^{{{raised}}}" if raised else "")
