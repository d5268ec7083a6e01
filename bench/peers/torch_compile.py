"""PyTorch under `torch.compile`, which needs a C++ compiler; run only where it is asked for."""

import functools

import torch

from bench.peers.torch import DIFFERENTIATION, to_numpy, to_tensors
from bench.subjects import Prepared, Stopwatch, Subject, Task


class TorchCompile(Subject):
    name = "torch-compile"
    kind = "peer"

    def has(self, task: Task) -> bool:
        return task.torch_build is not None

    def prepare(self, task: Task) -> Prepared:
        assert task.torch_build is not None, "asked for a version that there is not"
        function = torch.compile(task.torch_build(torch, task.size), dynamic=False)
        program = task.program.make(DIFFERENTIATION, function)
        inputs = to_tensors(task.inputs)
        stopwatch = Stopwatch()
        stopwatch.time("compile", program, *inputs)
        call = functools.partial(program, *inputs)
        return Prepared(call, call, stopwatch.stages, to_numpy)


PEER = TorchCompile()
