"""Random graphs: text, simplification, loop programs, every pass and backend, and derivatives."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import Phase, given, settings

from codegen.loops.check import check_program
from codegen.loops.interpret import interpret
from codegen.loops.nodes import Program
from codegen.lower.graph import lower_graph
from codegen.passes.pipeline import PASSES
from tests.graph.random_graphs import Example, examples
from tests.helpers import COMPILED, Array, assert_near, run_compiled, run_lowered, run_numpy
from tests.primitives.numerical import (
    central_difference,
    pairing,
    pulled,
    pushed,
    random_cotangents,
    random_tangents,
)
from tracer.graph.text import parse_graph, print_graph
from tracer.transforms.graphs import adjoint
from tracer.transforms.simplify import simplify
from tracer.transforms.vmap import batch_graph

RNG_SEED = 7
# A graph that fails is shown as it is: to make a smaller one, thousands are evaluated.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
usual = settings(phases=PHASES, max_examples=40)
few = settings(phases=PHASES, max_examples=15)
fewest = settings(phases=PHASES, max_examples=5)


def check_same(results: Sequence[Array], expected: Sequence[Array], example: Example) -> None:
    """Equal up to the rounding of some forty operations in the example's precision."""
    tolerance = 1e-3 if example.has_single else 1e-9
    for result, due in zip(results, expected, strict=True):
        assert result.dtype == due.dtype
        assert_near(result, due, tolerance, str(example.graph))


@usual
@given(examples())
def test_text_round_trip(example: Example) -> None:
    text = print_graph(example.graph)
    again = parse_graph(text).check()
    assert print_graph(again) == text
    check_same(run_numpy(again, example.inputs), run_numpy(example.graph, example.inputs), example)


@usual
@given(examples())
def test_simplify(example: Example) -> None:
    """The simplified graph computes the same bits from no more nodes, and is a fixed point."""
    simple = simplify(example.graph).check()
    assert len(simple) <= len(example.graph)
    for result, due in zip(
        run_numpy(simple, example.inputs), run_numpy(example.graph, example.inputs), strict=True
    ):
        np.testing.assert_array_equal(result, due, strict=True)
    assert len(simplify(simple)) == len(simple)


@usual
@given(examples())
def test_lowering(example: Example) -> None:
    results = run_lowered(example.graph, example.inputs)
    check_same(results, run_numpy(example.graph, example.inputs), example)


@pytest.mark.parametrize("change", [change for _, change in PASSES], ids=[n for n, _ in PASSES])
@few
@given(examples())
def test_one_pass(change: Callable[[Program], Program], example: Example) -> None:
    """Each pass by itself, on the program as it was lowered."""
    program = lower_graph(simplify(example.graph))
    changed = change(program)
    check_program(changed)
    before = interpret(program, example.inputs)
    for result, due in zip(interpret(changed, example.inputs), before, strict=True):
        np.testing.assert_array_equal(result, due, strict=True)


@usual
@given(examples())
def test_passes_in_order(example: Example) -> None:
    """The pipeline, compared after every pass with the program that went in."""
    program = lower_graph(simplify(example.graph))
    before = interpret(program, example.inputs)
    for name, change in PASSES:
        program = change(program)
        check_program(program)
        for result, due in zip(interpret(program, example.inputs), before, strict=True):
            np.testing.assert_array_equal(result, due, err_msg=name, strict=True)


@pytest.mark.parametrize("backend", COMPILED)
@fewest
@given(examples(steps=30))
def test_compiled(backend: str, example: Example) -> None:
    results = run_compiled(example.graph, example.inputs, backend)
    check_same(results, run_numpy(example.graph, example.inputs), example)


@pytest.mark.parametrize("backend", COMPILED)
@fewest
@given(examples(steps=16))
def test_compiled_adjoint(backend: str, example: Example) -> None:
    graph = adjoint(example.graph)
    cotangents = random_cotangents(example.graph, np.random.default_rng(RNG_SEED))
    inputs = [*example.inputs, *cotangents]
    check_same(run_compiled(graph, inputs, backend), run_numpy(graph, inputs), example)


@usual
@given(examples(steps=24))
def test_adjoint_lowered(example: Example) -> None:
    """Forward and adjoint in one loop program, optimized, by the interpreter."""
    graph = adjoint(example.graph)
    cotangents = random_cotangents(example.graph, np.random.default_rng(RNG_SEED))
    inputs = [*example.inputs, *cotangents]
    check_same(run_lowered(graph, inputs, optimized=True), run_numpy(graph, inputs), example)


@usual
@given(examples(smooth=True))
def test_derivatives(example: Example) -> None:
    """Forward mode against differences, reverse mode against forward mode."""
    graph, inputs = example
    rng = np.random.default_rng(RNG_SEED)
    tangents, cotangents = random_tangents(graph, rng), random_cotangents(graph, rng)
    forward = pushed(graph, inputs, tangents)
    for value, due in zip(forward, central_difference(graph, inputs, tangents), strict=True):
        assert_near(value, due, 1e-5, str(graph))
    left = pairing(cotangents, forward)
    assert_near(pairing(pulled(graph, inputs, cotangents), tangents), left, 1e-9, str(graph))


@usual
@given(examples())
def test_reverse_is_the_adjoint_of_forward(example: Example) -> None:
    """With kinks as well: both modes take the same side of them."""
    graph, inputs = example
    rng = np.random.default_rng(RNG_SEED)
    tangents, cotangents = random_tangents(graph, rng), random_cotangents(graph, rng)
    left = pairing(cotangents, pushed(graph, inputs, tangents))
    backward = pulled(graph, inputs, cotangents)
    tolerance = 1e-2 if example.has_single else 1e-9
    assert_near(pairing(backward, tangents), left, tolerance, str(graph))


@usual
@given(examples(steps=30))
def test_batched(example: Example) -> None:
    """All inputs batched, against a loop."""
    graph, inputs = example
    others = [np.flip(x) if x.ndim else x + x.dtype.type(1) for x in inputs]
    batched, flags = batch_graph(graph, 2, (True,) * len(inputs))
    stacked = [np.stack(pair) for pair in zip(inputs, others, strict=True)]
    results = run_numpy(batched.check(), stacked)
    lanes = run_numpy(graph, inputs), run_numpy(graph, others)
    for result, has, one, two in zip(results, flags, *lanes, strict=True):
        check_same([result], [np.stack([one, two]) if has else one], example)
