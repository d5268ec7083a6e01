"""Successive over-relaxation of Poisson's equation, in place, by plain Python loops.

D. Young, "Iterative methods for solving partial difference equations of elliptic type", Trans. AMS
76 (1954). Each point is set to a mean of itself and its four neighbours, two of which are new
already, so that no whole-array expression says the same. The gradient is by the first guess and by
the source. JAX has it as a scan over rows with a scan along each; PyTorch goes by diagonals, whose
points do not wait for each other.
"""

from types import ModuleType
from typing import Any

import numpy as np

from bench.workload import Function, Inputs, Size, Tolerance, Work, Workload, gradient
from bench.workloads.stencil_by_hand import by_diagonals, by_hand

WEIGHT = 1.7
"""Above 1: over-relaxation; 2 and more would not converge."""
OLD, NEW = 1.0 - WEIGHT, 0.25 * WEIGHT


def build(size: Size) -> Function:
    sweeps = size["sweeps"]

    def relax(a: Any, source: Any) -> Any:
        n = a.shape[0]
        for _ in range(sweeps):
            for i in range(1, n - 1):
                for j in range(1, n - 1):
                    around = a[i - 1, j] + a[i + 1, j] + a[i, j - 1] + a[i, j + 1]
                    a[i, j] = OLD * a[i, j] + NEW * (around + source[i, j])
        return np.sum(a * a)

    return relax


def jax_build(jax: ModuleType, size: Size) -> Function:
    """The same order of updates without a single one in place."""
    sweeps, numpy, scan = size["sweeps"], jax.numpy, jax.lax.scan

    def along(left: Any, known: Any) -> Any:
        value = NEW * left + known
        return value, value

    def relax(a: Any, source: Any) -> Any:
        def row(above: Any, rows: Any) -> Any:
            here, below, sources = rows
            known = above[1:-1] + below[1:-1] + here[2:] + sources[1:-1]
            _, inner = scan(along, here[0], OLD * here[1:-1] + NEW * known)
            new = numpy.concatenate([here[:1], inner, here[-1:]])
            return new, new

        def sweep(a: Any, _: None) -> Any:
            _, inner = scan(row, a[0], (a[1:-1], a[2:], source[1:-1]))
            return numpy.concatenate([a[:1], inner, a[-1:]]), None

        last, _ = scan(sweep, a, None, sweeps)
        return numpy.sum(last * last)

    return relax


def torch_build(torch: ModuleType, size: Size) -> Function:
    sweeps, n = size["sweeps"], size["n"]
    diagonals = []
    for total in range(2, 2 * n - 3):
        rows = torch.arange(max(1, total - n + 2), min(n - 2, total - 1) + 1)
        diagonals.append((rows, total - rows))

    def relax(a: Any, source: Any) -> Any:
        for _ in range(sweeps):
            for i, j in diagonals:
                around = a[i - 1, j] + a[i + 1, j] + a[i, j - 1] + a[i, j + 1]
                new = OLD * a[i, j] + NEW * (around + source[i, j])
                a = a.index_put((i, j), new)
        return torch.sum(a * a)

    return relax


def make_inputs(size: Size, rng: np.random.Generator) -> Inputs:
    """A rough first guess with zeros around it, and a few sources of heat."""
    n = size["n"]
    guess = np.zeros((n, n))
    guess[1:-1, 1:-1] = rng.uniform(0.0, 1.0, (n - 2, n - 2))
    source = np.zeros((n, n))
    places = rng.integers(1, n - 1, (2, max(1, n // 4)))
    source[places[0], places[1]] = rng.uniform(0.5, 2.0, places.shape[1])
    return guess, source


def work(size: Size) -> Work:
    """Eight operations a point forward, nine backward; nothing has to be stored on the way."""
    n, sweeps = size["n"], size["sweeps"]
    return Work(17.0 * sweeps * (n - 2) ** 2, 8.0 * 4 * n * n)


WORKLOAD = Workload(
    name="stencil",
    description="over-relaxation sweeps in place by Python loops: gradient by guess and source",
    sizes={
        "small": {"n": 32, "sweeps": 10},
        "medium": {"n": 128, "sweeps": 10},
        "large": {"n": 1_000, "sweeps": 10},
    },
    default_sizes=("small", "medium"),
    smoke={"n": 6, "sweeps": 2},
    tiny={"n": 3, "sweeps": 1},
    make_inputs=make_inputs,
    build=build,
    torch_build=torch_build,
    jax_build=jax_build,
    handwritten={"gradient": lambda size: by_hand(size["sweeps"], OLD, NEW)},
    reference={"gradient": lambda size: by_diagonals(size["sweeps"], OLD, NEW)},
    cpp={"gradient": "stencil.cpp"},
    programs={"gradient": gradient({0: "guess", 1: "source"})},
    tolerance=Tolerance(1e-11, "ten sweeps, whose sums are added in an order of their own"),
    work={"gradient": work},
)
