"""What a call launches, in words: forms, sizes, loops of the host, and the user's lines."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracer
from codegen.cuda.explain import explain_graph, launch_count, plan_graph, size_text
from codegen.device.machine import DeviceMachine
from tracer.errors import BackendError


def softmax(x: Any) -> Any:
    weights = np.exp(x - x.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def explained(f: Any, *args: Any) -> list[str]:
    return tracer.jit(f, backend="cuda").trace(*args).lower().explain().splitlines()


def zeros(*shape: int) -> Any:
    return np.broadcast_to(np.float32(0), shape)


def test_a_warp_has_a_row() -> None:
    head, kernel, *lines = explained(softmax, zeros(20_000, 512))
    assert head.startswith("softmax: 1 launches and library calls, 81.9 MB moved, coalescing 100 %")
    assert kernel.startswith("  kernel_0 <<<1056, 256>>> one warp a row: 81.9 MB, coalescing 100 %")
    assert lines
    assert all("test_explained_launches.py:" in line for line in lines)


@pytest.mark.parametrize(
    ("f", "shape", "form"),
    [
        (lambda x: np.sin(x), (4000, 1000), "one thread an element"),
        (lambda x: np.sum(x), (100,), "one block"),
        (lambda x: np.cumsum(x, axis=0), (40, 200_000), "one thread a row"),
        (lambda x: np.tanh(x @ x), (200, 200), "one block a tile of"),
        (lambda x: np.linalg.eigh(x), (300, 300), "cuSOLVER syevd of 300×300"),
        (lambda x: x @ x, (2000, 2000), "cuBLAS gemm of 2000×2000, 2000×2000"),
    ],
)
def test_forms_have_names(f: Any, shape: tuple[int, ...], form: str) -> None:
    assert form in "\n".join(explained(f, zeros(*shape)))


def test_loops_of_the_host_are_told_and_counted() -> None:
    def powers(x: Any, w: Any) -> Any:
        return tracer.scan(lambda x, _: (np.sin(x @ w), None), x, None, length=7)[0]

    x = zeros(1024, 1024)
    graph = tracer.jit(powers, backend="cuda").trace(x, x).graph
    assert " from 0 to 7, by the host:" in explain_graph(graph)
    schedule = plan_graph(graph, DeviceMachine())
    assert launch_count(schedule.steps) >= 14


def test_who_looks_at_a_condition_is_told() -> None:
    def grown(x: Any, w: Any) -> Any:
        return tracer.while_loop(lambda c: np.sum(c) < 1.0, lambda c: c @ w + 1.0, x)

    def solved(x: Any, w: Any) -> Any:
        return tracer.while_loop(lambda c: np.sum(c) < 1.0, lambda c: np.linalg.eigh(c)[1] + w, x)

    x = zeros(512, 512)
    assert " holds, which kernels look at:" in "\n".join(explained(grown, x, x))
    assert " holds, read by the host:" in "\n".join(explained(solved, x, x))


def test_the_derivation_ends_with_the_launches() -> None:
    x = np.linspace(0.1, 1.0, 6).reshape(2, 3)
    found = tracer.explain(tracer.jit(lambda x: np.sum(softmax(x) ** 2), backend="cuda"), x)
    assert "On a GPU" in found.text()
    assert "one block" in found.markdown()
    assert "On a GPU" not in tracer.explain(tracer.jit(softmax, backend="llvm"), x).text()


def test_pictures_have_the_kernels_of_the_device() -> None:
    drawn = tracer.draw(tracer.jit(softmax, backend="cuda"), np.ones((2, 3)), kernels=True)
    assert drawn.drawing.kernels


def test_other_backends_launch_nothing() -> None:
    with pytest.raises(BackendError, match="numpy backend"):
        tracer.jit(softmax, backend="numpy").trace(np.ones((2, 3))).lower().explain()


@pytest.mark.parametrize(
    ("size", "text"), [(12, "12 bytes"), (4e7, "40 MB"), (999.9e6, "1 GB"), (1536, "1.54 kB")]
)
def test_sizes_have_units(size: float, text: str) -> None:
    assert size_text(size) == text
