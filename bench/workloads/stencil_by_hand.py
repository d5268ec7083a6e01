"""The adjoint of over-relaxation as one writes it by hand: in loops, and in NumPy by diagonals."""

from typing import Any

import numpy as np

from bench.workload import Function


def by_hand(sweeps: int, old: float, new: float) -> Function:
    """Value and gradients in loops, for `numba.njit`. The update is linear: nothing is stored."""

    def relax(start: Any, source: Any) -> Any:
        a = start.copy()
        n = a.shape[0]
        for _ in range(sweeps):
            for i in range(1, n - 1):
                for j in range(1, n - 1):
                    around = a[i - 1, j] + a[i + 1, j] + a[i, j - 1] + a[i, j + 1]
                    a[i, j] = old * a[i, j] + new * (around + source[i, j])
        value = (a * a).sum()
        back = 2.0 * a
        by_source = np.zeros_like(a)
        for _ in range(sweeps):
            for i in range(n - 2, 0, -1):
                for j in range(n - 2, 0, -1):
                    share = new * back[i, j]
                    back[i, j] = old * back[i, j]
                    back[i - 1, j] += share
                    back[i + 1, j] += share
                    back[i, j - 1] += share
                    back[i, j + 1] += share
                    by_source[i, j] += share
        return value, back, by_source

    return relax


def by_diagonals(sweeps: int, old: float, new: float) -> Function:
    """The same in plain NumPy: the points of a diagonal do not wait for each other."""

    def relax(start: Any, source: Any) -> Any:
        a = start.copy()
        n = a.shape[0]
        diagonals = []
        for total in range(2, 2 * n - 3):
            rows = np.arange(max(1, total - n + 2), min(n - 2, total - 1) + 1)
            diagonals.append((rows, total - rows))
        for _ in range(sweeps):
            for i, j in diagonals:
                around = a[i - 1, j] + a[i + 1, j] + a[i, j - 1] + a[i, j + 1]
                a[i, j] = old * a[i, j] + new * (around + source[i, j])
        value = np.sum(a * a)
        back = 2.0 * a
        by_source = np.zeros_like(a)
        for _ in range(sweeps):
            for i, j in reversed(diagonals):
                share = new * back[i, j]
                back[i, j] *= old
                # Indices of one diagonal differ, so that none of these additions is lost.
                back[i - 1, j] += share
                back[i + 1, j] += share
                back[i, j - 1] += share
                back[i, j + 1] += share
                by_source[i, j] += share
        return value, back, by_source

    return relax
