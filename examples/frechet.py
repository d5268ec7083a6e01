# # The derivative as a linear map
#
# The derivative of f at x is the linear map v ↦ Df(x) v for which f(x + v) = f(x) + Df(x) v +
# o(|v|). Forward mode applies it, reverse mode applies its adjoint: ⟨u, Df(x) v⟩ = ⟨Df(x)ᵀ u, v⟩.

import numpy as np

from tracer import grad, jvp, plot, vjp


def f(x):
    return np.stack([x[0] * x[1], np.sin(x[1]), x[0] ** 2])


x, v, u = np.array([1.0, 2.0]), np.array([0.3, -0.1]), np.array([1.0, 2.0, 3.0])
image = jvp(f, (x,), (v,))[1]
back = vjp(f, x)[1](u)[0]
print(f"{u @ image:.12f} {back @ v:.12f}")

# The derivative of xᵀx is v ↦ 2xᵀv, so its gradient is 2x:

print(grad(lambda x: x @ x)(np.array([1.0, 2.0, 3.0])))

# Functions of matrices have gradients that are matrices. With the inner product ⟨A, B⟩ = tr AᵀB:

A = np.array([[2.0, 1.0, 0.0], [0.5, 3.0, 1.0], [0.0, 0.2, 1.5]])
X = np.array([[1.0, 0.2, 0.0], [0.1, 2.0, 0.3], [0.0, 0.4, 1.5]])
inverse = np.linalg.inv(X)
rules = {
    "tr X ↦ I": (np.trace, np.eye(3)),
    "tr AX ↦ Aᵀ": (lambda X: np.trace(A @ X), A.T),
    "det X ↦ det X · X⁻ᵀ": (np.linalg.det, np.linalg.det(X) * inverse.T),
    "log |det X| ↦ X⁻ᵀ": (lambda X: np.linalg.slogdet(X)[1], inverse.T),
    "tr X⁻¹ ↦ −(X⁻¹X⁻¹)ᵀ": (lambda X: np.trace(np.linalg.inv(X)), -(inverse @ inverse).T),
    "tr XᵀAX ↦ (A + Aᵀ)X": (lambda X: np.trace(X.T @ A @ X), (A + A.T) @ X),
}
for name, (function, expected) in rules.items():
    print(f"{name:<22} {np.allclose(grad(function)(X), expected, rtol=1e-12, atol=1e-13)}")

# Df(X) of the inverse is V ↦ −X⁻¹ V X⁻¹, and of XᵀAX it is V ↦ VᵀAX + XᵀAV:

V = np.array([[0.1, -0.2, 0.3], [0.0, 0.4, -0.1], [0.2, 0.1, 0.0]])
print(np.allclose(jvp(np.linalg.inv, (X,), (V,))[1], -inverse @ V @ inverse))
print(np.allclose(jvp(lambda X: X.T @ A @ X, (X,), (V,))[1], V.T @ A @ X + X.T @ A @ V))

# That the remainder is o(|v|) can be seen: halve the step and it quarters. On logarithmic axes it
# has slope 2, the difference without the derivative slope 1.

found = plot.taylor_remainders(lambda X: np.trace(np.linalg.inv(X)), X, V)
print(f"slope {found.slope:.1f}")
plot.taylor(lambda X: np.trace(np.linalg.inv(X)), X, V).savefig("frechet.svg")

# ![Remainders of the inverse's trace against the step](pictures/frechet.svg)
