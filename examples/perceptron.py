# # A perceptron with two hidden layers
#
# First two weights only: sin(w₁) · w₂ (1 − w₂), whose gradient one can check by hand.

import numpy as np

import tracer
from tracer import optim


def small(w1, w2):
    return np.sin(w1) * w2 * (1 - w2)


by_w1, by_w2 = tracer.grad(small, argnums=(0, 1))(0.5, 0.25)
print(f"{by_w1:.6f} {np.cos(0.5) * 0.25 * 0.75:.6f}")
print(f"{by_w2:.6f} {np.sin(0.5) * (1 - 2 * 0.25):.6f}")

# Now a network of two hidden layers that learns the exclusive or. Its loss is plain NumPy:


def network(params, x):
    hidden = np.tanh(x @ params["A"] + params["a"])
    hidden = np.tanh(hidden @ params["B"] + params["b"])
    return hidden @ params["C"] + params["c"]


def loss(params, x, y):
    return ((network(params, x) - y) ** 2).mean()


x = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
y = np.array([0.0, 1.0, 1.0, 0.0])
random = np.random.default_rng(1)
params = {
    "A": random.normal(size=(2, 4)), "a": np.zeros(4),
    "B": random.normal(size=(4, 4)), "b": np.zeros(4),
    "C": random.normal(size=4), "c": np.float64(0.0),
}  # fmt: skip

# Its graph, forward and adjoint side by side; the page that `save("perceptron.html")` writes can
# be searched and folded.

tracer.draw(loss, params, x, y, adjoint=True).save("perceptron.svg")

# ![The graph of the loss and its adjoint](pictures/perceptron.svg)
#
# Trained with Adam, all steps in one compiled loop:

optimizer = optim.adam(0.05)
slope = tracer.value_and_grad(loss)


def step(carry, _):
    params, state = carry
    value, gradient = slope(params, x, y)
    updates, state = optimizer.update(gradient, state, params)
    return (optim.apply_updates(params, updates), state), value


train = tracer.jit(lambda carry: tracer.scan(step, carry, None, length=500))
(params, _), losses = train((params, optimizer.init(params)))
print(f"loss {losses[0]:.2f} at first, below 1e-4 after 500 steps: {losses[-1] < 1e-4}")
print(np.abs(np.round(network(params, x), 1)))
