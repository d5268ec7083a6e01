"""`python -m bench.warm`: one subject's way to its first results in a process of its own.

A JSON object `{"subject", "workload", "tasks": [[program, size], …]}` comes by standard input, and
the seconds of each task's stages go out as a JSON list. Before the first task something trivial has
been compiled, so that what is measured is neither the import of the library nor that of its
compiler. What a second such process does not have to do is what the disk cache is worth.
"""

import json
import sys
from typing import Any

from bench.environment import hold_threads


def main() -> int:
    """Read the tasks, measure them, write the stages."""
    asked = json.load(sys.stdin)
    hold_threads(int(asked["threads"]), keep_cache=True)
    json.dump(run(asked), sys.stdout)
    return 0


def run(asked: dict[str, Any]) -> list[dict[str, float]]:
    """The seconds of the stages of each task, with `first call` and their sum, `start`."""
    import numpy as np

    from bench.context import SEED
    from bench.subjects import Stopwatch, Task, find_subject
    from bench.workloads import load_workload

    subject = find_subject(asked["subject"])
    first = load_workload("rosenbrock")
    tasks = [(first, "gradient", first.smoke)]
    workload = load_workload(asked["workload"])
    tasks += [(workload, program, size) for program, size in asked["tasks"]]
    found = []
    for item, program, size in tasks:
        inputs = item.make_inputs(size, np.random.default_rng(SEED))
        stopwatch = Stopwatch()
        task = Task(item, size, item.programs[program], program, inputs)
        prepared = subject.prepare(task)
        stopwatch.time("first call", prepared.first_call)
        stages = {**prepared.stages, **stopwatch.stages}
        found.append({**stages, "start": sum(stages.values())})
    return found[1:]


if __name__ == "__main__":
    sys.exit(main())
