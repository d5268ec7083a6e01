"""The command line, run as users run it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.cli import main

NEW = ("cholesky", "lstm", "conv", "ode", "nbody", "stencil", "bundle", "hmc")
ROOT = Path(__file__).resolve().parents[2]


def bench(*arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    return subprocess.run(
        [sys.executable, "-m", "bench", *arguments],
        cwd=folder or ROOT,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def test_list_names_everything() -> None:
    result = bench("list")
    assert result.returncode == 0, result.stderr
    assert "digits: a 64-128-10 network" in result.stdout
    assert "    medium      n=1000  k=25  d=10" in result.stdout
    assert "numba           works here" in result.stdout
    assert "peers" in result.stdout


def test_run_writes_json_and_svg_and_compares(tmp_path: Path) -> None:
    result = bench(
        "run", "rosenbrock", "logsumexp", "--smoke", "--peer", "autograd",
        "--backend", "numba", "--backend", "llvm",
        "--json", "out.json", "--plot", "out.svg", folder=tmp_path,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    assert "rosenbrock smoke (gradient): n=10" in result.stdout
    assert "every subject has 1 thread" in result.stdout
    assert "\x1b" not in result.stdout
    content = json.loads((tmp_path / "out.json").read_text("utf-8"))
    found = {(item["workload"], item["subject"]) for item in content["measurements"]}
    for workload in ("rosenbrock", "logsumexp"):
        assert {(workload, name) for name in ("tracer-numpy", "tracer-numba", "autograd")} <= found
    for item in content["measurements"]:
        assert item["difference"] <= item["tolerance"]
        assert item["calls"]["median"] > 0.0
        assert item["peak_memory"]["method"] in ("resident set", "tracemalloc")
    staged = next(item for item in content["measurements"] if item["subject"] == "tracer-numba")
    assert set(staged["stages"]) == {"trace", "lower", "compile", "first call"}
    assert content["failures"] == []
    assert (tmp_path / "out.svg").read_text("utf-8").startswith("<?xml")

    (tmp_path / "pictures").mkdir()
    reported = bench(
        "report", "out.json", "--page", "page.md", "--pictures", "pictures", folder=tmp_path
    )
    assert reported.returncode == 0, reported.stderr
    page = (tmp_path / "page.md").read_text("utf-8")
    assert "python -m bench run rosenbrock logsumexp --backend numba --backend llvm" in page
    assert str(tmp_path) not in page

    compared = bench("compare", "out.json", "out.json", folder=tmp_path)
    assert compared.returncode == 0, compared.stderr
    assert "0 of" in compared.stdout

    for item in content["measurements"]:
        item["calls"] = {
            key: value * (3 if isinstance(value, float) else 1)
            for key, value in item["calls"].items()
        }
    (tmp_path / "slow.json").write_text(json.dumps(content), "utf-8")
    slower = bench("compare", "out.json", "slow.json", folder=tmp_path)
    assert slower.returncode == 1
    assert "SLOWER" in slower.stdout


def test_limits_are_a_command() -> None:
    result = bench("limits")
    assert result.returncode == 0, result.stderr
    assert "Gflop/s" in result.stdout
    assert "GB/s" in result.stdout


def test_smoke_of_every_workload() -> None:
    result = bench("run", "--all", "--smoke", "--peer", "none")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "test accuracy" in result.stdout
    for name in (
        "gmm",
        "kmeans",
        "blackscholes",
        "chain",
        "scaling",
        "memory",
        "eager",
        "logreg",
        *NEW,
    ):
        assert f"\n{name} smoke" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run",), "name some workloads, or give --all"),
        (("run", "nothing"), "there is no workload 'nothing': choose from digits"),
        (("run", "gmm", "--size", "huge"), "gmm has no size 'huge': its sizes are small, medium"),
        (("run", "gmm", "--size", "q=1"), "gmm has no size parameter 'q': it has n, k, d"),
        (("run", "gmm", "--size", "n=x"), "size parameter 'n=x' is not a whole number"),
        (("run", "gmm", "--backend", "fortran"), "there is no backend 'fortran'"),
        (("run", "gmm", "--peer", "matlab"), "there is no peer 'matlab'"),
        (("run", "gmm", "--json", "nowhere/x.json"), "nowhere/x.json: there is no such folder"),
        (("run", "gmm", "--threads", "0"), "--threads is 0"),
        (("run", "gmm", "--seconds", "-1"), "--seconds is -1.0"),
        (("run", "gmm", "--plot", "bars.png"), "name the file bars.svg"),
        (("run", "gmm", "--peer", "none", "--peer", "jax"), "leaves no room for another"),
        (("compare", "nothing.json", "x.json"), "cannot read nothing.json"),
        (("compare", "pyproject.toml", "x.json"), "pyproject.toml is not JSON"),
        (("limits", "--threads", "0"), "--threads is 0"),
        (("report", "nothing.json"), "cannot read nothing.json"),
        (("measure",), "invalid choice: 'measure'"),
    ],
)
def test_wrong_use_is_one_sentence_and_status_2(
    arguments: tuple[str, ...],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In this process, whose NumPy has its threads already: seventeen starts would take longer."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("bench.cli.hold_threads", lambda threads: None)
    try:
        status = main(arguments)
    except SystemExit as left:  # by argparse
        status = left.code
    assert status == 2
    assert message in capsys.readouterr().err


def test_wrong_use_ends_the_process_without_a_traceback() -> None:
    result = bench("run", "nothing")
    assert result.returncode == 2
    assert "error: there is no workload 'nothing'" in result.stderr
    assert "Traceback" not in result.stdout + result.stderr
