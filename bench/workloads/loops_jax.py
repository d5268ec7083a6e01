"""The `loops` workload for JAX: `lax.scan`, and `lax.fori_loop` with `.at[].set` in place
of `=`.
"""

from types import ModuleType
from typing import Any

from bench.workload import Function, Size


def jax_build(jax: ModuleType, size: Size, rate: float, decay: float) -> Function:
    """The function of one case."""
    numpy, lax = jax.numpy, jax.lax
    case, steps = size["case"], size["steps"]
    if case == 3:
        return _sweep(numpy, lax, steps)

    def ode(start: Any) -> Any:
        def step(x: Any, _: None) -> Any:
            return x + rate * (numpy.sin(x) - 0.1 * x * x), None

        return lax.scan(step, start[0], None, steps)[0]

    def product(start: Any) -> Any:
        turn = numpy.eye(3) + rate

        def step(a: Any, _: None) -> Any:
            return a @ turn * decay, None

        return numpy.sum(lax.scan(step, start, None, steps)[0])

    def ring(start: Any) -> Any:
        def step(x: Any, _: None) -> Any:
            return [numpy.tanh(x[i] + 0.1 * x[(i + 1) % 64]) for i in range(64)], None

        return sum(lax.scan(step, [start[i] for i in range(64)], None, steps)[0])

    return (ode, product, ring)[case]


def _sweep(numpy: Any, lax: Any, sweeps: int) -> Function:
    def relax(start: Any) -> Any:
        n = start.shape[0]

        def column(j: Any, state: Any) -> Any:
            i, a = state
            value = 0.25 * (a[i - 1, j] + a[i + 1, j] + a[i, j - 1] + a[i, j + 1])
            return i, a.at[i, j].set(value)

        def row(i: Any, a: Any) -> Any:
            return lax.fori_loop(1, n - 1, column, (i, a))[1]

        a = lax.fori_loop(0, sweeps, lambda _, a: lax.fori_loop(1, n - 1, row, a), start)
        return numpy.sum(a * a)

    return relax
