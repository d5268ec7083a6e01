"""Tests of the simulator run in processes of their own: see test_simulator.py."""

from __future__ import annotations

import os

collect_ignore = [] if os.environ.get("NUMBA_ENABLE_CUDASIM") == "1" else ["simulated"]
