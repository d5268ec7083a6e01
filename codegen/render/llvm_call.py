"""Programs compiled through LLVM, and called through a native entry."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import llvmlite.binding as llvm
import numpy as np

from codegen.cache import object_store
from codegen.dispatch import ArrayLeaf, CallSpec, ListNode, default_error, make_entry
from codegen.dispatch.abi import KernelCode, Status
from codegen.loops.interpret import make_error
from codegen.loops.nodes import Program
from codegen.loops.text import print_program
from codegen.passes.workspace import plan_workspace
from codegen.render.llvm import KERNEL, constant_arrays, render_module
from codegen.render.llvm_machine import host_machine, object_code, processor, target_machine
from codegen.render.llvm_statements import OUT_OF_MEMORY
from codegen.render.llvm_symbols import Symbol, resolve, symbols_of
from tracer import config

Array = np.ndarray[Any, np.dtype[Any]]


def code_of(program: Program) -> tuple[bytes, tuple[Symbol, ...]]:
    """A program's machine code and the functions from outside that it calls, from the disk where
    it is known there.
    """
    store = object_store()
    key = f"{processor()}\n{print_program(program)}"
    stored = None if store is None else store.get(key)
    if config.debugging("cache"):
        print(f"{program.name}: {'made anew' if stored is None else 'found on disk'}")
    if config.debugging("source"):
        print(render_module(program, host_machine()).text)
    if stored is not None:
        names, _, code = stored.partition(b"\n")
        return code, tuple((s, lib, name) for s, lib, name in json.loads(names))
    text = render_module(program, host_machine()).text
    code, symbols = object_code(text), symbols_of(text)
    if store is not None:
        store.put(key, json.dumps(symbols).encode() + b"\n" + code)
    return code, symbols


class LoadedCode:
    """Object code in memory; `address` is its kernel's, valid as long as this lives."""

    def __init__(self, code: bytes, symbols: tuple[Symbol, ...]) -> None:
        resolve(symbols)
        self.engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), target_machine())
        self.engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        self.engine.finalize_object()
        self.address: int = self.engine.get_function_address(KERNEL)


class LlvmProgram:
    """A compiled program: call it with the list of its inputs, get the list of its outputs.

    Inputs must have exactly the program's dtypes and shapes (TypeError otherwise); those that are
    not contiguous are copied. A failed check raises the program's error. `seconds` is the compile
    time, `workspace_bytes` the peak workspace of one call, tapes aside. Calls from several threads
    at once each have workspace of their own.
    """

    def __init__(self, program: Program) -> None:
        start = time.perf_counter()
        self.program = program
        self.code = LoadedCode(*code_of(program))
        self.constants = constant_arrays(program)
        self.workspace_bytes = plan_workspace(program).peak
        leaves = tuple(
            ArrayLeaf(buffer.dtype, buffer.shape, writeable=False) for buffer in program.inputs
        )
        results = tuple(ArrayLeaf(buffer.dtype, buffer.shape) for buffer in program.outputs)
        self.entry = self.make_entry(leaves, ListNode(results), self._other_arrays)
        self.seconds = time.perf_counter() - start

    def make_entry(
        self,
        arguments: tuple[Any, ...],
        result: Any,
        slow_path: Callable[..., Any],
        keywords: tuple[str, ...] = (),
    ) -> Callable[..., Any]:
        """A native entry for arguments whose leaves are the program's inputs, in order."""
        spec = CallSpec(
            arguments,
            result,
            workspace=self.workspace_bytes,
            constants=tuple(array.ctypes.data for array in self.constants),
            keywords=keywords,
        )
        keep = (self.code, self.constants)
        return make_entry(spec, self.code.address, slow_path, keep_alive=keep, on_error=self.error)

    def __call__(self, inputs: Sequence[Array]) -> list[Array]:
        """The outputs for these inputs."""
        outputs: list[Array] = self.entry(*inputs)
        return outputs

    def error(self, code: int, status: Status) -> BaseException:
        """The exception for a code that the kernel returned."""
        if code == OUT_OF_MEMORY:
            return default_error(KernelCode.OUT_OF_MEMORY, (0, status[0], 0, 0))
        return make_error(self.program.errors[code - 1], list(status))

    def _other_arrays(self, *inputs: Array) -> list[Array]:
        """Inputs that the entry does not take as they are: not contiguous, or wrong."""
        expected = self.program.inputs
        fits = len(inputs) == len(expected) and all(
            array.dtype == buffer.dtype and array.shape == buffer.shape
            for array, buffer in zip(inputs, expected, strict=True)
        )
        if not fits:
            wanted = ", ".join(f"{b.dtype}{list(b.shape)}" for b in expected)
            got = ", ".join(f"{x.dtype}{list(x.shape)}" for x in inputs)
            raise TypeError(f"{self.program.name} takes ({wanted}), not ({got})")
        plain = [np.array(array, order="C", copy=True, subok=False) for array in inputs]
        outputs: list[Array] = self.entry(*plain)
        return outputs


def compile_llvm(program: Program) -> LlvmProgram:
    """The program as a callable; nothing is compiled at its first call.

    Raises UnsupportedProgramError for what the renderer lacks.
    """
    return LlvmProgram(program)
