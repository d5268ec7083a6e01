"""The `Host` of this library's own traced arrays, and the conversion that `jit` and the derivatives
use."""

from __future__ import annotations

import functools
import importlib
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from tracer import config, tree
from tracer.dispatch import FUNCTIONS
from tracer.errors import CarryTypeError, ControlFlowError
from tracer.primitives.cast import cast as cast_array
from tracer.source.operators import Operators
from tracer.source.protocol import Leaves
from tracer.source.scipy_functions import substitute
from tracer.trace import Tracer, is_abstract, is_tracer, state, type_of


class TracerHost:
    """Traced arrays as source reading sees them."""

    own_folders: Sequence[str] = (
        os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep,
    )

    def is_traced(self, value: Any) -> bool:
        """Whether `value` is a `Tracer`."""
        return is_tracer(value)

    def is_abstract(self, value: Any) -> bool:
        """Whether `value` is a `Tracer` without a concrete value."""
        return type(value) is Tracer and is_abstract(value)

    def is_tracing(self) -> bool:
        """Whether a trace without values is open."""
        return any(not trace.carries_values for trace in state.stack)

    def dtype_and_shape(self, value: Any) -> tuple[np.dtype[Any], tuple[int, ...]]:
        """The type of an array."""
        return type_of(value)

    def copy(self, tracer: Any) -> Any:
        """Another tracer of the same variable."""
        return Tracer(tracer.variable)

    def assign(self, tracer: Any, value: Any) -> None:
        """Let `tracer` be the value that `value` is."""
        tracer.variable = value.variable

    def same_value(self, first: Any, second: Any) -> bool:
        """Whether two tracers have one variable."""
        return first.variable is second.variable

    def is_number(self, tracer: Any) -> bool:
        """Whether a tracer is weak."""
        return tracer.variable.weak  # type: ignore[no-any-return]

    def make_number(self, tracer: Any) -> None:
        """Make a tracer weak."""
        tracer.variable.weak = True

    def cast(self, value: Any, dtype: Any) -> Any:
        """`value` in that dtype; what is not traced becomes a concrete array."""
        if is_tracer(value):
            return cast_array(value, np.dtype(dtype))
        return np.asarray(value, dtype)

    def fill(self, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Any:
        """Zeros."""
        return np.zeros(shape, dtype)

    def as_traced(self, value: Any) -> Any:
        """`value` as a traced array."""
        return self.numpy("asarray")(value)

    def numpy(self, name: str) -> Callable[..., Any]:
        """A function of `tracer.numpy`, or `special.…` of `tracer.scipy.special`."""
        return _function(name)

    def substitutes(self) -> Mapping[Any, Callable[..., Any]]:
        """NumPy's creation functions → those of `tracer.numpy`."""
        import tracer.numpy as tnp
        from tracer.numpy.creation import CREATION

        creation = {getattr(np, name): getattr(tnp, name) for name in CREATION if hasattr(np, name)}
        return {**creation, np.copy: tnp.array, np.vectorize: tnp.vectorize}

    def late_substitute(self, function: Any) -> Callable[..., Any] | None:
        """`tracer.scipy`'s, of SciPy's functions that are no universal functions."""
        return substitute(function)

    def take_functions(self) -> Sequence[Callable[..., Any]]:
        """`tracer.tree.map`."""
        return (tree.map,)

    def of_lists(self) -> Mapping[Any, Callable[..., Any]]:
        """Functions that NumPy gives to our dispatch for arrays, and not for lists of them."""
        return {
            function: ours
            for function, ours in FUNCTIONS.items()
            if isinstance(function, type(np.sum))
        }

    def cond(
        self, predicate: Any, true: Callable[[], Leaves], false: Callable[[], Leaves]
    ) -> Leaves:
        """`tracer.cond`."""
        from tracer.control import cond

        return cond(predicate, true, false)  # type: ignore[no-any-return]

    def while_loop(
        self, test: Callable[[Leaves], Any], body: Callable[[Leaves], Leaves], carry: Leaves
    ) -> Leaves:
        """`tracer.while_loop`."""
        from tracer.control import while_loop

        return while_loop(test, body, carry)  # type: ignore[no-any-return]

    def fori_loop(
        self, lower: Any, upper: Any, body: Callable[[Any, Leaves], Leaves], carry: Leaves
    ) -> Leaves:
        """`tracer.fori_loop`."""
        from tracer.control import fori_loop

        def turn(index: Any, values: Leaves) -> Leaves:
            self.make_number(index)
            return body(index, values)

        return fori_loop(lower, upper, turn, carry)  # type: ignore[no-any-return]

    def control_flow_error(self, message: str) -> Exception:
        """`ControlFlowError`."""
        return ControlFlowError(message)

    def carry_type_error(self, message: str) -> Exception:
        """`CarryTypeError`."""
        return CarryTypeError(message)

    def note(self, message: str) -> None:
        """Printed where `TRACER_DEBUG` names `source`."""
        if config.debugging("source"):
            print(message, file=sys.stderr)

    @property
    def unroll_limit(self) -> int:
        """`TRACER_UNROLL`."""
        return int(config.get("unroll"))


@functools.cache
def _function(name: str) -> Callable[..., Any]:
    module, _, plain = name.rpartition(".")
    found = importlib.import_module(f"tracer.scipy.{module}" if module else "tracer.numpy")
    return getattr(found, plain)  # type: ignore[no-any-return]


@functools.cache
def operators() -> Operators:
    """The operators of this library's traced arrays."""
    return Operators(TracerHost())


class _Reading(threading.local):
    on = True


_reading = _Reading()


@contextmanager
def unread() -> Iterator[None]:
    """Within, functions are traced as they stand: what `jit(f, source=False)` asks for."""
    before, _reading.on = _reading.on, False
    try:
        yield
    finally:
        _reading.on = before


def follow_source(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` with its Python control flow, creation functions, indexing and builtins following
    tracers.

    Where its source cannot be read, `function` itself; `tracer.source.why_not(code)` then says why.
    """
    return operators().convert(function) if _reading.on else function
