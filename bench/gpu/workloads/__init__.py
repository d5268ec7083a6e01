"""The rows of the GPU table, a family a file, in the order in which they are run and shown."""

import importlib

from bench.errors import BenchError
from bench.gpu.case import Case
from bench.gpu.options import NAMES

FAMILIES = ("elementwise", "rows", "sums", "mixtures", "networks", "ode", "draws")


def load_cases(names: tuple[str, ...] = NAMES) -> tuple[Case, ...]:
    """The rows of those names; `BenchError` for one that there is none of."""
    for name in names:
        if name not in NAMES:
            raise BenchError(f"there is no GPU row {name!r}: choose from {', '.join(NAMES)}")
    known = {}
    for family in FAMILIES:
        module = importlib.import_module(f"bench.gpu.workloads.{family}")
        known.update({case.name: case for case in module.CASES})
    return tuple(known[name] for name in names)
