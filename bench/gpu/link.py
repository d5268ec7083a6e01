"""The parent's end of a worker: requests with a time limit, and a new process after a failure."""

import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from bench.gpu.worker import Answer, Worker

ROOT = Path(__file__).resolve().parents[2]


class Link(Protocol):
    """A worker somewhere. `send` starts a request and `receive` returns its answer."""

    name: str

    def send(self, request: Mapping[str, Any]) -> None: ...

    def receive(self, seconds: float) -> Answer: ...

    def close(self) -> None: ...


class LocalLink:
    """A worker in this process, without a time limit."""

    def __init__(self, name: str, device: str) -> None:
        self.name = name
        self._worker = Worker(name, device)
        self._answer: Answer = {}

    def send(self, request: Mapping[str, Any]) -> None:
        self._answer = self._worker.answer(request)

    def receive(self, seconds: float) -> Answer:
        return self._answer

    def close(self) -> None:
        return None


class ProcessLink:
    """A worker in a process of its own, started when needed and again after it has died."""

    def __init__(self, name: str, device: str, environment: Mapping[str, str], log: Path) -> None:
        self.name = name
        self._command = [sys.executable, "-m", "bench.gpu.worker", name, device]
        self._environment = {**os.environ, **environment}
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._text = b""

    def send(self, request: Mapping[str, Any]) -> None:
        """Pass a request on; a new process is started first where there is none."""
        if self._process is None and request["do"] != "start":
            self.send({"do": "start"})
            self.receive(120.0)
        if self._process is None:
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(
                    self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                    bufsize=0,
                    env=self._environment, cwd=ROOT,
                )  # fmt: skip
        assert self._process.stdin is not None, "the process was started with a pipe"
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return  # it has died, which `receive` finds out

    def receive(self, seconds: float) -> Answer:
        """The answer; an error where the process died or took too long, and it is then ended."""
        if self._process is None:
            return {"ok": False, "error": "its process has ended"}
        assert self._process.stdout is not None, "the process was started with a pipe"
        finish = time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._text:
                if not selector.select(max(0.0, finish - time.monotonic())):
                    return self._give_up(f"no answer within {seconds:.0f} s")
                part = os.read(self._process.stdout.fileno(), 65_536)
                if not part:
                    return self._give_up("its process died")
                self._text += part
        line, _, self._text = self._text.partition(b"\n")
        answer: Answer = json.loads(line)
        return answer

    def _give_up(self, reason: str) -> Answer:
        status = self._end()
        lines = self._log.read_text("utf-8", errors="replace").strip().splitlines()[-1:]
        return {"ok": False, "error": f"{reason} (status {status}): {' '.join(lines)}"[:500]}

    def _end(self) -> int:
        assert self._process is not None, "there is a process to end"
        self._process.kill()
        status = self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        self._process, self._text = None, b""
        return status

    def close(self) -> None:
        """End the process, if there is one."""
        if self._process is not None:
            self._end()
