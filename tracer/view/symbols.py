"""How primitives are shown: the sign that a textbook would use, and the name of the rule by which
they are differentiated.
"""

from __future__ import annotations

SIGNS = {
    "add": "+",
    "subtract": "−",
    "multiply": "×",
    "divide": "÷",
    "negative": "−",
    "power": "xʸ",
    "dot_general": "@",
    "reduce_sum": "Σ",
    "reduce_prod": "Π",
    "reduce_max": "max",
    "reduce_min": "min",
    "maximum": "max",
    "minimum": "min",
    "square": "x²",
    "sqrt": "√",
    "reciprocal": "1/x",
    "absolute": "|x|",
    "greater": ">",
    "greater_equal": "≥",
    "less": "<",
    "less_equal": "≤",
    "equal": "=",
    "not_equal": "≠",
    "logical_and": "and",
    "logical_or": "or",
    "logical_not": "not",
    "select": "where",
}
"""The sign of a primitive; others show their name."""

RULES = {
    "add": "sum rule",
    "subtract": "sum rule",
    "negative": "constant factor rule",
    "multiply": "product rule",
    "divide": "quotient rule",
    "reciprocal": "reciprocal rule",
    "power": "power rule",
    "square": "power rule",
    "sqrt": "power rule",
    "cbrt": "power rule",
    "reduce_sum": "sum rule",
    "reduce_prod": "product rule",
    "dot_general": "product rule for matrices",
    "select": "case by case",
    "maximum": "case by case",
    "minimum": "case by case",
    "absolute": "case by case",
    "reduce_max": "case by case",
    "reduce_min": "case by case",
}

LINEAR = frozenset(
    (
        "broadcast",
        "cast",
        "concatenate",
        "flip",
        "gather",
        "pad",
        "real_part",
        "reshape",
        "scatter",
        "slice",
        "slice_update",
        "transpose",
    )
)
"""Operations that only move entries: their derivative is themselves."""


def sign(name: str) -> str:
    """The textbook's sign of a primitive, or its name."""
    return SIGNS.get(name, name)


def rule(name: str) -> str:
    """The name of the rule by which a primitive is differentiated."""
    if name in LINEAR:
        return "linear: moves entries"
    return RULES.get(name, f"derivative of {name}")
