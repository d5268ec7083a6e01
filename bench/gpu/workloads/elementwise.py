"""One element at a time: a chain of operations with its gradient, and Black–Scholes' Greeks."""

from bench.gpu.case import Case
from bench.workload import Size, Tolerance, Work
from bench.workloads import blackscholes, chain

OPERATIONS = 10
"""Of the chain, without functions: what is left is memory's."""


def chain_size(n: int) -> Size:
    return {"operations": OPERATIONS, "n": n, "functions": 0, "loop": 0}


def chain_work(size: Size, itemsize: int) -> Work:
    """Reads x, writes the gradient."""
    return Work(chain.work(size).flops, 2.0 * itemsize * size["n"])


def greeks_work(size: Size, itemsize: int) -> Work:
    """Reads six arrays, writes six."""
    return Work(blackscholes.work(size).flops, 12.0 * itemsize * size["n"])


CASES = (
    Case(
        name="chain",
        title="fused elementwise chain, gradient",
        workload=chain.WORKLOAD,
        program_name="gradient",
        sizes={
            "toy": chain_size(64),
            "tiny": chain_size(8_192),
            "medium": chain_size(2**20),
            "large": chain_size(2**26),
        },
        work=chain_work,
        tolerance=Tolerance(2e-5, "ten operations an element, and a sum of all"),
    ),
    Case(
        name="greeks",
        title="Black–Scholes price and Greeks",
        workload=blackscholes.WORKLOAD,
        program_name="greeks",
        sizes={
            "toy": {"n": 32},
            "tiny": {"n": 1_024},
            "medium": {"n": 2**18},
            "large": {"n": 2**24},
        },
        work=greeks_work,
        tolerance=Tolerance(2e-4, "d₁ is a quotient by σ √T, which may be 0.03"),
    ),
)
