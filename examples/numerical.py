# # Numerical, exact, automatic
#
# Three ways to the derivative of log √x at x = 2, where it is 1/(2x) = 0.25.

import numpy as np
from matplotlib.figure import Figure

import tracer


def f(x):
    return np.log(np.sqrt(x))


exact = 0.25
automatic = tracer.grad(f)(2.0)
print(f"{automatic:.15f}, and the error is below 1e-15: {abs(automatic - exact) < 1e-15}")

# The definition is a limit of difference quotients. For x² at x = 3 it can be watched: the
# quotient is 6 + h.

for h in (1.0, 0.1, 0.01, 0.001):
    print(f"h = {h:<6} ((3 + h)² − 3²) / h = {((3 + h) ** 2 - 3**2) / h:.4f}")

# On a computer the limit cannot be taken. A large step has an error of truncation, a small one an
# error of rounding, and the best that the forward difference of log √x can do is about eight
# digits:

steps = 10.0 ** np.arange(-1, -16, -1)
forward = np.abs((f(2 + steps) - f(2.0)) / steps - exact)
central = np.abs((f(2 + steps) - f(2 - steps)) / (2 * steps) - exact)
print("forward differences have fewer than ten digits at any step:", forward.min() > 1e-10)
print("central differences have fewer than thirteen:", central.min() > 1e-13)

# Drawn, error against step:

figure = Figure(figsize=(6, 4), layout="constrained")
axes = figure.add_subplot()
axes.loglog(steps, forward, "o-", label="forward difference")
axes.loglog(steps, np.maximum(central, 1e-16), "s-", label="central difference")
axes.axhline(1e-16, color="tab:green", label="automatic (no error at all here)")
axes.set_xlabel("step")
axes.set_ylabel("error")
axes.legend()
figure.savefig("numerical.svg")

# ![Error of difference quotients against the step](pictures/numerical.svg)
#
# Nor does depth cost accuracy. Five functions deep:


def deep(x):
    return np.sin(np.exp(np.cos(np.log(1 + x**2))))


x = 0.8
u = np.log(1 + x**2)
by_hand = np.cos(np.exp(np.cos(u))) * np.exp(np.cos(u)) * -np.sin(u) * 2 * x / (1 + x**2)
print(f"{tracer.grad(deep)(x):.15f}")
print(f"{by_hand:.15f}")
