"""The pictures of the gallery say what the text beside them says."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from examples.pages import GALLERY

SVG = "{http://www.w3.org/2000/svg}"


def vertices_of(name: str) -> list[list[str]]:
    """The lines of each vertex of a drawn graph."""
    root = ElementTree.parse(GALLERY / "pictures" / f"{name}.svg").getroot()
    return [
        [text.text or "" for text in group.iter(f"{SVG}text")]
        for group in root.iter(f"{SVG}g")
        if (group.get("class") or "").startswith("vertex")
    ]


def slopes_of(name: str) -> list[str]:
    root = ElementTree.parse(GALLERY / "pictures" / f"{name}.svg").getroot()
    return sorted(
        text.text or "" for text in root.iter(f"{SVG}text") if text.get("class") == "derivative"
    )


@pytest.mark.parametrize(
    ("name", "expected", "slopes"),
    [
        (
            "two_paths",
            [["a", "= 2", "∂ = 2"], ["b", "= 1", "∂ = 5"], ["×", "= 6", "∂ = 1"]],
            ["1", "1", "1", "2", "3"],
        ),
        (
            "neuron",
            [
                ["w", "= 2", "∂ = 3"],
                ["b", "= 1", "∂ = 1"],
                ["×", "= 6", "∂ = 1"],
                ["+", "= 7", "∂ = 1"],
                ["max", "= 7", "∂ = 1"],
            ],
            ["1", "1", "1", "2", "3"],
        ),
        (
            "chain_rule",
            [["x", "= 2", "∂ = 292"], ["×", "= 144", "∂ = 1"], ["+", "= 148", "∂ = 1"]],
            ["1", "1", "12", "3", "36", "4", "4"],
        ),
    ],
)
def test_values_and_derivatives_in_the_picture(
    name: str, expected: list[list[str]], slopes: list[str]
) -> None:
    found = vertices_of(name)
    for vertex in expected:
        assert vertex in found
    assert slopes_of(name) == slopes


def test_the_perceptron_has_a_derivative_for_each_parameter() -> None:
    titles = [vertex[0] for vertex in vertices_of("perceptron")]
    for letter in "ABCabc":
        assert f"params.{letter}" in titles
        assert f"∂/∂params.{letter}" in titles
    assert titles.count("tanh") == 2
    page = (GALLERY / "perceptron.md").read_text("utf-8")
    result = next(vertex for vertex in vertices_of("perceptron") if vertex[0] == "result")
    assert f"loss {float(result[1].removeprefix('= ')):.2f} at first" in page
