"""What comes before and around the work of a call: the call itself, and starting from the disk.

`dispatch` is a call at the workload's smallest size, where hardly anything is computed. A warm
start is that of a process which finds the machine code that another one has left on the disk.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from bench.context import SEED, Context
from bench.errors import BenchError, describe_error
from bench.results import Failure
from bench.subjects import Subject, Task
from bench.timing import Effort, interleave
from bench.workload import Size, Workload

DISPATCH = Effort(seconds=0.2, least_rounds=5)
Startup = dict[tuple[str, str, str], dict[str, float]]
"""By program, size and subject: figures by name."""


def measure_dispatch(context: Context, workload: Workload, program: str) -> dict[str, float]:
    """Seconds of a call at the smallest size, for each subject that has the program.

    A subject that fails here is left out; its failure shows at the sizes that are asked for.
    """
    size = workload.smoke if workload.tiny is None else workload.tiny
    inputs = workload.make_inputs(size, np.random.default_rng(SEED))
    task = Task(workload, size, workload.programs[program], program, inputs)
    calls = {}
    for subject in context.subjects:
        context.display.progress(f"{workload.name}: dispatch of {subject.name}", 0, 1, brief=True)
        try:
            if subject.has(task):
                prepared = subject.prepare(task)
                prepared.first_call()
                prepared.call()
                calls[subject.name] = prepared.call
        except Exception as error:
            what = f"{workload.name} ({program}), smallest size, {subject.name}"
            context.display.line(f"{what}: {describe_error(error)}")
    return {name: timed.minimum for name, timed in interleave(calls, DISPATCH).items()}


def measure_warm(
    context: Context, workload: Workload, sizes: Sequence[tuple[str, Size]]
) -> Startup:
    """Warm starts of every program and size, of subjects that keep machine code on the disk."""
    found: Startup = {}
    for subject in context.subjects:
        if not subject.keeps_code:
            continue
        context.display.progress(f"{workload.name}: warm start of {subject.name}", 0, 1, brief=True)
        try:
            found.update(_warm_of_subject(context, workload, sizes, subject))
        except (BenchError, OSError, ValueError) as error:
            message = describe_error(error)
            context.fail(Failure(workload.name, "–", "warm start", subject.name, message), error)
    return found


def _warm_of_subject(
    context: Context, workload: Workload, sizes: Sequence[tuple[str, Size]], subject: Subject
) -> Startup:
    tasks = [(program, name, size) for program in workload.programs for name, size in sizes]
    asked = {
        "subject": subject.name,
        "workload": workload.name,
        "threads": context.report.machine.get("threads", 1),
        "tasks": [(program, dict(size)) for program, _, size in tasks],
    }
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        environment = {
            **os.environ,
            "TRACER_CACHE_DIR": folder,
            "JAX_COMPILATION_CACHE_DIR": folder,
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "0",
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        _child(asked, environment)
        stages = _child(asked, environment)
    return {
        (program, name, subject.name): {
            "warm compile": item.get("compile", 0.0),
            "warm start": item["start"],
        }
        for (program, name, _), item in zip(tasks, stages, strict=True)
    }


def _child(asked: Mapping[str, object], environment: Mapping[str, str]) -> list[dict[str, float]]:
    done = subprocess.run(
        [sys.executable, "-m", "bench.warm"],
        input=json.dumps(asked),
        capture_output=True,
        encoding="utf-8",
        env=dict(environment),
        cwd=Path(tempfile.gettempdir()),
        check=False,
    )
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise BenchError(f"a process of its own ended with status {done.returncode}: {last[0]}")
    stages: list[dict[str, float]] = json.loads(done.stdout.strip().splitlines()[-1])
    return stages
