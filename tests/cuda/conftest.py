"""Tests of the simulator run in processes of their own: see test_simulator.py."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest

from codegen.cuda import library
from codegen.loops import interpret as interpreter
from codegen.loops.nodes import Call
from tests.cuda.host_libraries import ARRAYS, cuda_routines, on_device
from tests.cuda.host_routines import HostRoutines

collect_ignore = [] if os.environ.get("NUMBA_ENABLE_CUDASIM") == "1" else ["simulated"]


@pytest.fixture(params=["routines", "libraries"])
def routines(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> HostRoutines:
    """The interpreter of loop programs calls a stand-in, of the routines, or of the libraries under
    them, which gets addresses; results begin as NaN or −1."""
    stand_in = HostRoutines()
    whole = request.param == "libraries"
    chosen, xp = (cuda_routines(stand_in), ARRAYS) if whole else (stand_in, np)

    def call(self: Any, call: Call) -> None:
        operands = []
        for view in call.operands:
            part = on_device(self.load(view.buffer, self.view_position(view)))
            operands.append(part if view.axes is None else part.transpose(view.axes))
        results = [on_device(np.empty(view.shape, view.buffer.dtype)) for view in call.results]
        for result in results:
            result[...] = np.nan if result.dtype.kind in "fc" else -1
        library.run_call(call, results, operands, xp, chosen)
        for view, result in zip(call.results, results, strict=True):
            self.store(view.buffer, self.view_position(view), np.asarray(result))

    monkeypatch.setattr(interpreter._Interpreter, "call", call)
    return stand_in
