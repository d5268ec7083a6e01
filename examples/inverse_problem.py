# # An inverse problem through a while loop
#
# A rod is heated from inside and cooled at its ends. Its steady temperature solves a nonlinear
# equation, (k(u) u′)′ + q = 0, by an iteration that runs until it has converged: how many turns
# that takes depends on the data. From a few measured temperatures the heat source q is to be
# found.

import numpy as np

import tracer
from tracer import optim

N = 24
place = np.linspace(0, 1, N + 2)[1:-1]
h = 1 / (N + 1)


def temperature(q):
    """Gauss–Seidel's method for the discrete equation, until a sweep changes nothing."""

    def sweep(u):
        left = np.concatenate([np.zeros(1), u[:-1]])
        right = np.concatenate([u[1:], np.zeros(1)])
        # conductivity grows with temperature
        west = 1 + 0.5 * (left + u) / 2
        east = 1 + 0.5 * (right + u) / 2
        return 0.3 * u + 0.7 * (west * left + east * right + h * h * q) / (west + east)

    def pending(state):
        _, change, turns = state
        return (change > 1e-12) & (turns < 20_000)

    def turn(state):
        u, _, turns = state
        new = sweep(u)
        return new, np.abs(new - u).max(), turns + 1

    u, _, turns = tracer.while_loop(pending, turn, (0 * q, np.float64(1), 0))
    return u, turns


true = 8 * np.exp(-((place - 0.3) ** 2) / 0.01) + 4 * np.exp(-((place - 0.7) ** 2) / 0.02)
where = np.arange(1, N, 2)
measured, turns = tracer.jit(temperature)(true)
measured = measured[where]
print(f"turns of the loop between 500 and 20000: {500 < turns < 20000}")


def loss(q):
    u, _ = temperature(q)
    return 1e4 * ((u[where] - measured) ** 2).mean() + 1e-5 * (np.diff(q) ** 2).sum()


# Reverse mode runs through the loop: it is unrolled backwards by a tape that grows as the loop
# runs. The gradient against a difference:

slope = tracer.jit(tracer.grad(loss))
q = np.full(N, 2.0)
step = 1e-4 * np.sin(3 * place)
numerical = (loss(q + step) - loss(q - step)) / 2
agrees = np.isclose(slope(q) @ step, numerical, rtol=1e-5)
print("agrees with the difference quotient:", bool(agrees))

# And the source is found again:

found = tracer.jit(lambda q: optim.lbfgs(loss, q, tolerance=1e-5, max_steps=300))(q)
error = np.abs(found.x - true).max()
print("largest error of the source below a tenth of its top:", bool(error < 0.1 * true.max()))
