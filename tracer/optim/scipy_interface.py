"""What `scipy.optimize.minimize` wants, from a function of pytrees."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tracer import tree
from tracer.errors import DTypeError, StructureError
from tracer.jit import jit
from tracer.trace import type_of
from tracer.transforms.gradient import grad, jvp, value_and_grad
from tracer.transforms.jacobian import hessian, jacobian
from tracer.types import kind_of

Function = Callable[..., Any]
Vector = np.ndarray[Any, np.dtype[np.float64]]


class ScipyProblem:
    """A function of pytrees as functions of one float64 vector.

    `fun(x)`, `jac(x)`, `hess(x)`, `hessp(x, v)` take and return float64 arrays of shapes (n,), ()
    (n, n); `x0`, `bounds` and `constraints` fit them; `unravel(x)` makes the pytree of a vector.
    Value and gradient at one point are computed in one call. With each use of `hess` or `hessp` for
    the first time, that function is compiled.
    """

    def __init__(
        self, f: Function, x0: Any, bounds: Any, constraints: Sequence[Any], compiled: bool
    ) -> None:
        check_real(x0, "x0")
        self._prepare: Function = jit if compiled else lambda function: function
        self.x0, self._unravel = float_vector(x0)
        self._evaluate = self._prepare(value_and_grad(self._flat(f)))
        self._hess = self._prepare(hessian(self._flat(f)))
        slope = grad(self._flat(f))
        self._hessp = self._prepare(lambda x, v: jvp(slope, (x,), (v,))[1])
        self._last: tuple[bytes, float, Vector] | None = None
        self.bounds = None if bounds is None else self._bounds(x0, bounds)
        self.constraints = [self._constraint(given) for given in constraints]

    def _flat(self, f: Function) -> Function:
        return lambda x: f(self._unravel(x))

    def unravel(self, x: Vector) -> Any:
        """The pytree of a vector, in the leaves' own shapes and dtypes."""
        return self._unravel(np.asarray(x, np.float64))

    def _at(self, x: Vector) -> tuple[float, Vector]:
        x = np.asarray(x, np.float64)
        key = x.tobytes()
        if self._last is None or self._last[0] != key:
            value, gradient = self._evaluate(x)
            self._last = key, float(value), np.array(gradient, np.float64)
        return self._last[1], self._last[2]

    def fun(self, x: Vector) -> float:
        """The value at x, shape (n,)."""
        return self._at(x)[0]

    def jac(self, x: Vector) -> Vector:
        """The gradient at x, shape (n,)."""
        return self._at(x)[1].copy()

    def hess(self, x: Vector) -> Vector:
        """The Hessian at x, shape (n, n)."""
        return np.array(self._hess(np.asarray(x, np.float64)), np.float64)

    def hessp(self, x: Vector, v: Vector) -> Vector:
        """The Hessian at x times v, shape (n,)."""
        image = self._hessp(np.asarray(x, np.float64), np.asarray(v, np.float64))
        return np.array(image, np.float64)

    def _bounds(self, x0: Any, bounds: Any) -> Any:
        from scipy.optimize import Bounds

        try:
            lower, upper = bounds
        except (TypeError, ValueError):
            raise StructureError(
                "bounds are a pair (lower, upper), each None, a number or a pytree as x0"
            ) from None
        return Bounds(self._side(lower, x0, -np.inf), self._side(upper, x0, np.inf))

    def _side(self, side: Any, x0: Any, default: float) -> Vector:
        limits = tree.spread_prefix(side, x0, "a bound")
        rows = [
            np.broadcast_to(default if limit is None else limit, np.shape(leaf)).ravel()
            for limit, leaf in zip(limits, tree.leaves(x0), strict=True)
        ]
        return np.concatenate([np.zeros(0), *rows])

    def _constraint(self, given: Any) -> Any:
        from scipy.optimize import NonlinearConstraint

        if isinstance(given, dict):
            values, slopes, _ = self._vector_function(given["fun"])
            return {"type": given["type"], "fun": values, "jac": slopes}
        try:
            function, lower, upper = given
        except (TypeError, ValueError):
            raise StructureError(
                'a constraint is (g, lower, upper), or {"type": "eq" or "ineq", "fun": g}'
            ) from None
        values, slopes, curvatures = self._vector_function(function)
        return NonlinearConstraint(values, lower, upper, jac=slopes, hess=curvatures)

    def _vector_function(self, g: Function) -> tuple[Function, Function, Function]:
        """g's results in one vector, its Jacobian, and the Hessian of weights · g."""

        def vector(x: Any) -> Any:
            return float_vector(g(self._unravel(x)))[0]

        values = self._prepare(vector)
        slopes = self._prepare(jacobian(vector))
        curvatures = self._prepare(
            lambda x, weights: hessian(lambda y: (vector(y) * weights).sum())(x)
        )
        return (
            lambda x: np.array(values(np.asarray(x, np.float64))),
            lambda x: np.array(slopes(np.asarray(x, np.float64))),
            lambda x, v: np.array(curvatures(np.asarray(x, np.float64), np.asarray(v, np.float64))),
        )


def check_real(x0: Any, what: str) -> None:
    """Raises DTypeError unless every leaf is a real floating array."""
    for leaf in tree.leaves(x0):
        kind = type_of(leaf)
        if kind_of(kind.dtype) != "f":
            raise DTypeError(
                f"{what} has a leaf of {kind}; SciPy moves real numbers: make integers floats, "
                "and write a complex number as two real ones"
            )


def float_vector(values: Any) -> tuple[Any, Function]:
    """All leaves in one float64 vector, and the function that makes the pytree from one again, in
    the leaves' own dtypes.
    """
    dtypes = [type_of(leaf).dtype for leaf in tree.leaves(values)]
    flat, unravel = tree.ravel(values)

    def restored(vector: Any) -> Any:
        whole = unravel(vector)
        leaves, form = tree.flatten(whole)
        kept = [
            leaf if type_of(leaf).dtype == dtype else leaf.astype(dtype)
            for leaf, dtype in zip(leaves, dtypes, strict=True)
        ]
        return tree.unflatten(form, kept)

    return flat if flat.dtype == np.float64 else flat.astype(np.float64), restored


def as_scipy(
    f: Function, x0: Any, *, bounds: Any = None, constraints: Sequence[Any] = (), jit: bool = True
) -> ScipyProblem:
    """What `scipy.optimize.minimize` wants of `f`, a function of a pytree to one real number.

    bounds: None, or a pair (lower, upper), each None, a number or a prefix of x0's pytree.
    constraints: each `(g, lower, upper)`, or SciPy's `{"type": "eq" | "ineq", "fun": g}`, where g
    takes the pytree and returns an array or a pytree of them.

        problem = as_scipy(f, x0, bounds=(0, None))
        found = scipy.optimize.minimize(
            problem.fun, problem.x0, jac=problem.jac, hess=problem.hess,
            bounds=problem.bounds, method="trust-constr",
        )
        problem.unravel(found.x)

    Raises DTypeError where x0 has other than real floating leaves, StructureError where bounds or
    constraints do not fit.
    """
    return ScipyProblem(f, x0, bounds, constraints, jit)
