# # Thirty-two lines replaced by one
#
# A program that somebody wrote with its gradient by hand: a network with two hidden layers,
# softmax, cross-entropy and weight decay. The gradient takes thirty-two lines, each of which can
# be wrong.

import inspect
import sys
import timeit

import numpy as np

import tracer


def loss(W1, b1, W2, b2, W3, b3, x, labels, decay=1e-3):
    hidden = np.tanh(x @ W1 + b1)
    hidden = np.tanh(hidden @ W2 + b2)
    scores = hidden @ W3 + b3
    shifted = scores - scores.max(axis=1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    fit = -logs[np.arange(len(labels)), labels].mean()
    return fit + 0.5 * decay * ((W1**2).sum() + (W2**2).sum() + (W3**2).sum())


def gradient_by_hand(W1, b1, W2, b2, W3, b3, x, labels, decay=1e-3):
    n = len(labels)
    z1 = x @ W1
    z1 = z1 + b1
    hidden1 = np.tanh(z1)
    z2 = hidden1 @ W2
    z2 = z2 + b2
    hidden2 = np.tanh(z2)
    scores = hidden2 @ W3
    scores = scores + b3
    top = scores.max(axis=1, keepdims=True)
    shifted = scores - top
    powers = np.exp(shifted)
    total = powers.sum(axis=1, keepdims=True)
    shares = powers / total
    chosen = np.zeros_like(shares)
    rows = np.arange(n)
    chosen[rows, labels] = 1.0
    d_scores = (shares - chosen) / n
    d_b3 = d_scores.sum(axis=0)
    d_W3 = hidden2.T @ d_scores
    d_hidden2 = d_scores @ W3.T
    d_z2 = d_hidden2 * (1.0 - hidden2**2)
    d_b2 = d_z2.sum(axis=0)
    d_W2 = hidden1.T @ d_z2
    d_hidden1 = d_z2 @ W2.T
    d_z1 = d_hidden1 * (1.0 - hidden1**2)
    d_b1 = d_z1.sum(axis=0)
    d_W1 = x.T @ d_z1
    d_W1 = d_W1 + decay * W1
    d_W2 = d_W2 + decay * W2
    d_W3 = d_W3 + decay * W3
    return d_W1, d_b1, d_W2, d_b2, d_W3, d_b3


print("lines:", len(inspect.getsource(gradient_by_hand).splitlines()) - 1)

# The one line:

gradient = tracer.jit(tracer.grad(loss, argnums=(0, 1, 2, 3, 4, 5)))

# Number by number:

random = np.random.default_rng(0)
params = (
    0.2 * random.normal(size=(64, 48)), np.zeros(48),
    0.2 * random.normal(size=(48, 32)), np.zeros(32),
    0.2 * random.normal(size=(32, 10)), np.zeros(10),
)  # fmt: skip
x, labels = random.normal(size=(200, 64)), random.integers(0, 10, 200)
for name, ours, theirs in zip(
    ("W1", "b1", "W2", "b2", "W3", "b3"),
    gradient(*params, x, labels),
    gradient_by_hand(*params, x, labels),
    strict=True,
):
    difference = np.abs(ours - theirs).max()
    print(f"{name}: {ours.size:>4} numbers, no difference above 1e-14: {difference < 1e-14}")

# And in time. The ratio depends on the machine, so it goes to the terminal of whoever runs the
# program and not onto this page; [the benchmarks](../benchmarks.md) say what to expect.


def seconds(function):
    return min(timeit.repeat(lambda: function(*params, x, labels), number=5, repeat=7)) / 5


ratio = seconds(gradient_by_hand) / seconds(gradient)
print(f"by hand in NumPy takes {ratio:.1f} times as long", file=sys.stderr)
