"""Whole compiled graphs on disk: the same graph needs no lowering in the next process."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from codegen.cache import object_store
from codegen.graph_key import graph_key
from codegen.loops.nodes import Buffer, ErrorMessage, Program
from codegen.loops.sizes import Recipe
from codegen.render.llvm_call import LlvmProgram
from codegen.render.llvm_code import DISK, MEMORY, Found, adopt
from codegen.render.llvm_machine import host_machine, processor
from tracer import config
from tracer.graph.nodes import Graph
from tracer.types import ArrayType, dtype_called, dtype_text

LARGEST_CONSTANTS = 1 << 16
"""Bytes of constant arrays up to which a compiled graph is kept on disk."""


def key_of(graph: Graph, parallel: str) -> str | None:
    """The key that a graph is kept under; None where it is not: without a cache, while passes are
    checked or shown, and for graphs without a key.
    """
    if object_store() is None or config.get("check") or config.get("debug"):
        return None
    text = graph_key(graph)
    if text is None:
        return None
    head = f"{processor()} {host_machine()} {parallel}"
    return f"graph {head}\n{text}"


def find(graph: Graph, key: str) -> LlvmProgram | None:
    """The compiled graph, where it is known."""
    store = object_store()
    stored = None if store is None else store.get(key)
    if stored is None:
        return None
    header, _, rest = stored.partition(b"\n")
    known = json.loads(header)
    constants, offset = [], 0
    for dtype, shape in known["constants"]:
        count = int(np.prod(shape, dtype=np.int64))
        array = np.frombuffer(rest, dtype_called(dtype), count, offset).reshape(shape)
        constants.append(array.copy())
        offset += array.nbytes
    recipe = Recipe.from_plain(known["recipe"])
    code = adopt(known["identity"], rest[offset:], known["symbols"], recipe)
    program = Program(
        known["name"],
        _buffers("x", graph.input_types, "input"),
        _buffers("y", graph.output_types, "output"),
        tuple(
            Buffer(f"c{number}", array.dtype, array.shape, "constant", array)
            for number, array in enumerate(constants)
        ),
        (),
        (),
        tuple(ErrorMessage(*error) for error in known["errors"]),
    )
    table = np.array(known["table"], np.int64)
    return LlvmProgram(program, known=(Found(code, table, DISK, ""), known["workspace"]))


def _buffers(letter: str, types: tuple[ArrayType, ...], role: str) -> tuple[Buffer, ...]:
    return tuple(
        Buffer(f"{letter}{number}", type_.dtype, type_.shape, role)
        for number, type_ in enumerate(types)
    )


def keep(key: str, made: LlvmProgram) -> None:
    """Store a compiled graph; not where its code came from memory, since writing would take longer
    than all that was done for it.
    """
    store = object_store()
    arrays = made.constants[:-1]
    if store is None or made.origin == MEMORY:
        return
    if sum(array.nbytes for array in arrays) > LARGEST_CONSTANTS:
        return
    header: dict[str, Any] = {
        "name": made.program.name,
        "identity": made.code.identity,
        "symbols": made.code.symbols,
        "recipe": made.code.recipe.plain(),
        "table": made.constants[-1].tolist(),
        "workspace": made.workspace_bytes,
        "errors": [[error.kind, error.text, error.source] for error in made.program.errors],
        "constants": [[dtype_text(array.dtype), array.shape] for array in arrays],
    }
    parts = [json.dumps(header).encode(), b"\n", *(array.tobytes() for array in arrays)]
    store.put(key, b"".join([*parts, made.code.machine_code]))
