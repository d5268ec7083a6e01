"""Kernel texts at random: our compiler against Numba, whose Python they are."""

from __future__ import annotations

import ast

import pytest

from tests.cuda.native.against_numba import by_kernel, by_numba, differences, inputs
from tests.cuda.native.random_text import random_text


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.filterwarnings("ignore::numba.NumbaWarning")
def test_the_compiler_agrees_with_numba(seed: int) -> None:
    text, given = random_text(seed, statements=5), inputs(seed)
    assert not differences(by_kernel(text, given), by_numba(text, given)), text


def test_texts_have_all_kinds_of_statements() -> None:
    kinds = {type(node) for seed in range(20) for node in ast.walk(ast.parse(random_text(seed)))}
    assert kinds >= {ast.For, ast.While, ast.If, ast.IfExp, ast.Break, ast.Continue, ast.BoolOp}
    assert kinds >= {ast.AugAssign, ast.Compare, ast.Invert, ast.Tuple, ast.Return}


def test_a_difference_is_seen() -> None:
    given = inputs(0)
    text = random_text(0, statements=5)
    other = {**given, "int64": given["int64"] + 1, "float64": given["float64"] * 2}
    assert differences(by_kernel(text, given), by_kernel(text, other))
