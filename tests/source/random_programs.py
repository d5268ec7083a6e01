"""Random small Python functions with nested branches, loops and jumps, whose source can be read."""

from __future__ import annotations

import itertools
import linecache
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

_numbers = itertools.count()
_NAMES = ("a", "b", "c")
_INDENT = "    "


@st.composite
def expressions(draw: st.DrawFn, depth: int = 2) -> str:
    """An arithmetic expression of a few variables, which stays bounded."""
    if depth == 0 or draw(st.integers(0, 2)) == 0:
        return draw(st.sampled_from((*_NAMES, "x[1]", "x[k % 3]", "0.5", "2.0", "-1.5")))
    one, two = draw(expressions(depth - 1)), draw(expressions(depth - 1))
    form = draw(
        st.sampled_from(
            ("({} + {})", "({} - {})", "({} * 0.5 + {})", "max({}, {})", "min({}, {})",
             "abs({} - {})", "({} if a > b else {})")
        )
    )  # fmt: skip
    return form.format(one, two)


@st.composite
def conditions(draw: st.DrawFn) -> str:
    """A condition."""
    one, two = draw(expressions(1)), draw(expressions(1))
    form = draw(
        st.sampled_from(
            (
                "{} > {}",
                "not {} < {}",
                "{} > {} and c < 2.0",
                "a < 1.0 or {} <= {}",
                "{} < {} < 3.0",
                "k > 2",
            )
        )
    )
    return form.format(one, two)


@st.composite
def blocks(draw: st.DrawFn, depth: int, loop: bool, indent: int) -> list[str]:
    """Some statements, as indented lines."""
    lines: list[str] = []
    pad = _INDENT * indent
    for _ in range(draw(st.integers(1, 3))):
        kinds = ["set", "set", "update", "store", "count"]
        if depth > 0:
            kinds += ["if", "if", "else", "while", "for", "short"]
        kinds += ["break", "continue", "return"] if loop else ["return"]
        kind = draw(st.sampled_from(kinds))
        if kind == "set":
            lines.append(f"{pad}{draw(st.sampled_from(_NAMES))} = {draw(expressions())}")
        elif kind == "update":
            lines.append(f"{pad}{draw(st.sampled_from(_NAMES))} += {draw(expressions(1))}")
        elif kind == "store":
            lines.append(
                f"{pad}x[{draw(st.sampled_from(('0', 'k % 3', '-1')))}] = {draw(expressions())}"
            )
        elif kind == "count":
            lines.append(f"{pad}k += 1")
        elif kind in ("break", "continue"):
            lines.append(f"{pad}if {draw(conditions())}:")
            lines.append(f"{pad}{_INDENT}{kind}")
        elif kind == "return":
            lines.append(f"{pad}if {draw(conditions())}:")
            lines.append(f"{pad}{_INDENT}return {draw(expressions(1))}, k, x")
        else:
            lines += draw(_compound(kind, depth - 1, loop, indent))
    return lines


@st.composite
def _compound(draw: st.DrawFn, kind: str, depth: int, loop: bool, indent: int) -> list[str]:
    pad = _INDENT * indent
    if kind in ("if", "else"):
        lines = [f"{pad}if {draw(conditions())}:", *draw(blocks(depth, loop, indent + 1))]
        if kind == "else":
            lines += [f"{pad}else:", *draw(blocks(depth, loop, indent + 1))]
        return lines
    fresh = f"n{next(_numbers)}"
    if kind == "while":  # counts its turns, so that it ends
        head = [f"{pad}{fresh} = 0", f"{pad}while {fresh} < 5 and ({draw(conditions())}):"]
        return [*head, f"{pad}{_INDENT}{fresh} += 1", *draw(blocks(depth, True, indent + 1))]
    length = "7" if kind == "for" else "3"
    lines = [f"{pad}for {fresh} in range({length}):", *draw(blocks(depth, True, indent + 1))]
    lines.append(f"{pad}{_INDENT}k += {fresh} % 2")
    if draw(st.booleans()):
        lines += [f"{pad}else:", *draw(blocks(0, loop, indent + 1))]
    return lines


@st.composite
def programs(draw: st.DrawFn) -> str:
    """The source of a function f(a, b, x) → (number, count, array)."""
    body = draw(blocks(2, False, 1))
    head = ["def f(a, b, x):", f"{_INDENT}c = a * 0.5", f"{_INDENT}k = 0"]
    return "\n".join([*head, *body, f"{_INDENT}return a + b * 2 + c * 4, k, x", ""])


def defined(source: str, name: str = "f", **globals_: Any) -> Callable[..., Any]:
    """The function of that name in `source`, whose text `inspect` and tracebacks find."""
    file_name = f"<program {next(_numbers)}>"
    linecache.cache[file_name] = (len(source), None, source.splitlines(keepends=True), file_name)
    space: dict[str, Any] = {"np": np, **globals_}
    exec(compile(source, file_name, "exec"), space)
    return space[name]  # type: ignore[no-any-return]
