"""What cannot be done raises, with NumPy's class and a sentence that says what to write."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracer
import tracer.numpy as tnp
from tracer import errors, grad

X = np.arange(1.0, 4.0)
M = np.arange(12.0).reshape(3, 4)
PLAIN = np.zeros(3)

ERRORS: list[tuple[Callable[[Any], Any], Any, type[Exception], str]] = [
    (lambda x: x[3], X, IndexError, "index 3 is out of bounds for axis 0 with size 3"),
    (lambda x: x[3], X, errors.OutOfBoundsError, "test_errors.py"),
    (lambda x: x[0, -5], M, IndexError, "index -5 is out of bounds for axis 1 with size 4"),
    (lambda x: x[[0, 7]], M, IndexError, "index 7 is out of bounds for axis 0 with size 3"),
    (
        lambda x: x[0, 0, 0],
        M,
        IndexError,
        "too many indices for array: array is 2-dimensional, but 3",
    ),
    (lambda x: x[1.0], X, IndexError, "only integers, slices"),
    (lambda x: x["a"], X, IndexError, "only integers, slices"),
    (lambda x: x[np.array([1.0])], X, IndexError, "must be of integer"),
    (lambda x: x[..., ...], M, IndexError, "single ellipsis"),
    (lambda x: x[np.array([True, False])], X, IndexError, "boolean index did not match"),
    (lambda x: x[[0, 1], [0, 1, 2]], M, IndexError, "shape mismatch: indexing arrays"),
    (lambda x: x[::0], X, ValueError, "slice step cannot be zero"),
    (lambda x: x.sum()[0], X, IndexError, "invalid index to scalar variable"),
    (lambda x: x.__setitem__(slice(0, 2), np.zeros(3)), X, ValueError, "could not broadcast"),
    (lambda x: x.__setitem__([0, 1], np.zeros(3)), X, ValueError, "shape mismatch: value array"),
    (lambda x: x.__setitem__(0, object()), X, errors.NotAnArrayError, "a object"),
    (lambda x: x.__setitem__(0, 1j), X, TypeError, "not 'complex'"),
    (lambda x: x + M[:2], X, ValueError, "could not be broadcast together"),
    (lambda x: x @ np.ones(4), X, errors.ShapeError, r"shapes \(3,\) and \(4,\) not aligned"),
    (lambda x: np.concatenate([x, M]), X, ValueError, "all the input arrays must"),
    (lambda x: np.stack([x, x[:2]]), X, errors.ShapeError, "same shape"),
    (lambda x: x.reshape(2, 2), X, errors.ShapeError, "cannot reshape array of size 3"),
    (lambda x: np.sum(x, axis=2), X, errors.AxisError, "axis 2 is out of bounds"),
    (lambda x: np.sum(x, axis=(0, 0)), M, ValueError, "duplicate value in 'axis'"),
    (lambda x: np.max(x[:0]), X, ValueError, "zero-size array to reduction operation maximum"),
    (lambda x: np.max(x, where=[True, False, True]), X, ValueError, "does not have an identity"),
    (lambda x: np.argmax(x[:0]), X, ValueError, "empty sequence"),
    (lambda x: np.transpose(x, (0, 0)), M, ValueError, "repeated axis"),
    (lambda x: np.split(x, 2), X, ValueError, "equal division"),
    (lambda x: x & 1, X, errors.DTypeError, "bitwise_and does not take"),
    (lambda x: np.einsum("ij,jk", x, x), M, errors.ShapeError, "label 'j' has lengths 4 and 3"),
    (lambda x: np.einsum("i,i", x), X, ValueError, "2 operands in 'i,i', 1 given"),
    (lambda x: np.add(x, 1.0, out=PLAIN), X, errors.UnsupportedFunctionError, "tracer.numpy.empty"),
    (lambda x: np.savetxt("file", x), X, errors.TracerError, "numpy.savetxt"),
    (lambda x: np.add.at(PLAIN, [0], x[0]), X, errors.UnsupportedFunctionError, "plain ndarray"),
    (lambda x: np.copyto(PLAIN, x), X, errors.UnsupportedFunctionError, "plain ndarray"),
    (
        lambda x: PLAIN.__setitem__(slice(None), x),
        X,
        errors.ArrayConversionError,
        "tracer.numpy.zeros",
    ),
    (lambda x: tnp.sum([x, object()]), X, errors.NotAnArrayError, "a object"),
    (lambda x: x + "a", X, TypeError, "unsupported operand"),
    (lambda x: np.take(x, [0, 9]), X, IndexError, "out of bounds"),
    (lambda x: np.quantile(x, 1.5), X, ValueError, "in the range"),
    (lambda x: np.pad(x, 1, "sideways"), X, ValueError, "mode 'sideways'"),
]


@pytest.mark.parametrize(("function", "value", "kind", "text"), ERRORS, ids=range(len(ERRORS)))
def test_error(function: Any, value: Any, kind: type[Exception], text: str) -> None:
    def scalar(x: Any) -> Any:
        result = function(x * 1.0)
        return np.sum(result) if result is not None else x.sum()

    with pytest.raises(kind, match=text):
        grad(scalar)(value)


def test_in_place_operators_keep_the_dtype() -> None:
    def f(x: Any) -> Any:
        counts = tnp.zeros(3, int)
        counts += x
        return counts.sum()

    with pytest.raises(errors.DTypeError, match="Cannot cast ufunc 'add' output"):
        grad(f)(X)


def test_in_place_operators_keep_the_shape() -> None:
    def f(x: Any) -> Any:
        x += M[:, :3]
        return x.sum()

    with pytest.raises(errors.ShapeError, match="non-broadcastable output operand"):
        grad(f)(X)


def test_mask_without_values_names_the_fixed_size_form() -> None:
    with pytest.raises(errors.ConcretizationError, match="size=n"):
        tracer.make_graph(lambda x: np.diff(x[x > 0]))(X)


def test_nonzero_with_a_size_needs_no_values() -> None:
    def places(x: Any) -> Any:
        return tnp.nonzero(x > 2.0, size=3, fill_value=-1)

    x = np.array([[1.0, 3.0], [4.0, 0.0]])
    found = tracer.vmap(places)(np.stack([x, -x]))
    np.testing.assert_array_equal(found[0], [[0, 1, -1], [-1, -1, -1]])
    np.testing.assert_array_equal(found[1], [[1, 0, -1], [-1, -1, -1]])


def test_complex_values_assigned_to_a_real_array_warn() -> None:
    def f(x: Any) -> Any:
        y = x * 1.0
        y[0] = np.array(2.0 + 1j)
        return y.sum()

    with pytest.warns(np.exceptions.ComplexWarning):
        assert np.array_equal(grad(f)(X), [0.0, 1.0, 1.0])
