"""Writes the table of docs/special.md: `python -m tests.scipy.accuracy`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import tracer
from tests.scipy.special_cases import CASES, Case
from tests.scipy.test_special import function_of, scale_of, worst

PAGE = Path(__file__).parents[2] / "docs" / "special.md"
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"
COUNT = 40
TITLE = (
    "| function | arguments | value | derivatives in each argument |\n| --- | --- | ---: | --- |"
)


def _region(region: tuple[Any, ...]) -> str:
    return " × ".join(f"[{float(low):g}, {float(high):g}]" for low, high in region)


def row(case: Case) -> str:
    """The largest relative errors found, of compiled values and derivatives."""
    arguments = case.points(COUNT)
    function = function_of(case)
    found = tracer.jit(function, backend="llvm")(*arguments)
    value = worst(found, case.values(arguments), scale_of(case, arguments))
    few = [argument[::4] for argument in arguments]
    gradients = tracer.jit(
        tracer.grad(lambda *xs: tracer.numpy.sum(function(*xs)), argnums=case.smooth),
        backend="llvm",
    )(*few)
    slopes = [
        worst(gradient, case.slopes(few, place), scale_of(case, few))
        for place, gradient in zip(case.smooth, gradients, strict=True)
    ]
    regions = ", ".join(map(_region, case.ranges))
    texts = ", ".join(f"{slope:.0e}" for slope in slopes)
    mark = "" if case.scale is None else " †"
    return f"| `{case.name}`{mark} | {regions} | {value:.0e} | {texts} |"


def main() -> None:
    """Measure, and write."""
    with np.errstate(all="ignore"):
        table = "\n".join([TITLE, *map(row, CASES)])
    text = PAGE.read_text()
    start, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    PAGE.write_text(f"{text[:start]}\n{table}\n{text[end:]}")


if __name__ == "__main__":
    main()
