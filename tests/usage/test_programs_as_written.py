"""Programs written for NumPy alone, run as they stand: eagerly, compiled, and differentiated."""

from __future__ import annotations

import numpy as np
import pytest

from tests.helpers import FAST
from tracer import grad, jacobian, jit

# The functions below know nothing of tracing: they are annotated as NumPy programs are.
Array = np.ndarray


def game_of_life(board: Array, generations: int) -> Array:
    """Conway's game on a torus: a cell lives with three neighbours, or with two if it did."""
    board = board.copy()
    for _ in range(generations):
        neighbours = np.zeros(board.shape, dtype=int)
        for row in (-1, 0, 1):
            for column in (-1, 0, 1):
                if row or column:
                    neighbours += np.roll(board, (row, column), axis=(0, 1))
        born = (neighbours == 3) & (board == 0)
        stays = ((neighbours == 2) | (neighbours == 3)) & (board == 1)
        board[...] = 0
        board[born | stays] = 1
    return board


def mandelbrot(size: int, zoom: float, limit: int) -> Array:
    """After how many steps z² + c leaves the disk of radius 2, for c on a grid."""
    x = np.linspace(-2.0, 0.5, size) * zoom
    y = np.linspace(-1.25, 1.25, size) * zoom
    c = x[np.newaxis, :] + 1j * y[:, np.newaxis]
    z = np.zeros_like(c)
    steps = np.full(c.shape, limit, dtype=int)
    for step in range(limit):
        inside = np.abs(z) <= 2
        z[inside] = z[inside] ** 2 + c[inside]
        steps[inside & (np.abs(z) > 2)] = step
    return steps


def heat(initial: Array, conductivity: float, steps: int) -> Array:
    """The heat equation on a rod with fixed ends, by explicit differences in place."""
    u = np.array(initial, dtype=float)
    dx = 1.0 / (len(u) - 1)
    dt = 0.4 * dx**2
    for _ in range(steps):
        flux = conductivity * np.diff(u) / dx
        u[1:-1] += dt * np.diff(flux) / dx
    return u


def kalman(observations: Array, noise: float, drift: float) -> tuple[Array, Array]:
    """The position and speed behind noisy positions; the estimates, and their last covariance."""
    transition = np.array([[1.0, 1.0], [0.0, 1.0]])
    look = np.array([[1.0, 0.0]])
    process = drift * np.array([[0.25, 0.5], [0.5, 1.0]])
    state = np.zeros(2)
    spread = np.eye(2) * 10.0
    estimates = np.empty((len(observations), 2))
    for k, observed in enumerate(observations):
        state = transition @ state
        spread = transition @ spread @ transition.T + process
        innovation = observed - (look @ state)[0]
        total = (look @ spread @ look.T)[0, 0] + noise
        gain = (spread @ look.T)[:, 0] / total
        state = state + gain * innovation
        spread = spread - np.outer(gain, look @ spread)
        estimates[k] = state
    return estimates, spread


def fit_line(x: Array, y: Array, rounds: int) -> Array:
    """A line by least squares, points far from it counting less in each round."""
    design = np.column_stack([np.ones_like(x), x])
    weights = np.ones_like(x)
    for _ in range(rounds):
        scaled = design * weights[:, None]
        (a, b), (c, d) = scaled.T @ design
        right = scaled.T @ y
        coefficients = np.array([d * right[0] - b * right[1], a * right[1] - c * right[0]])
        coefficients = coefficients / (a * d - b * c)
        residuals = y - design @ coefficients
        scale = np.median(np.abs(residuals)) / 0.6745
        weights = 1.0 / (1.0 + (residuals / scale) ** 2)
    return coefficients


RNG = np.random.default_rng(3)
BOARD = (RNG.random((8, 9)) < 0.4).astype(int)
ROD = np.sin(np.linspace(0.0, np.pi, 12))
TRACK = np.cumsum(np.ones(15)) + RNG.normal(size=15) * 0.3
PLACES = np.linspace(0.0, 3.0, 21)
POINTS = 2.0 - 0.7 * PLACES + RNG.normal(size=21) * 0.1


@pytest.mark.parametrize("backend", [FAST, "numpy"])
def test_the_game_of_life(backend: str) -> None:
    compiled = jit(game_of_life, backend=backend, static_argnums=1)
    assert np.array_equal(compiled(BOARD, 4), game_of_life(BOARD, 4))


def test_the_mandelbrot_set() -> None:
    compiled = jit(mandelbrot, static_argnums=(0, 2))
    with np.errstate(over="ignore", invalid="ignore"):
        assert np.array_equal(compiled(16, 0.9, 8), mandelbrot(16, 0.9, 8))


def test_the_heat_equation_and_its_derivatives() -> None:
    compiled = jit(heat, static_argnums=2)
    np.testing.assert_allclose(compiled(ROD, 0.7, 20), heat(ROD, 0.7, 20), rtol=1e-13)

    def middle(conductivity: float) -> float:
        return heat(ROD, conductivity, 20)[6]

    step = 1e-6
    expected = (middle(0.7 + step) - middle(0.7 - step)) / (2 * step)
    np.testing.assert_allclose(grad(middle)(0.7), expected, rtol=1e-7)
    np.testing.assert_allclose(jit(grad(middle))(0.7), expected, rtol=1e-7)
    linear = jacobian(lambda u: heat(u, 0.7, 20))(ROD)
    np.testing.assert_allclose(linear @ ROD, heat(ROD, 0.7, 20), rtol=1e-12)


def test_the_kalman_filter_and_the_gradient_by_its_noise() -> None:
    for found, expected in zip(
        jit(kalman)(TRACK, 0.09, 0.01), kalman(TRACK, 0.09, 0.01), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-13)

    def error(noise: float) -> float:
        return np.sum((kalman(TRACK, noise, 0.01)[0][:, 0] - np.arange(1.0, 16.0)) ** 2)

    step = 1e-6
    expected = (error(0.09 + step) - error(0.09 - step)) / (2 * step)
    np.testing.assert_allclose(jit(grad(error))(0.09), expected, rtol=1e-6)


def test_the_fit_of_a_line_and_its_sensitivity() -> None:
    compiled = jit(fit_line, static_argnums=2)
    expected = fit_line(PLACES, POINTS, 5)
    np.testing.assert_allclose(compiled(PLACES, POINTS, 5), expected, rtol=1e-12)

    def slope(y: Array) -> float:
        return fit_line(PLACES, y, 5)[1]

    step = 1e-6
    direction = np.cos(3.0 * PLACES)
    numerical = (slope(POINTS + step * direction) - slope(POINTS - step * direction)) / (2 * step)
    np.testing.assert_allclose(grad(slope)(POINTS) @ direction, numerical, rtol=1e-6)
