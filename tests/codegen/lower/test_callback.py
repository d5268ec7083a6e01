"""Black-box functions inside of compiled programs, on each compiled backend and in the interpreter
of loop programs.
"""

from __future__ import annotations

import gc
import runpy
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tracer
import tracer.numpy as tnp
from codegen.loops.nodes import Call
from codegen.loops.walk import statements
from codegen.lower.graph import lower_graph
from codegen.passes.pipeline import optimize
from tests.helpers import run_lowered
from tracer.errors import CallbackError, DTypeError, ShapeError

Array = np.ndarray[Any, np.dtype[Any]]
BACKENDS = ("numba", "llvm")
X = np.linspace(0.1, 1.0, 5)

pytestmark = pytest.mark.parametrize("backend", BACKENDS)

boxed_cos = tracer.primitive(np.cos, out=lambda x: x)
boxed_sin = tracer.primitive(
    np.sin, vjp=lambda args, out, ct: (ct * boxed_cos(args[0]),), out=lambda x: x
)
pushed_sin = tracer.primitive(
    np.sin, jvp=lambda args, out, tangents: tangents[0] * boxed_cos(args[0]), out=lambda x: x
)


def same(function: Callable[..., Any], backend: str, *args: Any, exact: bool = True) -> None:
    """The compiled function, twice, and the loop program interpreted against the eager function."""
    expected = tracer.tree.leaves(function(*args))
    compiled = tracer.jit(function, backend=backend)
    graph = compiled.trace(*args).graph
    inputs = [np.asarray(leaf) for leaf in tracer.tree.leaves(args)]
    runs = [tracer.tree.leaves(compiled(*args)) for _ in range(2)]
    runs += [run_lowered(graph, inputs), run_lowered(graph, inputs, optimized=True)]
    for results in runs:
        for result, due in zip(results, expected, strict=True):
            assert np.asarray(result).dtype == np.asarray(due).dtype
            np.testing.assert_allclose(result, due, rtol=0 if exact else 1e-14)


def test_value(backend: str) -> None:
    same(lambda x: boxed_sin(x * 2.0) + 1.0, backend, X)


def test_its_result_is_the_result(backend: str) -> None:
    same(boxed_sin, backend, X)
    same(boxed_sin, backend, np.float64(0.3))
    same(lambda x: (boxed_sin(x), boxed_sin(x[::-1]), x), backend, X)


def test_gradient(backend: str) -> None:
    same(tracer.grad(lambda x: tnp.sum(boxed_sin(x * 2.0) * x)), backend, X, exact=False)
    same(tracer.grad(lambda x: tnp.sum(pushed_sin(x * 2.0) * x)), backend, X, exact=False)
    same(lambda x, t: tracer.jvp(pushed_sin, (x,), (t,)), backend, X, X**2)
    due = 2 * np.cos(2 * X)
    found = tracer.jit(tracer.grad(lambda x: tnp.sum(boxed_sin(2.0 * x))), backend=backend)(X)
    np.testing.assert_allclose(found, due, rtol=1e-14)


def test_vmap_calls_once_a_lane(backend: str) -> None:
    shapes: list[tuple[int, ...]] = []

    def largest(x: Array, y: Array) -> Array:
        shapes.append(x.shape)
        return np.max(x) * y

    box = tracer.primitive(largest, out=lambda x, y: y)
    rows = np.arange(12.0).reshape(4, 3)
    compiled = tracer.jit(tracer.vmap(box, in_axes=(0, None)), backend=backend)
    result = compiled(rows, np.float64(2.0))
    np.testing.assert_array_equal(result, [4.0, 10.0, 16.0, 22.0])
    assert shapes == [(3,)] * 4
    same(tracer.vmap(lambda x: tracer.grad(boxed_sin)(x)), backend, X, exact=False)


def test_in_scan(backend: str) -> None:
    def fold(start: Any, rows: Any) -> Any:
        return tracer.scan(lambda c, x: (boxed_sin(c) + x, c * 2.0), start, rows)

    same(fold, backend, X, np.arange(20.0).reshape(4, 5))
    same(fold, backend, np.float64(0.5), np.arange(4.0))

    def total(start: Any, rows: Any) -> Any:
        return tnp.sum(fold(start, rows)[0])

    same(tracer.grad(total), backend, X, np.arange(20.0).reshape(4, 5), exact=False)


def test_in_while_loop_and_its_test(backend: str) -> None:
    small = tracer.primitive(
        lambda x: np.asarray(np.sum(x) < 10.0), out=tracer.array_type((), np.bool_)
    )
    grown = tracer.primitive(
        lambda x: x * 1.5, vjp=lambda args, out, ct: (ct * 1.5,), out=lambda x: x
    )

    def loop(x: Any) -> Any:
        return tracer.while_loop(small, grown, x)

    same(loop, backend, X)
    same(loop, backend, np.float64(0.2))
    same(tracer.grad(lambda x: tnp.sum(loop(x) ** 2)), backend, X, exact=False)


def test_in_a_branch(backend: str) -> None:
    def either(flag: Any, x: Any) -> Any:
        return tracer.cond(flag, lambda x: boxed_sin(x), lambda x: x * x, x) + x

    same(either, backend, np.bool_(True), X)
    same(either, backend, np.bool_(False), X)


def test_only_the_branch_taken_is_called(backend: str) -> None:
    calls: list[str] = []

    def box(name: str) -> Any:
        def noted(x: Array) -> Array:
            calls.append(name)
            return x

        return tracer.primitive(noted, out=lambda x: x)

    compiled = tracer.jit(
        lambda flag, x: tracer.cond(flag, box("yes"), box("no"), x), backend=backend
    )
    compiled(np.bool_(False), X)
    compiled(np.bool_(True), X)
    assert calls == ["no", "yes"]


def test_several_results(backend: str) -> None:
    box = tracer.primitive(
        lambda x, n: {"sum": np.sum(x), "parts": (x * n, x > 0.5)},
        out=lambda x, n: {
            "sum": tracer.array_type(),
            "parts": (x, tracer.array_type(x.shape, np.bool_)),
        },
    )
    same(lambda x, n: box(x, n), backend, X, np.int64(3))

    def used(x: Any, n: Any) -> Any:
        found = box(x * 2.0, n)
        return tnp.where(found["parts"][1], found["parts"][0], found["sum"])

    same(used, backend, X, np.int64(3))


@pytest.mark.parametrize("dtype", ["?", "i4", "u1", "i8", "f4", "f8", "c8", "c16"])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0), (2, 3)])
def test_types(backend: str, dtype: str, shape: tuple[int, ...]) -> None:
    box = tracer.primitive(lambda x: x[..., ::-1] if x.ndim else x, out=lambda x: x)
    same(box, backend, np.asarray(np.arange(np.prod(shape)).reshape(shape) % 3, dtype))


def test_views_are_passed_in_c_order(backend: str) -> None:
    flags: list[bool] = []

    def noted(x: Array) -> Array:
        flags.append(x.flags.c_contiguous and not x.flags.writeable)
        return np.cumsum(x, axis=0)

    box = tracer.primitive(noted, out=lambda x: x)
    matrix = np.arange(6.0).reshape(2, 3)
    compiled = tracer.jit(lambda x: box(x.T) + box(x[:, ::-1].T), backend=backend)
    due = np.cumsum(matrix.T, axis=0) + np.cumsum(matrix[:, ::-1].T, axis=0)
    np.testing.assert_array_equal(compiled(matrix), due)
    assert flags == [True, True]


def failing(error: BaseException) -> Any:
    def fail(x: Array) -> Array:
        raise error

    return tracer.primitive(fail, out=lambda x: x)


def test_exception_surfaces_as_itself_and_names_the_line(backend: str) -> None:
    error = ValueError("from the black box")
    box = failing(error)

    def user(x: Any) -> Any:
        return box(x * 2.0) + 1.0

    compiled = tracer.jit(user, backend=backend)
    for _ in range(2):
        with pytest.raises(ValueError, match="from the black box") as caught:
            compiled(X)
        assert caught.value is error
    assert type(error.__cause__) is CallbackError
    assert error.__cause__.__cause__ is None
    line = user.__code__.co_firstlineno + 1
    assert str(error.__cause__) == (
        f"fail failed when compiled code called it ({Path(__file__).name}:{line})"
    )
    shown = "".join(traceback.format_exception(error))
    assert "raise error" in shown
    assert "fail failed when compiled code called it" in shown


def test_causes_of_the_exception_stay(backend: str) -> None:
    def fail(x: Array) -> Array:
        try:
            return np.asarray({}["key"])
        except KeyError as error:
            raise ValueError("wrapped") from error

    box = tracer.primitive(fail, out=lambda x: x)
    with pytest.raises(ValueError, match="wrapped") as caught:
        tracer.jit(lambda x: box(x), backend=backend)(X)
    assert isinstance(caught.value.__cause__, KeyError)
    assert isinstance(caught.value.__cause__.__cause__, CallbackError)


def test_interpreter_raises_the_same(backend: str) -> None:
    error = ZeroDivisionError("in the box")
    box = failing(error)
    graph = tracer.jit(lambda x: box(x), backend=backend).trace(X).graph
    with pytest.raises(ZeroDivisionError, match="in the box"):
        run_lowered(graph, [X])


@pytest.mark.parametrize(
    ("returned", "kind"),
    [(np.ones(4), ShapeError), (np.ones(5) + 1j, DTypeError), (np.ones((1, 5)), ShapeError)],
)
def test_wrong_type_from_the_function(backend: str, returned: Array, kind: type[Exception]) -> None:
    box = tracer.primitive(lambda x: returned, out=lambda x: x)
    with pytest.raises(kind, match="was said") as caught:
        tracer.jit(lambda x: box(x), backend=backend)(X)
    assert isinstance(caught.value.__cause__, CallbackError)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_interrupts_pass(backend: str, kind: type[BaseException]) -> None:
    box = failing(kind())
    with pytest.raises(kind):
        tracer.jit(lambda x: box(x), backend=backend)(X)


def test_nothing_runs_after_a_failure(backend: str) -> None:
    calls: list[float] = []

    def until_two(x: Array) -> Array:
        calls.append(float(x))
        if x >= 2.0:
            raise StopIteration
        return x

    box = tracer.primitive(until_two, out=lambda x: x)
    last = tracer.primitive(until_two, out=lambda x: x)
    compiled = tracer.jit(lambda x: (tracer.map(box, x), last(x[0])), backend=backend)
    with pytest.raises(StopIteration):
        compiled(np.arange(5.0))
    assert calls == [0.0, 1.0, 2.0]
    calls.clear()
    np.testing.assert_array_equal(compiled(np.zeros(5))[0], np.zeros(5))
    assert calls == [0.0] * 6


def test_calls_are_neither_dropped_nor_merged_nor_reordered(backend: str) -> None:
    calls: list[tuple[str, float]] = []

    def box(name: str) -> Any:
        def noted(x: Array) -> Array:
            calls.append((name, float(np.sum(x))))
            return x

        return tracer.primitive(noted, out=lambda x: x)

    a, b, c = box("a"), box("b"), box("c")

    def f(x: Any) -> Any:
        first = tnp.exp(x)
        a(x)  # its result is not used
        second = b(x * 2.0)
        c(x)
        c(x)
        return first + second

    compiled = tracer.jit(f, backend=backend)
    result = compiled(np.ones(3))
    np.testing.assert_allclose(result, np.exp(np.ones(3)) + 2.0, rtol=1e-15)
    assert calls == [("a", 3.0), ("b", 6.0), ("c", 3.0), ("c", 3.0)]
    graph = compiled.trace(np.ones(3)).graph
    program = optimize(lower_graph(graph))
    kernels = [s.kernel for s in statements(program.body) if isinstance(s, Call)]
    assert kernels == ["callback"] * 4


def test_calls_in_a_loop_are_not_dropped(backend: str) -> None:
    calls: list[float] = []

    def noted(x: Array) -> Array:
        calls.append(float(x))
        return x + 1.0

    box = tracer.primitive(noted, out=lambda x: x)

    def f(x: Any) -> Any:
        tracer.fori_loop(0, 2, lambda i, c: box(c), x)  # nobody reads this one
        return tracer.scan(lambda c, row: (box(c), row * 2.0), x, tnp.arange(3.0))[1]

    result = tracer.jit(f, backend=backend)(np.float64(5.0))
    np.testing.assert_array_equal(result, [0.0, 2.0, 4.0])
    assert calls == [5.0, 6.0, 5.0, 6.0, 7.0]


def test_the_adjoint_of_a_loop_does_not_call_the_function_again(backend: str) -> None:
    calls: list[float] = []

    def noted(x: Array) -> Array:
        calls.append(float(x))
        return np.sin(x)

    box = tracer.primitive(
        noted, vjp=lambda args, out, ct: (ct * tnp.cos(args[0]),), out=lambda x: x
    )

    def f(x: Any) -> Any:
        return tracer.fori_loop(0, 3, lambda i, c: box(c), x)

    found = tracer.jit(tracer.value_and_grad(f), backend=backend)(np.float64(0.5))
    first, second = np.sin(0.5), np.sin(np.sin(0.5))
    due = np.cos(0.5) * np.cos(first) * np.cos(second)
    np.testing.assert_allclose(found, (np.sin(second), due), rtol=1e-14)
    assert calls == [0.5, first, second]


def test_threads(backend: str) -> None:
    def scaled(x: Array) -> Array:
        if x[0] < 0.0:
            raise ValueError(f"negative: {x[0]}")
        return x * 2.0

    box = tracer.primitive(scaled, out=lambda x: x)
    compiled = tracer.jit(lambda x: tnp.sin(box(x * 1.0)) + x, backend=backend)
    compiled(X)
    wrong: list[str] = []

    def work(number: int) -> None:
        start = np.full(5, float(number))
        for _ in range(50):
            if not np.allclose(compiled(start), np.sin(2.0 * start) + start, rtol=1e-14, atol=0):
                wrong.append(f"value of {number}")
            try:
                compiled(-start - 1.0)
                wrong.append(f"no error for {number}")
            except ValueError as error:
                if str(error) != f"negative: {-start[0] - 1.0}":
                    wrong.append(f"{number}: {error}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_black_box_may_call_compiled_code(backend: str) -> None:
    inner = tracer.jit(lambda x: tnp.cumsum(tnp.sin(x)) * 3.0, backend=backend)
    box = tracer.primitive(lambda x: inner(x), out=lambda x: x)

    def f(x: Any) -> Any:
        y = tnp.cumsum(x * 2.0)
        return box(y) + y

    y = np.cumsum(X * 2.0)
    found = tracer.jit(f, backend=backend)(X)
    np.testing.assert_allclose(found, np.cumsum(np.sin(y)) * 3.0 + y, rtol=1e-14)


def test_the_function_lives_as_long_as_the_compiled_one(backend: str) -> None:
    def build() -> Any:
        box = tracer.primitive(lambda x: x + 1.0, out=lambda x: x)
        return tracer.jit(lambda x: box(x) * 2.0, backend=backend)

    compiled = build()
    compiled(X)
    gc.collect()
    np.testing.assert_array_equal(compiled(X), (X + 1.0) * 2.0)


def test_rendered_source_says_where_it_runs(backend: str, tmp_path: Path) -> None:
    box = tracer.primitive(lambda x: x + 1.0, out=lambda x: x)
    compiled = tracer.jit(lambda x: box(x) * 2.0, backend="numba")
    lowered = compiled.trace(X).lower()
    source = lowered.source()
    assert "calls Python functions back" in source.split('"""')[1]
    file = tmp_path / "rendered.py"
    file.write_text(source, "utf-8")
    names = runpy.run_path(str(file))
    gc.collect()
    with pytest.raises(RuntimeError, match="failed when compiled code called it"):
        names["run"](X)
