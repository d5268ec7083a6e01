"""A stand-in for traced arrays: they hide a value, refuse to be asked for it, and count what is
made of them.

A branch is run on both sides and the side that is not taken is thrown away; the body of a loop is
run once more than needed, as a tracing of it would. So a converted function gives the values that
Python gives only if all of its state goes through the operators.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tracer.errors import CarryTypeError, ConcretizationError, ControlFlowError
from tracer.source import Operators


def _reveal(value: Any) -> Any:
    if isinstance(value, Hidden):
        return value.value
    if isinstance(value, (list, tuple)):
        return type(value)(_reveal(item) for item in value)
    if isinstance(value, slice):
        return slice(*(_reveal(part) for part in (value.start, value.stop, value.step)))
    return value


class Hidden:
    """An array of which only the dtype and the shape may be seen."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, value: Any) -> None:
        self.value = np.array(value)
        self.value.flags.writeable = False

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape

    @property
    def dtype(self) -> Any:
        return self.value.dtype

    @property
    def real(self) -> Any:
        return Hidden(self.value.real)

    @property
    def imag(self) -> Any:
        return Hidden(self.value.imag)

    def _refuse(self, *_: Any) -> Any:
        raise ConcretizationError("asked for the value of a hidden array")

    __bool__ = __int__ = __float__ = __index__ = __array__ = _refuse

    def __len__(self) -> int:
        return len(self.value)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        with np.errstate(all="ignore"):
            return Hidden(getattr(ufunc, method)(*map(_reveal, inputs), **kwargs))

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return Hidden(function(*_reveal(args), **kwargs))

    def __getitem__(self, index: Any) -> Any:
        index = _reveal(index)
        if isinstance(index, (int, np.integer, np.ndarray)) and np.asarray(index).dtype.kind == "i":
            index = np.clip(index, -len(self.value), len(self.value) - 1)
        return Hidden(self.value[index])

    def __setitem__(self, index: Any, value: Any) -> None:
        changed = self.value.copy()
        changed[_reveal(index)] = _reveal(value)
        self.value = changed

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        method = getattr(self.value, name)
        return lambda *args, **kwargs: Hidden(method(*args, **kwargs))

    def __iter__(self) -> Any:
        return (self[position] for position in range(len(self.value)))

    def __round__(self, ndigits: int = 0) -> Any:
        return Hidden(np.round(self.value, ndigits))


def _binary(function: Callable[..., Any]) -> Callable[..., Any]:
    def apply(self: Hidden, other: Any) -> Any:
        with np.errstate(all="ignore"):
            return Hidden(function(_reveal(self), _reveal(other)))

    return apply


def _swapped(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda first, second: function(second, first)


for _name in (
    *("add", "sub", "mul", "matmul", "truediv", "floordiv", "mod", "pow"),
    *("lt", "le", "gt", "ge", "eq", "ne", "and_"),
):
    _function = getattr(operator, _name)
    setattr(Hidden, f"__{_name.strip('_')}__", _binary(_function))
    setattr(Hidden, f"__r{_name.strip('_')}__", _binary(_swapped(_function)))


def _in_place(function: Callable[..., Any]) -> Callable[..., Any]:
    def apply(self: Hidden, other: Any) -> Any:
        if self.value.ndim == 0:  # as NumPy's scalars
            return function(self, other)
        self[...] = function(self.value, _reveal(other))
        return self

    return apply


def _unary(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda self: Hidden(function(self.value))


for _name in ("neg", "abs", "invert"):
    setattr(Hidden, f"__{_name}__", _unary(getattr(operator, _name)))
for _name in ("add", "sub", "mul"):
    setattr(Hidden, f"__i{_name}__", _in_place(getattr(operator, _name)))


class StandIn:
    """The `Host` of hidden arrays."""

    unroll_limit = 4
    own_folders: Sequence[str] = ()

    def __init__(self, *, tracing: bool = True) -> None:
        self.tracing = tracing
        self.made: list[str] = []
        self.notes: list[str] = []
        self._unused = 0

    def is_traced(self, value: Any) -> bool:
        return isinstance(value, Hidden)

    is_abstract = is_traced

    def is_tracing(self) -> bool:
        return self.tracing

    def dtype_and_shape(self, value: Any) -> Any:
        array = np.asarray(_reveal(value))
        return array.dtype, array.shape

    def copy(self, tracer: Hidden) -> Hidden:
        result = Hidden(0)
        result.value = tracer.value
        return result

    def assign(self, tracer: Hidden, value: Hidden) -> None:
        tracer.value = value.value

    def same_value(self, first: Hidden, second: Hidden) -> bool:
        return first.value is second.value

    def is_number(self, tracer: Hidden) -> bool:
        return False

    def make_number(self, tracer: Hidden) -> None:
        assert tracer.shape == ()

    def cast(self, value: Any, dtype: Any) -> Hidden:
        return Hidden(np.asarray(_reveal(value)).astype(dtype))

    def fill(self, dtype: Any, shape: Any) -> Hidden:
        return Hidden(np.zeros(shape, dtype))

    def as_traced(self, value: Any) -> Hidden:
        return Hidden(np.array(_reveal(value)))

    def numpy(self, name: str) -> Callable[..., Any]:
        if name.startswith("special."):
            import scipy.special

            return lambda *args: Hidden(getattr(scipy.special, name[8:])(*_reveal(args)))
        return lambda *args, **kwargs: Hidden(getattr(np, name)(*_reveal(args), **kwargs))

    def substitutes(self) -> Mapping[Any, Callable[..., Any]]:
        if not self.tracing:
            return {}
        names = ("zeros", "ones", "empty", "full", "arange", "array", "asarray", "eye")
        return {getattr(np, name): self.numpy(name) for name in names}

    def late_substitute(self, function: Any) -> None:
        return None

    def take_functions(self) -> tuple[Any, ...]:
        return ()

    def of_lists(self) -> dict[Any, Any]:
        return {}

    def cond(self, predicate: Any, true: Any, false: Any) -> list[Any]:
        sides = [
            self._run(branch, unused=not taken)
            for branch, taken in ((true, predicate.value), (false, not predicate.value))
        ]
        self.made.append("cond")
        types = [[(leaf.dtype, leaf.shape) for leaf in side] for side in sides]
        assert types[0] == types[1], "both branches must give the same types"
        return [Hidden(leaf.value) for leaf in sides[0 if predicate.value else 1]]

    def _run(self, function: Callable[[], Any], *, unused: bool) -> Any:
        self._unused += unused
        try:
            return function()
        finally:
            self._unused -= unused

    def while_loop(self, test: Any, body: Any, carry: list[Any]) -> list[Any]:
        carry = [Hidden(_reveal(leaf)) for leaf in carry]

        def copies() -> list[Hidden]:
            return [self.copy(leaf) for leaf in carry]

        self._run(lambda: test(copies()), unused=True)
        after = self._run(lambda: body(copies()), unused=True)
        self.made.append("while")
        types = [(leaf.dtype, leaf.shape) for leaf in after]
        assert types == [(leaf.dtype, leaf.shape) for leaf in carry], "the carry keeps its types"
        while not self._unused and _reveal(test(copies())):
            carry = body(copies())
        return [Hidden(leaf.value) for leaf in carry]

    def fori_loop(self, lower: Any, upper: Any, body: Any, carry: list[Any]) -> list[Any]:
        def turn(state: list[Any]) -> list[Any]:
            return [state[0] + 1, *body(self.copy(state[0]), state[1:])]

        result = self.while_loop(lambda state: state[0] < upper, turn, [np.int64(lower), *carry])
        self.made.append("for")
        return result[1:]

    def control_flow_error(self, message: str) -> Exception:
        return ControlFlowError(message)

    def carry_type_error(self, message: str) -> Exception:
        return CarryTypeError(message)

    def note(self, message: str) -> None:
        self.notes.append(message)


def converted(function: Any, *, tracing: bool = True) -> tuple[Callable[..., Any], StandIn]:
    """The converted function, and the stand-in that saw what was made of it."""
    host = StandIn(tracing=tracing)
    return Operators(host).convert(function), host


def run_hidden(function: Callable[..., Any], *args: Any) -> tuple[Any, StandIn]:
    """The result of the converted function on hidden copies of its array and number arguments,
    revealed."""
    turned, host = converted(function)
    hidden = [Hidden(a) if isinstance(a, (bool, int, float, np.ndarray)) else a for a in args]
    return reveal(turned(*hidden)), host


def reveal(value: Any) -> Any:
    """Hidden arrays made visible, within tuples, lists and dicts."""
    if isinstance(value, dict):
        return {key: reveal(item) for key, item in value.items()}
    return _reveal(value)
