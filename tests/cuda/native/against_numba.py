"""What the texts at random compute: by kernels, and by Numba on the CPU, whose Python they are."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from tests.cuda.native.compilers import Compiler, product
from tests.cuda.native.random_text import COUNT, DEVICE, KINDS, LOOP
from tests.cuda.native.scalars import Call

Array = np.ndarray[Any, np.dtype[Any]]


def inputs(seed: int) -> dict[str, Array]:
    """An array of each dtype, with the numbers at its limits."""
    random = np.random.default_rng(seed)
    made: dict[str, Array] = {}
    for kind in KINDS:
        dtype = np.dtype(kind)
        if dtype.kind in "iu":
            limits = np.iinfo(dtype)
            whole = random.integers(limits.min, limits.max, COUNT, dtype, endpoint=True)
            small = random.integers(0, 10, COUNT).astype(dtype)
            made[kind] = np.where(random.random(COUNT) < 0.5, whole, small)
            made[kind][:2] = limits.min, limits.max
        elif dtype.kind == "b":
            made[kind] = random.random(COUNT) < 0.5
        else:
            drawn = random.normal(size=COUNT) * 10.0 ** random.integers(-2, 3, COUNT)
            other = random.normal(size=COUNT) if dtype.kind == "c" else 0.0
            made[kind] = (drawn + 1j * other if dtype.kind == "c" else drawn).astype(dtype)
    return made


def by_numba(text: str, given: dict[str, Array]) -> dict[str, Array]:
    """What Numba makes of the text, for the CPU."""
    import numba

    text = text.replace(DEVICE, "@njit\n").replace(LOOP, "range(count)")
    text = re.sub(r"math\.(floor|ceil|trunc)", r"np.\1", text)
    text = re.sub(r"cuda\.local\.array\((\d+), np\.(\w+)\)", r"np.empty(\1, np.\2)", text)
    njit = numba.njit(error_model="numpy")
    names: dict[str, Any] = {"njit": njit}
    exec(text.replace("from numba import cuda\n", ""), names)
    results = {kind: np.zeros(COUNT, kind) for kind in KINDS}
    njit(names["kernel"])(COUNT, *given.values(), *results.values())
    return results


def by_kernel(text: str, given: dict[str, Array], make: Compiler = product) -> dict[str, Array]:
    """What the kernel's machine code computes, on two blocks."""
    call = Call()
    call.number("count", np.int64(COUNT))
    for kind, array in given.items():
        call.array(f"x_{kind}", array)
    results = {
        kind: call.array(f"y_{kind}", np.zeros(COUNT, kind), written=True) for kind in KINDS
    }
    call.run(text, 2, 32, make)
    return results


def differences(one: dict[str, Array], other: dict[str, Array]) -> list[str]:
    """Where they differ, as text; NaNs are alike."""
    found = []
    for kind, array in one.items():
        due = other[kind]
        same = (array == due) | ((array != array) & (due != due))
        found += [
            f"y_{kind}[{place}] is {array[place]}, not {due[place]}"
            for place in np.flatnonzero(~same)[:2]
        ]
    return found
