"""How tests run in the process of a simulator: by how much the device is shrunk, and which of them.

The parent, tests/cuda/test_simulator.py, says so by environment variables.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TypeVar

from codegen.cuda import simulator_driver
from codegen.cuda.target import simulated

SMALL = "TESTS_SIMULATED_SMALL"
"""Statements that one block runs in the time of a launch: with few of them every program becomes
grids, loops of the host, split sums and split scans."""
PART = "TESTS_SIMULATED_PART"
"""Which tests, as "first:step": every so manieth of those that were chosen."""

Item = TypeVar("Item")


def is_tiny() -> bool:
    """Whether the simulated device is smaller than it usually is."""
    return simulated() and SMALL in os.environ


def shrink() -> None:
    """Make the simulated device as small as it has been asked for."""
    if is_tiny():
        machine = replace(simulator_driver.SIMULATED, small=int(os.environ[SMALL]))
        simulator_driver.SIMULATED = machine


def part(items: list[Item]) -> tuple[list[Item], list[Item]]:
    """The tests that were asked for, and the others."""
    if not simulated() or PART not in os.environ:
        return items, []
    first, step = map(int, os.environ[PART].split(":"))
    chosen = items[first::step]
    return chosen, [item for place, item in enumerate(items) if place % step != first]
