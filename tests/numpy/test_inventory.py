"""Every public name of NumPy is in a table of calls, or excluded with a reason."""

from __future__ import annotations

import types

import numpy as np
import pytest

import tracer.numpy as tnp
from tests.numpy import exclusions
from tests.numpy.signatures import TABLE
from tracer.trace import ValueTrace, opened

_REFLECTED = {
    f"__r{name}__" for name in ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "divmod"]
}
_REFLECTED |= {f"__r{name}__" for name in ["and", "or", "xor", "lshift", "rshift", "matmul"]}


def callables(namespace: types.ModuleType) -> list[str]:
    """The public functions and classes of a namespace, but for modules."""
    return [
        name
        for name in dir(namespace)
        if not name.startswith("_")
        and callable(getattr(namespace, name))
        and not isinstance(getattr(namespace, name), types.ModuleType)
    ]


def test_every_function_of_numpy_is_called_by_a_table_or_excluded() -> None:
    known = {*TABLE, *exclusions.FUNCTIONS}
    assert [name for name in callables(np) if name not in known] == []


def test_no_excluded_function_is_in_a_table() -> None:
    assert sorted({*TABLE} & {*exclusions.FUNCTIONS}) == []


def test_every_attribute_of_ndarray_is_used_by_a_table_or_excluded() -> None:
    used = {name.partition(".")[2] for name in TABLE if name.startswith("ndarray.")}
    known = {*used, *exclusions.ATTRIBUTES, *_REFLECTED}
    assert [name for name in dir(np.ndarray) if name not in known] == []


def test_every_name_of_the_tables_is_one_of_ours() -> None:
    with opened(ValueTrace()) as trace:
        x = trace.input(np.ones((2, 2)))
        for name in TABLE:
            first, _, rest = name.partition(".")
            if first == "ndarray":
                assert hasattr(x, rest), name
            elif first != "linalg" and not rest:
                assert hasattr(tnp, name), name


@pytest.mark.parametrize("name", sorted(exclusions.ATTRIBUTES))
def test_what_is_excluded_has_a_reason(name: str) -> None:
    assert len(exclusions.ATTRIBUTES[name]) > 5
