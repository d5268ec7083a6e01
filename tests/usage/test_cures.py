"""What messages advise fits the place where the mistake was made."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tracer import grad, jit, jvp
from tracer.errors import ConcretizationError, NonDifferentiableInputError


def test_a_traced_size_names_the_shape_and_the_static_argument() -> None:
    def zeros(n: Any) -> Any:
        return np.zeros(n).sum()

    said = r"a shape, the bound of a slice.*static_argnums"
    with pytest.raises(ConcretizationError, match=said):
        jit(zeros)(3)


def test_integer_primals_are_not_told_of_argnums() -> None:
    with pytest.raises(NonDifferentiableInputError, match="close over it"):
        jvp(lambda n: n * 1.0, (3,), (1,))
    with pytest.raises(NonDifferentiableInputError, match="out of argnums"):
        grad(lambda n: n * 1.0)(3)
