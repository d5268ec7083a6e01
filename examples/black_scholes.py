# # Black–Scholes and its Greeks
#
# The price of a European call, in one line of formula. Its sensitivities, the Greeks, are its
# derivatives: delta by the price of the stock, gamma the second of them, vega by the volatility,
# theta by time, rho by the rate.

import numpy as np
from scipy.special import ndtr

import tracer
from tracer import grad, jit, vmap


def call(spot, strike, rate, volatility, time):
    spread = volatility * np.sqrt(time)
    d1 = (np.log(spot / strike) + (rate + volatility**2 / 2) * time) / spread
    return spot * ndtr(d1) - strike * np.exp(-rate * time) * ndtr(d1 - spread)


option = (100.0, 95.0, 0.03, 0.2, 0.5)
names = ("spot", "strike", "rate", "volatility", "time")
price, greeks = tracer.value_and_grad(call, argnums=tuple(range(5)))(*option)
print(f"price {price:.6f}")
for name, slope in zip(names, greeks, strict=True):
    print(f"  by {name:<11} {slope:>11.6f}")
print(f"  gamma          {grad(grad(call))(*option):>11.6f}")

# They are the textbook's:

spot, strike, rate, volatility, time = option
d1 = (np.log(spot / strike) + (rate + volatility**2 / 2) * time) / (volatility * np.sqrt(time))
density = np.exp(-(d1**2) / 2) / np.sqrt(2 * np.pi)
print(np.isclose(greeks[0], ndtr(d1), rtol=1e-12))
print(np.isclose(greeks[3], spot * density * np.sqrt(time), rtol=1e-12))
gamma = density / (spot * volatility * np.sqrt(time))
print(np.isclose(grad(grad(call))(*option), gamma, rtol=1e-10))

# A whole book of options in one compiled call, deltas and gammas of 10 000 of them:

random = np.random.default_rng(0)
book = (random.uniform(80, 120, 10_000), random.uniform(80, 120, 10_000), 0.03, 0.2, 0.5)
axes = (0, 0, None, None, None)
deltas = jit(vmap(grad(call), axes))(*book)
gammas = jit(vmap(grad(grad(call)), axes))(*book)
print(deltas.shape, bool((deltas > 0).all() and (deltas < 1).all() and (gammas > 0).all()))
