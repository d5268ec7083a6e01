"""Normal variates of a key. Peers draw others, so that only their moments are compared."""

from types import ModuleType
from typing import Any

import numpy as np

import tracer
from bench.gpu.case import Case, simple_workload
from bench.workload import Function, Inputs, Size, Tolerance, Work, value_only

SIZES = {
    "toy": {"n": 400},
    "tiny": {"n": 8_192},
    "medium": {"n": 2**20},
    "large": {"n": 2**26},
}


def build(size: Size) -> Function:
    n = size["n"]

    def normal(key: Any, scale: Any) -> Any:
        return tracer.random.normal(key, n, dtype=scale.dtype) * scale

    return normal


def jax_build(jax: ModuleType, size: Size) -> Function:
    n = size["n"]

    def normal(key: Any, scale: Any) -> Any:
        keys = jax.random.wrap_key_data(key.astype(np.uint32))
        return jax.random.normal(keys, n, dtype=scale.dtype) * scale

    return normal


def torch_build(torch: ModuleType, size: Size) -> Function:
    """The generator's state is the device's, and moves with each call."""
    n = size["n"]

    def normal(key: Any, scale: Any) -> Any:
        return torch.randn(n, dtype=scale.dtype, device=scale.device) * scale

    return normal


def make_inputs(size: Size, rng: np.random.Generator) -> Inputs:
    return tracer.random.key(7), np.array(1.5)


def work(size: Size, itemsize: int) -> Work:
    """Twenty rounds of a cipher for every second number, and an inverse error function."""
    return Work(90.0 * size["n"], float(itemsize * size["n"]))


CASES = (
    Case(
        name="normal",
        title="random normal",
        workload=simple_workload(
            "normal",
            "normal variates of a key",
            make_inputs=make_inputs,
            build=build,
            jax_build=jax_build,
            torch_build=torch_build,
            program=value_only("normal variates"),
            tolerance=Tolerance(1e-12, "the inverse error function's own accuracy"),
            toy=SIZES["toy"],
        ),
        program_name="program",
        sizes=SIZES,
        work=work,
        tolerance=Tolerance(2e-5, "the inverse error function's own accuracy"),
        memory_bound=False,
        by_moments=True,
    ),
)
