"""The converted function is the same function: names, defaults, cells, globals, lines; and what is
left alone."""

from __future__ import annotations

import asyncio
import functools
import inspect
import linecache
import math
import traceback
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.source.random_programs import defined
from tests.source.stand_in import Hidden, converted, reveal, run_hidden
from tracer.source import is_converted, why_not
from tracer.source.convert import _class_name


def sample(x: float, scale: float = 2.0, *rest: float, bias: float = 0.5, **named: float) -> float:
    """Doc of sample."""
    if x > 0:
        return x * scale + bias
    return x


def test_the_function_keeps_its_looks() -> None:
    sample.mark = "kept"  # type: ignore[attr-defined]
    turned, _ = converted(sample)
    assert turned is not sample
    assert turned.__wrapped__ is sample  # type: ignore[attr-defined]
    for name in (
        "__name__",
        "__qualname__",
        "__module__",
        "__doc__",
        "__defaults__",
        "__kwdefaults__",
        "mark",
    ):
        assert getattr(turned, name) == getattr(sample, name)
    assert turned.__globals__ is sample.__globals__  # type: ignore[attr-defined]
    assert inspect.signature(turned) == inspect.signature(sample)
    assert turned.__code__.co_filename == sample.__code__.co_filename
    assert is_converted(turned.__code__)
    assert not is_converted(sample.__code__)


def test_code_is_converted_once() -> None:
    first, _ = converted(sample)
    second, _ = converted(sample)
    assert first.__code__ is second.__code__


def test_cells_are_shared() -> None:
    count = 0

    def increase(x: Any) -> Any:
        nonlocal count
        if x > 0:
            count += 1
        return count

    turned, _ = converted(increase)
    assert turned(1.0) == 1
    assert increase(1.0) == 2
    assert count == 2
    count = 10
    assert turned(1.0) == 11


def test_globals_are_looked_up_late() -> None:
    function = defined("def g(x):\n    return 1\ndef f(x):\n    return g(x) if x > 0 else 0\n")
    turned, _ = converted(function)
    assert turned(1.0) == 1
    function.__globals__["g"] = lambda x: 2
    assert turned(1.0) == 2


def test_lambdas_on_one_line() -> None:
    pair = (lambda x: x if x > 0 else 1.0), (lambda x: x * 2 if x > 0 else 3.0)
    assert [run_hidden(function, -1.0)[0] for function in pair] == [1.0, 3.0]
    assert [run_hidden(function, 2.0)[0] for function in pair] == [2.0, 4.0]


def test_lambda_over_several_lines() -> None:
    function = functools.partial(
        lambda scale, x: (
            x * scale
            if x > 0
            else scale
        ),
        3.0,
    )  # fmt: skip
    assert run_hidden(function, 2.0)[0] == 6.0


class Named:
    """Private names, `super`, class and static methods, and a callable object."""

    __factor = 3.0

    def __hidden(self, x: Any) -> Any:
        return x * self.__factor if x > 0 else -x

    def method(self, x: Any) -> Any:
        __local = self.__hidden(x)
        if __local > 5:
            __local = __local - 1
        return __local

    @classmethod
    def build(cls, x: Any) -> Any:
        return cls.__factor if x > 0 else Named.__factor + 1

    @staticmethod
    def plain(x: Any) -> Any:
        return x if x > 0 else 0.0

    def __call__(self, x: Any) -> Any:
        return self.method(x) if x > 0 else x


@pytest.mark.parametrize("name", ["method", "build", "plain", "__call__"])
@pytest.mark.parametrize("x", [2.0, -2.0])
def test_methods(name: str, x: float) -> None:
    method = getattr(Named(), name)
    assert run_hidden(method, x)[0] == method(x)


def test_callable_object() -> None:
    assert run_hidden(Named(), 2.0)[0] == 5.0


@pytest.mark.parametrize(
    ("name", "expected"),
    [("f", None), ("C.f", "C"), ("f.<locals>.g", None), ("C.f.<locals>.g", "C"),
     ("f.<locals>.C.m", "C"), ("A.B.m", "B"),
     ("A.m.<locals>.B.n", "B"), ("f.<locals>.<lambda>", None)],
)  # fmt: skip
def test_class_around_a_function(name: str, expected: str | None) -> None:
    assert _class_name(name) == expected


def generator(x: Any) -> Iterator[Any]:
    if x > 0:
        yield x


async def coroutine(x: Any) -> Any:
    return x if x > 0 else 0.0


def test_generators_and_coroutines_are_left_alone() -> None:
    assert converted(generator)[0] is generator
    assert "it is a generator" in str(why_not(generator.__code__))
    assert converted(coroutine)[0] is coroutine
    assert "it is a coroutine" in str(why_not(coroutine.__code__))
    assert asyncio.run(coroutine(1.0)) == 1.0


def test_generators_inside_are_left_alone() -> None:
    def outer(x: Any) -> Any:
        def pieces() -> Iterator[Any]:
            for k in range(3):
                yield x * k

        total = 0.0
        for piece in pieces():  # a generator
            if x > 0:
                total = total + piece
        return total

    assert run_hidden(outer, 2.0)[0] == 6.0


def test_source_is_missing() -> None:
    space: dict[str, Any] = {}
    exec("def f(x):\n    return x if x > 0 else -x\n", space)
    function = space["f"]
    assert converted(function)[0] is function
    assert "its source is missing (it was defined in <string>)" in str(why_not(function.__code__))


def test_source_has_changed() -> None:
    function = defined("def f(x):\n    return x\n")
    name = function.__code__.co_filename
    linecache.cache[name] = (0, None, ["def f(y, z):\n", "    return y\n"], name)
    assert converted(function)[0] is function
    assert "has changed since it was imported" in str(why_not(function.__code__))


def test_source_does_not_define_it() -> None:
    function = defined("def f(x):\n    return x\n")
    name = function.__code__.co_filename
    linecache.cache[name] = (0, None, ["f = 1\n"], name)
    assert converted(function)[0] is function
    assert "does not define it" in str(why_not(function.__code__))


def test_libraries_are_left_alone() -> None:
    for function in (inspect.signature, np.linalg.norm, math.sin, np.sin, 3):
        assert converted(function)[0] is function or function is math.sin
    assert why_not(sample.__code__) is None


def test_traceback_shows_the_users_line() -> None:
    def fails(x: Any) -> Any:
        for _ in range(7):
            if x > 0:
                x = x + "text"  # the line in question
        return x

    turned, _ = converted(fails)
    with pytest.raises(TypeError) as caught:
        turned(1.0)
    last = traceback.extract_tb(caught.value.__traceback__)[-1]
    assert last.filename == __file__
    assert last.line is not None
    assert "the line in question" in last.line
    assert last.name == "fails"


def test_a_name_that_is_never_bound() -> None:
    def fails(x: Any) -> Any:
        if x > 0:
            y = x
        return y

    turned, _ = converted(fails)
    assert turned(1.0) == 1.0
    with pytest.raises(NameError):
        turned(-1.0)


def test_arguments_are_evaluated_once_and_in_order() -> None:
    seen: list[str] = []

    def note(name: str, value: Any) -> Any:
        seen.append(name)
        return value

    def program(x: Any) -> Any:
        return (note("a", x) < note("b", 2.0) < note("c", 3.0) and note("d", True)) or note("e", 1)

    expected = program(1.0)
    calls, seen[:] = list(seen), []
    turned, _ = converted(program)
    assert turned(1.0) == expected
    assert seen == calls == ["a", "b", "c", "d"]


def test_isinstance_and_scalar_types() -> None:
    def program(x: Any) -> Any:
        return isinstance(x, np.ndarray), isinstance(x, (int, str)), np.float32(x), np.int64(x)

    got, _ = run_hidden(program, np.array([1.5]))
    assert got[:2] == (True, False)
    assert [part.dtype for part in got[2:]] == [np.float32, np.int64]
    assert reveal(converted(lambda x: isinstance(x, float))[0](Hidden(1.0))) is True


def test_random_numbers_in_a_traced_loop_are_refused() -> None:
    generator = np.random.default_rng(0)

    def program(x: Any) -> Any:
        while x < 3:
            x = x + generator.random()
        return x

    with pytest.raises(TypeError, match="random would be drawn once for all turns"):
        run_hidden(program, 1.0)
