"""The numbers behind the pictures, and that each picture is drawn."""

from __future__ import annotations

import io

import numpy as np
import pytest

import tracer
from tracer import optim, plot
from tracer.errors import ShapeError


def bowl(p):
    return (p["x"] - 1) ** 2 + 4 * (p["y"] + 2) ** 2


def saved(figure):
    stream = io.BytesIO()
    figure.savefig(stream, format="svg")
    return stream.getvalue()


def test_a_landscape_of_two_parameters():
    place = {"x": np.float64(0), "y": np.float64(0)}
    path = plot.descent(bowl, place, optim.gradient_descent(0.1), 30)
    found = plot.landscape_values(bowl, place, path=path, points=21)
    x, y = np.meshgrid(found.first, found.second)
    np.testing.assert_allclose(found.value, (x - 1) ** 2 + 4 * (y + 2) ** 2, rtol=1e-12)
    np.testing.assert_allclose(found.path[0], [0, 0])
    np.testing.assert_allclose(found.path[-1], [1 - 0.8**30, -2 + 2 * 0.2**30], atol=1e-9)
    assert found.first[0] < 0 < 1 < found.first[-1]
    assert found.second[0] < -2


def test_a_landscape_of_random_directions():
    place = np.arange(5.0)
    found = plot.landscape_values(lambda x: (x**2).sum(), place, points=5, span=2.0)
    np.testing.assert_allclose(found.directions @ found.directions.T, np.eye(2), atol=1e-12)
    np.testing.assert_allclose(found.value[2, 2], 30)
    corner = place - 2 * found.directions[0] + 2 * found.directions[1]
    np.testing.assert_allclose(found.value[-1, 0], (corner**2).sum())


def test_derivatives_of_a_function():
    x = np.linspace(-2, 2, 9)
    value, first, second = plot.derivatives_on(lambda x: np.sin(x) * x, x)
    np.testing.assert_allclose(value, np.sin(x) * x)
    np.testing.assert_allclose(first, np.cos(x) * x + np.sin(x))
    np.testing.assert_allclose(second, 2 * np.cos(x) - np.sin(x) * x)


def test_taylor_slopes():
    right = plot.taylor_remainders(lambda x: np.exp(x).sum(), np.array([0.3, -1.0]))
    assert right.slope == pytest.approx(2, abs=0.05)

    @tracer.custom_jvp
    def wrong(x):
        return np.exp(x)

    wrong.defjvp(lambda primals, tangents: (np.exp(primals[0]), tangents[0]))
    found = plot.taylor_remainders(lambda x: wrong(x).sum(), np.array([0.3, -1.0]))
    assert found.slope == pytest.approx(1, abs=0.05)
    assert plot.taylor_remainders(lambda x: 3 * x, 2.0).slope == np.inf


def test_the_pictures_are_drawn():
    place = {"x": np.float64(0), "y": np.float64(0)}
    path = plot.descent(bowl, place, optim.momentum(0.05), 20)
    figure = plot.landscape(bowl, place, path=path)
    assert [axes.get_xlabel() for axes in figure.axes if axes.get_xlabel()] == ["parameter 0"] * 2
    figure = plot.derivative(np.sin, 0, 6)
    assert [line.get_text() for line in figure.axes[0].get_legend().get_texts()] == [
        "f",
        "f′",
        "f′′",
    ]
    figure = plot.taylor(np.sin, 0.5)
    assert "slope 2.0" in figure.axes[0].get_legend().get_texts()[1].get_text()
    assert saved(figure).startswith(b"<?xml")


def test_bad_input():
    with pytest.raises(ShapeError, match=r"use plot\.derivative"):
        plot.landscape(lambda x: x**2, 1.0)
    with pytest.raises(ShapeError, match="one number"):
        plot.derivative(lambda x: np.stack([x, x]), 0, 1)
    with pytest.raises(ValueError, match="a < b"):
        plot.derivative(np.sin, 1, 1)
