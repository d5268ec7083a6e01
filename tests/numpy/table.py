"""`python -m tests.numpy.table` writes docs/numpy.md: what was checked of each function.

`python -m tests.numpy.table cuda` writes the last column alone, of what cuda_calls.py has
found: the other columns take minutes, and a process of their own, without the simulator.
"""

from __future__ import annotations

import hashlib
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

import tracer
import tracer.numpy as tnp
from tests.numpy import cuda_calls, exclusions
from tests.numpy.compare import all_same, check_batched, check_derivatives, check_graph, results
from tests.numpy.deviations import deviation
from tests.numpy.differential import (
    DTYPES,
    Call,
    calls_of,
    case_of,
    inputs_once,
    names_of,
    variants,
)
from tests.numpy.signatures import TABLE
from tests.numpy.test_compiled import UNSUPPORTED, program
from tests.numpy.test_differential import ABSTRACT, SMOOTH, compare, has_derivatives

PAGE = Path(__file__).parents[2] / "docs" / "numpy.md"
YES, NO, NONE = "✓", "✗", "–"

HEAD = """# NumPy on traced arrays

Each function below is called as the tables in `tests/numpy/signatures_*.py` say, and compared with
plain NumPy. `python -m tests.numpy.table` runs all calls and writes this page.

- **calls**: how many different calls, each on eight layouts (strided, reversed, Fortran order, 0-d,
  empty, of one element, …), with NaN, infinities and signed zeros.
- **value**: value, shape and class of the error are NumPy's.
- **dtype**: so they are in every dtype from bool to complex128; a function that has no loop for a
  dtype refuses it as NumPy does.
- **jit**: compiled code has NumPy's values.
- **grad**: gradients and forward mode agree with numerical derivatives, for real and complex
  arguments. – stands where there is nothing to differentiate.
- **vmap**: each lane of a batch is what NumPy gives for it.
- **cuda**: kernels, run by the simulator of a GPU, have NumPy's values
  (`NUMBA_ENABLE_CUDASIM=1 python -m tests.numpy.cuda_calls`). – stands where a result's shape
  depends on values, or nothing is computed from arrays.

Through `np.` work those that NumPy dispatches. Functions that make arrays of numbers alone
(`np.zeros`, `np.arange`, …), which NumPy cannot dispatch, are read from the source of the function
that is traced; elsewhere, write `tracer.numpy.`.
"""


def fingerprint() -> str:
    """What the page depends on: all calls, and all exclusions."""
    text = repr(sorted(TABLE.items())) + repr(sorted(exclusions.FUNCTIONS.items()))
    text += repr(sorted(exclusions.ATTRIBUTES.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _passes(check: Callable[..., object], *args: object) -> bool:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            check(*args)
        except Exception:
            return False
    return True


def _all(checks: Sequence[bool]) -> str:
    return (YES if all(checks) else NO) if checks else NONE


def _compiled(calls: Sequence[Call]) -> list[bool]:
    """Whether compiled code has NumPy's values for the calls, which share one program."""
    if not calls:
        return []
    values = inputs_once("plain", "f8")
    cases = [case_of(call, values, "f8") for call in calls]

    def check() -> None:
        found = tracer.jit(program(list(calls)))(dict(values))
        for case, value in zip(cases, found, strict=True):
            all_same(results(value), case.plain())

    return [_passes(check)]


def on_device(name: str) -> str:
    """Whether kernels have NumPy's values, as the simulator has found."""
    found = cuda_calls.known()
    calls = cuda_calls.calls_on_the_device().get(name, [])
    return _all([found.get(call.expression) == "" for call in calls])


def with_device_column(text: str) -> str:
    """The page with the last cell of every row written anew."""
    lines = text.splitlines()
    for place, line in enumerate(lines):
        if line.startswith("| `") and line.count("|") == 9:
            name = line.split("`")[1].removeprefix("np.")
            lines[place] = f"{line[: line.rindex('|', 0, -1)]}| {on_device(name)} |"
    return "\n".join([*lines, ""])


def row(name: str) -> str:
    """The row of one function."""
    calls = calls_of({name: TABLE[name]})
    values: list[bool] = []
    dtypes: list[bool] = []
    for call in calls:
        for number, case in enumerate(variants(call)):
            if deviation(case.name) is None:
                namespace = np if number % 2 == 0 and not call.ours else tnp
                into = dtypes if case.name.rpartition(" ")[2] in DTYPES else values
                into.append(_passes(compare, case, namespace))
    abstract = [call for call in calls if call in ABSTRACT]
    plain = [case_of(call, inputs_once("plain", "f8"), "f8") for call in abstract]
    compiled = _compiled(
        [
            call
            for call in abstract
            if names_of(call.expression) and not UNSUPPORTED.search(call.expression)
        ]
    )
    graphs = [_passes(check_graph, case) for case in plain]
    lanes = [
        _passes(check_batched, case)
        for call, case in zip(abstract, plain, strict=True)
        if names_of(call.expression)
    ]
    slopes = [
        _passes(check_derivatives, case_of(call, inputs_once("plain", dtype), dtype))
        for call in calls
        if call in SMOOTH
        for dtype in ("f8", "c16")
        if has_derivatives(call, dtype)
    ]
    cells = (
        *(_all(values), _all(dtypes), _all(compiled + graphs), _all(slopes), _all(lanes)),
        on_device(name),
    )
    shown = name if name.startswith("ndarray") else f"np.{name}"
    return f"| `{shown}` | {len(calls)} | {' | '.join(cells)} |"


def page() -> str:
    """The whole page, once all calls have been run."""
    rows = [row(name) for name in sorted(TABLE, key=lambda name: (name.startswith("nd"), name))]
    lines = [HEAD, "| function | calls | value | dtype | jit | grad | vmap | cuda |"]
    lines += ["| --- " * 8 + "|", *rows, "", "## What is not for traced arrays, and why", ""]
    lines += ["| names | reason |", "| --- | --- |"]
    for table in (exclusions.FUNCTIONS, exclusions.ATTRIBUTES):
        for reason in dict.fromkeys(table.values()):
            names = [f"`{name}`" for name, why in table.items() if why == reason]
            lines.append(f"| {', '.join(names)} | {reason} |")
    return "\n".join([*lines, "", f"<!-- tables: {fingerprint()} -->", ""])


if __name__ == "__main__":
    only_devices = sys.argv[1:] == ["cuda"]
    text = with_device_column(PAGE.read_text(encoding="utf-8")) if only_devices else page()
    PAGE.write_text(text, encoding="utf-8")
