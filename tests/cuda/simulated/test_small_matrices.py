"""Linear algebra of small matrices as kernels, and of larger ones with calls between kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracer.numpy as tnp
from codegen.cuda.program import CudaProgram
from codegen.cuda.simulator_driver import SimulatorDriver
from codegen.lower.graph import lower_graph
from codegen.passes.pipeline import optimize
from tracer import grad, jit

Array = np.ndarray[Any, np.dtype[Any]]
random = np.random.default_rng(5)


def run(function: Callable[..., Any], *inputs: Array) -> list[Array]:
    graph = jit(function).trace(*inputs).graph
    program = optimize(lower_graph(graph, target="device"), target="device")
    compiled = CudaProgram(program, SimulatorDriver())
    return [np.asarray(compiled.driver.download(output)) for output in compiled(list(inputs))]


@pytest.mark.parametrize("lead", [(), (3,)], ids=str)
def test_solve(lead: tuple[int, ...]) -> None:
    a, b = random.normal(size=(*lead, 5, 5)), random.normal(size=(*lead, 5, 2))
    (found,) = run(tnp.linalg.solve, a, b)
    np.testing.assert_allclose(found, np.linalg.solve(a, b), rtol=1e-9)
    with pytest.raises(np.linalg.LinAlgError, match="Singular matrix"):
        run(tnp.linalg.solve, np.zeros_like(a), b)


@pytest.mark.parametrize("lead", [(), (3,)], ids=str)
def test_cholesky_and_its_gradient(lead: tuple[int, ...]) -> None:
    a = random.normal(size=(*lead, 5, 5))
    a = a @ a.swapaxes(-1, -2) + np.eye(5)

    def function(x: Any) -> Any:
        return tnp.sum(tnp.log(tnp.diagonal(tnp.linalg.cholesky(x), axis1=-2, axis2=-1)))

    (found,) = run(tnp.linalg.cholesky, a)
    np.testing.assert_allclose(found, np.linalg.cholesky(a), rtol=1e-9, atol=1e-12)
    (slope,) = run(grad(function), a)
    due = np.linalg.inv(a) / 2
    np.testing.assert_allclose(slope + slope.swapaxes(-1, -2), 2 * due, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("lead", [(), (3,)], ids=str)
def test_rotations_and_reflections(lead: tuple[int, ...]) -> None:
    a = random.normal(size=(*lead, 3, 3))
    values, vectors = run(lambda x: tuple(tnp.linalg.eigh(x)), a)
    whole = np.tril(a) + np.tril(a, -1).swapaxes(-1, -2)
    np.testing.assert_allclose(whole @ vectors, vectors * values[..., None, :], atol=1e-12)
    u, s, vt = run(lambda x: tuple(tnp.linalg.svd(x)), a[..., :2])
    np.testing.assert_allclose((u[..., :2] * s[..., None, :]) @ vt, a[..., :2], atol=1e-12)
    found = run(lambda x: tuple(tnp.linalg.qr(x)), a)
    for got, due in zip(found, np.linalg.qr(a), strict=True):
        np.testing.assert_allclose(got, due, atol=1e-12)
    with pytest.raises(np.linalg.LinAlgError, match="did not converge"):
        run(tnp.linalg.eigvalsh, a * np.nan)


def test_rotations_of_complex_numbers() -> None:
    a = random.normal(size=(2, 2, 2)) + 1j * random.normal(size=(2, 2, 2))
    (q, r), (u, s, vt) = (
        run(lambda x, f=f: tuple(f(x)), a) for f in (tnp.linalg.qr, tnp.linalg.svd)
    )
    np.testing.assert_allclose(q @ r, a, atol=1e-12)
    np.testing.assert_allclose((u * s[..., None, :]) @ vt, a, atol=1e-12)
    values, vectors = run(lambda x: tuple(tnp.linalg.eigh(x)), a + a.conj().swapaxes(-1, -2))
    whole = a + a.conj().swapaxes(-1, -2)
    np.testing.assert_allclose(whole @ vectors, vectors * values[..., None, :], atol=1e-12)


def test_calls_between_kernels() -> None:
    a = random.normal(size=(2, 9, 9))
    (found,) = run(lambda x: tnp.linalg.svd(x, compute_uv=False) * 2.0, a)
    np.testing.assert_allclose(found, 2 * np.linalg.svd(a, compute_uv=False), rtol=1e-9)
