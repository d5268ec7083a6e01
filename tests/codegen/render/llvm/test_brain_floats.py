"""bfloat16 in compiled code: the numbers of ml_dtypes, rounded after each operation."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import tracer
from codegen.loops.build import loop
from codegen.loops.nodes import Buffer, Expression, Load, Operation, Program, Store, Update
from codegen.render.llvm_call import compile_llvm
from tests.codegen.render.test_numba_operations import i

Array = np.ndarray[Any, np.dtype[Any]]
BRAIN = np.dtype(ml_dtypes.bfloat16)
ALL = np.arange(1 << 16, dtype=np.uint16).view(BRAIN)
DTYPES = ("?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16")
RANDOM = np.random.default_rng(16)


def number(value: float) -> Any:
    """A scalar of bfloat16."""
    return BRAIN.type(value)


def same(got: Any, expected: Any) -> None:
    """The same dtype and shape and, of bfloat16, the same bits; NaN where NaN is."""
    got, expected = np.asarray(got), np.asarray(expected)
    assert (got.dtype, got.shape) == (expected.dtype, expected.shape)
    if expected.dtype == BRAIN:
        with np.errstate(invalid="ignore"):
            numbers = ~np.isnan(expected)
        assert np.array_equal(np.isnan(got), ~numbers)
        got, expected = (x.view(np.uint16)[numbers] for x in (got, expected))
    np.testing.assert_array_equal(got, expected)


def copied(source: Array, target: Any, serial: bool = False) -> Array:
    """The array as a program of one loop converts it."""
    dtype = np.dtype(target)
    x = Buffer("x", source.dtype, source.shape, "input")
    y = Buffer("y", dtype, source.shape, "output")
    value: Expression = Load(x, (i,))
    if dtype != source.dtype:
        value = Operation("cast", (value,), dtype)
    body = loop("i", len(source), Store(y, (i,), value), kind="serial" if serial else "parallel")
    (result,) = compile_llvm(Program("copy", (x,), (y,), (), (), (body,)))([source])
    assert result.dtype == dtype
    return result


@pytest.mark.parametrize("serial", [False, True], ids=["lanes", "one by one"])
@pytest.mark.parametrize("target", ["f4", "f8", "f2", "?"])
def test_every_number_is_read(target: str, serial: bool) -> None:
    with np.errstate(all="ignore"):
        same(copied(ALL, target, serial), ALL.astype(target))


@pytest.mark.parametrize("serial", [False, True], ids=["lanes", "one by one"])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_rounding_gives_the_bits_of_ml_dtypes(dtype: str, serial: bool) -> None:
    """NaN included: the quiet one, with its sign."""
    finite = ALL[ALL.view(np.uint16) & 0x7FFF < 0x7F80].astype(np.float32)
    middles = (finite.view(np.uint32) | np.uint32(0x8000)).view(np.float32)
    around = [np.nextafter(middles, np.float32(end)) for end in (-np.inf, np.inf)]
    random = RANDOM.integers(0, 1 << 32, 1 << 16, np.uint32).view(np.float32)
    with np.errstate(all="ignore"):
        source = np.concatenate([ALL.astype(np.float32), middles, *around, random]).astype(dtype)
        got, expected = copied(source, BRAIN, serial), source.astype(BRAIN)
    np.testing.assert_array_equal(got.view(np.uint16), expected.view(np.uint16))


@pytest.mark.parametrize("dtype", DTYPES)
def test_conversions_with_every_dtype(dtype: str) -> None:
    small = np.array([0.0, 0.5, 1, 2.75, 100, 126.5], BRAIN)
    bits = RANDOM.integers(0, 256, 8 * 67, np.uint8).view("u8")
    with np.errstate(all="ignore"):
        wide = bits.astype(dtype) if dtype in "?f2f4f8c8c16" else bits.view(dtype)
        same(tracer.jit(lambda x: x.astype(dtype), backend="llvm")(small), small.astype(dtype))
        if np.dtype(dtype).kind != "c":
            same(
                tracer.jit(lambda x: x.astype(BRAIN), backend="llvm")(wide),
                wide.astype(BRAIN),
            )


# Whole programs

PROGRAMS: dict[str, Callable[[Any], Any]] = {
    "elementwise": lambda x: np.sqrt(np.abs(x)) * x + number(0.1) / (x - 3),
    "numbers of Python": lambda x: (x * 2 + 1) * 0.1,
    "maximum": lambda x: x.max(axis=0),
    "largest": lambda x: (x * x).argmax(axis=1),
    "comparison": lambda x: (x * x > x) & (x != 0),
    "choice": lambda x: np.where(x > 0, x, -2),
    "gather": lambda x: x[[0, 1, 1], ::-1],
    "transpose": lambda x: np.concatenate([x.T, x.T[::-1]]) * 2,
    "exponents": lambda x: np.frexp(x)[0],
    "remainder": lambda x: np.remainder(x, number(0.3)) + np.floor_divide(x, number(0.3)),
    "constant": lambda x: np.zeros_like(x) + number(1.5),
    "sort": lambda x: np.sort(x, axis=1),
    "order": lambda x: np.argsort(x, axis=0, kind="stable"),
    "search": lambda x: np.searchsorted(np.sort(x[0]), x[1]),
    "mixed": lambda x: (x + x.astype(np.float32)) * x.astype(np.float16),
}
"""Of which NumPy's own values, with ml_dtypes, are exact."""


@pytest.mark.parametrize("shape", [(4, 6), (3, 37), (40, 64)], ids=str)
@pytest.mark.parametrize("name", PROGRAMS)
def test_values_are_those_of_numpy(name: str, shape: tuple[int, int]) -> None:
    x = RANDOM.uniform(-2, 2, shape).astype(BRAIN)
    same(tracer.jit(PROGRAMS[name], backend="llvm")(x), PROGRAMS[name](x))


ROUNDED: dict[str, Callable[[Any], Any]] = {
    "functions": lambda x: np.exp(x) + np.tanh(x) * np.sin(x),
    "sum": lambda x: x.sum(axis=1),
    "whole sum": lambda x: (x * x).sum(),
    "mean": lambda x: x.mean(),
    "running": lambda x: np.cumsum(x, axis=1),
    "running product": lambda x: np.cumprod(x, axis=1),
    "power": lambda x: x**2 + x**3,
    "product": lambda x: x @ x.T,
    "dot": lambda x: np.dot(x, x.T),
    "vector": lambda x: np.dot(x, x[0]),
    "softmax": lambda x: np.exp(x - x.max(axis=1, keepdims=True)),
    "normal": lambda x: tracer.nn.layer_norm(x),
}


@pytest.mark.parametrize("shape", [(4, 6), (3, 37), (40, 64)], ids=str)
@pytest.mark.parametrize("name", ROUNDED)
def test_sums_and_functions_are_float32_rounded(name: str, shape: tuple[int, int]) -> None:
    x = RANDOM.uniform(-2, 2, shape).astype(BRAIN)
    function = ROUNDED[name]
    got, reference = (tracer.jit(function, backend=b)(x) for b in ("llvm", "numpy"))
    assert (got.dtype, got.shape) == (reference.dtype, reference.shape)
    # Both differ from float32's by a unit of its last place before they round: to neighbours at
    # times, and of three such numbers each.
    exact = function(x.astype(np.float64))
    atol = 1.5 * 2.0**-7 * max(1.0, float(np.abs(exact).max()))
    np.testing.assert_allclose(got.astype(np.float64), exact, rtol=0, atol=atol)
    np.testing.assert_allclose(
        got.astype(np.float64), reference.astype(np.float64), rtol=0, atol=atol
    )


@pytest.mark.parametrize("name", ["exp", "log", "sin", "tanh", "sqrt", "cbrt", "exp2", "log1p"])
def test_functions_of_every_number(name: str) -> None:
    """Within a unit in the last place of what ml_dtypes rounds; most are the same number."""
    function = getattr(np, name)
    x = ALL[np.abs(ALL.astype(np.float32)) < 1e4]
    with np.errstate(all="ignore"):
        got, expected = tracer.jit(function, backend="llvm")(x), function(x)
    assert np.array_equal(np.isnan(got), np.isnan(expected))
    numbers = ~np.isnan(expected)
    apart = got.view(np.int16)[numbers].astype(int) - expected.view(np.int16)[numbers]
    assert np.abs(apart).max() <= 1
    assert np.mean(apart != 0) < 1e-3


def test_copies_keep_bits() -> None:
    """Of every NaN too."""
    got = tracer.jit(lambda x: x[::-1], backend="llvm")(ALL)
    np.testing.assert_array_equal(got.view(np.uint16), ALL[::-1].view(np.uint16))


@pytest.mark.parametrize("length", [1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 33, 100, 1001])
def test_ends_of_vectors(length: int) -> None:
    x = RANDOM.normal(size=length).astype(BRAIN)
    got = tracer.jit(lambda x: (x * 3 + 1, x[::-1] / 7, x[::2] - 1), backend="llvm")(x)
    for one, other in zip(got, (x * 3 + 1, x[::-1] / 7, x[::2] - 1), strict=True):
        same(one, other)


@pytest.mark.parametrize("axis", [0, 1])
def test_sums_add_up_in_float32(axis: int) -> None:
    """In bfloat16 a sum of ones stops at 256."""
    ones = np.ones((4096, 3) if axis == 0 else (3, 4096), BRAIN)
    for backend in ("llvm", "numpy"):
        got = tracer.jit(lambda x: x.sum(axis=axis), backend=backend)(ones)
        same(got, np.full(3, 4096, BRAIN))
        scattered = tracer.jit(
            tracer.grad(lambda x: x[np.zeros(4096, np.int64)].sum()), backend=backend
        )(np.ones(2, BRAIN))
        same(scattered, np.array([4096, 0], BRAIN))


GRADIENTS: dict[str, Callable[[Any], Any]] = {
    "tanh": lambda x: (np.tanh(x) ** 2).sum(),
    "maximum": lambda x: (x * x).max() * 3,
    "row maxima": lambda x: ((x * x + 1) * x).max(axis=1).sum(),
    "softmax": lambda x: (np.exp(x) / np.exp(x).sum(axis=1, keepdims=True))[:, 0].sum(),
    "product": lambda x: (x @ x.T).sum() / 100,
    "dot": lambda x: np.dot(x, x.T).sum(),
    "sorted": lambda x: (np.sort(x, axis=1) * np.arange(9).astype(x.dtype)).sum(),
    "gather": lambda x: (x[[0, 1, 1]] * 2).sum(),
    "mean": lambda x: (x * x).mean(),
    "running": lambda x: np.cumsum(x, axis=1).sum() / 10,
    "numbers of Python": lambda x: (x * 0.3 + 2.0 / (x + 4.5)).sum(),
    "conversions": lambda x: (x.astype(np.float32) * x.astype(np.float64)).sum(),
}


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients(name: str) -> None:
    x = RANDOM.uniform(-1.5, 1.5, (5, 9)).astype(BRAIN)
    got = tracer.jit(tracer.grad(GRADIENTS[name]), backend="llvm")(x)
    exact = tracer.grad(GRADIENTS[name])(x.astype(np.float64))
    assert got.dtype == BRAIN
    largest = max(1.0, float(np.abs(exact).max()))
    np.testing.assert_allclose(got.astype(np.float64), exact, rtol=0, atol=largest * 2.0**-5)
    eager = tracer.grad(GRADIENTS[name])(x).astype(np.float64)
    np.testing.assert_allclose(got.astype(np.float64), eager, rtol=0, atol=largest * 2.0**-6)


@pytest.mark.parametrize("backend", ["llvm", "numpy"])
def test_a_network_learns(backend: str) -> None:
    """Weights of bfloat16, a step of gradient descent in float32, rounded."""
    x = RANDOM.normal(size=(64, 4)).astype(BRAIN)
    y = np.sin(x.astype(np.float32).sum(axis=1)).astype(BRAIN)
    weights = [RANDOM.normal(size=shape).astype(BRAIN) / number(2) for shape in ((4, 32), (32,))]

    def loss(weights: Any) -> Any:
        hidden = tracer.nn.gelu(np.dot(x, weights[0]))
        return ((np.dot(hidden, weights[1]) - y) ** 2).mean()

    step = tracer.jit(tracer.value_and_grad(loss), backend=backend)
    first, slopes = step(weights)
    assert [slope.dtype for slope in slopes] == [BRAIN, BRAIN]
    assert first.dtype == BRAIN
    exact = tracer.grad(lambda w: loss(w))([w.astype(np.float64) for w in weights])
    for slope, right in zip(slopes, exact, strict=True):
        largest = float(np.abs(right).max())
        np.testing.assert_allclose(slope.astype(float), right, rtol=0, atol=largest * 2.0**-4)
    for _ in range(30):
        _, slopes = step(weights)
        weights = [
            (w.astype(np.float32) - 0.05 * s.astype(np.float32)).astype(BRAIN)
            for w, s in zip(weights, slopes, strict=True)
        ]
    assert float(step(weights)[0]) < 0.5 * float(first)


def test_second_derivatives_and_batches() -> None:
    x = RANDOM.uniform(-1, 1, (4, 6)).astype(BRAIN)
    second = tracer.vmap(tracer.grad(lambda v: tracer.grad(lambda w: (w**3).sum())(v).sum()))
    same(tracer.jit(second, backend="llvm")(x), second(x))


def test_loops_keep_bfloat16() -> None:
    def step(carry: Any, x: Any) -> Any:
        return carry * number(0.75) + x, carry * x

    xs = RANDOM.normal(size=(20, 5)).astype(BRAIN)

    def run(xs: Any) -> Any:
        return tracer.scan(step, np.zeros(5, BRAIN), xs)

    got, expected = tracer.jit(run, backend="llvm")(xs), run(xs)
    same(got[0], expected[0])
    same(got[1], expected[1])


def test_functions_of_python_get_bfloat16() -> None:
    """Also sums and maxima, whose memory is float32 elsewhere."""
    cube = tracer.primitive(
        lambda x: x**3, vjp=lambda args, out, ct: (ct * 3 * args[0] ** 2,), out=lambda x: x
    )
    x = RANDOM.uniform(-1, 1, (3, 40)).astype(BRAIN)

    def program(x: Any) -> Any:
        return cube(x.sum(axis=0)) + cube(x.max(axis=0)) * cube(x[0])

    for function in (program, tracer.grad(lambda x: program(x).sum())):
        got, expected = (tracer.jit(function, backend=b)(x) for b in ("llvm", "numpy"))
        same(got, expected)


def test_code_serves_other_sizes() -> None:
    program = tracer.jit(lambda x: (x * 2).sum() + x.mean(), backend="llvm")
    for length in (100, 1000, 7001):
        assert program(np.ones(length, BRAIN)) == number(2 * length) + number(1)
    assert program.cache_info().compiles <= 1


def test_arguments_and_results() -> None:
    """Arrays that are not contiguous, scalars, and 0-d results; the dtype is part of a
    signature.
    """
    double = tracer.jit(lambda x: x * 2, backend="llvm")
    x = np.arange(24).astype(BRAIN).reshape(4, 6)
    for _ in range(2):
        same(double(x[::2, ::3]), x[::2, ::3] * 2)
        result = double(number(1.5))
        assert type(result) is BRAIN.type
        assert result == 3
        assert type(double(x[0, 1])) is BRAIN.type
        for other in (np.float16, np.float32, np.uint16):
            same(double(x.astype(other)), x.astype(other) * 2)
        assert double(x).dtype == BRAIN
    total = tracer.jit(lambda x: x.sum(), backend="llvm")
    assert [type(total(x)) for _ in range(3)] == [BRAIN.type] * 3
    with pytest.raises(tracer.errors.DTypeError, match="not supported"):
        double(np.zeros(3, "V2"))


def test_threads_give_the_same_bits() -> None:
    x = RANDOM.normal(size=(1 << 18,)).astype(BRAIN)

    def program(x: Any) -> Any:
        return np.exp(x) * x, x.sum()

    shared = tracer.jit(program, backend="llvm", parallel=True)(x)
    alone = tracer.jit(program, backend="llvm", parallel=False)(x)
    same(shared[0], alone[0])
    same(shared[1], alone[1])


def test_updates_of_bfloat16_in_memory() -> None:
    """Without the pass that makes such memory float32."""
    x, y = Buffer("x", BRAIN, (5,), "input"), Buffer("y", BRAIN, (5,), "output")
    body = loop("i", 5, Store(y, (i,), Load(x, (i,))), Update(y, (i,), "add", Load(x, (i,))))
    values = np.array([1, 0.1, 3e38, -3, np.inf], BRAIN)
    with np.errstate(over="ignore"):
        same(compile_llvm(Program("twice", (x,), (y,), (), (), (body,)))([values])[0], values * 2)


def test_operations_on_the_bits_are_refused() -> None:
    x = np.ones(3, BRAIN)
    with pytest.raises(tracer.errors.UnsupportedProgramError, match="spacing of bfloat16"):
        tracer.jit(np.spacing, backend="llvm")(x)
    with pytest.raises(tracer.errors.UnsupportedProgramError, match="nextafter of bfloat16"):
        tracer.jit(lambda x: np.nextafter(x, number(0)), backend="llvm")(x)


def test_compiled_programs_are_found_on_disk(tmp_path: Path) -> None:
    """With constants of bfloat16, which have no name that NumPy reads by itself."""
    code = (
        "import numpy as np, tracer, ml_dtypes\n"
        "table = np.sin(np.arange(500)).astype(ml_dtypes.bfloat16)\n"
        "program = tracer.jit(lambda x: x * table, backend='llvm')\n"
        "result = program(np.ones(500, ml_dtypes.bfloat16))\n"
        "assert result.dtype == table.dtype and np.array_equal(result, table)\n"
        "print(program.cache_info().loaded)\n"
    )
    environment = {**os.environ, "TRACER_CACHE_DIR": str(tmp_path)}
    loaded = [
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).resolve().parents[4],
            env=environment,
        ).stdout.strip()
        for _ in range(2)
    ]
    assert loaded == ["0", "1"]
