# # A neuron: a = relu(w · x + b)
#
# One neuron with weight w = 2, input x = 3 and bias b = 1: u = w · x = 6, v = u + b = 7, a = 7.

import numpy as np

import tracer


def neuron(w, x, b):
    return np.maximum(w * x + b, 0)


print(tracer.draw(neuron, 2, 3, 1))
tracer.draw(neuron, 2, 3, 1).save("neuron.svg")

# ![The graph of a neuron](pictures/neuron.svg)
#
# The slope of the relu is 1 at 7, so ∂a/∂w = x = 3 and ∂a/∂b = 1:

by_w, by_b = tracer.grad(neuron, argnums=(0, 2))(2.0, 3.0, 1.0)
print(f"∂a/∂w = {by_w}, ∂a/∂b = {by_b}")
assert (by_w, by_b) == (3.0, 1.0)

# Where the neuron is off, nothing flows back:

print(tracer.grad(neuron, argnums=(0, 1, 2))(-2.0, 3.0, 1.0))

# At exactly 0 the maximum has a kink. Written as `np.maximum(v, 0)` both sides are equal there,
# and the derivative is the middle of their slopes, ½ (see [Kinks](../kinks.md)); a relu is by
# convention flat there, and `tracer.nn.relu` has that slope.

print(tracer.grad(lambda v: np.maximum(v, 0))(0.0))
