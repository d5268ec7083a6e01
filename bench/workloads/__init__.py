"""The workloads: one file each, in the order in which `list` shows them."""

import importlib
from collections.abc import Mapping

from bench.errors import BenchError
from bench.workload import Workload

NAMES = (
    "digits",
    "logreg",
    "logsumexp",
    "gmm",
    "kmeans",
    "rosenbrock",
    "blackscholes",
    "chain",
    "loops",
    "lstm",
    "conv",
    "ode",
    "nbody",
    "stencil",
    "cholesky",
    "bundle",
    "hmc",
    "scaling",
    "memory",
    "eager",
)


def load_workload(name: str) -> Workload:
    """The workload of a name; `BenchError` for one that there is none of."""
    if name not in NAMES:
        raise BenchError(f"there is no workload {name!r}: choose from {', '.join(NAMES)}")
    workload: Workload = importlib.import_module(f"bench.workloads.{name}").WORKLOAD
    return workload


def load_workloads() -> Mapping[str, Workload]:
    """Every workload by name."""
    return {name: load_workload(name) for name in NAMES}
