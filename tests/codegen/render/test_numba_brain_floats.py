"""bfloat16 in the Numba backend, which takes its memory for uint16."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracer
from codegen.loops.build import loop
from codegen.loops.nodes import Buffer, Load, Operation, Program, Store
from codegen.render.numba_call import compile_numba
from tests.codegen.render.llvm.test_brain_floats import ALL, BRAIN, PROGRAMS, RANDOM, number, same
from tests.codegen.render.test_numba_operations import i


def test_conversions_give_the_bits_of_ml_dtypes() -> None:
    finite = ALL[ALL.view(np.uint16) & 0x7FFF < 0x7F80].astype(np.float32)
    middles = (finite.view(np.uint32) | np.uint32(0x8000)).view(np.float32)
    random = RANDOM.integers(0, 1 << 32, 1 << 16, np.uint32).view(np.float32)
    source = np.concatenate([middles, random, -np.nextafter(middles, np.float32(0))])
    single = np.dtype(np.float32)
    x, z = Buffer("x", single, source.shape, "input"), Buffer("z", BRAIN, ALL.shape, "input")
    y, w = Buffer("y", BRAIN, source.shape, "output"), Buffer("w", single, ALL.shape, "output")
    body = (
        loop("i", len(source), Store(y, (i,), Operation("cast", (Load(x, (i,)),), BRAIN))),
        loop("i", len(ALL), Store(w, (i,), Operation("cast", (Load(z, (i,)),), single))),
    )
    narrow, wide = compile_numba(Program("casts", (x, z), (y, w), (), (), body))([source, ALL])
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(narrow.view(np.uint16), source.astype(BRAIN).view(np.uint16))
        np.testing.assert_array_equal(wide, ALL.astype(np.float32))


@pytest.mark.parametrize(
    "name", ["elementwise", "choice", "gather", "sort", "constant", "maximum", "comparison"]
)
def test_values_are_those_of_numpy(name: str) -> None:
    x = RANDOM.uniform(-2, 2, (3, 37)).astype(BRAIN)
    same(tracer.jit(PROGRAMS[name], backend="numba")(x), PROGRAMS[name](x))


def test_sums_constants_and_gradients() -> None:
    table = RANDOM.uniform(1, 2, 400).astype(BRAIN)

    def loss(x: Any) -> Any:
        return (np.sqrt(np.dot(x, x.T)) * table[:9]).sum() + (table * x[0, 0]).sum()

    x = RANDOM.uniform(1, 2, (9, 9)).astype(BRAIN)
    got, other = (tracer.jit(tracer.grad(loss), backend=b)(x) for b in ("numba", "llvm"))
    assert got.dtype == BRAIN
    # Sums in another order, of which some round to a neighbour.
    np.testing.assert_allclose(got.astype(float), other.astype(float), rtol=2.0**-7)


def test_functions_of_python_get_bfloat16() -> None:
    seen = []

    def cube(x: Any) -> Any:
        seen.append(x.dtype)
        return x**3

    black_box = tracer.primitive(cube, out=lambda x: x)
    x = RANDOM.uniform(-1, 1, (3, 40)).astype(BRAIN)
    program = tracer.jit(lambda x: black_box(x * 2).sum(axis=0), backend="numba")
    same(program(x), tracer.jit(lambda x: black_box(x * 2).sum(axis=0), backend="numpy")(x))
    assert set(seen) == {BRAIN}


def test_the_source_runs_by_itself() -> None:
    table = np.arange(3).astype(BRAIN)
    x = RANDOM.uniform(-1, 1, (4, 3)).astype(BRAIN)
    program = tracer.jit(lambda x: np.tanh(x) * table + number(0.5), backend="numba")
    namespace: dict[str, Any] = {"__name__": "a_program"}
    exec(program.lower(x).source(), namespace)
    (result,) = namespace["run"](x)
    same(result, program(x))
    with pytest.raises(TypeError, match="must be bfloat16"):
        namespace["run"](x.astype(np.float16))
