"""Pictures of graphs: the numbers in them, the formats, and that nothing overlaps."""

from __future__ import annotations

import json
import re
from xml.etree import ElementTree

import numpy as np
import pytest

import tracer
from tracer.errors import BackendError, NotAnArrayError
from tracer.view import draw
from tracer.view.graphviz import render_dot
from tracer.view.layout import lay_out
from tracer.view.numbers import array, number
from tracer.view.place import label_width, place, place_labels

SVG = "{http://www.w3.org/2000/svg}"


def textbook(a, b):
    return (a + b) * (b + 1)


def neuron(w, x, b):
    return np.maximum(w * x + b, 0)


def network(params, x):
    hidden = np.tanh(x @ params["W"] + params["b"])
    return -(hidden - np.log(np.exp(hidden).sum(-1, keepdims=True))).mean()


def arguments():
    random = np.random.default_rng(0)
    params = {"W": random.normal(size=(4, 5)), "b": np.zeros(5)}
    return params, random.normal(size=(7, 4))


def by_title(picture):
    return {vertex.title: vertex for vertex in picture.drawing.vertices}


def test_values_local_derivatives_and_adjoints_of_the_textbook_example():
    picture = draw(textbook, 2, 1)
    found = by_title(picture)
    assert (found["a"].value, found["a"].adjoint) == ("2", "2")
    assert (found["b"].value, found["b"].adjoint) == ("1", "5")
    assert (found["×"].value, found["×"].adjoint) == ("6", "1")
    factors = {(e.tail, e.head): e.factor for e in picture.drawing.edges if e.factor is not None}
    assert sorted(factors.values()) == [1, 1, 1, 2, 3]


def test_the_neuron():
    found = by_title(draw(neuron, 2, 3, 1))
    assert [found[name].adjoint for name in "wxb"] == ["3", "2", "1"]
    assert [found[sign].value for sign in ("×", "+", "max")] == ["6", "7", "7"]


def test_the_derivative_is_the_sum_over_the_paths():
    picture = draw(lambda x: np.sin(x) * np.exp(x) + x * x, 0.7)
    onward = {}
    for edge in picture.drawing.edges:
        onward.setdefault(edge.tail, []).append(edge)

    def paths(key):
        ends = [e for e in onward.get(key, []) if e.kind == "result"]
        if ends:
            return 1.0
        return sum(edge.factor * paths(edge.head) for edge in onward[key])

    start = next(v for v in picture.drawing.vertices if v.title == "x")
    slope = tracer.grad(lambda x: np.sin(x) * np.exp(x) + x * x)(0.7)
    np.testing.assert_allclose(paths(start.key), slope, rtol=1e-12)
    assert start.adjoint == number(slope)


def test_adjoints_of_arrays_are_the_gradient():
    params, x = arguments()
    found = by_title(draw(network, params, x))
    slope = tracer.grad(network)(params, x)
    assert found["params.b"].adjoint == array(slope["b"])
    assert found["params.W"].adjoint == array(slope["W"])


def test_adjoint_pictures_know_what_differentiates_what():
    params, x = arguments()
    picture = draw(network, params, x, adjoint=True)
    vertices = {vertex.key: vertex for vertex in picture.drawing.vertices}
    back = [v for v in vertices.values() if v.side == "backward" and v.kind == "node"]
    assert back
    for vertex in back:
        origin = vertices[vertex.origin]
        assert origin.side == "forward"
        assert origin.kind == "node"
        assert origin.source == vertex.source
    tanh = next(v for v in vertices.values() if v.title == "tanh")
    assert any(vertex.origin == tanh.key for vertex in back)
    results = {v.title: v.value for v in vertices.values() if v.title.startswith("∂/∂")}
    slope = tracer.grad(network)(params, x)
    assert results["∂/∂params.b"] == array(slope["b"])
    assert results["∂/∂params.W"] == array(slope["W"])


def test_boxes_of_a_layout_do_not_overlap():
    params, x = arguments()
    for picture in (draw(network, params, x), draw(network, params, x, adjoint=True)):
        boxes = place(picture.drawing).boxes
        for k, one in enumerate(boxes):
            for other in boxes[:k]:
                apart_x = abs(one.x - other.x) >= (one.width + other.width) / 2
                apart_y = abs(one.y - other.y) >= (one.height + other.height) / 2
                assert apart_x or apart_y, (one, other)


def test_layouts_of_odd_graphs():
    assert lay_out([], []).boxes == []
    assert len(lay_out([(10, 10)], []).boxes) == 1
    cycle = lay_out([(10, 10)] * 3, [(0, 1), (1, 2), (2, 0), (1, 1)])
    assert len({(box.x, box.y) for box in cycle.boxes}) == 3
    chain = lay_out([(10, 10)] * 40, [*((k, k + 1) for k in range(39)), (0, 39), (0, 5)])
    heights = [box.y for box in chain.boxes]
    assert heights == sorted(heights)


def test_svg_is_well_formed_and_says_what_the_drawing_says():
    picture = draw(textbook, 2.0, 1.0)
    root = ElementTree.fromstring(picture.own_svg())
    texts = [element.text for element in root.iter(f"{SVG}text")]
    for wanted in ("a", "= 2", "∂ = 5", "×", "= 6", "result"):
        assert wanted in texts
    slopes = [e.text for e in root.iter(f"{SVG}text") if e.get("class") == "derivative"]
    assert sorted(slopes) == ["1", "1", "1", "2", "3"]
    assert len([e for e in root.iter(f"{SVG}path") if e.get("class") == "edge"]) == 7


def test_text_for_the_terminal():
    text = draw(textbook, 2, 1).text()
    assert re.search(
        r"v3 = × \(v1, v2\) +=\s6 +∂ = 1 +∂/∂v1 = 2  ∂/∂v2 = 3 +test_draw.py:\d+", text
    )
    assert re.search(r"v1 = × \(x, x\) ", draw(lambda x: x * x, 3.0).text())


def test_the_page_holds_the_drawing_and_needs_no_network():
    picture = draw(network, *arguments(), adjoint=True)
    page = picture.html()
    assert not re.search(r"(src|href)\s*=|https?://|@import", page)
    data = re.search(r'<script id="data" type="application/json">(.*?)</script>', page, re.DOTALL)
    drawn = json.loads(data.group(1))
    assert len(drawn["vertices"]) == len(picture.drawing.vertices)
    assert len(drawn["layout"]["boxes"]) == len(drawn["vertices"])
    assert "</script><b>" not in draw(lambda x: x, 1.0).html()


def test_names_that_would_end_the_script_element():
    def named(x):
        return x

    named.__name__ = "</script><b>"
    page = draw(named, 1.0).html()
    assert page.count("</script>") == 3
    assert "<b>&lt;" not in page


def test_saving(tmp_path):
    picture = draw(textbook, 2, 1)
    for ending, start in (
        ("svg", b"<"),
        ("png", b"\x89PNG"),
        ("html", b"<!DOCTYPE"),
        ("txt", b"a "),
    ):
        picture.save(tmp_path / f"p.{ending}")
        assert (tmp_path / f"p.{ending}").read_bytes().startswith(start)
    assert render_dot(picture.drawing).startswith('digraph "textbook" {')
    with pytest.raises(BackendError, match=r"saved as \.svg"):
        picture.save(tmp_path / "p.gif")


def test_jupyter_shows_pictures_and_graphs():
    bundle = draw(textbook, 2, 1)._repr_mimebundle_()
    assert bundle["image/svg+xml"].startswith("<svg")
    assert "∂ = 5" in bundle["text/plain"]
    graph = tracer.make_graph(textbook)(2.0, 1.0)
    assert graph._repr_mimebundle_()["image/svg+xml"].startswith("<svg")
    assert graph._repr_html_().startswith("<svg")


def test_a_graph_with_and_without_values():
    graph = tracer.make_graph(textbook)(2.0, 1.0)
    assert by_title(draw(graph))["%0"].value == ""
    assert by_title(draw(graph, 2.0, 1.0))["×"].value == "6"
    assert by_title(draw(textbook, 2, 1, values=False))["×"].adjoint == ""


def test_bodies_of_loops_lie_inside_their_loop():
    def powers(x):
        return tracer.fori_loop(0, 5, lambda i, c: c * x + np.sin(c), x)

    picture = draw(powers, 1.5)
    loop = by_title(picture)["loop"]
    inner = [vertex for vertex in picture.drawing.vertices if vertex.inside == loop.key]
    assert {"×", "sin", "+"} <= {vertex.title for vertex in inner}
    assert loop.value == array(powers(1.5))
    assert by_title(picture)["x"].adjoint == number(tracer.grad(powers)(1.5))


def test_kernels_hold_all_that_is_computed_in_loops():
    x = np.linspace(0, 1, 1000)
    picture = draw(lambda x: np.sin(x) * np.exp(x), x, kernels=True)
    assert picture.drawing.kernels == [["n0", "n1", "n2"]]
    assert "kernel 0" in picture.own_svg()


def test_odd_values_are_drawn():
    picture = draw(lambda x: np.log(x) / x, np.array([0.0, -1.0, np.inf, 2.0]))
    assert "NaN" in picture.text()
    assert picture.html()
    assert draw(lambda x: x.real * 2, 1 + 2j).svg()
    assert draw(lambda x: x > 1, np.arange(20)).text()


def test_bad_input():
    with pytest.raises(NotAnArrayError, match="function or a Graph"):
        draw(3)


def test_numbers_are_short():
    assert number(1 / 3) == "0.33333"
    assert number(-1.5e-9) == "−1.5·10⁻⁹"
    assert number(np.nan) == "NaN"
    assert number(-np.inf) == "−∞"
    assert number(2 - 1j) == "2 − 1i"
    assert array(np.ones((3, 4))) == "3×4, all 1"
    assert array(np.arange(8.0)) == "8 entries, 0 … 7"
    assert array(np.array([[1, 2], [3, 4]])) == "[[1, 2], [3, 4]]"


def test_five_thousand_nodes_are_laid_out():
    def long(x):
        for _ in range(1700):
            x = np.sin(x) * 1.01 + x
        return x

    picture = draw(tracer.jit(long, source=False), 0.1)
    assert len([v for v in picture.drawing.vertices if v.kind == "node"]) == 5100
    assert picture.html()


def test_labels_do_not_overlap():
    params, x = arguments()
    for picture in (draw(textbook, 2, 1), draw(network, params, x, adjoint=True)):
        layout = place(picture.drawing)
        labels = [label for label in place_labels(picture.drawing, layout) if label is not None]
        assert labels
        for k, one in enumerate(labels):
            for other in labels[:k]:
                room = (label_width(one.text) + label_width(other.text)) / 2
                assert abs(one.x - other.x) >= room or abs(one.y - other.y) >= 14, (one, other)


def test_complex_scalars_have_complex_local_derivatives():
    for number_type in (complex, np.complex64):
        picture = draw(lambda z: (z * z.conj()).real, number_type(1 + 2j))
        assert by_title(picture)["result"].value == "5"
        assert "1 − 2i" in {edge.derivative for edge in picture.drawing.edges}
