"""`tracer.debug()`: where the first NaN or infinity arose."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from tracer.errors import NonFiniteError
from tracer.graph.primitive import Primitive
from tracer.jit import use_native_entries
from tracer.source_lines import user_source
from tracer.trace import DERIVATIVE, is_tracer, state
from tracer.types import kind_of


def _finite(value: Any) -> bool:
    array = np.asarray(value)
    return kind_of(array.dtype) not in "fc" or bool(np.isfinite(array).all())


def _describe(value: Any) -> str:
    array = np.asarray(value)
    if array.size <= 4:
        return f"{array.dtype}{list(array.shape)} {array.tolist()}"
    if kind_of(array.dtype) in "fc" and array.size:
        return f"{array.dtype}{list(array.shape)} from {np.min(array.real)} to {np.max(array.real)}"
    return f"{array.dtype}{list(array.shape)}"


def watch(primitive: Primitive, operands: Sequence[Any], result: Any) -> None:
    """Raise NonFiniteError if finite operands gave a NaN or an infinity."""
    results = result if primitive.multiple else (result,)
    if primitive.name not in _MAKERS:
        _check(primitive, operands, results, derived=state.deriving)


def watch_derivative(
    primitive: Primitive, primals: Sequence[Any], incoming: Sequence[Any], outgoing: Sequence[Any]
) -> None:
    """The same of one step of forward or reverse mode, which works on plain arrays when eager."""
    operands = [value for value in (*primals, *incoming) if value is not None]
    results = [value for value in outgoing if value is not None]
    if not any(is_tracer(value) for value in (*operands, *results)):  # else seen one level below
        _check(primitive, operands, results, derived=True)


def _check(
    primitive: Primitive, operands: Sequence[Any], results: Sequence[Any], *, derived: bool
) -> None:
    if all(_finite(value) for value in results):
        return
    if not all(_finite(operand) for operand in operands):
        return
    source = state.source or user_source()
    kinds = sorted({kind for value in results for kind in _kinds(value)})
    derived = derived or (source is not None and source.function.startswith(DERIVATIVE))
    phase = "the derivative of this line" if derived else "this line"
    raise NonFiniteError(
        f"{source}: {phase} gave {' and '.join(kinds)}: {primitive.name} of "
        f"{', '.join(_describe(operand) for operand in operands)}"
    )


_MAKERS = frozenset({"broadcast_to", "reshape", "select", "cast", "stop_gradient"})


def _kinds(value: Any) -> list[str]:
    array = np.asarray(value)
    if kind_of(array.dtype) not in "fc":
        return []
    found = ["NaN"] if np.isnan(array).any() else []
    return [*found, "an infinity"] if np.isinf(array).any() else found


@contextmanager
def debug() -> Iterator[None]:
    """Inside, the first operation that makes a NaN or an infinity out of finite numbers raises
    NonFiniteError, which names the operation, its operands and the user's line: in the function or
    in its derivative, eagerly and from jitted functions of any backend (which are then evaluated by
    NumPy too, node by node). Reductions and functions at the edge of their domain count: log(0)
    raises.

    >>> import tracer
    >>> with tracer.debug():
    ...     value = tracer.grad(lambda x: x * x)(2.0)
    """
    before = state.watch
    state.watch = watch
    use_native_entries(False)
    try:
        yield
    finally:
        state.watch = before
        use_native_entries(before is None)
