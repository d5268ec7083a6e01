"""The adjoints of the `loops` workload as one writes them by hand, for `numba.njit`."""

import math
from typing import Any

import numpy as np

from bench.workload import Function


def by_hand(case: int, steps: int, rate: float, decay: float) -> Function:
    """Value and gradient of one case: forward with what the way back needs stored, then back."""
    if case == 0:
        return _ode(steps, rate)
    if case == 1:
        return _matrices(steps, rate, decay)
    return _leaves(steps) if case == 2 else _sweep(steps)


def _ode(steps: int, rate: float) -> Function:
    def ode(start: Any) -> Any:
        stored = np.empty(steps)
        x = start[0]
        for k in range(steps):
            stored[k] = x
            x = x + rate * (math.sin(x) - 0.1 * x * x)
        back = 1.0
        for k in range(steps - 1, -1, -1):
            back += back * rate * (math.cos(stored[k]) - 0.2 * stored[k])
        gradient = np.empty(1)
        gradient[0] = back
        return x, gradient

    return ode


def _matrices(steps: int, rate: float, decay: float) -> Function:
    turn = np.eye(3) + rate

    def product(start: Any) -> Any:
        a, other = start.copy(), np.empty((3, 3))
        for _ in range(steps):
            for i in range(3):
                for j in range(3):
                    total = 0.0
                    for k in range(3):
                        total += a[i, k] * turn[k, j]
                    other[i, j] = total * decay
            a, other = other, a
        value = a.sum()
        back = np.ones((3, 3))
        for _ in range(steps):
            for i in range(3):
                for j in range(3):
                    total = 0.0
                    for k in range(3):
                        total += back[i, k] * turn[j, k]
                    other[i, j] = total * decay
            back, other = other, back
        return value, back

    return product


def _leaves(steps: int) -> Function:
    def ring(start: Any) -> Any:
        n = start.size
        stored = np.empty((steps + 1, n))
        stored[0] = start
        for k in range(steps):
            for i in range(n):
                stored[k + 1, i] = math.tanh(stored[k, i] + 0.1 * stored[k, (i + 1) % n])
        back, other = np.ones(n), np.empty(n)
        for k in range(steps, 0, -1):
            for i in range(n):
                other[i] = back[i] * (1.0 - stored[k, i] * stored[k, i])
            for i in range(n):
                back[i] = other[i] + 0.1 * other[i - 1]
        return stored[steps].sum(), back

    return ring


def _sweep(sweeps: int) -> Function:
    def relax(start: Any) -> Any:
        a = start.copy()
        n = a.shape[0]
        for _ in range(sweeps):
            for i in range(1, n - 1):
                for j in range(1, n - 1):
                    a[i, j] = 0.25 * (a[i - 1, j] + a[i + 1, j] + a[i, j - 1] + a[i, j + 1])
        value = (a * a).sum()
        back = 2.0 * a
        for _ in range(sweeps):
            for i in range(n - 2, 0, -1):
                for j in range(n - 2, 0, -1):
                    share = 0.25 * back[i, j]
                    back[i, j] = 0.0
                    back[i - 1, j] += share
                    back[i + 1, j] += share
                    back[i, j - 1] += share
                    back[i, j + 1] += share
        return value, back

    return relax
