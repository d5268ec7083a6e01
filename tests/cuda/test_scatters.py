"""Sums by index at sizes at which one block would be slow: which kernels the usual ways to write
them become."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest

import tracer
import tracer.numpy as tnp
from codegen.cuda.explain import explain_graph
from codegen.device.machine import DeviceMachine
from codegen.device.schedule import Launch
from codegen.device.traffic import repeated_steps
from codegen.device.work import work_of
from tests.cuda.test_traffic import MACHINE, Function, planned, zeros
from tracer import config, grad, scan, vmap

MANY = 100_000


def places(*shape: int) -> Any:
    return zeros(*shape, dtype="i8")


def squares(take: Callable[..., Any]) -> Function:
    """The gradient of a sum of squares of what is taken."""
    return grad(lambda x, *where: (take(x, *where) ** 2).sum())


def at(name: str) -> Function:
    def changed(x: Any, i: Any, v: Any) -> Any:
        y = x.copy()
        getattr(np, name).at(y, i, v)
        return y

    return changed


def written(x: Any, i: Any, v: Any) -> Any:
    y = x.copy()
    y[i] = v
    return y


def centres(centres: Any, x: Any) -> Any:
    nearest = ((x[:, None, :] - centres) ** 2).sum(axis=2).argmin(axis=1)
    total = np.zeros_like(centres)
    np.add.at(total, nearest, x)
    counts = tnp.bincount(nearest, length=len(centres))
    return total / np.maximum(counts, 1)[:, None]


def cross_entropy(z: Any, y: Any) -> Any:
    shifted = z - z.max(axis=1, keepdims=True)
    return (np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(y)), y]).mean()


def sparse_product(values: Any, rows: Any, columns: Any, x: Any) -> Any:
    return at("add")(np.zeros_like(x), rows, values * x[columns])


def messages(x: Any, sources: Any, targets: Any) -> Any:
    return (at("add")(np.zeros_like(x), targets, np.tanh(x[sources])) ** 2).sum()


def scanned(x: Any, i: Any, v: Any) -> Any:
    return scan(lambda carry, turn: (at("add")(carry, *turn), None), x, (i, v))[0]


class Case(NamedTuple):
    """A way to write it, and whether it is sorted."""

    function: Function
    args: tuple[Any, ...]
    is_sorted: bool = True


FORMS: dict[str, Case] = {
    "rows of an embedding": Case(
        squares(lambda x, i: x[i]), (zeros(1000, 50), places(MANY)), is_sorted=True
    ),
    "batches of rows": Case(squares(lambda x, i: x[i]), (zeros(1000, 50), places(MANY // 8, 8))),
    "elements": Case(squares(lambda x, i: x[i]), (zeros(1000), places(MANY))),
    "columns": Case(squares(lambda x, i: x[:, i]), (zeros(50, 1000), places(MANY))),
    "parts of rows": Case(squares(lambda x, i: x[i, 1:3]), (zeros(1000, 50), places(MANY))),
    "pairs": Case(squares(lambda x, i, j: x[i, j]), (zeros(100, 50), places(MANY), places(MANY))),
    "pairs around": Case(
        squares(lambda x, i, j: x[i, :, j]), (zeros(100, 5, 50), places(MANY), places(MANY))
    ),
    "one a row": Case(
        squares(lambda x, i: x[np.arange(MANY), i]), (zeros(MANY, 10), places(MANY)), False
    ),
    "cross entropy": Case(grad(cross_entropy), (zeros(MANY, 10), places(MANY)), is_sorted=False),
    "few rows, along them": Case(
        squares(lambda x, i: np.take_along_axis(x, i, 1)), (zeros(4, 500), places(4, MANY))
    ),
    "few columns, along them": Case(
        squares(lambda x, i: np.take_along_axis(x, i, 0)), (zeros(500, 4), places(MANY, 4))
    ),
    "many columns, along them": Case(
        squares(lambda x, i: np.take_along_axis(x, i, 0)),
        (zeros(50, 20_000), places(200, 20_000)),
        is_sorted=False,
    ),
    "short, of wide rows": Case(
        squares(lambda x, i: x[i]), (zeros(1000, MANY), places(50)), is_sorted=False
    ),
    "batched gradient": Case(
        vmap(grad(lambda x, i: (x[i] ** 2).sum())), (zeros(4, 500), places(4, MANY))
    ),
    "gradient of batches": Case(
        squares(vmap(lambda x, i: x[i])), (zeros(2000, 50), places(2000, 100)), is_sorted=False
    ),
    "batched rows": Case(
        vmap(grad(lambda x, i: (x[i] ** 2).sum())), (zeros(4, 500, 16), places(4, MANY))
    ),
    "batched terms": Case(
        vmap(at("add"), in_axes=(0, None, 0)), (zeros(4, 500), places(MANY), zeros(4, MANY))
    ),
    "twice batched": Case(
        vmap(vmap(at("add"))), (zeros(2, 3, 500), places(2, 3, MANY), zeros(2, 3, MANY))
    ),
    "segment sums": Case(at("add"), (zeros(64), places(MANY), zeros(MANY))),
    "few terms": Case(at("add"), (zeros(64), places(8192), zeros(8192)), is_sorted=False),
    "few rows": Case(squares(lambda x, i: x[i]), (zeros(99, 32), places(4096)), is_sorted=False),
    "points": Case(at("add"), (zeros(1000, 3), places(MANY), zeros(MANY, 3))),
    "products": Case(at("multiply"), (zeros(1000), places(MANY), zeros(MANY))),
    "extremes": Case(at("maximum"), (zeros(1000), places(MANY), zeros(MANY))),
    "counts": Case(lambda i: tnp.bincount(i, length=64), (places(MANY),), is_sorted=False),
    "weighted counts": Case(
        lambda i, w: tnp.bincount(i, w, length=64), (places(MANY), zeros(MANY, dtype="f8"))
    ),
    "integer extremes": Case(
        at("minimum"), (places(1000), places(MANY), places(MANY)), is_sorted=False
    ),
    "means of clusters": Case(centres, (zeros(16, 8), zeros(MANY, 8))),
    "sparse product": Case(sparse_product, (zeros(MANY), places(MANY), places(MANY), zeros(1000))),
    "messages of a graph": Case(grad(messages), (zeros(1000, 8), places(MANY), places(MANY))),
    "in a scan": Case(scanned, (zeros(1000), places(10, MANY), zeros(10, MANY))),
    "written": Case(written, (zeros(1000), places(MANY), zeros(MANY)), is_sorted=False),
    "written rows": Case(written, (zeros(1000, 9), places(MANY), zeros(MANY, 9)), is_sorted=False),
    "batched writes": Case(
        vmap(written), (zeros(4, 500), places(4, MANY), zeros(4, MANY)), is_sorted=False
    ),
    "halves": Case(at("add"), (zeros(99, dtype="f2"), places(MANY), zeros(MANY, dtype="f2"))),
    "complex": Case(at("add"), (zeros(99, dtype="c8"), places(MANY), zeros(MANY, dtype="c8"))),
}
NOT_ATOMIC = ("products", "extremes")
"""What is sorted whatever the switch says."""


def launches(function: Function, *args: Any) -> list[Launch]:
    """The kernels of a call."""
    _, schedule = planned(function, *args)
    return [step for step, _ in repeated_steps(schedule.steps, 1) if isinstance(step, Launch)]


def sorts(found: list[Launch]) -> bool:
    return any(launch.plan is not None and launch.plan.sort is not None for launch in found)


def spread(found: list[Launch]) -> bool:
    """Whether all that is much work is shared out among blocks."""
    plans = [launch.plan for launch in found if launch.plan is not None]
    return all(
        work_of((part,)) <= MACHINE.small
        for plan in plans
        if plan.sort is None and not plan.grid
        for part in plan.body
    )


@pytest.fixture
def atomic() -> Iterator[None]:
    """The switch for sums by atomic operations."""
    config.set("scatter", "atomic")
    yield
    config.set("scatter", "sorted")


@pytest.mark.parametrize("name", FORMS)
def test_the_whole_device_adds(name: str) -> None:
    case = FORMS[name]
    found = launches(case.function, *case.args)
    assert spread(found)
    assert sorts(found) == case.is_sorted


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.usefixtures("atomic")
def test_the_whole_device_adds_at_once(name: str) -> None:
    case = FORMS[name]
    found = launches(case.function, *case.args)
    assert spread(found)
    assert sorts(found) == (name in NOT_ATOMIC)
    if case.is_sorted and name not in NOT_ATOMIC:
        assert any(launch.plan is not None and launch.plan.atomic for launch in found)


@pytest.mark.usefixtures("atomic")
def test_adding_at_once_moves_what_it_must() -> None:
    case = FORMS["segment sums"]
    found = launches(case.function, *case.args)
    assert len(found) == 2  # x is copied; indices are checked, and terms are added


def explained(function: Function, *args: Any) -> str:
    return explain_graph(tracer.jit(function).trace(*args).graph, DeviceMachine())


def test_the_order_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    case = FORMS["segment sums"]
    order = "sums by index: in a fixed order"
    assert order in explained(case.function, *case.args)
    monkeypatch.setattr(config.SWITCHES["scatter"], "value", "atomic")
    text = explained(case.function, *case.args)
    assert order not in text
    assert "sums by index: in any order, by atomic operations (TRACER_SCATTER=atomic)" in text
    assert "one thread an element, by atomic operations" in text
    assert "sums by index" not in explained(lambda x: np.sin(x), zeros(MANY))
