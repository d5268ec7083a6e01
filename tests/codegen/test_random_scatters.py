"""Random sums by index, on random devices: all that becomes of them gives NumPy's results."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from codegen.device.machine import DeviceMachine
from codegen.loops.check import check_program
from codegen.loops.interpret import interpret
from codegen.lower.graph import lower_graph
from codegen.passes import segment_sums
from codegen.passes.pipeline import optimize
from codegen.passes.sorted_scatter import sorted_scatter
from tests.codegen.device_programs import Array, backwards
from tracer import config, grad, jit, vmap

Key = tuple[Any, ...]
MACHINES = ((0, 0, 0, 60, 400), (0, 0, 3, 40), (1, 9, 40))
"""What a device is drawn from: statements of a launch, iterations of a sort, processors."""
SHAPES = ((17,), (31,), (5, 7), (1, 19), (9, 1), (6, 4))


class Draw:
    """A program: an array, places in some of its axes, and what goes there."""

    def __init__(self, seed: int) -> None:
        self.random = random = np.random.default_rng(seed)
        self.shape = tuple(int(n) for n in random.integers(1, 6, random.integers(1, 4)))
        rank = len(self.shape)
        self.axes = sorted(random.choice(rank, random.integers(1, rank + 1), replace=False))
        self.dtype = str(random.choice(["f8", "f8", "f4", "i8", "c16"]))
        self.mode = str(random.choice(["add", "add", "maximum", "multiply", "set", "gradient"]))
        if self.mode in ("maximum", "multiply", "gradient"):
            self.dtype = "f8"
        places = [self.places(self.shape[axis], self.lead()) for axis in self.axes]
        self.places_given = [random.random() < 0.7 for _ in places]
        self.all_places = places
        terms = self.numbers(np.zeros(self.shape)[self.key(places)].shape)
        given = [p for p, is_given in zip(places, self.places_given, strict=True) if is_given]
        self.args: list[Array] = [self.numbers(self.shape), terms, *given]

    def lead(self) -> tuple[int, ...]:
        """The shape of the places; the same each time but for axes of length 1."""
        if not hasattr(self, "shape_of_places"):
            self.shape_of_places = SHAPES[self.random.integers(len(SHAPES))]
        return tuple(n if self.random.random() < 0.7 else 1 for n in self.shape_of_places)

    def places(self, extent: int, shape: tuple[int, ...]) -> Array:
        """Some that may repeat, or all in order."""
        if self.random.random() < 0.15 and shape[0] <= extent:
            return np.arange(shape[0]).reshape(-1, *(1,) * (len(shape) - 1))
        return self.random.integers(-extent, extent, shape)

    def numbers(self, shape: tuple[int, ...]) -> Array:
        """Whole ones, whose sums are exact."""
        return np.round(self.random.normal(size=shape) * 8).astype(self.dtype)

    def key(self, places: list[Any]) -> Key:
        """The index of an array."""
        found: list[Any] = [slice(None)] * len(self.shape)
        for axis, place in zip(self.axes, places, strict=True):
            found[axis] = place
        return tuple(found)

    def function(self) -> Callable[..., Any]:
        """What is done with the arguments."""

        def key(given: tuple[Any, ...]) -> Key:
            rest = iter(given)
            pairs = zip(self.all_places, self.places_given, strict=True)
            return self.key([next(rest) if is_given else place for place, is_given in pairs])

        def changed(x: Any, v: Any, *given: Any) -> Any:
            y = x.copy()
            if self.mode == "set":
                y[key(given)] = v
            else:
                getattr(np, self.mode).at(y, key(given), v)
            return y

        def taken(x: Any, v: Any, *given: Any) -> Any:
            return (v * x[key(given)] ** 2).sum()

        return grad(taken) if self.mode == "gradient" else changed

    def batched(self, function: Callable[..., Any]) -> tuple[Callable[..., Any], list[Array]]:
        """The same for several arguments at once, of which some stay the same."""
        size = int(self.random.choice([1, 2, 9]))
        axes = [0, *[0 if self.random.random() < 0.7 else None for _ in self.args[1:]]]
        args = [
            arg if axis is None else np.stack([np.roll(arg, turn) for turn in range(size)])
            for arg, axis in zip(self.args, axes, strict=True)
        ]
        return vmap(function, in_axes=tuple(axes)), args


@pytest.mark.parametrize("seed", range(120))
def test_results_are_those_of_numpy(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = Draw(seed)
    function, args = draw.function(), draw.args
    if draw.random.random() < 0.35:
        function, args = draw.batched(function)
    small, serial, processors = [int(draw.random.choice(c)) for c in MACHINES]
    machine = DeviceMachine(2, 4, processors, small=small, serial=serial, simulated=True)
    monkeypatch.setattr(segment_sums, "LONGEST", int(draw.random.choice([2, 4, 1024])))
    monkeypatch.setattr(segment_sums, "OFTEN", int(draw.random.choice([1, 32])))
    scatter = ("sorted", "sorted", "atomic")[seed % 3]
    monkeypatch.setattr(config.SWITCHES["scatter"], "value", scatter)
    graph = jit(function).trace(*args).graph
    program = sorted_scatter(optimize(lower_graph(graph, "device"), "device"), machine)
    check_program(program)
    expected = np.asarray(jit(function, backend="numpy")(*args))
    for order in (program, backwards(program)):
        (found,) = interpret(order, args)
        np.testing.assert_allclose(found, expected, rtol=1e-13)
