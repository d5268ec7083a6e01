# # Hamiltonian Monte Carlo on real data
#
# The posterior of a logistic regression on the breast-cancer data that come with scikit-learn,
# sampled by trajectories that follow the gradient of its logarithm. One trajectory is a loop
# inside a loop; all of it is compiled, and one call gives a thousand samples.

import numpy as np
from sklearn.datasets import load_breast_cancer

import tracer

data = load_breast_cancer()
x = data.data[:, [0, 1, 4]]
x = np.column_stack([np.ones(len(x)), (x - x.mean(0)) / x.std(0)])
y = data.target.astype(float)


def log_posterior(w):
    score = x @ w
    return (y * score - np.logaddexp(0, score)).sum() - 0.5 * (w**2).sum() / 25


slope = tracer.grad(log_posterior)
STEP, LENGTH = 0.12, 12


def sample(w, noise):
    momentum, chance = noise

    def leap(_, state):
        w, p = state
        p = p + 0.5 * STEP * slope(w)
        w = w + STEP * p
        return w, p + 0.5 * STEP * slope(w)

    proposal, p = tracer.fori_loop(0, LENGTH, leap, (w, momentum))
    before = log_posterior(w) - 0.5 * (momentum**2).sum()
    after = log_posterior(proposal) - 0.5 * (p**2).sum()
    accepted = np.log(chance) < after - before
    w = np.where(accepted, proposal, w)
    return w, (w, accepted)


@tracer.jit
def chain(w, noise):
    return tracer.scan(sample, w, noise)[1]


random = np.random.default_rng(0)
draws, accepted = chain(np.zeros(4), (random.normal(size=(4000, 4)), random.uniform(size=4000)))
kept = draws[500:]
print("accepted more than 60 %:", bool(accepted.mean() > 0.6))

# The mean and the spread agree with the normal approximation at the mode (Newton's method and the
# Hessian) within what an approximation can do:

found = tracer.optim.newton_cg(lambda w: -log_posterior(w), np.zeros(4))
spread = np.sqrt(np.diag(np.linalg.inv(tracer.hessian(lambda w: -log_posterior(w))(found.x))))
distance = np.abs(kept.mean(0) - found.x)
print("mean within half a spread of the mode:", bool((distance < spread / 2).all()))
print("spreads agree within 20 %:", bool((np.abs(kept.std(0) / spread - 1) < 0.2).all()))
