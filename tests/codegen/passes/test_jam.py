"""Loops around sums, several iterations side by side: what is found, and that results stay."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from codegen.loops.check import check_program
from codegen.loops.interpret import interpret
from codegen.loops.nodes import Let, Literal, Loop, Operation, Program, Store, Update
from codegen.loops.text import print_program
from codegen.loops.walk import statements
from codegen.lower.graph import lower_graph
from codegen.passes import jam as jam_module
from codegen.passes.jam import JAMMED, jam, merge_updates
from codegen.passes.pipeline import PASSES
from tests.codegen.passes.random_loops import programs
from tests.codegen.passes.test_passes import check_equal
from tests.codegen.programs import FLOAT, buffer, i, real
from tracer import grad, jit

Array = np.ndarray[Any, np.dtype[Any]]
RNG = np.random.default_rng(11)


def distances(points: Any, centres: Any) -> Any:
    return np.sum((points[:, np.newaxis, :] - centres) ** 2, axis=2)


def nearest(points: Any, centres: Any) -> Any:
    return np.sum(np.min(distances(points, centres), axis=1))


def places(points: Any, centres: Any) -> Any:
    return np.argmin(distances(points, centres), axis=1)


def forms(points: Any, matrix: Any) -> Any:
    """x · |A x|, for each row x: not a product of matrices."""
    return np.sum(points * np.sum(np.abs(points[:, np.newaxis, :] * matrix), axis=2), axis=1)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "distances": distances,
    "nearest": nearest,
    "gradient": grad(nearest, argnums=(0, 1)),
    "places": places,
    "forms": forms,
}


def before_jam(f: Callable[..., Any], *args: Array) -> Program:
    """The program as it comes to the pass."""
    program = lower_graph(jit(f).trace(*args).graph)
    for name, change in PASSES:
        if name == "jam":
            return program
        program = change(program)
    raise AssertionError("the pipeline has the pass")


def arguments(name: str, rows: int) -> tuple[Array, Array]:
    """Points, and centres or a square matrix."""
    depth = 9 if name == "forms" else 6
    return RNG.normal(size=(rows, depth)), RNG.normal(size=(9, depth))


@pytest.mark.parametrize("rows", [16, 17, 19])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_same_bits(name: str, rows: int) -> None:
    args = arguments(name, rows)
    program = before_jam(FUNCTIONS[name], *args)
    changed = jam(program)
    assert changed is not program
    check_program(changed)
    for got, due in zip(interpret(changed, args), interpret(program, args), strict=True):
        np.testing.assert_array_equal(got, due, strict=True)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("special", [np.nan, np.inf, -0.0])
def test_compiled_with_special_values(name: str, special: float) -> None:
    points, centres = arguments(name, 21)
    points[3, 1] = special
    centres[2, 0] = special
    with np.errstate(invalid="ignore"):
        compiled = jit(FUNCTIONS[name], backend="llvm")(points, centres)
        expected = jit(FUNCTIONS[name], backend="numpy")(points, centres)
    if name != "gradient":
        compiled, expected = (compiled,), (expected,)
    for got, due in zip(compiled, expected, strict=True):
        np.testing.assert_allclose(got, due, rtol=1e-12, atol=1e-13)


def test_what_is_read_again_is_copied_transposed() -> None:
    text = print_program(jam(before_jam(nearest, *arguments("nearest", 16))))
    assert "t1: f64[6,9]" in text
    assert text.count("declare s") >= JAMMED


def test_short_loops_stay() -> None:
    program = before_jam(nearest, *arguments("nearest", jam_module.FEWEST_TRIPS - 1))
    assert jam(program) is program


def test_a_loop_that_depends_on_earlier_iterations_stays() -> None:
    def walk(points: Any, centres: Any) -> Any:
        import tracer

        def step(place: Any, point: Any) -> Any:
            place = np.min(np.sum((point + place - centres) ** 2, axis=1))
            return place, place

        return tracer.scan(step, np.zeros(()), points)[1]

    args = arguments("nearest", 20)
    program = before_jam(walk, *args)
    changed = jam(program)
    for got, due in zip(interpret(changed, args), interpret(program, args), strict=True):
        np.testing.assert_array_equal(got, due, strict=True)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(programs())
def test_random_programs(monkeypatch: pytest.MonkeyPatch, program: Program) -> None:
    """With the limits lowered, so that short loops are taken too."""
    monkeypatch.setattr(jam_module, "FEWEST_TRIPS", 2)
    monkeypatch.setattr(jam_module, "FEWEST_LANES", 1)
    check_equal(program, jam(program), "jam")


def test_updates_of_one_element_are_stored_once() -> None:
    target = buffer("y", (4,), "output")
    other = buffer("z", (4,), "output")
    names = iter("abcdefgh")
    body = (
        Update(target, (i,), "add", real(1.0)),
        Update(other, (i,), "add", real(3.0)),
        Let("t", Operation("sin", (real(2.0),), FLOAT)),
        Update(target, (i,), "multiply", real(2.0)),
    )
    merged = merge_updates(body, lambda: next(names))
    assert " ".join(type(part).__name__ for part in merged) == "Let Let Update Let Let Store"
    zero = Literal(0, i.dtype)
    fill = tuple(Store(place, (i,), real(0.5)) for place in (target, other))

    def program(inner: Any) -> Program:
        loops = tuple(Loop("i", zero, Literal(4, i.dtype), part) for part in (fill, inner))
        return Program("p", (), (target, other), (), (), loops)

    check_equal(program(body), program(merged), "merge_updates")


def test_elements_that_are_read_between_stay() -> None:
    target = buffer("y", (4,), "output")
    body = (
        Update(target, (i,), "add", real(1.0)),
        Update(target, (Literal(0, i.dtype),), "add", real(2.0)),
    )
    assert merge_updates(body, lambda: "never") == body
    assert len(list(statements(body))) == 2
