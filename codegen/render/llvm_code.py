"""Machine code of programs: shared by all programs of one outline, in memory and on disk."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from codegen.cache import DiskStore, object_store
from codegen.dispatch.link import LOCK, Linked
from codegen.loops.nodes import Buffer, Program
from codegen.loops.operations import DType
from codegen.loops.sizes import Recipe
from codegen.passes.sizes import Outline, outline, with_sizes
from codegen.passes.workspace import WorkspacePlan
from codegen.render.llvm import KERNEL, render_sized
from codegen.render.llvm_machine import Machine, host_machine, object_code, processor
from codegen.render.llvm_symbols import Symbol, resolve, symbols_of
from tracer import config

MOST_KEPT = 256
"""Pieces of code that stay in memory although no function uses them."""
MOST_VARIANTS = 8
"""Pieces of code for one outline that are looked for on disk."""
COMPILED, DISK, MEMORY = "compiled", "disk", "memory"


@dataclass(frozen=True, slots=True, eq=False)
class Code:
    """Machine code in memory, and how the table follows from words.

    `identity` names all that it was made from but words; `symbols` are what it calls.
    """

    linked: Linked
    recipe: Recipe
    identity: str
    symbols: tuple[Symbol, ...]
    machine_code: bytes

    @property
    def address(self) -> int:
        """Where the kernel is."""
        return self.linked[KERNEL]


@dataclass(frozen=True, slots=True)
class Found:
    """Code for a program, with the table that it reads.

    origin  "compiled", "disk" or "memory": where it came from
    reason  why it had to be compiled, where that can be told from the code there is
    """

    code: Code
    table: np.ndarray[Any, np.dtype[np.int64]]
    origin: str
    reason: str


_codes: OrderedDict[str, list[Code]] = OrderedDict()


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A program to be found code for: `identity` is all that code depends on but `words`."""

    program: Program
    plan: WorkspacePlan
    machine: Machine
    outlined: Outline
    offsets: dict[Buffer, int]

    @property
    def identity(self) -> str:
        text = f"{processor()} {self.machine}\n{self.outlined.text}"
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def words(self) -> list[int]:
        return [*self.outlined.words, *self.offsets.values()]


def code_for(program: Program, plan: WorkspacePlan, parallel: str = "auto") -> Found:
    """The code for a program: that of a program of another size where it serves, from the disk
    where it is known there, or made now. `parallel` as in `Machine`.
    """
    offsets = {b: plan.offsets[b] for b in program.workspace if b in plan.offsets}
    checked = config.get("check") == "access"
    machine = replace(host_machine(), parallel=parallel, checked=checked)
    wanted = _Wanted(program, plan, machine, outline(program), offsets)
    with LOCK:
        code, table, origin, reason = _find(wanted)
    if config.debugging("cache"):
        where = {MEMORY: "code in memory", DISK: "found on disk", COMPILED: "made anew"}[origin]
        print(f"{program.name}: {where}{f': {reason}' if reason else ''}")
    entries = [*number_bits(wanted.outlined.numbers), *table]
    return Found(code, np.array(entries, np.int64), origin, reason)


def _find(wanted: _Wanted) -> tuple[Code, list[int], str, str]:
    identity, words = wanted.identity, wanted.words
    known = _known(identity)
    for code in known:
        table = code.recipe.table(words)
        if table is not None:
            return code, table, MEMORY, ""
    found, origin = _code_on_disk(identity, words), DISK
    if found is None:
        found, origin = _compiled(wanted, identity), COMPILED
    known.append(found)
    table = found.recipe.table(words)
    assert table is not None, "code serves the program that it was made or found for"
    reason = known[-2].recipe.broken_guard(words) if origin == COMPILED and known[1:] else ""
    return found, table, origin, reason


def _known(identity: str) -> list[Code]:
    """The list of code in memory for an identity, used last now."""
    known = _codes.setdefault(identity, [])
    _codes.move_to_end(identity)
    while len(_codes) > MOST_KEPT:
        _codes.popitem(last=False)
    return known


def adopt(identity: str, code: bytes, symbols: Sequence[Symbol], recipe: Recipe) -> Code:
    """Code from elsewhere, to serve programs of this identity from now on."""
    with LOCK:
        known = _known(identity)
        for other in known:
            if other.recipe == recipe:
                return other
        known.append(_loaded(identity, code, symbols, recipe))
        return known[-1]


def forget_code() -> None:
    """Forget the code in memory that no function uses."""
    with LOCK:
        _codes.clear()


def number_bits(numbers: Sequence[tuple[float, DType]]) -> list[int]:
    """Floating-point constants as integers whose first bytes are theirs."""
    entries = np.zeros(len(numbers), np.int64)
    for place, (value, dtype) in enumerate(numbers):
        entries[place : place + 1].view(dtype)[0] = value
    return entries.tolist()


def _compiled(wanted: _Wanted, identity: str) -> Code:
    sized = with_sizes(wanted.program, wanted.outlined, wanted.offsets)
    text = render_sized(sized, wanted.machine)
    if config.debugging("source"):
        print(text)
    recipe, code, symbols = sized.sizes.recipe(), object_code(text), symbols_of(text)
    store = object_store()
    if store is not None:
        header = json.dumps([symbols, recipe.plain()]).encode()
        _put(store, identity, header + b"\n" + code)
    return _loaded(identity, code, symbols, recipe)


def _loaded(identity: str, code: bytes, symbols: Sequence[Symbol], recipe: Recipe) -> Code:
    called = tuple([(symbol, library, name) for symbol, library, name in symbols])
    resolve(called)
    linked = Linked(code, (KERNEL,), [symbol for symbol, _, _ in called])
    return Code(linked, recipe, identity, called, code)


def _variant(identity: str, number: int) -> str:
    """The key of a piece of code on disk."""
    return f"{number} {identity}"


def _code_on_disk(identity: str, words: list[int]) -> Code | None:
    """Code for these words, among what is stored."""
    store = object_store()
    if store is None:
        return None
    for number in range(MOST_VARIANTS):
        stored = store.get(_variant(identity, number))
        if stored is None:
            return None
        header, _, code = stored.partition(b"\n")
        symbols, plain = json.loads(header)
        recipe = Recipe.from_plain(plain)
        if recipe.table(words) is not None:
            return _loaded(identity, code, symbols, recipe)
    return None


def _put(store: DiskStore, identity: str, content: bytes) -> None:
    """Store code behind what is there."""
    for number in range(MOST_VARIANTS):
        key = _variant(identity, number)
        if store.get(key) is None:
            store.put(key, content)
            return
