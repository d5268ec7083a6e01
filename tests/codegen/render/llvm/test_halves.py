"""float16 in compiled code: NumPy's numbers, with the processor's conversions and with our own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import tracer
from codegen.loops.build import loop
from codegen.loops.errors import UnsupportedProgramError
from codegen.loops.nodes import Buffer, Expression, Load, Operation, Program, Store, Update
from codegen.passes.round_halves import round_halves
from codegen.render import llvm_code
from codegen.render.llvm_call import compile_llvm
from codegen.render.llvm_machine import host_machine
from tests.codegen.render.test_numba_operations import i

Array = np.ndarray[Any, np.dtype[Any]]
HALF = np.dtype(np.float16)
ALL = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
DTYPES = ("?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8", "c8", "c16")
RANDOM = np.random.default_rng(16)


@pytest.fixture(params=["instructions", "arithmetic"])
def conversions(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With and without the processor's instructions for float16."""
    machine = host_machine()
    if request.param == "arithmetic":
        machine = replace(machine, target=replace(machine.target, f16c=False))
        monkeypatch.setattr(llvm_code, "host_machine", lambda: machine)
    return str(request.param)


def same(got: Any, expected: Any) -> None:
    """The same numbers, zeros by their signs; NaN where NaN is."""
    assert np.shape(got) == np.shape(expected)
    np.testing.assert_array_equal(got, expected)
    if np.asarray(expected).dtype.kind == "f":
        numbers = ~np.isnan(expected)
        assert np.array_equal(np.signbit(got)[numbers], np.signbit(expected)[numbers])


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
@pytest.mark.parametrize("target", ["f2", "f4", "f8", "?"])
def test_every_float16_is_read(conversions: str, target: str, serial: bool) -> None:
    with np.errstate(invalid="ignore"):
        same(copied(ALL, target, serial), ALL.astype(target))


def near_halves() -> Array:
    """Each float16, the numbers in the middle between two, and their neighbours, as float64."""
    finite = ALL[np.isfinite(ALL)].astype(np.float64)
    middles = (finite + np.nextafter(finite.astype(np.float16), np.float16(np.inf))) / 2
    overflow = np.array([65519.999, 65520.0, 1e5, 1e300, 5e-324, 1e-40, np.inf, np.nan, 0.0])
    exact = np.concatenate([finite, middles[np.isfinite(middles)], overflow, -overflow])
    return np.concatenate([exact, np.nextafter(exact, np.inf), np.nextafter(exact, -np.inf)])


@pytest.mark.parametrize("serial", [False, True], ids=["lanes", "one by one"])
@pytest.mark.parametrize("dtype", ["f8", "f4"])
def test_rounding_to_the_nearest(conversions: str, dtype: str, serial: bool) -> None:
    with np.errstate(all="ignore"):
        source = near_halves().astype(dtype)
        if dtype == "f4":
            source = np.concatenate(
                [source, np.nextafter(source, np.float32(9)), -np.nextafter(source, np.float32(0))]
            )
        same(copied(source, "f2", serial), source.astype(np.float16))


@pytest.mark.parametrize("dtype", DTYPES)
def test_conversions_with_every_dtype(conversions: str, dtype: str) -> None:
    small = np.array([0.0, 0.5, 1, 2.75, 100, 126.5], np.float16)
    bits = RANDOM.integers(0, 256, 8 * 67, np.uint8).view("u8")
    with np.errstate(all="ignore"):
        wide = bits.astype(dtype) if dtype in "?f4f8c8c16" else bits.view(dtype)
        same(tracer.jit(lambda x: x.astype(dtype), backend="llvm")(small), small.astype(dtype))
        if np.dtype(dtype).kind != "c":
            same(
                tracer.jit(lambda x: x.astype(np.float16), backend="llvm")(wide),
                wide.astype(np.float16),
            )


# Whole programs

PROGRAMS: dict[str, Callable[[Any], Any]] = {
    "elementwise": lambda x: np.sqrt(np.abs(x)) * x + np.float16(0.1) / (x - 3),
    "functions": lambda x: np.exp(x) + np.tanh(x) * np.sin(x),
    "sum": lambda x: x.sum(axis=1),
    "whole sum": lambda x: (x * x).sum(),
    "mean": lambda x: x.mean(),
    "maximum": lambda x: x.max(axis=0),
    "largest": lambda x: (x * x).argmax(axis=1),
    "comparison": lambda x: (x * x > x) & (x != 0),
    "power": lambda x: x**2 + x**3,
    "choice": lambda x: np.where(x > 0, x, -2),
    "running": lambda x: np.cumsum(x, axis=1),
    "sort": lambda x: np.sort(x, axis=1),
    "order": lambda x: np.argsort(x, axis=0, kind="stable"),
    "search": lambda x: np.searchsorted(np.sort(x[0]), x[1]),
    "gather": lambda x: x[[0, 1, 1], ::-1],
    "transpose": lambda x: np.concatenate([x.T, x.T[::-1]]) * 2,
    "product": lambda x: x @ x.T,
    "vector": lambda x: x @ x[0],
    "einsum": lambda x: np.einsum("ij,ik->jk", x, x),
    "exponents": lambda x: np.frexp(x)[0],
    "remainder": lambda x: np.remainder(x, np.float16(0.3)) + np.floor_divide(x, np.float16(0.3)),
    "constant": lambda x: np.zeros_like(x) + np.float16(1.5),
    "softmax": lambda x: np.exp(x - x.max(axis=1, keepdims=True)),
}


LOOSE = ("functions", "softmax", "sum", "whole sum", "mean", "product", "vector", "einsum", "power")


@pytest.mark.parametrize("shape", [(4, 6), (3, 37), (40, 64)], ids=str)
@pytest.mark.parametrize("name", PROGRAMS)
def test_values_are_those_of_numpy(name: str, shape: tuple[int, int]) -> None:
    x = RANDOM.uniform(-2, 2, shape).astype(np.float16)
    function = PROGRAMS[name]
    got, expected = tracer.jit(function, backend="llvm")(x), function(x)
    assert got.dtype == expected.dtype
    assert got.shape == expected.shape
    if name not in LOOSE:
        same(got, expected)
        return
    # Functions and sums may differ from NumPy's in float32's last places, and then round to a
    # neighbour; a cube is two products; and NumPy's einsum rounds its sums at each step. Three
    # roundings of half a unit each are the most of any element.
    exact = function(x.astype(np.float64))
    largest = HALF.type(max(1.0, float(np.abs(exact).max())))
    atol = 1.5 * float(np.spacing(largest))
    np.testing.assert_allclose(got.astype(np.float64), exact, rtol=0, atol=atol)


@pytest.mark.parametrize("length", [1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 33, 100, 1001])
def test_ends_of_vectors(conversions: str, length: int) -> None:
    x = RANDOM.normal(size=length).astype(np.float16)
    got = tracer.jit(lambda x: (x * 3 + 1, x[::-1] / 7, x[::2] - 1), backend="llvm")(x)
    for one, other in zip(got, (x * 3 + 1, x[::-1] / 7, x[::2] - 1), strict=True):
        same(one, other)


def test_what_overflows_is_infinite() -> None:
    x = np.array([300, -300, 1e-4, 65504, np.inf, np.nan], np.float16)
    with np.errstate(all="ignore"):
        expected = x * x * np.float16(0.5), x + x - x, np.exp(x)
    got = tracer.jit(lambda x: (x * x * np.float16(0.5), x + x - x, np.exp(x)), backend="llvm")(x)
    for one, other in zip(got, expected, strict=True):
        same(one, other)


@pytest.mark.parametrize("axis", [0, 1])
def test_sums_add_up_in_float32(axis: int) -> None:
    """In float16 a sum of ones stops at 2048."""
    ones = np.ones((4099, 3) if axis == 0 else (3, 4099), np.float16)
    got = tracer.jit(lambda x: x.sum(axis=axis), backend="llvm")(ones)
    same(got, np.full(3, 4099, np.float16))
    scattered = tracer.jit(
        tracer.grad(lambda x: x[np.zeros(4099, np.int64)].sum()), backend="llvm"
    )(np.ones(2, np.float16))
    same(scattered, np.array([4099, 0], np.float16))


def test_a_sum_that_is_compared_is_rounded_first() -> None:
    """A value is one number, wherever it is used: here the maximum is found among the sums."""
    x = RANDOM.normal(size=(50, 7)).astype(np.float16)
    found = tracer.jit(lambda x: x.sum(axis=0) == x.sum(axis=0).max(), backend="llvm")(x)
    assert found.sum() >= 1


GRADIENTS: dict[str, Callable[[Any], Any]] = {
    "tanh": lambda x: (np.tanh(x) ** 2).sum(),
    "maximum": lambda x: (x * x).max() * 3,
    "row maxima": lambda x: ((x * x + 1) * x).max(axis=1).sum(),
    "softmax": lambda x: (np.exp(x) / np.exp(x).sum(axis=1, keepdims=True))[:, 0].sum(),
    "product": lambda x: (x @ x.T).sum() / 100,
    "sorted": lambda x: (np.sort(x, axis=1) * np.arange(x.shape[1]).astype(np.float16)).sum(),
    "gather": lambda x: (x[[0, 1, 1]] * 2).sum(),
    "mean": lambda x: (x * x).mean(),
    "running": lambda x: np.cumsum(x, axis=1).sum() / 10,
}


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients(name: str) -> None:
    x = RANDOM.uniform(-1.5, 1.5, (5, 9)).astype(np.float16)
    got = tracer.jit(tracer.grad(GRADIENTS[name]), backend="llvm")(x)
    exact = tracer.grad(GRADIENTS[name])(x.astype(np.float64))
    assert got.dtype == HALF
    largest = max(1.0, float(np.abs(exact).max()))
    np.testing.assert_allclose(got.astype(np.float64), exact, rtol=0, atol=largest * 2.0**-8)
    eager = tracer.grad(GRADIENTS[name])(x).astype(np.float64)
    np.testing.assert_allclose(got.astype(np.float64), eager, rtol=0, atol=largest * 2.0**-9)


def test_second_derivatives_and_batches() -> None:
    x = RANDOM.uniform(-1, 1, (4, 6)).astype(np.float16)
    second = tracer.vmap(tracer.grad(lambda v: tracer.grad(lambda w: (w**3).sum())(v).sum()))
    same(tracer.jit(second, backend="llvm")(x), second(x))


def test_loops_keep_float16() -> None:
    def step(carry: Any, x: Any) -> Any:
        return carry * np.float16(0.75) + x, carry * x

    xs = RANDOM.normal(size=(20, 5)).astype(np.float16)

    def run(xs: Any) -> Any:
        return tracer.scan(step, np.zeros(5, np.float16), xs)

    got, expected = tracer.jit(run, backend="llvm")(xs), run(xs)
    same(got[0], expected[0])
    same(got[1], expected[1])


def test_functions_of_python_get_float16() -> None:
    """Also sums and maxima, whose memory is float32 elsewhere."""
    cube = tracer.primitive(
        lambda x: x**3, vjp=lambda args, out, ct: (ct * 3 * args[0] ** 2,), out=lambda x: x
    )
    x = RANDOM.uniform(-1, 1, (3, 40)).astype(np.float16)

    def program(x: Any) -> Any:
        return cube(x.sum(axis=0)) + cube(x.max(axis=0)) * cube(x[0])

    same(tracer.jit(program, backend="llvm")(x), program(x))
    slope = tracer.grad(lambda x: program(x).sum())
    same(tracer.jit(slope, backend="llvm")(x), slope(x))


def test_code_serves_other_sizes() -> None:
    program = tracer.jit(lambda x: (x * 2).sum() + x.mean(), backend="llvm")
    for length in (100, 1000, 7001):
        assert program(np.ones(length, np.float16)) == np.float16(2 * length + 1)
    assert program.cache_info().compiles <= 1


def test_arguments_and_results() -> None:
    """Arrays that are not contiguous, scalars, and 0-d results."""
    double = tracer.jit(lambda x: x * 2, backend="llvm")
    x = np.arange(24, dtype=np.float16).reshape(4, 6)
    same(double(x[::2, ::3]), x[::2, ::3] * 2)
    result = double(np.float16(1.5))
    assert type(result) is np.float16
    assert result == 3
    assert double(x).dtype == HALF
    assert double(x.astype(np.float32)).dtype == np.float32


def test_threads_give_the_same_bits() -> None:
    x = RANDOM.normal(size=(1 << 18,)).astype(np.float16)

    def program(x: Any) -> Any:
        return np.exp(x) * x, x.sum()

    shared = tracer.jit(program, backend="llvm", parallel=True)(x)
    alone = tracer.jit(program, backend="llvm", parallel=False)(x)
    same(shared[0], alone[0])
    np.testing.assert_allclose(float(shared[1]), x.astype(np.float64).sum(), rtol=2.0**-10)


# The pass, and what is refused


def test_only_programs_with_float16_change() -> None:
    x, y = Buffer("x", np.dtype("f4"), (3,), "input"), Buffer("y", np.dtype("f4"), (3,), "output")
    program = Program("copy", (x,), (y,), (), (), (loop("i", 3, Store(y, (i,), Load(x, (i,)))),))
    assert round_halves(program) is program


def test_updates_of_float16_in_memory() -> None:
    """Without the pass that makes such memory float32."""
    x, y = Buffer("x", HALF, (5,), "input"), Buffer("y", HALF, (5,), "output")
    body = loop("i", 5, Store(y, (i,), Load(x, (i,))), Update(y, (i,), "add", Load(x, (i,))))
    values = np.array([1, 0.1, 65504, -3, np.inf], np.float16)
    with np.errstate(over="ignore"):
        same(compile_llvm(Program("twice", (x,), (y,), (), (), (body,)))([values])[0], values * 2)


def test_operations_on_the_bits_are_refused() -> None:
    x = np.ones(3, np.float16)
    with pytest.raises(tracer.errors.UnsupportedProgramError, match="spacing of float16"):
        tracer.jit(np.spacing, backend="llvm")(x)
    with pytest.raises(tracer.errors.UnsupportedProgramError, match="nextafter of float16"):
        tracer.jit(lambda x: np.nextafter(x, np.float16(0)), backend="llvm")(x)


def test_arithmetic_needs_the_pass() -> None:
    x, y = Buffer("x", HALF, (2,), "input"), Buffer("y", HALF, (2,), "output")
    sine = Operation("sin", (Load(x, (i,)),), HALF)
    with pytest.raises(UnsupportedProgramError, match="the llvm backend has no sin of float16"):
        compile_llvm(Program("sine", (x,), (y,), (), (), (loop("i", 2, Store(y, (i,), sine)),)))
