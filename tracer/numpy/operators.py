"""The operators of a traced array. Those of two Python scalars stay weak, as Python's own are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tracer.dispatch import METHODS, method
from tracer.errors import DTypeError, NotAnArrayError, ShapeError
from tracer.graph.primitive import REGISTRY, Primitive
from tracer.numpy.common import where_text
from tracer.numpy.ufuncs import divmod as divide_with_remainder
from tracer.numpy.views import rebind
from tracer.primitives import arithmetic, comparison
from tracer.primitives.broadcast import broadcast_to
from tracer.primitives.cast import cast
from tracer.trace import Tracer, bind
from tracer.types import BOOL, PYTHON_SCALARS, DType, resolve_ufunc

INT8 = np.dtype(np.int8)
Binary = Callable[[Any, Any], Any]


def _is_weak(value: Any) -> bool:
    return value.variable.weak if type(value) is Tracer else type(value) in PYTHON_SCALARS


def _plain_dtypes(ufunc: np.ufunc) -> frozenset[DType]:
    """The dtypes of which two equal operands need no conversion."""
    plain = []
    for code in "?bBhHiIqQlLefdFD":
        dtype = np.dtype(code)
        try:
            dtypes = resolve_ufunc(ufunc, (dtype, dtype))
        except DTypeError:
            continue
        if dtypes[0] == dtype == dtypes[1]:
            plain.append(dtype)
    return frozenset(plain)


def _fast(primitive: Primitive, ufunc: np.ufunc, general: Binary) -> Binary:
    """The operator: equal dtypes, and numbers beside floats, go straight to the primitive."""
    plain = _plain_dtypes(ufunc)

    def operator(self: Any, other: Any) -> Any:
        variable = self.variable
        dtype = variable.type.dtype
        if not variable.weak:
            kind = type(other)
            if kind is Tracer:
                theirs = other.variable
                if theirs.type.dtype is dtype and dtype in plain and not theirs.weak:
                    return bind(primitive, self, other)
            elif kind is float:
                if dtype.kind == "f" and dtype in plain:
                    return bind(primitive, self, dtype.type(other))
            elif kind is np.ndarray and other.dtype is dtype and dtype in plain:
                return bind(primitive, self, other)
            return general(self, other)
        result = general(self, other)
        if _is_weak(other):
            result.variable.weak = True
        return result

    return operator


def _reflected(general: Binary, primitive: Primitive | None = None) -> Binary:
    """`other ∘ self`, where `self` is the traced one."""

    def reflected(self: Any, other: Any) -> Any:
        if type(other) is float and primitive is not None and not self.variable.weak:
            dtype = self.variable.type.dtype
            if dtype.kind == "f":
                return bind(primitive, dtype.type(other), self)
        result = general(other, self)
        if self.variable.weak and _is_weak(other):
            result.variable.weak = True
        return result

    return reflected


def _register(name: str, general: Binary, ufunc: np.ufunc, *, reflected: bool = True) -> None:
    METHODS[f"__{name}__"] = _fast(REGISTRY[ufunc.__name__], ufunc, general)
    if reflected:
        METHODS[f"__r{name}__"] = _reflected(general, REGISTRY[ufunc.__name__])


_register("add", arithmetic.add, np.add)
_register("sub", arithmetic.subtract, np.subtract)
_register("mul", arithmetic.multiply, np.multiply)
_register("truediv", arithmetic.divide, np.divide)
_register("floordiv", arithmetic.floor_divide, np.floor_divide)
_register("mod", arithmetic.remainder, np.remainder)
_register("and", comparison.bitwise_and, np.bitwise_and)
_register("or", comparison.bitwise_or, np.bitwise_or)
_register("xor", comparison.bitwise_xor, np.bitwise_xor)
_register("lshift", comparison.left_shift, np.left_shift)
_register("rshift", comparison.right_shift, np.right_shift)
_register("lt", comparison.less, np.less, reflected=False)
_register("le", comparison.less_equal, np.less_equal, reflected=False)
_register("gt", comparison.greater, np.greater, reflected=False)
_register("ge", comparison.greater_equal, np.greater_equal, reflected=False)
_register("eq", comparison.equal, np.equal, reflected=False)
_register("ne", comparison.not_equal, np.not_equal, reflected=False)


@method("__pow__")
def power(self: Any, other: Any) -> Any:
    """`self ** other`."""
    if type(other) is int and other == 2 and self.dtype == BOOL and not self.variable.weak:
        return cast(self, INT8)  # NumPy takes the square of a boolean for a short integer
    result = arithmetic.power(self, other)
    if self.variable.weak and _is_weak(other):
        result = Tracer(result.variable) if result is self else result
        result.variable.weak = True
    return result


METHODS["__rpow__"] = _reflected(arithmetic.power)


@method("__divmod__")
def divmod_(self: Any, other: Any) -> Any:
    """Quotient and remainder."""
    return divide_with_remainder(self, other)


@method("__rdivmod__")
def rdivmod(self: Any, other: Any) -> Any:
    """Quotient and remainder of `other` by `self`."""
    return divide_with_remainder(other, self)


def _with_none(name: str, answer: bool) -> None:
    """No number is None: NumPy says so for each element."""
    general = METHODS[name]

    def operator(self: Any, other: Any) -> Any:
        if other is None:
            return broadcast_to(np.bool_(answer), self.shape)
        return general(self, other)

    METHODS[name] = operator


_with_none("__eq__", False)
_with_none("__ne__", True)


def _unary(name: str, function: Callable[[Any], Any]) -> None:
    def operator(self: Any) -> Any:
        result = function(self)
        if self.variable.weak:
            result.variable.weak = True
        return result

    METHODS[name] = operator


_unary("__neg__", arithmetic.negative)
_unary("__pos__", arithmetic.positive)
_unary("__abs__", arithmetic.absolute)
_unary("__invert__", comparison.invert)

_UFUNC_NAMES = {
    "__sub__": "subtract",
    "__mul__": "multiply",
    "__truediv__": "divide",
    "__floordiv__": "floor_divide",
    "__mod__": "remainder",
    "__pow__": "power",
    "__and__": "bitwise_and",
    "__or__": "bitwise_or",
    "__xor__": "bitwise_xor",
    "__lshift__": "left_shift",
    "__rshift__": "right_shift",
}


@method("__inplace__")
def in_place(name: str, self: Any, other: Any) -> Any:
    """`self ∘= other`: an array gets a new variable; a 0-d one is a number, and immutable."""
    try:
        result = METHODS[name](self, other)
    except NotAnArrayError:
        return NotImplemented
    if not self.shape:
        return result
    if result.shape != self.shape:
        raise ShapeError(
            f"{where_text()}non-broadcastable output operand with shape {self.shape} doesn't match "
            f"the broadcast shape {result.shape}"
        )
    if not np.can_cast(result.dtype, self.dtype, "same_kind"):
        ufunc = _UFUNC_NAMES.get(name, name.strip("_"))
        raise DTypeError(
            f"{where_text()}Cannot cast ufunc '{ufunc}' output from {result.dtype!r} to "
            f"{self.dtype!r} with casting rule 'same_kind'"
        )
    rebind(self, cast(result, self.dtype))
    return self
