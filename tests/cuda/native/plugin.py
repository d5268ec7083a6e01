"""For pytest: what runs in the simulator runs as machine code instead, for a GPU's own machine.

    NUMBA_ENABLE_CUDASIM=1 TRACER_BACKEND=cuda python -m pytest -p tests.cuda.native.plugin FILES
"""

from __future__ import annotations

import os
from dataclasses import replace

from codegen.cuda import driver
from tests.cuda.native.driver import MACHINE, NativeDriver
from tests.simulation import SMALL


def pytest_configure() -> None:
    """The driver that takes the simulator's place, its machine as small as it is asked for."""
    small = int(os.environ.get(SMALL, MACHINE.small))
    native = NativeDriver(replace(MACHINE, small=small))
    driver._simulator = lambda: native  # type: ignore[assignment]
