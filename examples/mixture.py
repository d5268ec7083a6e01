# # A mixture of Gaussians, fitted by L-BFGS
#
# The likelihood of a mixture is a logarithm of a sum of exponentials. Its usual cure is the EM
# algorithm, derived by hand; with a gradient any minimiser does. Means, scales and weights are one
# pytree, the weights and scales written through functions that keep them valid.

import numpy as np
import scipy.optimize
from scipy.special import logsumexp

import tracer
from tracer import optim

random = np.random.default_rng(5)
centres = np.array([[-3.0, 0.0], [0.0, 3.0], [3.0, -1.0]])
group = random.choice(3, size=600, p=[0.5, 0.3, 0.2])
x = centres[group] + random.normal(size=(600, 2)) * np.array([0.5, 0.8, 0.4])[group, None]


def loss(params):
    scale = np.exp(params["log_scale"])
    distance = ((x[:, None, :] - params["mean"]) ** 2).sum(-1) / scale**2
    weight = params["logit"] - np.log(np.exp(params["logit"]).sum())
    parts = weight - 0.5 * distance - 2 * params["log_scale"] - np.log(2 * np.pi)
    top = parts.max(axis=1, keepdims=True)
    return -(top[:, 0] + np.log(np.exp(parts - top).sum(axis=1))).mean()


start = {
    "mean": np.array([[-1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]),
    "log_scale": np.zeros(3),
    "logit": np.zeros(3),
}

# The whole fit is one compiled call:

found = tracer.jit(lambda params: optim.lbfgs(loss, params, tolerance=1e-6))(start)
weights = np.exp(found.x["logit"]) / np.exp(found.x["logit"]).sum()
print("converged:", found.converged)
print("means near the true ones:", bool(np.abs(found.x["mean"] - centres).max() < 0.15))
print("weights", np.round(weights, 1), "scales", np.round(np.exp(found.x["log_scale"]), 1))

# SciPy's minimiser with the same gradient comes to the same place:

problem = optim.as_scipy(loss, start)
theirs = scipy.optimize.minimize(
    problem.fun, problem.x0, jac=problem.jac, method="BFGS", options={"gtol": 1e-7}
)
print("the same likelihood:", bool(abs(theirs.fun - found.value) < 1e-9))

# And at the fit the gradient by each point's mean is what EM says it must be: the weighted mean of
# the points, where the weights are the probabilities of belonging.

scale = np.exp(found.x["log_scale"])
distance = ((x[:, None, :] - found.x["mean"]) ** 2).sum(-1) / scale**2
log_parts = np.log(weights) - 0.5 * distance - 2 * np.log(scale)
belongs = np.exp(log_parts - logsumexp(log_parts, axis=1, keepdims=True))
means = belongs.T @ x / belongs.sum(axis=0)[:, None]
print("a fixed point of EM:", bool(np.abs(means - found.x["mean"]).max() < 1e-4))
