"""`python -m bench.gpu.worker SUBJECT DEVICE`: one subject in a process of its own.

It reads requests, a JSON object a line, from standard input and answers each by one on standard
output: `{"ok": true, …}`, or `{"ok": false, "error": …}`. What libraries print goes to standard
error. The subject `reference` computes results in float64 on the CPU, for the others to compare.
"""

import gc
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bench.errors import describe_error
from bench.gpu.case import Case
from bench.gpu.check import check, load, reference_outputs, save
from bench.gpu.subjects import DeviceSubject, Running, open_subject
from bench.gpu.workloads import load_cases
from bench.workload import Inputs, Size

REFERENCE = "reference"
HOST_CALLS = 20
"""Calls whose time until they return is taken, after the device has become idle: so few that the
queue of launches does not fill."""
Answer = dict[str, Any]


class Worker:
    """Answers requests; `load` begins a row and `finish` ends it."""

    def __init__(self, name: str, device: str) -> None:
        self.name, self.device = name, device
        self.subject: DeviceSubject | None = None
        self.row: tuple[Case, Size, str] | None = None
        self.inputs: Inputs = ()
        self.running: Running | None = None

    def answer(self, request: Mapping[str, Any]) -> Answer:
        """What was asked for, or the error that it ended with."""
        actions: Mapping[str, Callable[[Mapping[str, Any]], Answer]] = {
            "start": self.start,
            "load": self.load,
            "prepare": self.prepare,
            "check": self.check,
            "sample": self.sample,
            "finish": self.finish,
        }
        try:
            return {"ok": True, **actions[request["do"]](request)}
        except Exception as error:
            return {"ok": False, "error": describe_error(error)}

    def start(self, request: Mapping[str, Any]) -> Answer:
        """Import the library and find the device."""
        if self.name == REFERENCE:
            return {"about": {}}
        self.subject = open_subject(self.name, self.device)
        return {"about": self.subject.about()}

    def load(self, request: Mapping[str, Any]) -> Answer:
        """Make the inputs and put them on the device; the reference is computed at once."""
        (case,) = load_cases((request["case"],))
        size, dtype = case.sizes[request["size"]], request["dtype"]
        self.row = (case, size, dtype)
        inputs = case.inputs(size, dtype)
        if self.name == REFERENCE:
            save(reference_outputs(case, size, inputs), Path(request["folder"]))
        else:
            self.inputs = self._subject().put(inputs)
        return {}

    def prepare(self, request: Mapping[str, Any]) -> Answer:
        """Compile and call once; the seconds of the stages."""
        case, size, _ = self._row()
        self.running = self._subject().prepare(case, size, self.inputs)
        started = time.perf_counter()
        self._subject().wait(self.running.call())
        first = time.perf_counter() - started
        return {"stages": {**self.running.stages, "first call": first}}

    def check(self, request: Mapping[str, Any]) -> Answer:
        """Compare the results of two calls with the reference's."""
        case, _, dtype = self._row()
        reference = load(Path(request["folder"]))
        largest = 0.0
        for _ in range(2):
            results = self._subject().to_numpy(self._running().call())
            own = self.name == "tracer"
            largest = max(largest, check(case, results, reference, dtype, own=own))
        return {"difference": largest}

    def sample(self, request: Mapping[str, Any]) -> Answer:
        """Seconds a call: of a batch by the device's clock, until return, and until the results."""
        subject, call, calls = self._subject(), self._running().call, int(request["calls"])
        subject.wait(call())
        started = time.perf_counter()
        subject.wait(call())
        latency = time.perf_counter() - started
        few = min(calls, HOST_CALLS)
        started = time.perf_counter()
        results = None
        for _ in range(few):
            results = call()
        host = (time.perf_counter() - started) / few
        subject.wait(results)
        del results
        return {"device": subject.batch_seconds(call, calls), "host": host, "latency": latency}

    def finish(self, request: Mapping[str, Any]) -> Answer:
        """What is known of the row beside its times; then everything of it is given up."""
        try:
            figures = dict(self.running.figures()) if self.running is not None else {}
        finally:
            self.running, self.row, self.inputs = None, None, ()
            gc.collect()
            if self.subject is not None:
                self.subject.release()
        return {"figures": figures}

    def _subject(self) -> DeviceSubject:
        assert self.subject is not None, "a worker is started before it is asked"
        return self.subject

    def _row(self) -> tuple[Case, Size, str]:
        assert self.row is not None, "a row is loaded before it is asked about"
        return self.row

    def _running(self) -> Running:
        assert self.running is not None, "a row is prepared before it is called"
        return self.running


def main() -> int:
    """Answer until the input ends."""
    name, device = sys.argv[1:]
    # Only answers go to the parent: whatever else is printed, by compilers too, is a message.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    worker = Worker(name, device)
    for line in sys.stdin:
        print(json.dumps(worker.answer(json.loads(line))), file=answers, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
