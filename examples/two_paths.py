# # Two paths: e = (a + b) · (b + 1)
#
# The smallest function that shows what automatic differentiation does. `b` reaches the result on
# two paths, and its derivative is the sum over both.

import tracer


def e(a, b):
    return (a + b) * (b + 1)


print(tracer.draw(e, 2, 1))

# Each line is a node of the graph: its value, the derivative of the result with respect to it, and
# the local derivatives along the edges that lead to it. Drawn:

tracer.draw(e, 2, 1).save("two_paths.svg")

# ![The graph of (a + b) · (b + 1) with values and derivatives](pictures/two_paths.svg)
#
# Blue numbers stand on edges and are local derivatives, red ones in nodes are derivatives of the
# result. Along the left path from `b` the product is 1 · 2, along the right one 1 · 3: together 5.
# The same in words:

print(tracer.explain(e, 2, 1))

# And as a user calls it:

value, (by_a, by_b) = tracer.value_and_grad(e, argnums=(0, 1))(2.0, 1.0)
print(f"e = {value}, ∂e/∂a = {by_a}, ∂e/∂b = {by_b}")
