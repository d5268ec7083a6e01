"""Peers that are installed agree with the reference on every workload that they have."""

import numpy as np
import pytest

from bench.check import check_outputs
from bench.errors import BenchError
from bench.peers import PEERS, is_installed, load_peer, missing_peer
from bench.subjects import reference_outputs
from bench.workloads import NAMES, load_workload
from tests.bench.test_workloads import smoke_task

INSTALLED = [name for name, entry in PEERS.items() if entry.default and is_installed(name)]
PROGRAMS = [
    (name, program)
    for name in NAMES
    if load_workload(name).measure is None
    for program in load_workload(name).programs
]


@pytest.mark.parametrize("peer", INSTALLED)
@pytest.mark.parametrize(("name", "program"), PROGRAMS)
def test_results_are_the_reference(peer: str, name: str, program: str) -> None:
    task = smoke_task(load_workload(name), program)
    subject = load_peer(peer)
    assert subject.name == peer
    if not subject.has(task):
        own_loops = task.workload.jax_build is not None
        assert peer == "numba" or own_loops, "only versions written by hand may be missing"
        return
    prepared = subject.prepare(task)
    reference = [np.asarray(result) for result in reference_outputs(task)]
    for call in (prepared.first_call, prepared.call):
        outputs = prepared.to_numpy(call())
        check_outputs(outputs, reference, task.program.outputs, task.workload.tolerance)


def test_a_missing_peer_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.peers.find_spec", lambda package: None)
    assert not is_installed("autograd")
    expected = "autograd is not installed: python -m pip install 'tracer-ad[peers]'"
    assert missing_peer("autograd") == expected
    with pytest.raises(BenchError, match="autograd is not installed"):
        load_peer("autograd")
