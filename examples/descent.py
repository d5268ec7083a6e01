# # Gradient descent on a landscape
#
# x ← x − η ∇f(x). How large may η be? On a quadratic with curvatures 1 and 10 the answer is exact:
# along a direction of curvature c each step multiplies the error by 1 − ηc, so everything above η
# = 2/10 diverges.

import numpy as np

import tracer
from tracer import optim, plot


def bowl(p):
    return 0.5 * (p[0] ** 2 + 10 * p[1] ** 2)


start = np.array([2.0, 1.0])
for rate in (0.02, 0.1, 0.19, 0.21):
    path = plot.descent(bowl, start, optim.gradient_descent(rate), 40)
    expected = start * np.array([1 - rate, 1 - 10 * rate]) ** 40
    assert np.allclose(path[-1], expected)
    print(f"η = {rate}: f = {bowl(path[-1]):.3g} after 40 steps")

# A valley that bends (Rosenbrock's function), with the path of a descent with momentum:


def valley(p):
    return (1 - p[0]) ** 2 + 10 * (p[1] - p[0] ** 2) ** 2


path = plot.descent(valley, np.array([-1.0, 1.0]), optim.momentum(0.005), 200)
print(np.round(path[-1], 1))
plot.landscape(valley, np.array([-1.0, 1.0]), path=path).savefig("descent.png")

# ![The valley, and the way down](pictures/descent.png)
#
# Second derivatives need no step to be chosen. The whole of L-BFGS or of Newton's method is one
# compiled function:

for method in (optim.lbfgs, optim.newton_cg):
    found = tracer.jit(lambda p, method=method: method(valley, p))(np.array([-1.0, 1.0]))
    print(f"{method.__name__}: converged {found.converged} at {np.round(found.x, 6)}")
