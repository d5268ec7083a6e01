# # A differential equation fitted to data
#
# Hares and lynxes: the Hudson's Bay Company's pelts of 1900 to 1920, in thousands, and the
# equations of Lotka and Volterra, ẋ = αx − βxy, ẏ = −γy + δxy. The derivative of the solution with
# respect to the four rates and the first populations goes through the integrator, `tracer.odeint`.

import numpy as np
from matplotlib.figure import Figure

import tracer
from tracer import optim

HARE = [30.0, 47.2, 70.2, 77.4, 36.3, 20.6, 18.1, 21.4, 22.0, 25.4, 27.1,
        40.3, 57.0, 76.6, 52.3, 19.5, 11.2, 7.6, 14.6, 16.2, 24.7]  # fmt: skip
LYNX = [4.0, 6.1, 9.8, 35.2, 59.4, 41.7, 19.0, 13.0, 8.3, 9.1, 7.4,
        8.0, 12.3, 19.5, 45.7, 51.1, 29.7, 15.8, 9.7, 10.1, 8.6]  # fmt: skip
pelts = np.array([HARE, LYNX]).T
years = np.arange(21.0)


def motion(state, t, rates):
    hare, lynx = state
    alpha, beta, gamma, delta = rates
    return np.stack([alpha * hare - beta * hare * lynx, -gamma * lynx + delta * hare * lynx])


def solution(params):
    rates, start = np.exp(params["rates"]), np.exp(params["start"])
    return tracer.odeint(
        lambda state, t: motion(state, t, rates), start, years, rtol=1e-8, atol=1e-8
    )


def loss(params):
    return ((np.log(solution(params)) - np.log(pelts)) ** 2).mean()


start = {
    "rates": np.log(np.array([0.5, 0.025, 0.8, 0.025])),
    "start": np.log(pelts[0]),
}
found = tracer.jit(lambda params: optim.lbfgs(loss, params, tolerance=1e-6, max_steps=200))(start)
print("converged:", found.converged)
print("rates", np.round(np.exp(found.x["rates"]), 3))
print(f"typical error of a count: {100 * np.sqrt(found.value):.0f} %")

# The gradient against a difference of solutions:

direction = {"rates": np.array([0.1, -0.2, 0.3, 0.1]), "start": np.array([0.2, -0.1])}
slope = tracer.jvp(loss, (start,), (direction,))[1]
ahead, behind = (
    loss(tracer.tree.map(lambda x, d, h=h: x + h * d, start, direction)) for h in (1e-4, -1e-4)
)
quotient = (ahead - behind) / 2e-4
print("agrees with the difference quotient:", bool(np.isclose(slope, quotient, rtol=1e-4)))

figure = Figure(figsize=(6.5, 3.8), layout="constrained")
axes = figure.add_subplot()
fitted = solution(found.x)
for k, name in enumerate(("hare", "lynx")):
    axes.plot(1900 + years, pelts[:, k], "o", color=f"C{k}", markersize=4)
    axes.plot(1900 + years, fitted[:, k], color=f"C{k}", label=name)
axes.set_ylabel("thousands of pelts")
axes.legend()
figure.savefig("fit_ode.svg")

# ![The pelts, and the fitted solution](pictures/fit_ode.svg)
