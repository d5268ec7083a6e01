"""What the machine can do: plausible figures, and how they bound some work."""

import pytest

from bench.limits import WORKING_SETS, Limits, limits_of_json, limits_table, measure_limits
from bench.workload import Work
from bench.workloads import NAMES, load_workload

LIMITS = Limits(100e9, 200e9, {1_000: 80e9, 1_000_000: 10e9})


def test_the_binding_limit_is_the_longer_time() -> None:
    assert LIMITS.seconds(Work(flops=1e9, bytes=500.0)) == pytest.approx(0.01)
    assert LIMITS.seconds(Work(flops=1.0, bytes=1e9)) == pytest.approx(0.1)
    assert LIMITS.bound(Work(flops=1e9, bytes=500.0)) == "flops"
    assert LIMITS.bound(Work(flops=1.0, bytes=1e9)) == "bytes"


@pytest.mark.parametrize(
    ("touched", "rate"), [(10, 80e9), (1_000, 80e9), (1_001, 10e9), (10**9, 10e9)]
)
def test_bandwidth_is_that_of_the_memory_in_which_the_data_fit(touched: int, rate: float) -> None:
    assert LIMITS.bandwidth(touched) == rate


def test_the_best_of_two_measurements() -> None:
    other = Limits(50e9, 300e9, {1_000: 90e9})
    assert LIMITS.best(other) == Limits(100e9, 300e9, {1_000: 90e9, 1_000_000: 10e9})


def test_limits_are_read_as_they_were_written() -> None:
    assert limits_of_json(LIMITS.as_json()) == LIMITS
    with pytest.raises(KeyError):
        limits_of_json({})


def test_this_machine() -> None:
    """Whatever it is, it does more than 10⁸ operations and moves more than 10⁸ bytes a second."""
    limits = measure_limits(seconds=0.0)
    assert 1e8 < limits.flops64 < 1e13
    assert 1e8 < limits.flops32 < 1e13
    assert set(limits.bandwidths) == set(WORKING_SETS.values())
    assert all(1e8 < rate < 1e13 for rate in limits.bandwidths.values())
    rows = dict(limits_table(limits).rows)
    assert rows["operations, float64"].endswith("Gflop/s")
    assert any("192 MiB (memory)" in name for name in rows)


@pytest.mark.parametrize("name", [name for name in NAMES if load_workload(name).work])
def test_the_work_of_a_program_grows_with_its_size(name: str) -> None:
    workload = load_workload(name)
    assert set(workload.work) <= set(workload.programs)
    for count in workload.work.values():
        small, large = count(workload.smoke), count(workload.sizes["large"])
        assert 0.0 < small.flops < large.flops
        assert 0.0 < small.bytes < large.bytes
