"""`x[mask]` where only the run knows the mask: all elements, and which of them are meant.

What a traced mask selects has no shape. It is kept as the whole array beside the mask: an
elementwise function is applied to all elements, a reduction leaves out those that are not meant,
and an assignment through the same mask writes only those that are. Whatever needs the length as a
Python number raises, and names the form of fixed size.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tracer.dispatch import METHODS
from tracer.errors import ConcretizationError, NotAnArrayError
from tracer.graph.nodes import Variable
from tracer.numpy.common import where_text
from tracer.primitives import running
from tracer.primitives.broadcast import reduce_sum, reshape
from tracer.primitives.cast import cast
from tracer.primitives.comparison import select
from tracer.primitives.index import gather
from tracer.trace import Tracer
from tracer.types import INT64

FUNCTIONS: dict[Any, Callable[..., Any]] = {}
"""NumPy's functions of a selection."""

_DEPTH = 12


def refuse(what: str) -> ConcretizationError:
    """The error for a use of a selection that needs its length."""
    return ConcretizationError(
        f"{where_text()}{what} needs the number of elements that a traced mask selects, which is "
        "known only when the compiled function runs; write np.where(mask, x, other), or give the "
        "number: tracer.numpy.nonzero(mask, size=n, fill_value=0), and index with that"
    )


class Selected:
    """What a mask, whose values are not known, selects of an array: `values[:, …, mask]`.

    The mask covers the axes of `values` behind the first `lead`. Has the operators, the
    reductions, and those functions of NumPy that `FUNCTIONS` lists.
    """

    __slots__ = ("lead", "mask", "values")
    __hash__ = None  # type: ignore[assignment]
    __array_priority__ = 2000.0

    def __init__(self, values: Any, mask: Any, lead: int = 0) -> None:
        self.values, self.mask, self.lead = values, mask, lead

    def like(self, values: Any) -> Selected:
        """Other values, selected by the same mask."""
        return Selected(values, self.mask, self.lead)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype."""
        dtype: np.dtype[Any] = self.values.dtype
        return dtype

    @property
    def rest(self) -> tuple[int, ...]:
        """The shape of one element: the axes behind those of the mask."""
        return tuple(self.values.shape[self.lead + len(self.mask.shape) :])

    @property
    def ndim(self) -> int:
        """Number of axes: one for the selection, those before it, and those of an element."""
        return self.lead + 1 + len(self.rest)

    @property
    def count(self) -> Any:
        """How many elements are selected: a traced number."""
        return reduce_sum(cast(self.mask, INT64), tuple(range(len(self.mask.shape))))

    @property
    def size(self) -> Any:
        """Number of elements: a traced number."""
        return self.count * math.prod((*self.values.shape[: self.lead], *self.rest))

    @property
    def shape(self) -> tuple[Any, ...]:
        """The shape; the extent of the selection is a traced number."""
        return (*self.values.shape[: self.lead], self.count, *self.rest)

    @property
    def is_tape(self) -> bool:
        """Asked of what is no array where a result or an operand is recorded: refused."""
        raise refuse("a result or an operand of this kind")

    @property
    def T(self) -> Selected:
        """The selection itself, where it has one axis."""
        if self.ndim > 1:
            raise refuse("the transpose of a selection of rows")
        return self

    @property
    def real(self) -> Selected:
        """The real parts."""
        return self.like(METHODS["__real__"](self.values))

    @property
    def imag(self) -> Selected:
        """The imaginary parts."""
        return self.like(METHODS["__imag__"](self.values))

    def flat_row(self) -> tuple[Any, Any]:
        """The values and the mask, with the axes of the mask made one."""
        if self.lead:
            raise refuse("an order along a later axis")
        size = math.prod(self.mask.shape)
        return reshape(self.values, (size, *self.rest)), reshape(self.mask, (size,))

    def wide_mask(self) -> Any:
        """The mask with as many axes as the values."""
        ones = (1,) * len(self.rest)
        return reshape(self.mask, ((1,) * self.lead + tuple(self.mask.shape) + ones))

    # NumPy's protocols

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise NotAnArrayError(
            f"{where_text()}what a traced mask selects has no shape before the compiled function "
            "runs; reduce it, assign it through the same mask, or write np.where(mask, x, other)"
        )

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        handler = FUNCTIONS.get((ufunc, method)) or FUNCTIONS.get(method)
        if handler is None:
            raise refuse(f"numpy.{ufunc.__name__}.{method} of a selection")
        return handler(ufunc, *inputs, **kwargs)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        handler = FUNCTIONS.get(function)
        if handler is None:
            raise refuse(f"numpy.{function.__name__} of a selection")
        return handler(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        handler = FUNCTIONS.get(f"ndarray.{name}")
        if handler is None:
            if name.startswith("__") or not hasattr(np.ndarray, name):
                raise AttributeError(f"what a traced mask selects has no attribute '{name}'")
            raise refuse(f"ndarray.{name} of a selection")
        return lambda *args, **kwargs: handler(self, *args, **kwargs)

    # Python's protocols

    def __getitem__(self, index: Any) -> Any:
        return FUNCTIONS["__getitem__"](self, index)

    def __setitem__(self, index: Any, value: Any) -> None:
        FUNCTIONS["__setitem__"](self, index, value)

    def __len__(self) -> int:
        raise refuse("len()")

    def __bool__(self) -> bool:
        raise refuse("a Python condition")

    def __iter__(self) -> Any:
        raise refuse("a loop over the elements")

    def __repr__(self) -> str:
        return f"Selected({self.values!r}, {self.mask!r})"


def _operator(name: str, ufunc: np.ufunc, reflected: bool) -> Callable[[Any, Any], Any]:
    def operator(self: Selected, other: Any) -> Any:
        operands = (other, self) if reflected else (self, other)
        return self.__array_ufunc__(ufunc, "__call__", *operands)

    operator.__name__ = name
    return operator


def _changing(name: str, ufunc: np.ufunc) -> Callable[[Any, Any], Any]:
    def operator(self: Selected, other: Any) -> Any:
        result = self.__array_ufunc__(ufunc, "__call__", self, other)
        FUNCTIONS["check_cast"](result.dtype, self.dtype, ufunc)
        self.values = cast(result.values, self.dtype)
        return self

    operator.__name__ = name
    return operator


_OPERATORS: dict[str, np.ufunc] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "truediv": np.divide,
    "floordiv": np.floor_divide,
    "mod": np.remainder,
    "pow": np.power,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
    "lshift": np.left_shift,
    "rshift": np.right_shift,
}
_COMPARISONS: dict[str, np.ufunc] = {
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "eq": np.equal,
    "ne": np.not_equal,
}
_UNARY = {"neg": np.negative, "pos": np.positive, "abs": np.absolute, "invert": np.invert}

for _name, _ufunc in _OPERATORS.items():
    setattr(Selected, f"__{_name}__", _operator(_name, _ufunc, False))
    setattr(Selected, f"__r{_name}__", _operator(_name, _ufunc, True))
    setattr(Selected, f"__i{_name}__", _changing(_name, _ufunc))
for _name, _ufunc in _COMPARISONS.items():
    setattr(Selected, f"__{_name}__", _operator(_name, _ufunc, False))
for _name, _ufunc in _UNARY.items():
    setattr(
        Selected,
        f"__{_name}__",
        lambda self, ufunc=_ufunc: self.__array_ufunc__(ufunc, "__call__", self),
    )


def same_value(first: Any, second: Any, depth: int = _DEPTH) -> bool:
    """Whether two traced arrays are certainly equal: one variable, or one computation of it."""
    if first is second:
        return True
    if type(first) is not Tracer or type(second) is not Tracer:
        return False
    return _same_variable(first.variable, second.variable, depth)


def _same_variable(first: Any, second: Any, depth: int) -> bool:
    if first is second:
        return True
    if type(first) is not Variable or type(second) is not Variable:
        return _same_constant(first, second)
    if first.trace is not second.trace or first.type != second.type or depth == 0:
        return False
    one, other = _node_of(first), _node_of(second)
    if one is None or other is None or one.primitive is not other.primitive:
        return False
    if one.primitive.multiple or len(one.operands) != len(other.operands):
        return False
    if repr(one.params) != repr(other.params):
        return False
    pairs = zip(one.operands, other.operands, strict=True)
    return all(_same_variable(a, b, depth - 1) for a, b in pairs)


def _same_constant(first: Any, second: Any) -> bool:
    if type(first) is Tracer and type(second) is Tracer:
        return first.variable is second.variable
    if type(first) is not type(second) or isinstance(first, (Variable, Tracer)):
        return False
    one, other = getattr(first, "value", first), getattr(second, "value", second)
    one, other = np.asarray(one), np.asarray(other)
    return one.dtype == other.dtype and one.tobytes() == other.tobytes() and one.size < 1000


def _node_of(variable: Any) -> Any:
    for node in reversed(variable.trace.nodes):
        if any(result is variable for result in node.results):
            return node
    return None


def require(condition: Any, value: Any) -> Any:
    """`value`; an IndexError when the compiled function runs and the condition does not hold."""
    if math.prod(value.shape) == 0:
        return value
    place = select(condition, np.int64(0), np.int64(1))
    row = reshape(value, (1, *value.shape))
    return reshape(gather(row, [reshape(place, (1,))], (0,)), value.shape)


def ranks(mask: Any) -> Any:
    """For each element of a flat mask, how many that are meant stand before it or are itself."""
    return running.cumsum(cast(mask, INT64), 0)
