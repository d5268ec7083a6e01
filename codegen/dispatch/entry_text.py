"""LLVM IR of one entry, and the data words that go with it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from codegen.dispatch.abi import (
    STATUS_WORDS,
    ErrorHandler,
    KernelCode,
    Status,
    default_error,
    raising,
    workspace_error,
)
from codegen.dispatch.guards import MISMATCH, Guards
from codegen.dispatch.layout import Layout
from codegen.dispatch.memory import CHECKED, memory_error, use_memory_check
from codegen.dispatch.results import Results
from codegen.dispatch.runtime_text import ENTRY_TABLE
from codegen.dispatch.spec import CallSpec
from codegen.dispatch.symbols import (
    ARRAY_NEW_DECLARATION,
    OPTIONAL_DECLARATIONS,
    PYTHON_FUNCTIONS,
    declarations,
)
from codegen.dispatch.table import Table
from codegen.dispatch.writer import Writer

_RUNTIME_DECLARATIONS = """
declare ptr @tracer_slow(ptr, ptr, i64, ptr)
declare i1 @tracer_same_dtype(ptr, ptr)
declare i1 @tracer_dict_values(ptr, ptr, ptr, i64)
declare ptr @tracer_raise_error(ptr, i32, ptr)
declare ptr @tracer_workspace_take(i64)
declare void @tracer_workspace_give(ptr)
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
@byte_zero = internal constant i8 0
@byte_one = internal constant i8 1
"""


def _no_workspace(code: int, status: Status) -> BaseException:
    return workspace_error(status[1])


def _no_memory(code: int, status: Status) -> BaseException:
    found = memory_error(status[1], "a compiled function")
    return found or default_error(code, status)


@dataclass(frozen=True, slots=True)
class EntryText:
    """An LLVM module with the function `entry`, and the words that its table must hold."""

    source: str
    table: Table


class _Call:
    """The middle of an entry: the kernel's call with its workspace, between guards and result."""

    def __init__(self, body: Writer, table: Table, results: Results) -> None:
        self.body = body
        self.table = table
        self.results = results

    def write(self, spec: CallSpec, kernel: int, handler: int, release_gil: bool) -> None:
        body = self.body
        for index in range(STATUS_WORDS):
            body.store("i64", "0", "%status", 8 * index)
        workspace = self._take(spec.workspace) if spec.workspace else "null"
        code = body.load("ptr", "%table", kernel)
        state = body.value("call ptr @tracer_PyEval_SaveThread()") if release_gil else ""
        arguments = f"ptr %inputs, ptr %outputs, ptr {workspace}, ptr %status"
        answer = body.value(f"call i32 {code}({arguments})")
        if release_gil:
            body.emit(f"call void @tracer_PyEval_RestoreThread(ptr {state})")
        if spec.workspace:
            body.emit(f"call void @tracer_workspace_give(ptr {workspace})")
        broken, fine = body.label("broken"), body.label("fine")
        body.branch(body.value(f"icmp eq i32 {answer}, 0"), fine, broken)
        body.begin(broken)
        self._raise(handler, answer)
        body.begin(fine)

    def _raise(self, handler: int, code: str) -> None:
        known = self.body.load("ptr", "%table", handler)
        call = f"call ptr @tracer_raise_error(ptr {known}, i32 {code}, ptr %status)"
        self.body.emit(call)
        self.body.jump(self.results.failure())

    def _take(self, size: int) -> str:
        body = self.body
        wanted = body.load("i64", "%table", self.table.word(size))
        workspace = body.value(f"call ptr @tracer_workspace_take(i64 {wanted})")
        none, given = body.label("none"), body.label("given")
        body.branch(body.value(f"icmp eq ptr {workspace}, null"), none, given)
        body.begin(none)
        body.store("i64", wanted, "%status", 8)
        handler = self.table.reference(raising(_no_workspace))
        self._raise(handler, str(int(KernelCode.OUT_OF_MEMORY)))
        body.begin(given)
        return workspace


def entry_text(
    spec: CallSpec, kernel: int, on_error: ErrorHandler, release_gil: bool, layout: Layout
) -> EntryText:
    """The code for one signature. It depends on the structure of `spec`, not on its sizes."""
    body, table = Writer(layout), Table()
    array_type = table.reference(np.ndarray)
    kernel_word = table.word(kernel)
    handler = table.reference(raising(on_error))
    guards, results = Guards(body, table, array_type), Results(body, table, array_type)
    guards.write(spec)
    for pointer in guards.held:
        body.hold(pointer)
    needed = spec.bytes_needed
    if needed >= CHECKED:
        use_memory_check()
        wanted = body.load("i64", "%table", table.word(needed))
        fits = body.value(f"call i32 @tracer_memory_fits(i64 {wanted})")
        body.require_equal("i32", fits, "1", "no_memory")
    results.write(spec.result)
    _Call(body, table, results).write(spec, kernel_word, handler, release_gil)
    result = results.finish()
    for pointer in guards.held:
        body.release(pointer)
    body.emit(f"ret ptr {result}")
    results.write_failures()
    if needed >= CHECKED:
        body.begin("no_memory")
        body.store("i64", wanted, "%status", 8)
        known = body.load("ptr", "%table", table.reference(raising(_no_memory)))
        code = int(KernelCode.OUT_OF_MEMORY)
        body.emit(f"call ptr @tracer_raise_error(ptr {known}, i32 {code}, ptr %status)")
        body.jump("failed")
    body.begin("failed")
    for pointer in guards.held:
        body.release(pointer)
    body.emit("ret ptr null")
    body.begin(MISMATCH)
    passed = "ptr %self, ptr %arguments, i64 %count, ptr %names"
    body.emit(f"ret ptr {body.value(f'tail call ptr @tracer_slow({passed})')}")
    reserved = [
        f"%status = alloca [{STATUS_WORDS} x i64]",
        "%overflow = alloca i32",
        *guards.reserved,
        *results.reserved,
    ]
    head = Writer(layout)
    for line in reserved:
        head.emit(line)
    head.emit(f"%place = getelementptr i8, ptr %self, i64 {ENTRY_TABLE}")
    head.emit("%table = load ptr, ptr %place")
    declared = declarations(list(PYTHON_FUNCTIONS))
    function = f"define ptr @entry({passed}) {{\nstart:\n{head.text()}\n{body.text()}\n}}\n"
    used = [line for line in OPTIONAL_DECLARATIONS if line.split()[2].split("(")[0] in function]
    source = "\n".join((declared, ARRAY_NEW_DECLARATION, *used, _RUNTIME_DECLARATIONS, function))
    return EntryText(source, table)
