"""The class of public compiled functions, native and in Python."""

from __future__ import annotations

import copy
import functools
import gc
import inspect
import sys
import weakref
from typing import Any

import numpy as np
import pytest

from codegen.dispatch import CallSpec, as_builtin, function_class, make_entry
from codegen.dispatch.function import PythonFunction
from codegen.dispatch.runtime import TYPE_METHOD_DESCRIPTOR, TYPE_VECTORCALL
from tests.codegen.dispatch.kernels import VECTOR, SlowPath, copy_kernel

BASES: dict[str, Any] = {"native": function_class(), "python": PythonFunction}


@pytest.fixture(params=sorted(BASES))
def jitted(request: pytest.FixtureRequest) -> Any:
    """A class as `jit` would derive one."""
    base = BASES[request.param]

    class Mixin:
        def lower(self) -> str:
            return "lowered"

    class Jitted(base, Mixin):  # type: ignore[misc]
        """Its own words."""

        def __init__(self, wrapped: Any) -> None:
            self.target = wrapped
            self.calls = 0
            functools.update_wrapper(self, wrapped)

        @property
        def double(self) -> int:
            return 2 * int(self.calls)

    return Jitted


def sample(x: float, /, y: int = 2, *, z: str = "") -> tuple[Any, ...]:
    """A docstring."""
    return x, y, z


def test_calls_attributes_and_methods(jitted: Any) -> None:
    function = jitted(sample)
    assert function(1.0) == (1.0, 2, "")
    assert function(1.0, y=3, z="w") == (1.0, 3, "w")
    assert function(*[1], z="q") == (1, 2, "q")
    assert (function.calls, function.double, function.lower()) == (3, 6, "lowered")
    assert (function.__name__, function.__doc__) == ("sample", "A docstring.")
    assert function.__wrapped__ is function.target is sample
    assert inspect.signature(function) == inspect.signature(sample)
    assert callable(function)


def test_is_a_method_descriptor(jitted: Any) -> None:
    class Model:
        predict = jitted(lambda self, *rest, **named: (self, rest, named))
        fixed = staticmethod(jitted(lambda *rest: rest))
        made = classmethod(jitted(lambda cls, *rest: (cls, rest)))

    model = Model()
    assert model.predict(1, k=2) == (model, (1,), {"k": 2})
    bound = model.predict
    assert (bound.__self__, bound.__func__) == (model, Model.predict)
    assert bound(3) == (model, (3,), {})
    assert Model.predict(model, 4) == (model, (4,), {})
    assert model.fixed(5) == (5,)
    assert model.made(6) == (Model, (6,))
    assert Model.predict.calls == 3


def test_target_can_be_exchanged_while_it_runs(jitted: Any) -> None:
    def first() -> str:
        function.target = lambda: "second"
        gc.collect()
        return "first"

    function = jitted(first)
    del first
    assert [function(), function(), function()] == ["first", "second", "second"]


def test_target_that_cannot_be_called(jitted: Any) -> None:
    function = jitted(sample)
    function.target = 5
    with pytest.raises(TypeError, match="not callable"):
        function(1)
    del function.target
    with pytest.raises((RuntimeError, AttributeError), match=r"nothing to call|target"):
        function(1)


def test_errors_and_results_pass_through(jitted: Any, slow: SlowPath) -> None:
    def fail() -> None:
        raise LookupError("inside")

    with pytest.raises(LookupError, match="inside"):
        jitted(fail)()
    entry = make_entry(CallSpec((VECTOR,), VECTOR), copy_kernel((0, 32)), slow)
    function = jitted.__mro__[1](entry)
    assert function(np.arange(4.0)).tolist() == [0, 1, 2, 3]
    assert function(1) == function(a=1) == "slow"


def test_cycles_are_collected(jitted: Any) -> None:
    function = jitted(sample)
    function.target = functools.partial(lambda own: own, function)
    function.itself = function
    reference = weakref.ref(function)
    assert function() is function
    del function
    gc.collect()
    assert reference() is None


def test_no_references_are_lost(jitted: Any, slow: SlowPath) -> None:
    entry = make_entry(CallSpec((VECTOR,), VECTOR), copy_kernel((0, 32)), slow)
    function = jitted(lambda *args: None)
    function.target = entry
    argument = np.arange(4.0)
    watched = [entry, argument, function, slow, jitted]
    counts = [sys.getrefcount(value) for value in watched]
    for _ in range(5000):
        function(argument)
        function(argument, 1)
    slow.seen.clear()
    assert [sys.getrefcount(value) for value in watched] == counts
    count = sys.getrefcount(jitted)
    for _ in range(100):
        jitted(sample)
    gc.collect()
    assert sys.getrefcount(jitted) == count, "instances give their class back"


def test_cannot_be_copied_by_accident() -> None:
    with pytest.raises(TypeError, match="cannot pickle"):
        copy.copy(BASES["native"](sample))


def test_derived_classes_are_called_directly() -> None:
    base = BASES["native"]

    class Plain(base):  # type: ignore[misc]
        """Nothing changed."""

    class Callable(base):  # type: ignore[misc]
        def __call__(self) -> str:
            return "own"

    class Bound(base):  # type: ignore[misc]
        def __get__(self, instance: object, owner: type) -> str:
            return "own"

    class Holder:
        plain, bound = Plain(lambda self: self), Bound(lambda self: self)

    both = TYPE_VECTORCALL | TYPE_METHOD_DESCRIPTOR
    assert base.__flags__ & both == Plain.__flags__ & both == both
    assert Callable.__flags__ & TYPE_VECTORCALL == 0
    assert Callable(sample)() == "own"
    assert Bound.__flags__ & both == TYPE_VECTORCALL
    assert isinstance(Holder().plain(), Holder)
    assert Holder().bound == "own"

    class Grandchild(Plain):
        """Two steps down."""

    class CallableGrandchild(Callable):
        """Inherits `__call__` in Python."""

    assert Grandchild.__flags__ & both == both
    assert Grandchild(lambda: 3)() == 3
    assert CallableGrandchild.__flags__ & TYPE_VECTORCALL == 0
    assert CallableGrandchild(sample)() == "own"


def test_as_builtin(slow: SlowPath) -> None:
    entry = make_entry(CallSpec((VECTOR,), VECTOR), copy_kernel((0, 32)), slow)
    builtin = as_builtin(entry, "gradient")
    assert type(builtin) is type(len)
    assert (builtin.__name__, builtin.__self__) == ("gradient", entry)
    reference_count = sys.getrefcount(entry)
    for _ in range(1000):
        assert builtin(np.arange(4.0))[3] == 3
        assert builtin(1, x=2) == "slow"
    assert sys.getrefcount(entry) == reference_count
    del entry
    gc.collect()
    assert builtin(np.ones(4)).tolist() == [1] * 4, "the built-in keeps its entry"
    assert as_builtin(slow, "other") is slow  # type: ignore[arg-type]
