"""`NUMBA_ENABLE_CUDASIM=1 python -m tests.numpy.cuda_calls`: the calls of the tables as kernels.

It takes minutes: Python runs the threads of each kernel. What it has found, call by
call, is kept in cuda_calls.json, from which `python -m tests.numpy.table` fills a column.
"""

from __future__ import annotations

import functools
import json
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import tracer
from codegen.cuda.target import simulated
from tests.numpy.compare import all_same, results
from tests.numpy.differential import Call, case_of, inputs_once, names_of
from tests.numpy.test_compiled import UNSUPPORTED, program
from tests.numpy.test_differential import ABSTRACT, CALLS, works

FILE = Path(__file__).with_suffix(".json")
OF_INTEGERS = [
    call for call in CALLS if not call.eager and not works(call, "f8") and works(call, "i8")
]
"""Calls on integers, which have no meaning for other numbers."""


@functools.cache
def calls_on_the_device() -> dict[str, list[Call]]:
    """The calls that become kernels, by function: those of arrays whose results have shapes that
    do not depend on values."""
    found: dict[str, list[Call]] = {}
    for call in (*ABSTRACT, *OF_INTEGERS):
        if names_of(call.expression) and not UNSUPPORTED.search(call.expression):
            found.setdefault(call.name, []).append(call)
    return found


def check(calls: Sequence[Call]) -> None:
    """Raise unless kernels give what NumPy gives; all calls share one program."""
    dtype = "i8" if calls[0] in OF_INTEGERS else "f8"
    values = inputs_once("plain", dtype)
    found = tracer.jit(program(list(calls)), backend="cuda")(dict(values))
    for call, value in zip(calls, found, strict=True):
        all_same(results(value), case_of(call, values, dtype).plain())


def outcome(calls: Sequence[Call]) -> str:
    """Nothing, or what was wrong."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            check(calls)
        except Exception as error:
            return f"{type(error).__name__}: {error}".splitlines()[0][:200]
    return ""


def outcomes(calls: Sequence[Call]) -> dict[str, str]:
    """What was wrong with each call; one by one where they do not work together."""
    found: dict[str, str] = {}
    for chosen in (True, False):
        part = [call for call in calls if (call in OF_INTEGERS) is chosen]
        whole = outcome(part) if part else ""
        found.update({call.expression: whole and outcome([call]) for call in part})
    return found


@functools.cache
def known() -> dict[str, str]:
    """What the last run has found of each expression."""
    found: dict[str, str] = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
    return found


def main() -> None:
    """Run the functions that are named, or else all, and keep what comes of it."""
    if not simulated():
        raise SystemExit("set NUMBA_ENABLE_CUDASIM=1, since there may be no GPU")
    wanted = calls_on_the_device()
    every = {call.expression for calls in wanted.values() for call in calls}
    found = {text: result for text, result in known().items() if text in every}
    for name in sys.argv[1:] or wanted:
        found.update(outcomes(wanted[name]))
        wrong = {call.expression: found[call.expression] for call in wanted[name]}
        print(name, *[f"\n    {text}: {result}" for text, result in wrong.items() if result])
        text = json.dumps(found, indent=0, sort_keys=True, ensure_ascii=False)
        FILE.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
