"""Every switch of the library, with what it does. Each can be set as an environment variable."""

from __future__ import annotations

import os
from dataclasses import dataclass, field


@dataclass
class Switch:
    """One switch: the environment variable that sets it, its value, and a sentence about it."""

    variable: str
    value: str
    help: str
    choices: tuple[str, ...] = field(default=())


SWITCHES = {
    "backend": Switch(
        "TRACER_BACKEND",
        os.environ.get("TRACER_BACKEND", "llvm"),
        "the backend that jit uses where none is named: llvm, numba, cuda or numpy",
        ("llvm", "numba", "cuda", "numpy"),
    ),
    "debug": Switch(
        "TRACER_DEBUG",
        os.environ.get("TRACER_DEBUG", ""),
        "what each stage prints: a comma-separated list of graph, loops, source, time, cache",
    ),
    "cache_dir": Switch(
        "TRACER_CACHE_DIR",
        os.environ.get("TRACER_CACHE_DIR", ""),
        "the folder of the disk cache; 'off' switches it off",
    ),
    "check": Switch(
        "TRACER_CHECK",
        os.environ.get("TRACER_CHECK", ""),
        "1: verify the graph and the loop program after each pass (the tests do); access: check "
        "also, in compiled code, that each access to memory stays inside its array",
    ),
    "parallel": Switch(
        "TRACER_PARALLEL",
        os.environ.get("TRACER_PARALLEL", "auto"),
        "which loops threads share where jit is not told: auto (where it pays), always or never; "
        "NUMBA_NUM_THREADS or OMP_NUM_THREADS says how many threads there are",
        ("auto", "always", "never"),
    ),
    "pool": Switch(
        "TRACER_POOL",
        os.environ.get("TRACER_POOL", "256"),
        "megabytes of freed large results that are kept for the next ones, at most a sixteenth of "
        "the machine's memory; 0 for none",
    ),
    "scatter": Switch(
        "TRACER_SCATTER",
        os.environ.get("TRACER_SCATTER", "sorted"),
        "how a GPU adds floating-point numbers to places that are data: sorted (in a fixed order, "
        "so that results are the same bits each time) or atomic (in whichever order threads come, "
        "without sorting)",
        ("sorted", "atomic"),
    ),
    "unroll": Switch(
        "TRACER_UNROLL",
        os.environ.get("TRACER_UNROLL", "8"),
        "a Python for loop over a static range of more iterations than this becomes one loop "
        "under jit",
    ),
}


def get(name: str) -> str:
    """The value of a switch."""
    return SWITCHES[name].value


def set(name: str, value: str) -> None:
    """Change a switch for this process; ValueError for a value that it does not have."""
    switch = SWITCHES[name]
    if switch.choices and value not in switch.choices:
        raise ValueError(f"{name} is one of {', '.join(switch.choices)}, not {value!r}")
    switch.value = value


def debugging(stage: str) -> bool:
    """Whether `TRACER_DEBUG` names this stage."""
    return stage in SWITCHES["debug"].value.split(",")
