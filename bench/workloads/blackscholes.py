"""Black and Scholes: prices of European options and all Greeks, one option an element.

F. Black, M. Scholes, "The pricing of options and corporate liabilities", Journal of Political
Economy 81 (1973). With d₁,₂ = (log(S/K) + (r ± σ²/2) T) / (σ √T) and s = 1 for a call, −1 for a
put, the price is s (S Φ(s d₁) − K e^(−r T) Φ(s d₂)).
"""

import math
from types import ModuleType
from typing import Any

import numpy as np
from scipy import special

from bench.workload import (
    Differentiation,
    Function,
    Inputs,
    Program,
    Size,
    Tolerance,
    Work,
    Workload,
    value_only,
)

SPOT, RATE, VOLATILITY, EXPIRY = 0, 1, 2, 3


def normal_cdf(x: Any) -> Any:
    return 0.5 * (1.0 + special.erf(x * math.sqrt(0.5)))


def build(size: Size) -> Function:
    def price(
        spot: Any, rate: Any, volatility: Any, expiry: Any, strike: Any, sign: Any
    ) -> Any:  # fmt: skip
        deviation = volatility * np.sqrt(expiry)
        drift = (rate + 0.5 * volatility**2) * expiry
        d1 = (np.log(spot / strike) + drift) / deviation
        d2 = d1 - deviation
        discounted = strike * np.exp(-rate * expiry)
        return sign * (spot * normal_cdf(sign * d1) - discounted * normal_cdf(sign * d2))

    return price


def torch_build(torch: ModuleType, size: Size) -> Function:
    def cdf(x: Any) -> Any:
        return 0.5 * (1.0 + torch.erf(x * math.sqrt(0.5)))

    def price(
        spot: Any, rate: Any, volatility: Any, expiry: Any, strike: Any, sign: Any
    ) -> Any:  # fmt: skip
        deviation = volatility * torch.sqrt(expiry)
        drift = (rate + 0.5 * volatility**2) * expiry
        d1 = (torch.log(spot / strike) + drift) / deviation
        d2 = d1 - deviation
        discounted = strike * torch.exp(-rate * expiry)
        return sign * (spot * cdf(sign * d1) - discounted * cdf(sign * d2))

    return price


def greeks(differentiation: Differentiation, price: Function) -> Function:
    """Price, delta, gamma, vega, theta and rho; gamma is a derivative of a derivative."""
    delta = differentiation.elementwise_grad(price, SPOT)
    gamma = differentiation.elementwise_grad(delta, SPOT)
    vega = differentiation.elementwise_grad(price, VOLATILITY)
    by_expiry = differentiation.elementwise_grad(price, EXPIRY)
    rho = differentiation.elementwise_grad(price, RATE)

    def price_and_greeks(*inputs: Any) -> tuple[Any, ...]:
        return (
            price(*inputs),
            delta(*inputs),
            gamma(*inputs),
            vega(*inputs),
            -by_expiry(*inputs),
            rho(*inputs),
        )

    return price_and_greeks


def make_inputs(size: Size, rng: np.random.Generator) -> Inputs:
    n = size["n"]
    spot = rng.uniform(50.0, 150.0, n)
    rate = rng.uniform(0.0, 0.1, n)
    volatility = rng.uniform(0.1, 0.6, n)
    expiry = rng.uniform(0.1, 3.0, n)
    strike = rng.uniform(50.0, 150.0, n)
    sign = np.where(rng.uniform(size=n) < 0.5, 1.0, -1.0)
    return spot, rate, volatility, expiry, strike, sign


def work(size: Size) -> Work:
    """Log, root, three exp, two erf and three divisions, and some 90 operations."""
    return Work(size["n"] * (10 * 20.0 + 90.0), 8.0 * size["n"] * 12)


WORKLOAD = Workload(
    name="blackscholes",
    description="prices of n European options with delta, gamma, vega, theta and rho",
    sizes={
        "small": {"n": 100},
        "medium": {"n": 10_000},
        "large": {"n": 1_000_000},
    },
    smoke={"n": 8},
    tiny={"n": 1},
    make_inputs=make_inputs,
    build=build,
    torch_build=torch_build,
    programs={
        "price": value_only("price"),
        "greeks": Program(("price", "delta", "gamma", "vega", "theta", "rho"), greeks),
    },
    work={"greeks": work},
    tolerance=Tolerance(1e-12, "some forty operations an element; erf is good to 1e-15"),
)
