"""Input that cannot be meant: each kind has its own error, which says what to write instead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracer
import tracer.numpy as tnp
from tracer import errors, grad, jit, jvp, linear_transpose, linearize, vjp, vmap

X = np.arange(1.0, 4.0)
Case = tuple[Callable[[], Any], type[Exception], type[Exception], str]


def plain_jit(f: Callable[..., Any]) -> Any:
    """Tracing as it is where the source cannot be read."""
    return jit(f, backend="numpy", source=False)


def branching(x: Any) -> Any:
    if x > 0:
        return x
    return -x


def leaked() -> Any:
    kept: list[Any] = []
    grad(lambda x: kept.append(x * 2) or x)(1.0)
    return kept[0] + 1


def leaked_from_jit() -> Any:
    kept: list[Any] = []
    plain_jit(lambda x: kept.append(x * 2) or x)(1.0)
    return kept[0] + 1


def written_in_jit(x: Any) -> Any:
    out = np.zeros(3)
    out[:] = x
    return out


CASES: dict[str, Case] = {
    "a vector output of grad": (
        lambda: grad(lambda x: x * 2)(X),
        errors.NonScalarOutputError,
        TypeError,
        r"shape \(3,\).*(sum it|jacrev)",
    ),
    "two outputs of grad": (
        lambda: grad(lambda x: (x, x))(1.0),
        errors.NonScalarOutputError,
        TypeError,
        "one scalar.*has_aux",
    ),
    "no output of grad": (
        lambda: grad(lambda x: None)(1.0),
        errors.NonScalarOutputError,
        TypeError,
        "one scalar",
    ),
    "a complex output of grad": (
        lambda: grad(lambda z: z * z)(1.0 + 1j),
        errors.NonScalarOutputError,
        TypeError,
        "real.*holomorphic",
    ),
    "an integer output of grad": (
        lambda: grad(lambda x: np.argmax(x))(X),
        errors.NonScalarOutputError,
        TypeError,
        "int64",
    ),
    "has_aux without a pair": (
        lambda: grad(lambda x: x, has_aux=True)(1.0),
        errors.NonScalarOutputError,
        TypeError,
        "pair",
    ),
    "an integer": (
        lambda: grad(lambda x: x * 2.0)(3),
        errors.NonDifferentiableInputError,
        TypeError,
        r"int64.*astype\(float\)",
    ),
    "an integer array": (
        lambda: grad(lambda x: np.sum(x * 2.0))(np.arange(3)),
        errors.NonDifferentiableInputError,
        TypeError,
        "argnums",
    ),
    "a boolean array": (
        lambda: vjp(lambda x: x * 2.0, np.array([True])),
        errors.NonDifferentiableInputError,
        TypeError,
        "bool",
    ),
    "a string": (
        lambda: grad(lambda x: x)("one"),
        errors.NotAnArrayError,
        TypeError,
        "str",
    ),
    "an object in an operation": (
        lambda: grad(lambda x: np.sum(np.add(x, object())))(X),
        errors.NotAnArrayError,
        TypeError,
        "object",
    ),
    "an object array": (
        lambda: jit(lambda x: x * 2)(np.array([object()])),
        errors.DTypeError,
        TypeError,
        "'O'.*not supported",
    ),
    "argnums outside": (
        lambda: grad(lambda x: x, 1)(1.0),
        ValueError,
        ValueError,
        "argnums names argument 1, but there are 1",
    ),
    "shapes that do not fit": (
        lambda: grad(lambda x: np.sum(x + np.ones(4)))(X),
        errors.ShapeError,
        ValueError,
        r"test_bad_input.py:\d+.*broadcast.*\(3,\) \(4,\)",
    ),
    "shapes that do not fit under jit": (
        lambda: plain_jit(lambda x: x @ np.ones(4))(X),
        errors.ShapeError,
        ValueError,
        r"test_bad_input.py:\d+.*\(3,\).*\(4,\)",
    ),
    "a function that is not traced": (
        lambda: grad(lambda x: np.savetxt("file", x))(X),
        errors.UnsupportedFunctionError,
        TypeError,
        "numpy.savetxt.*tracer.primitive",
    ),
    "a leaked tracer": (leaked, errors.LeakedTracerError, RuntimeError, "return the array"),
    "a tracer leaked from jit": (
        leaked_from_jit,
        errors.LeakedTracerError,
        RuntimeError,
        "test_bad_input.py.*return the array",
    ),
    "if under jit": (
        lambda: plain_jit(branching)(1.0),
        errors.ConcretizationError,
        TypeError,
        r"test_bad_input.py:\d+.*tracer.cond",
    ),
    "float() under jit": (
        lambda: plain_jit(lambda x: float(x))(1.0),
        errors.ConcretizationError,
        TypeError,
        r"float\(\)",
    ),
    "a list indexed in vmap": (
        lambda: vmap(lambda i: [1.0, 2.0].__getitem__(i))(np.array([0, 1])),
        errors.ConcretizationError,
        TypeError,
        "index",
    ),
    "a plain array indexed under jit": (
        lambda: plain_jit(lambda i: X[i])(1),
        errors.ArrayConversionError,
        ValueError,
        r"tracer.numpy.asarray\(table\)\[i\]",
    ),
    "a plain list indexed under jit": (
        lambda: plain_jit(lambda i: [1.0, 2.0][i])(1),
        errors.ConcretizationError,
        TypeError,
        "index",
    ),
    "written into a plain array": (
        lambda: plain_jit(written_in_jit)(X),
        errors.ArrayConversionError,
        ValueError,
        r"tracer.numpy.zeros",
    ),
    "a cotangent of another shape": (
        lambda: vjp(np.sin, X)[1](np.ones(2)),
        errors.ShapeError,
        ValueError,
        r"\(2,\), but \(3,\)",
    ),
    "a cotangent of another structure": (
        lambda: vjp(lambda x: (x, x), X)[1](X),
        errors.StructureError,
        ValueError,
        "structure",
    ),
    "a tangent of another shape": (
        lambda: jvp(np.sin, (X,), (np.ones(2),)),
        errors.ShapeError,
        ValueError,
        "tangent",
    ),
    "a complex tangent of a real primal": (
        lambda: jvp(np.sin, (X,), (X * 1j,)),
        errors.TracerError,
        Exception,
        "complex128",
    ),
    "too few tangents": (
        lambda: linearize(lambda x, y: x * y, 1.0, 2.0)[1](1.0),
        errors.StructureError,
        ValueError,
        "structure",
    ),
    "a function that is not linear": (
        lambda: linear_transpose(lambda x: x * x, X)(X),
        errors.NonlinearError,
        TypeError,
        "linear",
    ),
    "vmap over lengths that differ": (
        lambda: vmap(lambda x, y: x + y)(X, np.ones(2)),
        errors.ShapeError,
        ValueError,
        "different lengths",
    ),
    "vmap over a scalar": (
        lambda: vmap(lambda x: x)(1.0),
        errors.ShapeError,
        ValueError,
        "scalar.*in_axes=None",
    ),
    "vmap over nothing": (
        lambda: vmap(lambda x: x, in_axes=None)(X),
        errors.ShapeError,
        ValueError,
        "at least one",
    ),
    "an unknown backend": (
        lambda: jit(lambda x: x, backend="fortran"),
        errors.BackendError,
        RuntimeError,
        "fortran.*numba",
    ),
    "an argument that must be static": (
        lambda: jit(lambda x, name: x)(X, "name"),
        errors.NotAnArrayError,
        TypeError,
        "static_argnums",
    ),
    "a carry that changes type": (
        lambda: tracer.scan(lambda c, x: (c[None], x), 1.0, X),
        errors.CarryTypeError,
        TypeError,
        r"f64\[\].*f64\[1\]",
    ),
    "an index outside": (
        lambda: tnp.asarray(X)[3],
        IndexError,
        IndexError,
        "out of bounds",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_bad_input(name: str) -> None:
    call, ours, builtin, message = CASES[name]
    with pytest.raises(ours, match=f"(?s){message}") as caught:
        call()
    assert isinstance(caught.value, builtin)


def test_one_element_written_into_a_plain_array() -> None:
    """NumPy puts an error of its own in front of ours here, which it shows as the cause."""

    def written(x: Any) -> Any:
        out = np.zeros(3)
        out[0] = x
        return out

    with pytest.raises((errors.ArrayConversionError, ValueError)) as caught:
        plain_jit(written)(1.0)
    ours = caught.value if isinstance(caught.value, errors.TracerError) else caught.value.__cause__
    assert isinstance(ours, errors.ArrayConversionError)
    assert "tracer.numpy.zeros" in str(ours)


def test_every_error_is_also_a_built_in() -> None:
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and kind is not errors.TracerError:
            assert issubclass(kind, errors.TracerError), name
            assert len([base for base in kind.__mro__ if base.__module__ == "builtins"]) > 3, name


def test_a_failed_trace_leaves_nothing_behind() -> None:
    """The next trace works as if nothing had happened."""
    for call, _, _, _ in CASES.values():
        with pytest.raises(Exception, match=r"."):
            call()
    assert tracer.trace.current_trace() is None
    assert grad(lambda x: x * x)(3.0) == 6.0
