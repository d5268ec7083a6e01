# # A double pendulum from its Lagrangian
#
# Mechanics in one function: L(t, q, q̇) = T − V. The equations of motion follow by
# differentiation, d/dt ∂L/∂q̇ = ∂L/∂q, that is
#
#     ∂²L/∂q̇² q̈ = ∂L/∂q − ∂²L/∂q̇∂q q̇ − ∂²L/∂q̇∂t
#
# with nested `grad` and `jacobian`. Nobody has to write the famous page of trigonometry.

import numpy as np
from matplotlib.figure import Figure

import tracer
from tracer import grad, jacobian

GRAVITY = 9.81


def lagrangian(t, q, velocity):
    (a, b), (da, db) = q, velocity
    kinetic = da**2 + 0.5 * db**2 + da * db * np.cos(a - b)
    potential = -GRAVITY * (2 * np.cos(a) + np.cos(b))
    return kinetic - potential


def acceleration(L, t, q, velocity):
    momentum = grad(L, 2)
    mass = jacobian(momentum, 2)(t, q, velocity)
    force = grad(L, 1)(t, q, velocity)
    force = force - jacobian(momentum, 1)(t, q, velocity) @ velocity
    force = force - jacobian(momentum, 0)(t, q, velocity)
    return np.linalg.solve(mass, force)


def energy(t, q, velocity):
    return grad(lagrangian, 2)(t, q, velocity) @ velocity - lagrangian(t, q, velocity)


# Integrated for ten seconds, compiled as one function:


def motion(state, t):
    q, velocity = state
    return velocity, acceleration(lagrangian, t, q, velocity)


times = np.linspace(0, 10, 201)
start = (np.array([1.5, 2.0]), np.zeros(2))
integrate = tracer.jit(lambda s: tracer.odeint(motion, s, times, rtol=1e-10, atol=1e-10))
q, velocity = integrate(start)

# What must not change does not:

energies = np.array([energy(t, *state) for t, *state in zip(times, q, velocity, strict=True)])
change = np.abs(energies - energies[0]).max()
print(f"energy {energies[0]:.6f} at the start; the largest change is below 1e-6: {change < 1e-6}")

# The equations are those of the textbook:

(a, b), (da, db) = q[57], velocity[57]
mass = np.array([[2.0, np.cos(a - b)], [np.cos(a - b), 1.0]])
force = np.array([
    -np.sin(a - b) * db**2 - 2 * GRAVITY * np.sin(a),
    np.sin(a - b) * da**2 - GRAVITY * np.sin(b),
])  # fmt: skip
here = acceleration(lagrangian, times[57], q[57], velocity[57])
print(np.allclose(here, np.linalg.solve(mass, force)))

figure = Figure(figsize=(5, 4.5), layout="constrained")
axes = figure.add_subplot()
elbow = np.stack([np.sin(q[:, 0]), -np.cos(q[:, 0])])
end = elbow + np.stack([np.sin(q[:, 1]), -np.cos(q[:, 1])])
axes.plot(*elbow, linewidth=0.8)
axes.plot(*end, linewidth=0.8)
axes.set_aspect("equal")
figure.savefig("pendulum.svg")

# ![The paths of both masses](pictures/pendulum.svg)
