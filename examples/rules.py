# # The rules, each checked three ways
#
# The table of common derivatives, and the sum, product, quotient, reciprocal and chain rules. Each
# row is checked symbolically (SymPy), numerically (a central difference) and by this library.

import math

import numpy as np
import sympy

import tracer

TABLE = [
    ("constant", lambda m, x: 3 + 0 * x),
    ("identity", lambda m, x: x),
    ("square", lambda m, x: x**2),
    ("power", lambda m, x: x**5),
    ("square root", lambda m, x: m.sqrt(x)),
    ("reciprocal", lambda m, x: 1 / x),
    ("exponential", lambda m, x: m.exp(x)),
    ("logarithm", lambda m, x: m.log(x)),
    ("sine", lambda m, x: m.sin(x)),
    ("cosine", lambda m, x: m.cos(x)),
    ("tangent", lambda m, x: m.tan(x)),
    ("hyperbolic tangent", lambda m, x: m.tanh(x)),
    ("sum rule", lambda m, x: m.sin(x) + x**3),
    ("product rule", lambda m, x: m.sin(x) * x**3),
    ("quotient rule", lambda m, x: m.sin(x) / x**3),
    ("reciprocal rule", lambda m, x: 1 / m.cos(x)),
    ("chain rule", lambda m, x: m.sin(m.exp(x**2))),
]


def difference(f, x, h=1e-5):
    return (f(x + h) - f(x - h)) / (2 * h)


# The three agree to the digits that a difference quotient has:

point = 0.6
symbol = sympy.Symbol("x", positive=True)
print(f"{'rule':<20} {'formula':<34} {'here':>9}")
for name, f in TABLE:
    formula = sympy.simplify(sympy.diff(f(sympy, symbol), symbol))
    symbolic = float(formula.subs(symbol, point))
    numerical = difference(lambda x, f=f: f(math, x), point)
    here = tracer.grad(lambda x, f=f: f(np, x))(point)
    assert abs(here - symbolic) <= 1e-14 * max(1, abs(symbolic)), name
    assert abs(here - numerical) <= 1e-8 * max(1, abs(symbolic)), name
    print(f"{name:<20} {formula!s:<34} {here:>9.5f}")
