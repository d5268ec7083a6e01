# # The chain rule on several paths
#
# Gradients of functions of several variables, and the chain rule in the form that reverse mode
# uses: the derivative is the sum over all paths of the products along them.

import numpy as np

import tracer
from tracer import grad, hessian, jacobian

# The gradient of x²y + y is (2xy, x² + 1):

print(grad(lambda x, y: x**2 * y + y, argnums=(0, 1))(3.0, 4.0))

# A single path: f = g² + 1 with g = 3x has f′ = 2g · 3 = 18x.

print(grad(lambda x: (3 * x) ** 2 + 1)(2.0), 18 * 2.0)

# Two paths: f = g²h + h with g = 3x and h = x². Along g the product is 2gh · 3, along h it is (g²
# + 1) · 2x.


def two_paths(x):
    g, h = 3 * x, x**2
    return g**2 * h + h


x = 2.0
g, h = 3 * x, x**2
along_g, along_h = 2 * g * h * 3, (g**2 + 1) * 2 * x
print(f"{along_g} + {along_h} = {along_g + along_h}, and here {grad(two_paths)(x)}")
tracer.draw(two_paths, x).save("chain_rule.svg")

# ![Two paths from x to the result](pictures/chain_rule.svg)
#
# Weight sharing is the same thing: one weight used in every step gets the sum of all the steps'
# derivatives.


def shared(w, x):
    for _ in range(3):
        x = np.tanh(w * x)
    return x


def apart(w1, w2, w3, x):
    return np.tanh(w3 * np.tanh(w2 * np.tanh(w1 * x)))


parts = grad(apart, argnums=(0, 1, 2))(0.7, 0.7, 0.7, 1.0)
print(f"{sum(parts):.12f} {grad(shared)(0.7, 1.0):.12f}")

# In vectors the products are of matrices: the Jacobian of f ∘ g is J_f(g(x)) J_g(x). The rows of a
# Jacobian are the gradients of the components.

matrix = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])


def inner(x):
    return matrix @ x


def outer(y):
    return np.stack([y[0] * y[1], np.sin(y[2])])


x = np.array([0.1, 0.2])
whole = jacobian(lambda x: outer(inner(x)))(x)
product = jacobian(outer)(inner(x)) @ jacobian(inner)(x)
rows = np.stack([grad(lambda x, k=k: outer(inner(x))[k])(x) for k in range(2)])
print(np.allclose(whole, product), np.allclose(whole, rows))
print(np.round(whole, 6))

# Second derivatives are derivatives of derivatives; the matrix of them is symmetric:

second = hessian(lambda x: np.sin(x[0]) * x[1] ** 2)(np.array([0.5, 2.0]))
print(np.round(second, 6))
