"""Writes `coefficients.py`: `python -m codegen.render.vector_math.generate`."""

from __future__ import annotations

import textwrap
from pathlib import Path

import mpmath  # type: ignore[import-untyped,unused-ignore]

from codegen.render.vector_math.fit import compute
from codegen.render.vector_math.fit_table import TABLE

INVERSE_PI_SCALE = 1280


def module_text() -> str:
    """The source of `coefficients.py`."""
    lines = [
        '"""Polynomial coefficients (lowest power first) and split constants.',
        "",
        "Written by `python -m codegen.render.vector_math.generate`; the method is in fit.py.",
        '"""',
        "",
        "# fmt: off",
        "COEFFICIENTS: dict[str, tuple[float, ...]] = {",
    ]
    for name, entry in TABLE.items():
        numbers = "".join(f"{value!r}, " for value in compute(entry)).rstrip()
        pieces = textwrap.wrap(numbers, 96, initial_indent=" " * 8, subsequent_indent=" " * 8)
        lines += [f'    "{name}": (', *pieces, "    ),"]
    with mpmath.workdps(500):
        bits = int(mpmath.floor(mpmath.ldexp(1 / mpmath.pi, INVERSE_PI_SCALE)))
    lines += [
        "}",
        "# fmt: on",
        "",
        "# ⌊2^INVERSE_PI_SCALE / π⌋, enough for the largest float64.",
        f"INVERSE_PI_SCALE = {INVERSE_PI_SCALE}",
        "INVERSE_PI_BITS = int(",
        *(f'    "{piece}"' for piece in textwrap.wrap(f"{bits:x}", 80)[:-1]),
        f'    "{textwrap.wrap(f"{bits:x}", 80)[-1]}",',
        "    16,",
        ")",
    ]
    return "\n".join([*lines, ""])


def main() -> None:
    """Writes the module beside this one."""
    path = Path(__file__).with_name("coefficients.py")
    path.write_text(module_text(), encoding="utf-8")


if __name__ == "__main__":
    main()
