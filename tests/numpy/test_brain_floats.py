"""bfloat16 in functions of NumPy's: the dtypes are NumPy's, and so are the values, but for sums,
which are float32's.
"""

from __future__ import annotations

import re
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import tracer
import tracer.numpy as tnp
from tests.numpy.compare import Case, check_dtype
from tests.numpy.core_cases import CASES
from tracer import optim
from tracer.graph.check import check_graph
from tracer.graph.text import parse_graph

BRAIN = np.dtype(ml_dtypes.bfloat16)
ROOT = Path(__file__).resolve().parents[2]
SUMS = re.compile(
    r"(nan)?(sum|prod|mean|var|std|cumsum|cumprod)\b|cumulative_|average|gradient|add\.accumulate|"
    r"ufunc reduce|methods|pad mean|apply_along_axis"
)
"""What NumPy adds up or subtracts in bfloat16, and we in float32."""
OTHERWISE = re.compile(r"einsum|nanmedian|nanargmax|nan_to_num|(sort|quantile) of nan")
"""What NumPy refuses of bfloat16, or gives no right answer to, where its order of numbers has no
place for NaN; and NaN, which the comparison does not know."""
SWEPT = [case for case in CASES if case.sweep and not OTHERWISE.match(case.name)]


@pytest.mark.parametrize("case", [case for case in SWEPT if not SUMS.match(case.name)], ids=str)
def test_dtypes_and_values_are_those_of_numpy(case: Case) -> None:
    check_dtype(case, BRAIN)


@pytest.mark.parametrize("case", [case for case in SWEPT if SUMS.match(case.name)], ids=str)
def test_sums_have_the_dtypes_of_numpy_and_the_values_of_float32(case: Case) -> None:
    arrays = [np.asarray(array) for array in case.arrays]
    short = [array.astype(BRAIN) if array.dtype == np.float64 else array for array in arrays]
    long = [array.astype(np.float64) if array.dtype == BRAIN else array for array in short]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        plain = tracer.tree.leaves(case.function(np, *short))
        exact = tracer.tree.leaves(case.function(np, *long))
        program = tracer.jit(lambda *x: case.function(tnp, *x), backend="numpy")
        found = tracer.tree.leaves(program(*short))
    for one, other, due in zip(found, plain, exact, strict=True):
        assert (one.dtype, np.shape(one)) == (np.asarray(other).dtype, np.shape(other))
        # Some roundings of results in between: squares, differences from the mean.
        scale = 1.0 + float(np.max(np.abs(due), initial=0.0, where=np.isfinite(due)))
        np.testing.assert_allclose(
            np.asarray(one).astype(complex), due, rtol=0, atol=scale * 2.0**-6
        )


def number(value: float) -> Any:
    """A scalar of bfloat16."""
    return BRAIN.type(value)


X = np.linspace(-2, 2, 12).astype(BRAIN)


@pytest.mark.parametrize(
    ("other", "dtype"),
    [
        (2, BRAIN),
        (True, BRAIN),
        (number(0.5), BRAIN),
        (np.int8(3), BRAIN),
        (np.uint8(3), BRAIN),
        (0.5, np.float32),
        (np.float16(1), np.float32),
        (np.float32(1), np.float32),
        (np.float64(1), np.float64),
        (np.int64(1), np.float64),
        (1j, np.complex64),
    ],
    ids=repr,
)
@pytest.mark.parametrize("backend", ["eager", "numpy", "llvm"])
def test_promotion(other: Any, dtype: Any, backend: str) -> None:
    """A Python float makes float32 of it, as NumPy has it."""

    def program(x: Any) -> Any:
        return x * other + other

    plain = program(X)
    assert plain.dtype == dtype
    if backend == "eager":
        found = tracer.vjp(program, X)[0]
    else:
        found = tracer.jit(program, backend=backend)(X)
    assert found.dtype == dtype
    np.testing.assert_allclose(found.astype(complex), plain.astype(complex), rtol=2.0**-7)


def test_what_numpy_does_not_promote_is_an_error() -> None:
    with pytest.raises(TypeError, match="common DType"):
        tracer.jit(lambda x: np.concatenate([x, x.astype(np.int64)]))(X)


def test_graphs_print_parse_and_check() -> None:
    graph = tracer.make_graph(tracer.grad(lambda x: (np.tanh(x) * number(2)).sum()))(X)
    assert "bf16[12]" in str(graph)
    again = parse_graph(str(graph))
    check_graph(again)
    assert str(again) == str(graph)


def test_creation_and_conversion() -> None:
    def program(x: Any) -> Any:
        table = np.zeros((3, 4), dtype=BRAIN)
        table[1] = x[:4]
        return table, np.ones_like(x), x.astype(np.float32).astype(BRAIN), tnp.full(2, 1.5, BRAIN)

    for function in (program, tracer.jit(program)):
        for one, other in zip(function(X), program(X), strict=True):
            assert one.dtype == BRAIN
            np.testing.assert_array_equal(one, other)


def test_derivatives_have_the_dtype() -> None:
    """Tangents and cotangents too, whose rules have Python's numbers in them."""

    def loss(x: Any) -> Any:
        return (np.sqrt(x * x + 1) * 0.5 + np.log1p(x * x)).sum()

    _, tangent = tracer.jvp(lambda x: x.astype(np.float32) * 2, (X,), (X,))
    assert tangent.dtype == np.float32
    assert tracer.jvp(np.arctan, (X,), (X,))[1].dtype == BRAIN
    for derivative in (tracer.grad(loss), tracer.jacobian(np.arctan), tracer.hessian(loss)):
        assert derivative(X).dtype == BRAIN
    exact = tracer.grad(loss)(X.astype(np.float64))
    np.testing.assert_allclose(tracer.grad(loss)(X).astype(float), exact, rtol=0.03, atol=0.01)
    small = np.linspace(0.1, 0.9, 6).astype(BRAIN)  # a step that is seen in 8 bits is large
    tracer.check_grads(lambda x: (np.tanh(x) * x).sum(), (small,), order=2)
    with pytest.raises(tracer.errors.GradientCheckError):
        tracer.check_grads(lambda x: (tracer.stop_gradient(x) * x).sum(), (small,), order=1)


def test_pytrees_batches_and_loops() -> None:
    flat, restore = tracer.tree.ravel({"a": X, "b": X[:2].reshape(2, 1)})
    assert flat.dtype == BRAIN
    assert restore(flat)["b"].dtype == BRAIN
    rows = X.reshape(3, 4)
    np.testing.assert_array_equal(
        tracer.vmap(lambda x: x * x + x[0])(rows), rows * rows + rows[:, :1]
    )
    last, all_of = tracer.scan(lambda c, x: (c * number(0.5) + x, c), number(0), X)
    assert (last.dtype, all_of.dtype) == (BRAIN, BRAIN)
    with pytest.raises(tracer.errors.CarryTypeError):
        tracer.scan(lambda c, x: (c * 0.5 + x, c), number(0), X)


@pytest.mark.parametrize(
    "function",
    [
        tracer.nn.gelu,
        tracer.nn.silu,
        tracer.nn.elu,
        tracer.nn.softmax,
        tracer.nn.log_softmax,
        tracer.nn.layer_norm,
        tracer.nn.rms_norm,
        lambda x: tracer.nn.attention(x, x, x),
        lambda x: tracer.nn.average_pool(x[None, None], 2),
        lambda x: tracer.nn.conv(x[None, None], x[None, None, :2, :2]),
    ],
)
def test_functions_of_networks_are_float32_rounded_once(function: Any) -> None:
    x = X.reshape(3, 4)
    result = function(x)
    assert result.dtype == BRAIN
    np.testing.assert_array_equal(result, function(x.astype(np.float32)).astype(BRAIN))
    assert tracer.grad(lambda x: function(x).astype(np.float32).sum())(x).dtype == BRAIN
    mixed = tracer.nn.layer_norm(x, np.ones(4, np.float32))
    assert mixed.dtype == np.float32


def test_ml_dtypes_is_not_imported_for_others() -> None:
    code = (
        "import sys, numpy as np, tracer\n"
        "tracer.jit(tracer.grad(lambda x: (x * x).sum()), backend='llvm')(np.ones(3))\n"
        "assert 'ml_dtypes' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_a_type_of_bfloat16_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    with pytest.raises(ImportError, match=r"tracer-ad\[bfloat16\]"):
        tracer.types.parse_type("bf16[3]")


@pytest.mark.parametrize(
    "optimizer",
    [
        optim.gradient_descent(0.1),
        optim.momentum(0.05),
        optim.nesterov(0.05),
        optim.adam(0.05),
        optim.adamw(0.05),
        optim.rmsprop(0.05),
        optim.adagrad(0.3),
        optim.chain(optim.clip_by_global_norm(1.0), optim.clip(0.5), optim.gradient_descent(0.1)),
    ],
)
def test_optimisers_keep_states_in_float32(optimizer: Any) -> None:
    """As the carry of a loop, whose types are fixed; parameters stay bfloat16."""
    target = np.linspace(-1, 1, 6).astype(BRAIN)

    def loss(w: Any) -> Any:
        return ((w - target) ** 2).sum()

    def step(carry: Any, _: Any) -> Any:
        params, state = carry
        steps, state = optimizer.update(tracer.grad(loss)(params), state, params)
        return (optim.apply_updates(params, steps), state), loss(params)

    start = np.ones(6, BRAIN)
    run = tracer.jit(lambda w: tracer.scan(step, (w, optimizer.init(w)), None, length=60))
    (params, state), losses = run(start)
    assert params.dtype == BRAIN
    inexact = {leaf.dtype for leaf in tracer.tree.leaves(state) if leaf.dtype.kind != "i"}
    assert inexact <= {np.dtype(np.float32)}
    assert float(losses[-1]) < 0.05 * float(losses[0])
