"""Schedules on disk: a graph that has been compiled needs no lowering and no planning again.

What lies there are our own objects, pickled. They are read only from a folder and a file that
nobody but this user may write to, as machine code is, and only if they are whole.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from codegen.cache import object_store, sources_digest
from codegen.device.machine import DeviceMachine
from codegen.device.schedule import Choose, Launch, Repeat, RepeatWhile, Schedule, Step
from codegen.graph_key import graph_key
from tracer import config
from tracer.graph.nodes import Graph

LARGEST_CONSTANTS = 1 << 16
"""Bytes of constant arrays up to which a schedule is kept on disk."""


def key_of(graph: Graph, machine: DeviceMachine) -> str | None:
    """The key that a graph's schedule is kept under; None where it is not: without a cache, while
    passes are checked or shown, and for graphs without a key.
    """
    if object_store() is None or config.get("check") or config.get("debug"):
        return None
    text = graph_key(graph)
    if text is None:
        return None
    switch = config.get("scatter")
    return f"schedule {machine} {switch} {np.__version__} {sources_digest()}\n{text}"


def find(key: str) -> Schedule | None:
    """The schedule, where it is known."""
    store = object_store()
    stored = None if store is None else store.get(key)
    if stored is None:
        return None
    schedule: Schedule = pickle.loads(stored)
    return schedule


def keep(key: str, schedule: Schedule) -> None:
    """Store a schedule, without the plans that its kernels' text was made from."""
    store = object_store()
    size = sum(buffer.size * buffer.dtype.itemsize for buffer in schedule.constants)
    if store is None or size > LARGEST_CONSTANTS:
        return
    bare = replace(schedule, steps=_without_plans(schedule.steps))
    store.put(key, pickle.dumps(bare, pickle.HIGHEST_PROTOCOL))


def _without_plans(steps: Iterable[Step]) -> tuple[Step, ...]:
    return tuple(_without_plan(step) for step in steps)


def _without_plan(step: Step) -> Step:
    match step:
        case Launch():
            return replace(step, plan=None)
        case Repeat(body=body):
            return replace(step, body=_without_plans(body))
        case RepeatWhile(test=test, body=body):
            return replace(step, test=_without_plans(test), body=_without_plans(body))
        case Choose(then=then, otherwise=otherwise):
            return replace(step, then=_without_plans(then), otherwise=_without_plans(otherwise))
    return step
