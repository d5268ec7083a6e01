"""Complex numbers: the gradient of a real function of z = x + iy is ∂f/∂x − i ∂f/∂y."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tracer import grad, jacfwd, jacrev, jvp, vjp

STEP = 1e-5
Z = np.array([0.7 + 0.4j, -0.3 + 0.9j, 1.1 - 0.6j])
MATRIX = np.array([[1 + 1j, 2j, 0.5], [0.3, -1j, 2], [1, 1 - 1j, 0.1j]])

REAL: dict[str, Callable[[Any], Any]] = {
    "absolute": lambda z: np.sum(np.abs(z)),
    "squares": lambda z: np.sum(np.abs(z) ** 2),
    "conjugate product": lambda z: np.real(np.sum(z * np.conj(z) * z)),
    "real of exp": lambda z: np.sum(np.real(np.exp(z))),
    "imaginary of sin": lambda z: np.sum(np.imag(np.sin(z) * z)),
    "angle": lambda z: np.sum(np.angle(z)),
    "quadratic form": lambda z: np.real(np.conj(z) @ (MATRIX @ z)),
    "division": lambda z: np.real(np.sum(1 / (z + 2))),
    "log": lambda z: np.real(np.sum(np.log(z) * (1 + 2j))),
    "sqrt": lambda z: np.imag(np.sum(np.sqrt(z))),
    "power": lambda z: np.real(np.sum(z**3)),
    "through parts": lambda z: np.sum(np.hypot(z.real, z.imag**2)),
    "cast away": lambda z: np.sum((z * 1j).real * z.imag),
}


def differences(f: Callable[[Any], Any], z: np.ndarray) -> np.ndarray:
    """∂f/∂x − i ∂f/∂y of each element, by differences in both directions of the plane."""
    result = np.empty_like(z)
    for place in np.ndindex(*z.shape):
        slopes = []
        for unit in (1.0, 1j):
            step = np.zeros_like(z)
            step[place] = STEP * unit
            slopes.append((f(z + step) - f(z - step)) / (2 * STEP))
        result[place] = slopes[0] - 1j * slopes[1]
    return result


@pytest.mark.parametrize("name", REAL)
def test_gradient_of_a_real_function(name: str) -> None:
    gradient = grad(REAL[name])(Z)
    assert gradient.dtype == np.complex128
    np.testing.assert_allclose(gradient, differences(REAL[name], Z), rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("name", REAL)
def test_conjugate_points_uphill(name: str) -> None:
    f = REAL[name]
    gradient = grad(f)(Z)
    change = f(Z + 1e-6 * np.conj(gradient)) - f(Z)
    np.testing.assert_allclose(change, 1e-6 * np.sum(np.abs(gradient) ** 2), rtol=1e-3)


@pytest.mark.parametrize("name", REAL)
def test_forward_mode_in_both_directions(name: str) -> None:
    """The tangent along v is Re Σ g·v."""
    gradient = grad(REAL[name])(Z)
    for direction in (np.ones(3) + 0j, 1j * np.ones(3), np.array([1 + 2j, -1j, 0.5])):
        tangent = jvp(REAL[name], (Z,), (direction,))[1]
        np.testing.assert_allclose(tangent, np.real(np.sum(gradient * direction)), rtol=1e-12)


HOLOMORPHIC: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "exp": (np.exp, np.exp),
    "cube": (lambda z: z**3, lambda z: 3 * z**2),
    "reciprocal": (lambda z: 1 / z, lambda z: -1 / z**2),
    "sin": (np.sin, np.cos),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "log": (np.log, lambda z: 1 / z),
}


@pytest.mark.parametrize("name", HOLOMORPHIC)
def test_holomorphic(name: str) -> None:
    f, derivative = HOLOMORPHIC[name]
    for z in Z:
        np.testing.assert_allclose(grad(f, holomorphic=True)(z), derivative(z), rtol=1e-13)
    np.testing.assert_allclose(jacfwd(f)(Z), np.diag(derivative(Z)), rtol=1e-13)
    np.testing.assert_allclose(jacrev(f)(Z), np.diag(derivative(Z)), rtol=1e-13)


def test_real_argument_of_a_complex_function() -> None:
    """A real argument has a real gradient, though what lies between is complex."""
    gradient = grad(lambda x: np.abs(np.exp(1j * x) + 2))(0.3)
    assert isinstance(gradient, np.floating)
    h = 1e-6
    up, down = (np.abs(np.exp(1j * (0.3 + s)) + 2) for s in (h, -h))
    np.testing.assert_allclose(gradient, (up - down) / (2 * h), rtol=1e-8)


def test_adjoint_is_not_conjugated() -> None:
    """⟨u, J·v⟩ = ⟨Jᵀ·u, v⟩ without conjugation."""
    u, v = np.array([1 + 1j, 2.0, -1j]), np.array([0.5, 1j, 1 - 1j])
    _, pullback = vjp(lambda z: MATRIX @ z, Z)
    np.testing.assert_allclose(pullback(u)[0], MATRIX.T @ u, rtol=1e-14)
    np.testing.assert_allclose(np.sum(pullback(u)[0] * v), np.sum(u * (MATRIX @ v)), rtol=1e-14)
