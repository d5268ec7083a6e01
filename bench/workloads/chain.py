"""Chains of elementwise operations: what fusing is worth.

The chain repeats y ← 1 / √(0.5 sin y + x), which is five operations; x stays in it, so that the
gradient does not vanish however long it is. Without functions (`functions=0`) the sine is left out
for another multiplication, and what is left is what vector units and memory can do. The graph has
every operation by itself, except with `loop=1`: there a Python loop may stay one under `jit`.
"""

import functools
import math
from types import ModuleType
from typing import Any

import numpy as np

from bench.workload import (
    Differentiation,
    Function,
    Inputs,
    Program,
    Size,
    Tolerance,
    Work,
    Workload,
    gradient,
    value_only,
)

OPERATIONS_A_LINK = 5


def build(size: Size) -> Function:
    """An array function; its operations are counted without the sum that the gradient needs."""
    links, functions = size["operations"] // OPERATIONS_A_LINK, size["functions"]

    def link(y: Any, x: Any) -> Any:
        y = np.sin(y) if functions else y * 0.75
        return 1.0 / np.sqrt(y * 0.5 + x)

    def chain(x: Any) -> Any:
        return functools.reduce(lambda y, _: link(y, x), range(links), x)

    def loop(x: Any) -> Any:
        y = x
        for _ in range(links):
            y = link(y, x)
        return y

    return loop if size["loop"] else chain


def torch_build(torch: ModuleType, size: Size) -> Function:
    links, functions = size["operations"] // OPERATIONS_A_LINK, size["functions"]

    def chain(x: Any) -> Any:
        y = x
        for _ in range(links):
            y = torch.sin(y) if functions else y * 0.75
            y = 1.0 / torch.sqrt(y * 0.5 + x)
        return y

    return chain


def summed_gradient(differentiation: Differentiation, chain: Function) -> Function:
    """The chain's sum and its gradient."""

    def total(x: Any) -> Any:
        return chain(x).sum()

    return gradient({0: "x"}).make(differentiation, total)


def handwritten_value(size: Size) -> Function:
    """One loop over the elements with the chain written out, as one would by hand."""
    return _compile_source("value", size)


def handwritten_gradient(size: Size) -> Function:
    """The same with the derivative carried beside the value: for one input no way is shorter."""
    return _compile_source("gradient", size)


def handwritten_source(program: str, size: Size) -> str:
    """Python source of a function `chain(x)` for `numba.njit`, the loop body written out."""
    links, functions = size["operations"] // OPERATIONS_A_LINK, size["functions"]
    body = []
    with_slope = program == "gradient"
    for _ in range(links):
        if with_slope:
            body.append("slope = math.cos(y) * slope" if functions else "slope = slope * 0.75")
        body.append("y = math.sin(y)" if functions else "y = y * 0.75")
        body.append("y = 1.0 / math.sqrt(y * 0.5 + at)")
        if with_slope:
            body.append("slope = -0.5 * (y * y * y) * (slope * 0.5 + 1.0)")
    start = ["at = x[i]", "y = at", *(["slope = 1.0"] if with_slope else [])]
    end = ["total += y", "slopes[i] = slope"] if with_slope else ["values[i] = y"]
    result = "slopes" if with_slope else "values"
    lines = [
        "def chain(x):",
        f"    {result} = np.empty_like(x)",
        *(["    total = 0.0"] if with_slope else []),
        "    for i in range(x.size):",
        *(f"        {line}" for line in [*start, *body, *end]),
        "    return total, slopes" if with_slope else "    return (values,)",
    ]
    return "\n".join(lines) + "\n"


def _compile_source(program: str, size: Size) -> Function:
    names: dict[str, Any] = {"math": math, "np": np}
    exec(handwritten_source(program, size), names)
    function: Function = names["chain"]
    return function


def make_inputs(size: Size, rng: np.random.Generator) -> Inputs:
    return (rng.uniform(1.0, 2.0, size["n"]),)


def work(size: Size) -> Work:
    """Value and derivative of each link, side by side: a root, a division, and two functions."""
    links = size["operations"] // OPERATIONS_A_LINK
    return Work(size["n"] * links * (50.0 + 40.0 * size["functions"]), 16.0 * size["n"])


WORKLOAD = Workload(
    name="chain",
    description="chains of 5 to 300 elementwise operations: value, and gradient of the sum",
    sizes={
        "small": {"operations": 5, "n": 1_000_000, "functions": 1, "loop": 0},
        "medium": {"operations": 20, "n": 1_000_000, "functions": 1, "loop": 0},
        "arithmetic": {"operations": 20, "n": 1_000_000, "functions": 0, "loop": 0},
        "large": {"operations": 60, "n": 1_000_000, "functions": 1, "loop": 0},
        "longest": {"operations": 300, "n": 100_000, "functions": 1, "loop": 0},
        "loop": {"operations": 300, "n": 100_000, "functions": 1, "loop": 1},
    },
    default_sizes=("small", "medium", "arithmetic", "large", "longest", "loop"),
    smoke={"operations": 20, "n": 16, "functions": 1, "loop": 0},
    tiny={"operations": 5, "n": 1, "functions": 0, "loop": 0},
    make_inputs=make_inputs,
    build=build,
    torch_build=torch_build,
    handwritten={"value": handwritten_value, "gradient": handwritten_gradient},
    cpp={"gradient": "chain.cpp"},
    programs={
        "value": value_only("value"),
        "gradient": Program(("value", "gradient of x"), summed_gradient, argnums=(0,)),
    },
    work={"gradient": work},
    tolerance=Tolerance(1e-12, "60 links that each halve the error before; a sum of 10⁶ terms"),
)
