"""The square root of a sum of squares, whose derivative at 0 is 0: norms, standard deviations."""

from __future__ import annotations

from typing import Any

import numpy as np

from tracer.primitives.arithmetic import divide
from tracer.primitives.comparison import equal, select
from tracer.primitives.pointwise import apply_ufunc, pointwise


def _half_inverse(t: Any, out: Any, x: Any) -> Any:
    zero, one, half = (out.dtype.type(value) for value in (0, 1, 0.5))
    at_zero = equal(out, zero)
    return t * select(at_zero, zero, divide(half, select(at_zero, one, out)))


magnitude = apply_ufunc(pointwise("magnitude", np.sqrt, _half_inverse, operation="sqrt"), np.sqrt)
