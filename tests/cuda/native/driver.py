"""The simulator's driver, but that kernels are machine code made of their NVVM IR."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from codegen.cuda import driver as drivers
from codegen.cuda.driver import Span
from codegen.cuda.races import Memory
from codegen.cuda.simulator_driver import SimulatorDriver, _array, _check_aliases
from codegen.device.machine import DeviceMachine
from codegen.device.schedule import Kernel
from tests.cuda.native.compilers import Compiler, product
from tests.cuda.native.machine import NativeKernel

MACHINE = DeviceMachine()


class Loaded:
    """A kernel, and what became of it."""

    def __init__(self, kernel: Kernel, compiler: Compiler) -> None:
        self.kernel = kernel
        self.native = NativeKernel(compiler(kernel), kernel.name)


class NativeDriver(SimulatorDriver):
    """`codegen.cuda.driver.Driver` on the host, for the machine that a GPU is taken to be.

    Blocks, and the threads of each, run one after another; with `backward`, every second launch
    begins with the last. Races show where that changes results.
    """

    def __init__(
        self,
        machine: DeviceMachine = MACHINE,
        compiler: Compiler = product,
        backward: bool = True,
    ) -> None:
        super().__init__()
        self.machine = machine
        self.compiler = compiler
        self.backward = backward
        self.launches = 0
        self.widest = 0
        self.loaded: list[Loaded] = []

    def load(self, kernel: Kernel) -> Any:
        """The kernel, compiled."""
        made = Loaded(kernel, self.compiler)
        self.loaded.append(made)
        return made

    def _run(self, loaded: Any, blocks: int, threads: int, arguments: Sequence[Any]) -> None:
        self.launches += 1
        self.widest = max(self.widest, blocks)
        given: list[bytes] = []
        memory: list[tuple[int, int, bool]] = []
        memories: list[Memory] = []
        status: Any = None
        for argument, value in zip(loaded.kernel.arguments, arguments, strict=True):
            if not isinstance(value, Span):
                given.append(np.asarray(value, argument.dtype).tobytes())
                continue
            array = _array(value)
            start = int(array.ctypes.data)
            given.append(np.uint64(start).tobytes())
            memory.append((start, start + array.nbytes, argument.written))
            memories.append(Memory(argument.name, array, None, None, not argument.written))
            status = array if argument.name == "status" else status
        _check_aliases(loaded.kernel, memories)
        backward = self.backward and self.launches % 2 == 0
        loaded.native.run(blocks, threads, given, memory, backward)
        for part in memories:
            if not part.is_input:
                self._known.learn(part.memory)
        self._stopped = status is not None and bool(status[0])


@contextmanager
def chosen(driver: NativeDriver) -> Iterator[NativeDriver]:
    """Let functions that are compiled for "cuda" meanwhile run on that driver."""
    before = drivers.choose_driver
    drivers.choose_driver = lambda device=None: driver
    try:
        yield driver
    finally:
        drivers.choose_driver = before


def small_machine(**changes: Any) -> DeviceMachine:
    """The machine with some things changed."""
    return replace(MACHINE, **changes)
