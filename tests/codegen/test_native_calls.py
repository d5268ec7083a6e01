"""Jitted functions that enter native code without Python: what goes there, and what does not."""

from __future__ import annotations

import copy
import gc
import pickle
import threading
import weakref
from collections import namedtuple
from typing import Any

import numpy as np
import pytest

import tracer
from tracer.errors import DTypeError, NonFiniteError
from tracer.jit import JittedFunction

Point = namedtuple("Point", "x y")


def native(function: Any, **options: Any) -> Any:
    """The function jitted for the backend that has native entries."""
    return tracer.jit(function, backend="llvm", **options)


def slow_calls(function: Any) -> int:
    """How many calls went by way of Python."""
    count: int = function._slow_calls
    return count


def check_native(function: Any, *args: Any, **kwargs: Any) -> Any:
    """The result; the second call of this signature must not go by way of Python."""
    first = function(*args, **kwargs)
    before = slow_calls(function)
    second = function(*args, **kwargs)
    assert slow_calls(function) == before, "the call went by way of Python"
    assert tracer.tree.structure(first) == tracer.tree.structure(second)
    for one, other in zip(tracer.tree.leaves(first), tracer.tree.leaves(second), strict=True):
        assert type(one) is type(other)
        np.testing.assert_array_equal(one, other)
    return second


@pytest.mark.parametrize(
    "argument",
    [
        0.5,
        3,
        True,
        1 + 2j,
        np.float32(0.5),
        np.int8(3),
        np.array(0.25),
        np.ones((2, 3)),
        np.zeros(0),
    ],
    ids=repr,
)
def test_every_kind_of_leaf(argument: Any) -> None:
    f = native(lambda x: x * 2)
    result = check_native(f, argument)
    expected = np.asarray(argument) * 2 if isinstance(argument, np.ndarray) else argument * 2
    np.testing.assert_array_equal(result, expected)
    assert np.asarray(result).dtype == np.asarray(expected).dtype


def test_trees_of_arguments_and_results() -> None:
    @native
    def f(parameters: Any, x: Any) -> Any:
        w, (b, none) = parameters["w"], parameters["b"]
        return {"y": w @ x + b, "rest": [x, (none, b * 2)]}, w.sum()

    parameters = {"w": np.ones((2, 3)), "b": (np.ones(2), None)}
    result, total = check_native(f, parameters, np.arange(3.0))
    assert list(result) == ["y", "rest"] or sorted(result) == ["rest", "y"]
    assert result["y"].tolist() == [4.0, 4.0]
    assert result["rest"][1][0] is None
    assert total == 6.0
    reordered = {"b": parameters["b"], "w": parameters["w"]}
    assert f(reordered, np.arange(3.0))[1] == 6.0


def test_named_tuples() -> None:
    f = native(lambda p: Point(p.y, p.x))
    result = check_native(f, Point(1.0, np.ones(2)))
    assert type(result) is Point
    assert result.y == 1.0


def test_keyword_arguments() -> None:
    f = native(lambda x, y: x - y)
    assert check_native(f, 3.0, y=1.0) == 2.0
    assert f(y=1.0, x=3.0) == 2.0
    assert f(x=3.0, y=1.0) == 2.0


def test_static_arguments() -> None:
    f = native(lambda n, x: x**n, static_argnums=0)
    assert check_native(f, 3, 2.0) == 8.0
    assert f(2, 2.0) == 4.0
    assert f(3, 2.0) == 8.0
    g = native(lambda x, n: x**n, static_argnames="n")
    assert [g(2.0, n=n) for n in (3, 2, 3)] == [8.0, 4.0, 8.0]


def test_other_types_shapes_and_layouts() -> None:
    f = native(lambda x: x + 1)
    for x in (np.ones(3), np.ones(4), np.ones(3, np.float32), np.ones((3, 1)), 1.0, 1):
        np.testing.assert_array_equal(f(x), x + 1)
        assert np.asarray(f(x)).dtype == np.asarray(x + 1).dtype
    strided = np.arange(6.0)[::2]
    np.testing.assert_array_equal(f(strided), strided + 1)
    with pytest.raises(DTypeError, match=">f8"):
        f(np.ones(3).astype(">f8"))
    frozen = np.ones(3)
    frozen.flags.writeable = False
    np.testing.assert_array_equal(f(frozen), frozen + 1)


def test_inside_of_other_transforms() -> None:
    f = native(lambda x: x**3)
    assert f(2.0) == 8.0
    assert tracer.grad(f)(2.0) == 12.0
    assert tracer.grad(lambda x: f(x) + f(2.0))(2.0) == 12.0
    np.testing.assert_array_equal(tracer.vmap(f)(np.arange(3.0)), [0.0, 1.0, 8.0])
    assert native(lambda x: f(f(x)))(1.0) == 1.0


def test_methods_bind() -> None:
    class Scale:
        def __init__(self, factor: float) -> None:
            self.factor = factor

        def plain(self, x: Any) -> Any:
            return x * self.factor

        apply = native(plain, static_argnums=0)

    assert Scale(2.0).apply(3.0) == 6.0
    assert Scale(5.0).apply(3.0) == 15.0


def test_counts_and_forgetting() -> None:
    f = native(lambda x: x + 1)
    for x in (1.0, 1.0, 1.0, 1, np.ones(2)):
        f(x)
    assert tuple(f.cache_info()[:3]) == (2, 3, 3)
    f.clear_cache()
    assert tuple(f.cache_info()[:3]) == (0, 0, 0)
    f(1.0)
    f(1.0)
    assert tuple(f.cache_info()[:3]) == (1, 1, 1)


def test_many_signatures_fall_back_to_the_table() -> None:
    f = native(lambda x: x.sum())
    for _ in range(2):
        for size in range(1, 40):
            assert f(np.ones(size)) == size
    assert tuple(f.cache_info()[:3]) == (39, 39, 39)


def test_errors_of_checks_are_raised() -> None:
    f = native(lambda x, i: x[i])
    x = np.arange(4.0)
    assert check_native(f, x, 2) == 2.0
    with pytest.raises(IndexError, match="index 7 "):
        f(x, 7)
    assert f(x, 3) == 3.0


def test_watched_calls_go_by_way_of_python() -> None:
    f = native(lambda x: np.log(x))
    check_native(f, 1.0)
    with np.errstate(all="ignore"), tracer.debug():
        before = slow_calls(f)
        with pytest.raises(NonFiniteError):
            f(0.0)
        assert slow_calls(f) == before + 1
    check_native(f, 1.0)


def test_a_function_that_is_not_used_goes_away() -> None:
    data = np.ones(1000)

    def make() -> weakref.ref[JittedFunction]:
        f = native(lambda x: np.sum(x * data))
        f(np.ones(1000))
        f(np.ones(1000))
        return weakref.ref(f)

    kept = make()
    gc.collect()
    assert kept() is None


def doubled(x: Any) -> Any:
    """A function with a name that pickle finds."""
    return x * 2


doubled = native(doubled)


def test_pickled_and_copied_by_name() -> None:
    assert pickle.loads(pickle.dumps(doubled)) is doubled
    assert copy.deepcopy(doubled) is doubled
    assert doubled.__doc__ == "A function with a name that pickle finds."


def test_threads_that_call_and_compile_at_once() -> None:
    f = native(tracer.grad(lambda x: np.sum(np.sin(x) * x)))
    failures: list[tuple[int, int]] = []

    def work(number: int) -> None:
        for size in range(1, 8):
            x = np.ones(size) * number
            results = [f(x) for _ in range(50)]
            if not np.allclose(results, np.cos(x) * x + np.sin(x)):
                failures.append((number, size))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
