"""While loops of the host's, counted: how often it waits, how many turns it asks for in vain, and
what it does where a tape is too short."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import tracer
from codegen.cuda.counting_driver import CountedGlance, CountingDriver
from codegen.cuda.driver import Span
from codegen.cuda.segments import BATCH, BATCHES, batches
from codegen.device.ahead import find_unwatched
from codegen.device.items import ChooseItem, Item, KernelItem, LibraryItem, WhileItem
from codegen.device.schedule import Launch, Library, RepeatWhile
from codegen.loops.build import integer, literal
from codegen.loops.nodes import Buffer, Call, Expression, Load, Reserve, Statement, Store, View
from tests.cuda.schedules import F64, make_buffer, make_launch, make_product
from tests.cuda.test_counted_calls import Counted

WIDE = 100_000
MOST = 2 ** (BATCHES - 1)


def halved(x: Any) -> Any:
    while np.sum(np.abs(x)) > 1e-3:
        x = 0.5 * x * np.cos(x)
    return np.sum(x)


class Looping(Counted):
    """A program with one while loop, on a device that runs so many turns of it, of which the tapes
    hold what they have room for."""

    def __init__(self, function: Any, turns: int, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(function, np.ones(WIDE))
        (self.loop,) = (
            step for step in self.program.schedule.steps if isinstance(step, RepeatWhile)
        )
        last = self.loop.test[-1]
        assert isinstance(last, Launch)
        self.last, self.turns = last.kernel.name, turns
        self.begin = 0
        self.glances: list[CountedGlance] = []
        self.closed: list[CountedGlance] = []
        monkeypatch.setattr(self.driver, "glance", self.glance)
        monkeypatch.setattr(CountedGlance, "close", lambda glance: self.closed.append(glance))

    def asked(self) -> int:
        """How many turns the host has asked for in this call."""
        return sum(name == self.last for name, _ in self.driver.ran) - 1

    def glance(self, spans: Sequence[Span]) -> CountedGlance:
        self.driver.counts["glance"] += 1
        going = np.array([self.asked() < self.turns])
        status = [np.zeros(span.size, span.dtype) for span in spans[1:]]
        glance = CountedGlance(self.driver, [going, *status])
        self.glances.append(glance)
        return glance

    def count(self) -> Any:
        self.driver.ran.clear()
        self.glances.clear()
        return self.call([self.driver.empty((WIDE,), F64)])[1]


@pytest.mark.parametrize("turns", [0, 1, 2, 7, 40, 1000])
def test_a_host_that_runs_ahead_waits_once_a_batch(
    turns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    looping = Looping(halved, turns, monkeypatch)
    assert looping.loop.ahead
    for _ in range(3):
        counts = looping.count()
        assert counts["read"] == 0
        assert counts["wait"] <= BATCHES + 2 + turns // MOST
        assert turns < looping.asked() <= min(3 * turns + 3, turns + 2 * MOST)
    assert counts["launch"] <= 1, "all but single launches is replayed"
    assert counts["replay"] <= counts["wait"] + 4


@pytest.mark.parametrize("turns", [0, 1, 2, 7, 40])
def test_turns_that_take_long_are_asked_for_one_by_one(
    turns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    looping = Looping(halved, turns, monkeypatch)
    looping.driver.is_fast = False
    looping.count()
    assert looping.asked() == turns + 1
    assert len(looping.glances) == turns + 2


def test_batches_have_a_limit() -> None:
    x, flag = make_buffer("w1", "workspace", 4), Buffer("slot", np.dtype(bool), (), "workspace")
    turn = tuple(make_launch(f"k{number}", x) for number in range(20))
    sizes = [len(batch.tasks) for batch in batches(RepeatWhile((), flag, turn, True))]
    assert sizes == [20, 40, 80, 160, 320]
    assert sizes[-1] <= BATCH
    assert len(batches(RepeatWhile(turn[:1], flag, turn[:1], True))) == BATCHES
    assert batches(RepeatWhile((), flag, turn, False)) == ()
    waiting = Library(Call("callback", (View(x),), (View(x),)))
    assert batches(RepeatWhile((), flag, (*turn, waiting), True)) == ()
    assert len(batches(RepeatWhile((), flag, (*turn, make_product(x, x, x)), True))[0].tasks) == 21


def test_an_interrupt_comes_between_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    looping = Looping(halved, 1000, monkeypatch)
    looping.count()
    live, left, run = looping.driver.live, [9], CountingDriver.replay

    def interrupted(self: CountingDriver, graph: Any) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt
        run(self, graph)

    monkeypatch.setattr(CountingDriver, "replay", interrupted)
    looping.closed.clear()
    with pytest.raises(KeyboardInterrupt):
        looping.count()
    assert looping.closed == looping.glances[-1:], "the copy that was under way"
    gc.collect()
    assert looping.driver.live < live
    monkeypatch.setattr(CountingDriver, "replay", run)
    assert looping.count()["wait"] > 0
    assert looping.driver.live == live


def test_the_next_call_has_the_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """The device says after so many turns that there was too little room: what follows."""
    looping = Looping(tracer.grad(halved), 11, monkeypatch)
    (tape,) = looping.loop.tapes
    room = looping.program.room[tape]
    assert room == 4, "an entry is large"
    done = [0]

    def glance(spans: Sequence[Span]) -> CountedGlance:
        """Turns beyond the tape's room do nothing; those asked for since the last pause count."""
        held = looping.program.room[tape]
        done[0] = min(done[0] + looping.asked() + 1, held, looping.turns)
        looping.driver.ran.clear()
        status = np.zeros(3, np.int64)
        if done[0] == held < looping.turns:
            status[:] = looping.loop.pause, (held + 1) * WIDE, held + 1
        return CountedGlance(looping.driver, [np.array([done[0] < looping.turns]), status])

    monkeypatch.setattr(looping.driver, "glance", glance)
    counts = looping.call([looping.driver.empty((WIDE,), F64)])[1]
    assert looping.program.room[tape] == 16
    assert counts["copy"] == 2, "what was on the tape stays"
    assert counts["zero"] == 3, "at the beginning, and where the loop goes on"
    before = looping.driver.peak
    done[0] = 0
    counts = looping.call([looping.driver.empty((WIDE,), F64)])[1]
    assert counts["copy"] == 0
    assert looping.driver.peak <= max(before, 2.5 * 16 * WIDE * 8)


# What may run in vain


FLAG = Buffer("slot", np.dtype(bool), (), "workspace")
A, B, C = (make_buffer(name, "workspace", 4) for name in ("w1", "w2", "w3"))
OUT = make_buffer("y1", "output", 4)
TAPE = Buffer("w9", F64, (-1, 4), "workspace")


def kernel(target: Buffer, *sources: Buffer, first: tuple[Statement, ...] = ()) -> KernelItem:
    value: Expression = literal(0.0, F64)
    stores = [Store(target, (integer(0),), Load(source, (integer(0),))) for source in sources]
    return KernelItem([*first, *(stores or [Store(target, (integer(0),), value)])])


def product(target: Buffer, source: Buffer) -> LibraryItem:
    return LibraryItem(Call("matmul", (View(target),), (View(source), View(source))))


def test_what_libraries_write_in_vain_is_not_read() -> None:
    def is_ahead(body: list[Item], after: Sequence[Item] = ()) -> bool:
        loop = WhileItem([kernel(A)], FLAG, body)
        return id(loop) in find_unwatched([kernel(A), loop, *after]).loops

    assert is_ahead([kernel(A, A)])
    assert is_ahead([product(B, A), kernel(A, B)])
    assert is_ahead([product(B, A), product(C, B), kernel(A, C)], [kernel(OUT, A)])
    assert not is_ahead([product(B, A), kernel(A, B)], [kernel(OUT, B)]), "read after the loop"
    assert not is_ahead([product(OUT, A), kernel(A, OUT)]), "a result"
    assert not is_ahead([kernel(A, B), product(B, A)]), "carried to the next turn"
    assert not is_ahead([kernel(B), product(B, A)]), "partly written before, perhaps"
    assert not is_ahead([product(C, B), product(B, C)]), "carried, too"
    part = LibraryItem(
        Call(
            "matmul",
            (View(make_buffer("w4", "workspace", 2, 4), (integer(0),)),),
            (View(A), View(A)),
        )
    )
    assert not is_ahead([part]), "a part only"
    assert not is_ahead([WhileItem([kernel(B)], FLAG, [kernel(B)])]), "a loop inside"


def test_branches_of_kernels_are_not_waited_for() -> None:
    few, library = ChooseItem(FLAG, [kernel(A)], [kernel(B)]), ChooseItem(FLAG, [product(B, A)], [])
    many = ChooseItem(FLAG, [kernel(A) for _ in range(20)], [])
    assert find_unwatched([few, library, many]).branches == {id(few)}
    for inside, ahead in ((few, True), (library, False), (many, False)):
        loop = WhileItem([kernel(A)], FLAG, [inside])
        assert (id(loop) in find_unwatched([loop]).loops) is ahead


def test_a_turn_that_reserves_first_can_begin_again() -> None:
    reserve = Reserve(TAPE, integer(3))

    def pauses(body: list[Item]) -> bool:
        loop = WhileItem([kernel(A)], FLAG, body)
        found = find_unwatched([loop]).pauses.get(id(loop))
        assert found is None or (found.tapes == (TAPE,) and found.code < -1)
        return found is not None

    assert pauses([kernel(A, B, first=(reserve,))])
    assert not pauses([kernel(A, B)])
    assert not pauses([kernel(A), kernel(A, first=(reserve,))]), "something was written before"
    late = kernel(A, B)
    late.body.append(reserve)
    assert not pauses([late])
    assert not pauses([kernel(A, first=(reserve,)), kernel(B, C), product(C, A)])
    two = [WhileItem([], FLAG, [kernel(A, first=(reserve,))]) for _ in range(2)]
    codes = [pause.code for pause in find_unwatched(list(two)).pauses.values()]
    assert len(set(codes)) == 2
