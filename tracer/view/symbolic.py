"""Short formulas of derivatives, by SymPy where it is installed (the extra `symbolic`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any

from tracer.graph.nodes import Constant, Graph
from tracer.types import kind_of

LONGEST = 72
"""A formula of more characters than this says less than the steps do."""
MOST = 40
"""Graphs of more nodes than this are not simplified: it may take long."""

OPERATIONS: dict[str, Callable[..., Any]] = {
    "add": lambda s, x, y: x + y,
    "subtract": lambda s, x, y: x - y,
    "multiply": lambda s, x, y: x * y,
    "divide": lambda s, x, y: x / y,
    "negative": lambda s, x: -x,
    "power": lambda s, x, y: x**y,
    "square": lambda s, x: x**2,
    "sqrt": lambda s, x: s.sqrt(x),
    "cbrt": lambda s, x: s.real_root(x, 3),
    "reciprocal": lambda s, x: 1 / x,
    "absolute": lambda s, x: s.Abs(x),
    "maximum": lambda s, x, y: s.Max(x, y),
    "minimum": lambda s, x, y: s.Min(x, y),
    "log2": lambda s, x: s.log(x, 2),
    "log10": lambda s, x: s.log(x, 10),
    "log1p": lambda s, x: s.log(1 + x),
    "expm1": lambda s, x: s.exp(x) - 1,
    "arcsin": lambda s, x: s.asin(x),
    "arccos": lambda s, x: s.acos(x),
    "arctan": lambda s, x: s.atan(x),
    "arctan2": lambda s, y, x: s.atan2(y, x),
    **{
        name: lambda s, x, name=name: getattr(s, name)(x)
        for name in ("exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh", "erf", "erfc")
    },
}


def short_derivatives(graph: Graph, names: Sequence[str]) -> dict[str, tuple[str, str]]:
    """For each input of a scalar graph its derivative as (text, LaTeX), where that is short.

    Empty where SymPy is not installed, where something is not scalar, or has no formula.
    """
    if find_spec("sympy") is None or not _is_scalar(graph):
        return {}
    import sympy

    symbols = [sympy.Symbol(name, real=True) for name in names]
    values: dict[Any, Any] = dict(zip(graph.inputs, symbols, strict=True))
    for node in graph.nodes:
        operands = [_operand(sympy, operand, values) for operand in node.operands]
        values[node.results[0]] = OPERATIONS[node.primitive.name](sympy, *operands)
    expression = values[graph.outputs[0]]
    found = {}
    for name, symbol in zip(names, symbols, strict=True):
        slope = sympy.simplify(sympy.diff(expression, symbol))
        text = str(slope).replace("**", "^").replace("*", "·")
        if len(text) <= LONGEST and "Derivative" not in text:
            found[name] = (text, sympy.latex(slope))
    return found


def _operand(sympy: Any, operand: Any, values: dict[Any, Any]) -> Any:
    if type(operand) is Constant:
        return sympy.nsimplify(operand.value.item(), rational=True)
    return values[operand]


def _is_scalar(graph: Graph) -> bool:
    if len(graph.outputs) != 1 or len(graph.nodes) > MOST or graph.constants:
        return False
    if type(graph.outputs[0]) is Constant or not graph.nodes:
        return False
    types = [*graph.input_types, *(r.type for node in graph.nodes for r in node.results)]
    return all(t.shape == () and kind_of(t.dtype) == "f" for t in types) and all(
        node.primitive.name in OPERATIONS for node in graph.nodes
    )
