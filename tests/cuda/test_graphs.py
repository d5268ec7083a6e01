"""How many calls of the driver a call costs, and that what runs has the right arguments."""

from __future__ import annotations

import gc
import threading
import time
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from codegen.cuda.counting_driver import CountingDriver
from codegen.cuda.driver import Span
from codegen.cuda.graphs import KEPT, SEEN
from codegen.cuda.segments import LONG, LONGEST, Segment, split, task_count
from codegen.device.schedule import Choose, Library, Repeat, RepeatWhile
from codegen.loops.nodes import Buffer, Call, Literal, Operation, Variable, View
from tests.cuda.schedules import I64, Host, make_buffer, make_launch, make_product
from tracer.errors import BackendError, DeviceMemoryError

X = make_buffer("x", "input", 8)
BIG = make_buffer("big", "input", 2**20)
Y = make_buffer("y", "output", 8)
WORK = make_buffer("work", "workspace", 8)
OTHER = make_buffer("other", "workspace", 8)
BOUND = make_buffer("bound", "workspace", 1)

FIRST = make_launch("first", X, WORK)
MIDDLE = tuple(make_launch(f"middle{place}", WORK, OTHER) for place in range(48))
LAST = make_launch("last", OTHER, Y)
CHAIN = (FIRST, *MIDDLE, LAST)


def test_fifty_launches_become_one_replay() -> None:
    host = Host(CHAIN)
    memory = host.memory(X, Y, WORK, OTHER)
    assert host.run(memory) == {"launch": 50, "load": 50}
    once = list(host.driver.ran)
    assert host.run(memory) == {"capture": 1, "replay": 1}
    assert host.driver.ran == once
    assert host.run(memory) == {"replay": 1}
    assert host.driver.ran == once


def test_kernels_can_be_loaded_before() -> None:
    inner = make_launch("inner", X, WORK)
    host = Host((*CHAIN, Choose(BOUND, (inner,), (Repeat("i", 0, BOUND, False, (FIRST, LAST)),))))
    host.graphs.load(host.steps)
    assert host.driver.counts == {"load": 51}


def test_moved_memory_is_updated_where_it_is_used() -> None:
    host = Host(CHAIN)
    memory = host.memory(X, Y, WORK, OTHER)
    host.run(memory)
    host.run(memory)
    moved = {**memory, **host.memory(X, Y)}
    assert host.run(moved) == {"update": 2, "replay": 1}
    assert host.driver.ran[0] == ("first", host.addresses(moved, X, WORK))
    assert host.driver.ran[1] == ("middle0", host.addresses(moved, WORK, OTHER))
    assert host.driver.ran[-1] == ("last", host.addresses(moved, OTHER, Y))
    assert host.run(moved) == {"replay": 1}


def test_addresses_that_return_have_graphs_of_their_own() -> None:
    host = Host(CHAIN)
    memory = host.memory(X, Y, WORK, OTHER)
    moved = {**memory, **host.memory(X, Y)}
    for _ in range(3):
        host.run(memory)
        host.run(moved)
    for _ in range(3):
        assert host.run(memory) == {"replay": 1}
        assert host.driver.ran[0][1] == host.addresses(memory, X, WORK)
        assert host.run(moved) == {"replay": 1}
        assert host.driver.ran[0][1] == host.addresses(moved, X, WORK)


def test_graphs_are_few_and_unused_ones_make_room() -> None:
    host = Host(CHAIN)
    shared = host.memory(WORK, OTHER)
    sets = [{**shared, **host.memory(X, Y)} for _ in range(KEPT + 3)]
    for _ in range(5):
        for memory in sets:
            host.run(memory)
            assert host.driver.ran[0][1] == host.addresses(memory, X, WORK)
    assert host.driver.counts["capture"] == KEPT
    later = {**shared, **host.memory(X, Y)}
    for _ in range(SEEN + 2):
        host.run(later)
    other = {**shared, **host.memory(X, Y)}
    host.run(other)
    host.run(later)
    assert host.run(other)["replay"] == 1
    assert host.run(later) == {"replay": 1}


def test_a_small_input_that_moves_is_copied_where_many_read_it() -> None:
    readers = tuple(make_launch(f"reader{place}", X, WORK) for place in range(10))
    host = Host((*readers, LAST))
    shared = host.memory(WORK, OTHER, Y)
    host.run({**shared, **host.memory(X)})
    second = {**shared, **host.memory(X)}
    assert host.run(second) == {"allocate": 1, "capture": 1, "copy": 1, "replay": 1}
    inner = host.driver.ran[0][1][0]
    for _ in range(3):
        moved = {**shared, **host.memory(X)}
        assert host.run(moved) == {"copy": 1, "replay": 1}
        assert host.driver.ran[0][1][0] == inner != host.addresses(moved, X)[0]


def test_a_large_input_is_never_copied() -> None:
    readers = tuple(make_launch(f"reader{place}", BIG, WORK) for place in range(3))
    host = Host((*readers, *MIDDLE, LAST))
    shared = host.memory(WORK, OTHER, Y)
    host.run({**shared, **host.memory(BIG)})
    host.run({**shared, **host.memory(BIG)})
    assert host.run({**shared, **host.memory(BIG)}) == {"update": 3, "replay": 1}


def test_what_changes_everywhere_is_updated_everywhere() -> None:
    readers = tuple(make_launch(f"reader{place}", BIG, WORK) for place in range(5))
    host = Host(readers)
    shared = host.memory(WORK)
    for turn in range(4):
        memory = {**shared, **host.memory(BIG)}
        counts = host.run(memory)
        assert [address for _, (address, _) in host.driver.ran] == 5 * host.addresses(memory, BIG)
        if turn > 1:
            assert counts == {"update": 5, "replay": 1}


def test_two_launches_are_no_more_than_two_updates() -> None:
    host = Host(CHAIN[:2])
    for turn in range(4):
        memory = host.memory(X, WORK, OTHER)
        assert host.run(memory).get("launch", 0) == (0 if turn == 1 else 2), turn
        assert host.driver.ran[0][1] == host.addresses(memory, X, WORK)


def test_a_moved_arena_is_followed() -> None:
    host = Host(CHAIN)
    memory = host.memory(X, Y, WORK, OTHER)
    host.run(memory)
    host.run(memory)
    moved = {**memory, **host.memory(WORK, OTHER)}
    assert host.run(moved) == {"update": 50, "replay": 1}
    assert host.driver.ran[1] == ("middle0", host.addresses(moved, WORK, OTHER))
    assert host.run(memory) == {"capture": 1, "replay": 1}
    for _ in range(2):
        assert host.run(moved) == {"replay": 1}
        assert host.run(memory) == {"replay": 1}


def test_library_calls_are_captured_where_their_memory_stays() -> None:
    left, right = make_buffer("left", "input", 4, 4), make_buffer("right", "input", 256, 256)
    product = make_buffer("product", "workspace", 4, 4)
    steps = (FIRST, make_product(product, left, left), LAST)
    host = Host(steps)
    memory = host.memory(X, Y, WORK, OTHER, left, product)
    assert host.run(memory) == {"load": 2, "launch": 2, "call": 1}
    assert host.run(memory) == {"capture": 1, "replay": 1}
    assert host.run({**memory, **host.memory(left)}) == {"launch": 2, "call": 1}
    # Small and moving from the start: copied.
    host = Host(steps)
    memory = host.memory(X, Y, WORK, OTHER, left, product)
    host.run(memory)
    for _ in range(2):
        later = {**memory, **host.memory(left)}
        assert host.run(later)["copy"] == 1
    assert host.run(later) == {"capture": 1, "replay": 1}
    assert host.run(later) == {"replay": 1}
    # Large and moving: not captured before an address comes back.
    host = Host((FIRST, make_product(right, right, right), LAST))
    memory = host.memory(X, Y, WORK, OTHER, right)
    host.run(memory)
    assert host.run(later := {**memory, **host.memory(right)}) == {"launch": 2, "call": 1}
    assert host.run(later) == {"capture": 1, "replay": 1}


def test_streams_do_not_share_graphs() -> None:
    host = Host(CHAIN)
    memory = host.memory(X, Y, WORK, OTHER)
    host.run(memory)
    host.run(memory)
    host.driver.stream = 7
    assert host.run(memory) == {"launch": 50}
    assert host.run(memory) == {"capture": 1, "replay": 1}


def test_loops_of_the_host_update_or_launch() -> None:
    turn = make_launch("turn", WORK, OTHER, scalars=("i",))
    host = Host((turn, *MIDDLE))
    memory = host.memory(WORK, OTHER)
    for call in range(2):
        for value in range(20):
            counts = host.run(memory, {"i": value})
            assert host.driver.ran[0][1][2] == value
            if call or value > 1:
                assert counts == {"update": 1, "replay": 1}
    assert host.driver.counts["capture"] == 1
    for count in (2, 3):
        host = Host((turn,) * count)
        for value in range(9):
            host.run(memory, {"i": value})
            assert [arguments[2] for _, arguments in host.driver.ran] == [value] * count
    assert host.driver.counts["capture"] == 1


def test_loops_with_known_bounds_are_unrolled() -> None:
    turn = make_launch("turn", WORK, OTHER, scalars=("i", "j"))
    steps = (Repeat("i", 0, 3, True, (Repeat("j", 2, 4, False, (turn,)), FIRST)),)
    host = Host(steps)
    memory = host.memory(WORK, OTHER, X)
    assert host.run(memory)["launch"] == 9
    expected = list(host.driver.ran)
    assert [tuple(rest[2:]) for name, rest in expected if name == "turn"] == [
        (2, 2), (2, 3), (1, 2), (1, 3), (0, 2), (0, 3),
    ]  # fmt: skip
    host.run(memory)
    assert host.run(memory) == {"replay": 1}
    assert host.driver.ran == expected


def test_outer_variables_of_unrolled_loops_are_given() -> None:
    turn = make_launch("turn", WORK, scalars=("outer", "j"))
    host = Host((Repeat("j", 0, 2, False, (turn,)),))
    host.run(host.memory(WORK), {"outer": 5})
    assert [arguments[1:] for _, arguments in host.driver.ran] == [[5, 0], [5, 1]]


def test_the_host_decides_between_segments() -> None:
    body = (FIRST, LAST)
    steps = (
        FIRST,
        LAST,
        Repeat("i", 0, BOUND, False, body),
        FIRST,
        RepeatWhile(body, BOUND, body),
        Choose(BOUND, body, ()),
        Library(Call("callback", (View(Y),), (View(X),))),
        make_launch("nothing", X, blocks=0),
        Repeat("i", 0, LONGEST, False, body),
    )
    kinds = [type(part).__name__ for part in split(steps)]
    assert kinds == [
        "Segment", "Repeat", "Segment", "RepeatWhile", "Choose", "Library", "Repeat",
    ]  # fmt: skip
    assert task_count((Repeat("i", 0, 4, False, body),)) == 8
    assert task_count((Repeat("i", 4, 0, False, body),)) == 0
    assert task_count((Repeat("i", 0, 4, False, (Choose(BOUND, (), ()),)),)) is None


def test_long_schedules_are_several_segments() -> None:
    parts = split((*[FIRST] * (LONG - 1), LAST, FIRST))
    assert [len(part.tasks) for part in parts if isinstance(part, Segment)] == [LONG, 1]
    parts = split((Repeat("i", 0, LONG + 1, False, (FIRST, LAST)),))
    assert [len(part.tasks) for part in parts if isinstance(part, Segment)] == [LONG, LONG, 2]


def test_library_indices_are_variables_of_the_segment() -> None:
    table = make_buffer("table", "workspace", 3, 4, 4)
    index = Operation("add", (Variable("i", I64), Literal(1, I64)), I64)
    call = Call("matmul", (View(table, (index,)),), (View(X), View(X)))
    (segment,) = split((Library(call), FIRST))
    assert isinstance(segment, Segment)
    assert segment.outer == ("i",)
    assert "i" in segment.pinned


def test_graphs_keep_no_memory_of_the_callers() -> None:
    host = Host(CHAIN)
    shared = host.memory(WORK, OTHER)
    live = host.driver.live
    for _ in range(6):
        memory = {**shared, **host.memory(X, Y)}
        host.run(memory)
        host.held.clear()
    del memory
    gc.collect()
    assert host.driver.live == live


def test_outputs_in_the_users_hands_are_not_written_again() -> None:
    host = Host(CHAIN)
    shared = host.memory(X, WORK, OTHER)
    held = [host.memory(Y) for _ in range(8)]
    written = []
    for output in held:
        host.run({**shared, **output})
        written.append(host.driver.ran[-1][1][1])
    assert written == [host.addresses(output, Y)[0] for output in held]
    assert all(before != after for before, after in pairwise(written))


def test_scalars_have_their_dtype() -> None:
    turn = make_launch("turn", WORK, OTHER, scalars=("i",))
    host = Host((turn,))
    seen: list[object] = []
    host.driver.launch = lambda loaded, blocks, threads, arguments: seen.extend(arguments)  # type: ignore[method-assign]
    host.run(host.memory(WORK, OTHER), {"i": 2**40})
    assert isinstance(seen[2], np.int64)
    assert seen[2] == 2**40


def test_the_counting_driver_has_a_limit_and_a_pool() -> None:
    driver = CountingDriver(limit=1024)
    block = driver.allocate(700)
    address = block.address
    with pytest.raises(MemoryError, match="300 bytes are asked for where 256 of 1024 are free"):
        driver.allocate(300)
    assert issubclass(DeviceMemoryError, MemoryError)
    del block
    assert driver.live == 0
    assert driver.allocate(700).address == address
    assert driver.peak == 768


def test_memory_may_be_lazy() -> None:
    class Lazy(dict[Buffer, Span]):
        def __missing__(self, buffer: Buffer) -> Span:
            asked.append(buffer)
            return everything[buffer]

    asked: list[Buffer] = []
    readers = tuple(make_launch(f"reader{place}", X, WORK) for place in range(10))
    host = Host((*readers, LAST))
    everything = host.memory(X, Y, WORK, OTHER)
    host.run(Lazy())
    everything.update(host.memory(X))
    assert host.run(Lazy())["copy"] == 1
    everything.update(host.memory(X))
    asked.clear()
    host.run(Lazy())
    assert set(asked) == {X, Y, WORK}


def test_what_cannot_be_captured_is_launched(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(record: object) -> None:
        raise BackendError("no capture today")

    host = Host(CHAIN)
    memory = host.memory(X, Y, WORK, OTHER)
    host.run(memory)
    monkeypatch.setattr(host.driver, "capture", refuse)
    with pytest.warns(RuntimeWarning, match="launches are made one by one: no capture today"):
        assert host.run(memory) == {"launch": 50}
    assert host.run(memory) == {"launch": 50}


def test_an_interrupted_update_leaves_no_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(CHAIN)
    memory = host.memory(X, Y, WORK, OTHER)
    for _ in range(2):
        host.run(memory)
    update = CountingDriver.update

    def interrupted(self: CountingDriver, *rest: Any) -> None:
        update(self, *rest)
        raise KeyboardInterrupt

    moved = {**memory, **host.memory(X, Y)}
    monkeypatch.setattr(CountingDriver, "update", interrupted)
    with pytest.raises(KeyboardInterrupt):
        host.run(moved)
    monkeypatch.undo()
    for now in (memory, moved, memory):
        host.run(now)
        assert host.driver.ran[0] == ("first", host.addresses(now, X, WORK))
        assert host.driver.ran[-1] == ("last", host.addresses(now, OTHER, Y))


def test_a_call_within_its_own_replay_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(CHAIN)
    memory = host.memory(X, Y, WORK, OTHER)
    host.run(memory)
    replay = CountingDriver.replay

    def handled(self: CountingDriver, graph: Any) -> None:
        with pytest.raises(BackendError, match="a signal handler or finalizer has called"):
            host.run(memory)
        replay(self, graph)

    monkeypatch.setattr(CountingDriver, "replay", handled)
    host.run(memory)
    monkeypatch.undo()
    assert host.run(memory) == {"replay": 1}


def test_threads_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(CHAIN)
    shared = host.memory(WORK, OTHER)
    inside: list[int] = []
    most: list[int] = []
    replay = CountingDriver.replay

    def slow(self: CountingDriver, graph: Any) -> None:
        inside.append(1)
        time.sleep(1e-4)
        most.append(len(inside))
        replay(self, graph)
        inside.pop()

    def work() -> None:
        memory = {**shared, **host.memory(X, Y)}
        for _ in range(20):
            for part in host.graphs.parts(host.steps):
                assert isinstance(part, Segment)
                host.graphs.run(part, memory, {})

    monkeypatch.setattr(CountingDriver, "replay", slow)
    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) > 20
    assert set(most) == {1}
