"""Kernels know the lines of the user's program that they compute."""

from __future__ import annotations

from typing import Any

import numpy as np

import tracer
from codegen.device.machine import DeviceMachine
from codegen.device.plan import plan_program
from codegen.device.schedule import kernels_of
from codegen.device.user_lines import lines_of_names
from codegen.lower.graph import lower_with_places
from codegen.passes.pipeline import optimize
from codegen.render.cuda import render_kernel


def scaled_sums(x: Any) -> Any:
    squares = x * x
    sums = squares.sum(axis=0)
    return np.tanh(sums)


def test_each_kernel_names_its_lines() -> None:
    graph = tracer.jit(scaled_sums).trace(np.ones((4000, 300))).graph
    program, places = lower_with_places(graph, "device")
    lines = lines_of_names(graph, places)
    first = scaled_sums.__code__.co_firstlineno
    assert set(lines.values()) >= {f"test_user_lines.py:{first + row}" for row in (2, 3)}
    schedule = plan_program(optimize(program, "device"), DeviceMachine(), render_kernel, lines)
    found = [kernel.places for kernel in kernels_of(schedule.steps)]
    assert len(found) == 2, "chunks of the sums, then what they gave"
    assert found[0], "some line"
    assert f"test_user_lines.py:{first + 3}" in found[1]
