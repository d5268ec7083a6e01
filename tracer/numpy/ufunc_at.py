"""`ufunc.at`: a universal function applied in place, once for each time that a place is named."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tracer.dispatch import find
from tracer.numpy.common import as_array, known_value, unsupported
from tracer.numpy.indexing import combined, updated
from tracer.numpy.views import rebind
from tracer.primitives.broadcast import broadcast_to, reshape
from tracer.trace import Tracer


def function_of(ufunc: np.ufunc) -> Callable[..., Any]:
    """Our version of a universal function; `UnsupportedFunctionError` where there is none."""
    function = find(ufunc)
    if function is None:
        raise unsupported(
            f"numpy.{ufunc.__name__}",
            "as a universal function",
            "compose it from functions that are, or wrap it with tracer.primitive",
        )
    return function


_REPEATABLE = (np.add, np.subtract, np.multiply, np.divide, np.maximum, np.minimum)
"""Those of which several changes of one element are one scatter."""


_SUMS = (np.add, np.subtract)
_FEW = 8
"""So many turns are taken one after the other; each has a derivative, one scatter for all has none
unless it adds."""


def at(ufunc: np.ufunc, array: Any, indices: Any, *operands: Any) -> None:
    """The function applied in place; an element named twice is changed twice."""
    if type(array) is not Tracer:
        raise unsupported(
            f"numpy.{ufunc.__name__}.at",
            "on a plain ndarray",
            "make the array with tracer.numpy.zeros or tracer.numpy.array",
        )
    if operands and ufunc not in _SUMS and _turns(array, indices) <= _FEW:
        _at_in_turn(ufunc, array, indices, as_array(operands[0]))
    elif operands and ufunc in _REPEATABLE:
        rebind(array, combined(array, indices, operands[0], function_of(ufunc)))
    elif operands:
        _at_in_turn(ufunc, array, indices, as_array(operands[0]))
    else:
        array[indices] = function_of(ufunc)(array[indices])


def _at_in_turn(ufunc: np.ufunc, array: Any, indices: Any, operand: Any) -> None:
    """The function applied place after place: those named again wait for the next turn."""
    known = _known_index(indices)
    if known is None:
        raise unsupported(
            f"numpy.{ufunc.__name__}.at",
            "with places that are known only when the compiled function runs",
            "write a loop, or use add, subtract, multiply, divide, maximum or minimum",
        )
    places = np.arange(math.prod(array.shape)).reshape(array.shape)[known]
    values = reshape(broadcast_to(operand, places.shape), (places.size,))
    flat = reshape(array, (math.prod(array.shape),))
    places = places.ravel()
    turns = np.zeros(places.size, np.int64)
    seen: dict[int, int] = {}
    for position, place in enumerate(places.tolist()):
        turns[position] = seen[place] = seen.get(place, -1) + 1
    for turn in range(int(turns.max(initial=-1)) + 1):
        chosen = np.flatnonzero(turns == turn)
        new = function_of(ufunc)(flat[places[chosen]], values[chosen])
        flat = updated(flat, places[chosen], new)
    rebind(array, reshape(flat, array.shape))


def _turns(array: Any, indices: Any) -> float:
    """How often one place is named at most: infinitely often where that is not known."""
    known = _known_index(indices)
    if known is None:
        return math.inf
    places = np.arange(math.prod(array.shape)).reshape(array.shape)[known]
    return int(np.bincount(places.ravel(), minlength=1).max()) if places.size else 0


def _known_index(index: Any) -> Any:
    """An index whose parts have values, or None."""
    if type(index) is tuple:
        parts = tuple(_known_index(part) for part in index)
        return None if any(part is None for part in parts) else parts
    return known_value(index)
