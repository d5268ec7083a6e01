"""What holds for every test: no shared cache, every stage verified, no time limits, no window."""

from __future__ import annotations

import os

import hypothesis
import pytest

# Before anything imports tracer or matplotlib; subprocesses inherit them.
os.environ["TRACER_CACHE_DIR"] = "off"
os.environ["TRACER_CHECK"] = "1"
os.environ["MPLBACKEND"] = "Agg"

# A first example may compile for seconds, so no deadline. In CI the same examples every time.
hypothesis.settings.register_profile(
    "tracer",
    deadline=None,
    derandomize="CI" in os.environ,
    print_blob=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("tracer")


def pytest_configure() -> None:
    """What the process of a simulator is asked for."""
    from tests import simulation

    simulation.shrink()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of the tests in the simulator those that were asked for."""
    from tests import simulation

    chosen, others = simulation.part(items)
    if others:
        config.hook.pytest_deselected(items=others)
        items[:] = chosen
