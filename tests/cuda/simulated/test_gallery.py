"""The programs of the gallery, made small: what they compute by kernels is what NumPy computes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import tracer
from examples.pages import PROGRAMS, compiled, pieces
from tests.helpers import assert_near
from tracer import config


class Small(NamedTuple):
    """What is written otherwise in a program, so that it is short, and the names of its results."""

    changes: dict[str, str]
    names: tuple[str, ...]


SMALL = {
    "black_scholes": Small({"10_000": "6"}, ("deltas", "gammas")),
    "descent": Small({"(valley, p))": "(valley, p, max_steps=2))"}, ("found",)),
    "digits": Small(
        {
            "load_digits(return_X_y=True)": "(part[:60] for part in load_digits(return_X_y=True))",
            "cross_entropy(linear(params, x), y)": "cross_entropy(linear(params, x[:4]), y[:4])",
            "tolerance=1e-5))(start)": "max_steps=2))(start)",
            "range(15)": "range(1)",
            "order[: len(order) // 64 * 64].reshape(-1, 64)": "order[:2].reshape(1, 2)",
            "3, 3, 8)": "3, 3, 2)",
            "(8, 3, 3, 16)": "(2, 3, 3, 2)",
            "np.zeros(8)": "np.zeros(2)",
            "np.zeros(16)": "np.zeros(2)",
            "(256, 10)": "(32, 10)",
        },
        ("found", "params"),
    ),
    "fit_ode": Small(
        {
            "np.array([HARE, LYNX]).T": "np.array([HARE, LYNX]).T[:2]",
            "np.arange(21.0)": "np.arange(2.0)",
            "rtol=1e-8, atol=1e-8": "rtol=1e-3, atol=1e-3",
            "max_steps=200": "max_steps=2",
        },
        ("found",),
    ),
    "hamiltonian": Small(
        {
            "data.data[:, ": "data.data[:20, ",
            "data.target": "data.target[:20]",
            "4000": "2",
            "LENGTH = 0.12, 12": "LENGTH = 0.12, 3",
        },
        ("draws", "accepted"),
    ),
    "inverse_problem": Small(
        {"N = 24": "N = 7", "1e-12": "1e-2", "max_steps=300": "max_steps=2"},
        ("measured", "turns", "found"),
    ),
    "mixture": Small(
        {"size=600": "size=12", "(600, 2)": "(12, 2)", "tolerance=1e-6": "max_steps=2"},
        ("found",),
    ),
    "pendulum": Small(
        {"(0, 10, 201)": "(0, 0.2, 3)", "rtol=1e-10, atol=1e-10": "rtol=1e-4, atol=1e-4"},
        ("q", "velocity"),
    ),
    "perceptron": Small({"length=500": "length=3"}, ("losses", "params")),
    "thirty_two_lines": Small(
        {"64": "6", "48": "5", "32": "4", ", 200)": ", 7)", "(200, ": "(7, "}, ("ours",)
    ),
}


def results(program: Path, backend: str) -> list[Any]:
    """The named values, once the program has come to them."""
    changes, names = SMALL[program.stem]
    text = program.read_text("utf-8")
    for old, new in changes.items():
        assert old in text, f"{program.name} says no longer {old}"
        text = text.replace(old, new)
    namespace: dict[str, Any] = {"__name__": "__main__", "__file__": str(program)}
    before = config.get("backend")
    config.set("backend", backend)
    try:
        for kind, part in pieces(text):
            if kind == "code" and not all(name in namespace for name in names):
                exec(compiled(part, f"{program.stem}-{backend}"), namespace)
    finally:
        config.set("backend", before)
    return list(tracer.tree.leaves([namespace[name] for name in names]))


def test_every_program_that_compiles_is_here() -> None:
    compiling = {program.stem for program in PROGRAMS if "tracer.jit" in program.read_text("utf-8")}
    assert compiling <= set(SMALL)


@pytest.mark.parametrize(
    "program", [program for program in PROGRAMS if program.stem in SMALL], ids=lambda p: p.stem
)
def test_kernels_give_what_numpy_gives(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with np.errstate(all="ignore"):
        due = results(program, "numpy")
        for one, other in zip(results(program, "cuda"), due, strict=True):
            assert_near(one, other, 1e-9)
