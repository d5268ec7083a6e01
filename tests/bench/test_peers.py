"""Peers that are installed agree with the reference on every workload that they have."""

from pathlib import Path

import numpy as np
import pytest

from bench.check import check_outputs
from bench.errors import BenchError
from bench.peers import PEERS, is_installed, load_peer, missing_peer
from bench.peers.compiler import find_compiler
from bench.peers.cpp import Cpp
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
        by_hand = peer in ("numba", "cpp") or task.torch_build is None
        cannot = task.workload.jax_build is not None or task.program.needs_batching
        assert by_hand or cannot, "only versions written by hand may be missing"
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


def test_a_missing_compiler_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.peers.find_compiler", lambda: None)
    assert not is_installed("cpp")
    with pytest.raises(BenchError, match=r"a C\+\+ compiler is not installed: install g\+\+"):
        load_peer("cpp")


def test_the_compiler_that_is_named_comes_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("my-compiler", "clang++"):
        (tmp_path / name).write_text("#!/bin/sh\n", "utf-8")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CXX", "my-compiler")
    assert find_compiler() == str(tmp_path / "my-compiler")
    monkeypatch.setenv("CXX", "another")
    assert find_compiler() == str(tmp_path / "clang++")


def test_what_the_compiler_says_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = tmp_path / "failing"
    script.write_text("#!/bin/sh\necho no such header >&2\nexit 1\n", "utf-8")
    script.chmod(0o755)
    monkeypatch.setenv("CXX", str(script))
    task = smoke_task(load_workload("logsumexp"), "gradient")
    with pytest.raises(BenchError, match="failing failed: no such header"):
        Cpp("cpp", ()).prepare(task)
