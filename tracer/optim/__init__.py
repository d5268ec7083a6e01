"""Optimisers: pure functions on pytrees, minimisers that run inside `jit`, and a bridge to SciPy.

`adam(rate)` and its kin have `init(params)` and `update(gradients, state, params)`; schedules are
functions of the count of steps; `minimise` holds what runs to the end by itself.
"""

from tracer.optim import minimise, schedules
from tracer.optim.methods import (
    adagrad,
    adam,
    adamw,
    gradient_descent,
    momentum,
    nesterov,
    rmsprop,
)
from tracer.optim.minimise import Minimum, lbfgs, newton_cg
from tracer.optim.scipy_interface import ScipyProblem, as_scipy
from tracer.optim.updates import (
    Optimizer,
    add_decayed_weights,
    apply_updates,
    chain,
    clip,
    clip_by_global_norm,
    global_norm,
    scale,
    scale_by_rate,
)

__all__ = [
    "Minimum",
    "Optimizer",
    "ScipyProblem",
    "adagrad",
    "adam",
    "adamw",
    "add_decayed_weights",
    "apply_updates",
    "as_scipy",
    "chain",
    "clip",
    "clip_by_global_norm",
    "global_norm",
    "gradient_descent",
    "lbfgs",
    "minimise",
    "momentum",
    "nesterov",
    "newton_cg",
    "rmsprop",
    "scale",
    "scale_by_rate",
    "schedules",
]
