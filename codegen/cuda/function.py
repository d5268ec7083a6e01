"""A graph compiled for each GPU on which its arguments lie, when they first do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from codegen.cuda import driver as drivers
from codegen.cuda.arrays import devices_of
from codegen.cuda.driver import Driver
from codegen.cuda.program import CudaProgram, compile_cuda, find_cuda
from tracer.errors import DeviceMismatchError
from tracer.graph.nodes import Graph


class CudaFunction:
    """A graph's program for each GPU, of which `first` is the one that there is already.

    Call it with the list of its inputs, on one GPU or the host, to get the list of its outputs.
    Host arrays alone go to the current GPU. Raises DeviceMismatchError for arrays of several.
    """

    def __init__(self, graph: Graph, first: CudaProgram) -> None:
        self.graph, self.first = graph, first
        self.origin, self.schedule = first.origin, first.schedule
        self.workspace_bytes = first.workspace_bytes
        self.programs: dict[Driver, CudaProgram] = {first.driver: first}
        self.entered: set[Driver] = set()

    def __call__(self, inputs: Sequence[Any]) -> list[Any]:
        """The outputs for these inputs."""
        return self.program_for(inputs)(inputs)

    def program_for(self, inputs: Iterable[Any]) -> CudaProgram:
        """The program on the GPU of these arrays."""
        driver = driver_of(inputs)
        found = self.programs.get(driver)
        if found is None:
            found = self.programs.setdefault(driver, self._made(driver))
        return found

    def enter(self, inputs: Iterable[Any]) -> CudaProgram:
        """The same, for an entry that takes inputs from that GPU from now on."""
        program = self.program_for(inputs)
        self.entered.add(program.driver)
        return program

    def is_elsewhere(self, inputs: Iterable[Any]) -> bool:
        """Whether no entry takes inputs from their GPU yet."""
        return driver_of(inputs) not in self.entered

    def _made(self, driver: Driver) -> CudaProgram:
        """The program for one more GPU; one of the same kind takes the same kernels."""
        if driver.machine == self.first.driver.machine:
            return CudaProgram(self.schedule, driver)
        key, found = find_cuda(self.graph, driver)
        if found is not None:
            return found
        from codegen.device.user_lines import lines_of_names
        from codegen.lower.graph import lower_with_places
        from codegen.passes.pipeline import optimize

        lowered, places = lower_with_places(self.graph, "device")
        program = optimize(lowered, "device")
        return compile_cuda(program, lines_of_names(self.graph, places), key, driver)


def driver_of(values: Iterable[Any]) -> Driver:
    """The driver of the GPU on which these arrays lie: the current one where all are the host's.

    Raises DeviceMismatchError where they lie on several.
    """
    devices = devices_of(values)
    if len(devices) > 1:
        raise DeviceMismatchError(
            f"arguments lie on GPUs {' and '.join(map(str, devices))}: move them to one with "
            "tracer.device_put"
        )
    return drivers.choose_driver(*devices)
