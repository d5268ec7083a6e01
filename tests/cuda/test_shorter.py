"""Kernels' text without what computes nothing."""

from __future__ import annotations

import ast

import pytest

from codegen.cuda.frontend import with_selections

SAME = [
    "for i in range(n):\n    x[i] = 1",
    "for i in range(2):\n    x[i] = 1",
    "for i in range(1):\n    if n:\n        break",
    "for i in range(1):\n    i = n\n    x[i] = 1",
    "s = 0\ns += n\nx[n] = 1",
    "old = cuda.atomic.add(x, 0, n)",
    "a, b = load2(x, n)\nx[n] = b",
    "x[n] = n * 1 + 0",
    "if n:\n    pass\nelse:\n    x[n] = 1",
]
SHORTER = {
    '"""What it is."""\nx[n] = 1': "x[n] = 1",
    "for i in range(1):\n    for j in range(1):\n        x[i * 4 + j + n] = i": "x[n] = 0",
    "a = n * 2\nb = np.int64(a)\nx[n] = 1": "x[n] = 1",
    "a = b = n\nx[n] = b": "a = b = n\nx[n] = b",
    "if n:\n    a = n": "if n:\n    pass",
    "x[n * 1 + 0 * 3] = 1": "x[n] = 1",
    "x[1 * n - 0] = x[0 + n]": "x[n] = x[n]",
    "for i in range(n):\n    x[i] = 1\n    pass": "for i in range(n):\n    x[i] = 1",
}


def kernel(body: str) -> str:
    return "def kernel(x, n):\n" + "".join(f"    {line}\n" for line in body.split("\n"))


def after(body: str) -> str:
    return ast.unparse(with_selections(kernel(body)))


@pytest.mark.parametrize("body", SAME)
def test_what_has_an_effect_stays(body: str) -> None:
    assert after(body) == ast.unparse(ast.parse(kernel(body)))


@pytest.mark.parametrize("body", SHORTER)
def test_what_has_none_goes(body: str) -> None:
    assert after(body) == ast.unparse(ast.parse(kernel(SHORTER[body])))


def test_functions_that_kernels_take_along_stay_as_they_are() -> None:
    text = "@cuda.jit(device=True)\ndef helper(x):\n    unread = x\n    return x\n"
    assert ast.unparse(with_selections(text)) == ast.unparse(ast.parse(text))
