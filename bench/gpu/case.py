"""What a row of the GPU table is: a workload, one of its programs, and sizes for a device."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from bench.context import SEED
from bench.subjects import Task
from bench.workload import Function, Inputs, Program, Size, Tolerance, Work, Workload


@dataclass(frozen=True)
class Case:
    """A row: `program` of `workload` at each of `sizes`.

    `work(size, itemsize)` counts the least operations and bytes; a row is `memory_bound` where the
    bytes take longer than the operations on any GPU of today, and its share of the copy bandwidth
    then says how good it is. `tolerance` is that of float32.
    """

    name: str
    title: str
    workload: Workload
    program_name: str
    sizes: Mapping[str, Size]
    work: Callable[[Size, int], Work]
    tolerance: Tolerance
    memory_bound: bool = True
    by_moments: bool = False
    """Whether peers draw other random numbers, of which only the moments can be compared."""
    plain: bool = False
    """Whether the function alone, called with NumPy's arrays, is the reference at every size."""
    torch_compiled: Callable[[ModuleType, Size], Function] | None = None
    """For `torch.compile` a version that compiles its own parts, where the whole is too long."""

    @property
    def program(self) -> Program:
        return self.workload.programs[self.program_name]

    def inputs(self, size: Size, dtype: str) -> Inputs:
        """The inputs as NumPy arrays, real ones of that dtype; the same in every process."""
        made = self.workload.make_inputs(size, np.random.default_rng(SEED))
        return tuple(as_dtype(value, dtype) for value in made)

    def task(self, size: Size, inputs: Inputs) -> Task:
        """What subjects run."""
        return Task(self.workload, size, self.program, self.program_name, inputs)


def as_dtype(value: Any, dtype: str) -> Any:
    """An array of that dtype where its numbers are real, and as it is where they are not."""
    array = np.asarray(value)
    return array.astype(dtype) if array.dtype.kind == "f" else array


def simple_workload(
    name: str,
    description: str,
    *,
    make_inputs: Callable[[Size, np.random.Generator], Inputs],
    build: Callable[[Size], Function],
    torch_build: Callable[[ModuleType, Size], Function],
    program: Program,
    tolerance: Tolerance,
    toy: Size,
    jax_build: Callable[[ModuleType, Size], Function] | None = None,
) -> Workload:
    """A workload with one program, whose sizes the row has."""
    return Workload(
        name=name,
        description=description,
        sizes={"toy": toy},
        smoke=toy,
        make_inputs=make_inputs,
        build=build,
        torch_build=torch_build,
        jax_build=jax_build,
        programs={"program": program},
        tolerance=tolerance,
    )
