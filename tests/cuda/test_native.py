"""Programs on grids of a GPU's size: kernels run as machine code made of the IR that NVVM gets.

The simulator runs the text of kernels; here is seen what the compiler makes of it: widths of
integers, casts, wide accesses, libdevice's functions.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import tracer
from bench.subjects import TRACER, Task, reference_outputs
from bench.workloads import load_workload
from tests.cuda.native.accuracy import FUNCTIONS, errors, operands
from tests.cuda.native.driver import NativeDriver, chosen, small_machine
from tests.cuda.native.scalars import run_cases
from tests.cuda.scalar_kernels import DTYPES, Case, find_cases
from tests.cuda.simulated.test_scalars import assert_same, operand_arrays
from tests.helpers import assert_near
from tracer import random

leaves = tracer.tree.leaves
RNG = np.random.default_rng(5)


@pytest.fixture
def driver() -> Iterator[NativeDriver]:
    with chosen(NativeDriver()) as made:
        yield made


def compare(
    driver: NativeDriver, function: Callable[..., Any], *inputs: Any, tolerance: float = 1e-12
) -> None:
    """Values by kernels and by NumPy, of the first call and of one more."""
    with np.errstate(all="ignore"):
        due = tracer.jit(function, backend="numpy")(*copy.deepcopy(inputs))
    compiled = tracer.jit(function, backend="cuda")
    for _ in range(2):
        found = compiled(*copy.deepcopy(inputs))
        for one, other in zip(leaves(found), leaves(due), strict=True):
            assert np.asarray(one).dtype == np.asarray(other).dtype
            assert_near(one, other, tolerance)
    assert driver.launches


# Where libdevice is not as near to the truth as NumPy; each is in the table of accuracy.
LESS_EXACT = {
    ("float32", "gammaln"): "near its roots",
    ("complex128", "power"): "a logarithm and an exponential",
}


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_scalar_operations(dtype: np.dtype[Any]) -> None:
    cases = [case for case in find_cases(dtype) if (dtype.name, case.name) not in LESS_EXACT]
    arrays = [operand_arrays(case) for case in cases]
    failures = []
    for case, given, found in zip(cases, arrays, run_cases(cases, arrays), strict=True):
        try:
            assert_same(case, given, found)
        except AssertionError as error:
            failures.append(str(error))
    assert not failures, "\n".join(failures)


@pytest.mark.parametrize("place", [0, 1], ids=["float32", "float64"])
def test_functions_are_accurate(place: int) -> None:
    dtype = np.dtype([np.float32, np.float64][place])
    cases = [Case(each.name, (dtype,) * len(each.ranges), dtype) for each in FUNCTIONS]
    given = [operands(each, dtype, 60) for each in FUNCTIONS]
    for function, arrays, found in zip(FUNCTIONS, given, run_cases(cases, given), strict=True):
        assert errors(function, arrays, found).max() <= function.units[place], function.name


CODES = ("?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16")


@pytest.mark.parametrize("code", CODES)
def test_arrays_of_every_dtype(driver: NativeDriver, code: str) -> None:
    """Wide accesses with a rest, reversed, transposed, and picked ones."""
    dtype = np.dtype(code)
    x, y = (RNG.integers(0, 60, (3, 1001)).astype(dtype) for _ in range(2))
    places = RNG.integers(0, 1001, 40)

    def function(x: Any, y: Any) -> Any:
        z = x ^ y if code == "?" else x * y + x
        return z, z[:, ::-1], x.T + y.T, y[:, places], np.where(x == y, x, z)

    compare(driver, function, x, y, tolerance=1e-2 if code == "f2" else 1e-6)


X = RNG.normal(size=300_001)
MATRIX = RNG.normal(size=(203, 517))
TALL = RNG.normal(size=(5003, 7))
STACK = RNG.normal(size=(37, 8, 8)) + 8.0 * np.eye(8)
PLACES = RNG.integers(0, 5003, 20_000)
APART = STACK + np.diag(9.0 * np.arange(8))


def normalised(a: Any) -> Any:
    centred = a - a.mean(axis=1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-5)


def log_sum_exp(a: Any) -> Any:
    highest = a.max(axis=-1, keepdims=True)
    return np.log(np.exp(a - highest).sum(axis=-1)) + highest[..., 0]


def added_up(a: Any, places: Any) -> Any:
    total = np.zeros(a.shape[0])
    np.add.at(total, places, a[places, 0] * 2.0)
    return total


def vectors(a: Any) -> Any:
    """What of them does not depend on their signs."""
    values, found = np.linalg.eigh(a)
    u, s, vt = np.linalg.svd(a)
    return values, found**2, s, u**2, vt**2, *np.linalg.qr(a)


def decays(x: Any) -> Any:
    return tracer.while_loop(lambda v: np.max(np.abs(v)) > 0.1, lambda v: v * 0.5, x)


def chosen_branch(x: Any) -> Any:
    return tracer.cond(x[0] > 0.0, lambda v: np.sin(v), lambda v: v * v, x)


def steps(x: Any) -> Any:
    return tracer.scan(lambda c, k: (np.sin(c) * k + 0.1, c.sum()), x, np.linspace(0.5, 1.0, 5))


def bits(seed: Any) -> Any:
    key = random.key(seed)
    return random.bits(key, (40_000,)), random.uniform(random.fold_in(key, 3), (301,))


PROGRAMS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "chain": (lambda x: np.exp(-x * x) * np.sin(x) + np.tanh(x), (X,)),
    "single": (lambda x: np.sqrt(np.abs(x)) * 3 + x, (X.astype(np.float32),)),
    "full": (lambda x: (x.sum(), x.max(), x.argmin(), (x > 0).all(), np.prod(1 + 1e-6 * x)), (X,)),
    "rows": (lambda a: (a.sum(axis=1), a.max(axis=1), a.argmax(axis=1)), (MATRIX,)),
    "columns": (lambda a: (a.sum(axis=0), a.min(axis=0), a.argmin(axis=0)), (MATRIX,)),
    "tall": (lambda a: (a.sum(axis=0), a.var(axis=0), a.mean(axis=1)), (TALL,)),
    "limits": (
        lambda u, x: (u.min(axis=0), x[np.where(x < np.inf, 3, 2)]),
        (RNG.integers(0, 2**64 - 1, (67, 1303), np.uint64), X[:5000]),
    ),
    "log_sum_exp": (log_sum_exp, (MATRIX,)),
    "layer norm": (normalised, (MATRIX,)),
    "running sums": (lambda a: (np.cumsum(a, axis=1), np.cumsum(a, axis=0)), (MATRIX,)),
    "long running sums": (lambda x: (np.cumsum(x), np.maximum.accumulate(x)), (X,)),
    "sort": (lambda a: (np.sort(a, axis=1), np.argsort(a, axis=1)), (MATRIX[:31],)),
    "gather": (lambda a, i: a[i], (TALL, PLACES)),
    "scatter": (added_up, (TALL, PLACES)),
    "transpose": (
        lambda a: (a.T * 2.0, a.reshape(47, 11, 203).transpose(2, 0, 1) + 1.0),
        (MATRIX,),
    ),
    "products": (lambda a: (a @ a.T, a.T @ a[:, :9], a @ a[0]), (MATRIX[:, :130],)),
    "small products": (lambda a, v: (a @ v, a.T @ a), (TALL, TALL[:7, :3])),
    "small matrices": (lambda a: (np.linalg.inv(a), np.linalg.det(a)), (STACK,)),
    "rotations": (vectors, (APART,)),
    "reflections": (lambda a: (*np.linalg.qr(a), *np.linalg.qr(a[:, :5])), (STACK,)),
    "one small matrix": (vectors, (APART[0, :6, :6],)),
    "complex rotations": (vectors, (APART[:, :4, :4] * (1 + 0.25j) + 0.3j * STACK[:, 4:, 4:],)),
    "while": (decays, (X[:5000],)),
    "cond": (chosen_branch, (X[:5000],)),
    "scan": (steps, (X[:3000],)),
    "bits": (bits, (7,)),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_values(driver: NativeDriver, name: str) -> None:
    function, inputs = PROGRAMS[name]
    compare(driver, function, *inputs, tolerance=1e-5 if name == "single" else 1e-11)


def test_an_index_out_of_bounds_is_found(driver: NativeDriver) -> None:
    places = PLACES.copy()
    places[-1] = 5003
    with pytest.raises(IndexError, match="5003"):
        tracer.jit(lambda a, i: a[i], backend="cuda")(TALL, places)
    assert driver.widest > 10


WORKLOADS = [
    ("blackscholes", "greeks", {}, {"n": 20_000}),
    ("kmeans", "gradient", {}, {"k": 10, "n": 4000, "d": 8, "expanded": 0}),
    ("gmm", "gradient", {}, {"n": 1000, "k": 5, "d": 2}),
    ("logreg", "gradient", {}, {"rows": 128}),
    ("nbody", "gradient", {}, {"n": 64, "steps": 0}),
    ("logsumexp", "gradient", {}, {"n": 200_000}),
    ("chain", "gradient", {}, {"operations": 5, "n": 300_000, "functions": 1, "loop": 0}),
    ("ode", "gradient", {}, {"n": 3, "steps": 50}),
    ("stencil", "gradient", {"small": 64}, {"n": 64, "sweeps": 2}),
    ("lstm", "gradient", {"processors": 2}, {"steps": 4, "batch": 8, "hidden": 32}),
]


@pytest.mark.parametrize(("name", "program", "machine", "size"), WORKLOADS)
def test_workloads(name: str, program: str, machine: dict[str, Any], size: dict[str, int]) -> None:
    workload = load_workload(name)
    inputs = workload.make_inputs(size, np.random.default_rng(3))
    task = Task(workload, size, workload.programs[program], program, inputs)
    function = task.program.make(TRACER, task.build(size))
    due = leaves(reference_outputs(task))
    with chosen(NativeDriver(small_machine(**machine))):
        found = leaves(tracer.jit(function, backend="cuda")(*copy.deepcopy(inputs)))
    for one, other in zip(found, due, strict=True):
        assert_near(one, other, 1e-10)
