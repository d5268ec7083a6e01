"""Automatic differentiation for NumPy and Numba.

A plain Python function is traced into a typed graph; a transform emits the graph of its
derivative; a backend
compiles both together to native code. `grad(f)` and `jit(f)` work on the NumPy code that is there
already.
"""

from importlib import import_module
from typing import Any

from tracer._clash import refuse_foreign_packages

refuse_foreign_packages()

from tracer import config, errors, tree  # noqa: E402
from tracer import numpy as numpy  # noqa: E402
from tracer.associative import associative_scan  # noqa: E402
from tracer.control import (  # noqa: E402
    cond,
    fori_loop,
    map,
    scan,
    switch,
    while_loop,
)
from tracer.debugging import debug  # noqa: E402
from tracer.device import block_until_ready, device_get, device_put  # noqa: E402
from tracer.graph.nodes import Graph  # noqa: E402
from tracer.jit import jit, make_graph  # noqa: E402
from tracer.trace import Tracer  # noqa: E402
from tracer.transforms.check_grads import check_grads  # noqa: E402
from tracer.transforms.checkpoint import checkpoint  # noqa: E402
from tracer.transforms.custom import (  # noqa: E402
    array_type,
    custom_jvp,
    custom_vjp,
    primitive,
    stop_gradient,
)
from tracer.transforms.gradient import (  # noqa: E402
    grad,
    jvp,
    linear_transpose,
    linearize,
    value_and_grad,
    vjp,
)
from tracer.transforms.graphs import adjoint  # noqa: E402
from tracer.transforms.implicit import (  # noqa: E402
    conjugate_gradients,
    fixed_point,
    linear_solve,
    newton,
    root,
)
from tracer.transforms.jacobian import (  # noqa: E402
    elementwise_grad,
    hessian,
    hvp,
    jacfwd,
    jacobian,
    jacrev,
)
from tracer.transforms.ode import odeint  # noqa: E402
from tracer.transforms.vmap import vmap  # noqa: E402

__version__ = "0.1.0"

# Loaded when first asked for, so that `import tracer` stays quick.
_LATER = ("nn", "optim", "plot", "random", "scipy", "view")


_VIEWS = ("draw", "explain", "profile")


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return import_module(f"tracer.{name}")
    if name in _VIEWS:
        return getattr(import_module("tracer.view"), name)
    raise AttributeError(f"module 'tracer' has no attribute {name!r}")


__all__ = [
    "Graph",
    "Tracer",
    "adjoint",
    "array_type",
    "associative_scan",
    "block_until_ready",
    "check_grads",
    "checkpoint",
    "cond",
    "config",
    "conjugate_gradients",
    "custom_jvp",
    "custom_vjp",
    "debug",
    "device_get",
    "device_put",
    "draw",
    "elementwise_grad",
    "errors",
    "explain",
    "fixed_point",
    "fori_loop",
    "grad",
    "hessian",
    "hvp",
    "jacfwd",
    "jacobian",
    "jacrev",
    "jit",
    "jvp",
    "linear_solve",
    "linear_transpose",
    "linearize",
    "make_graph",
    "map",
    "newton",
    "nn",
    "numpy",
    "optim",
    "plot",
    "odeint",
    "primitive",
    "profile",
    "random",
    "root",
    "scan",
    "scipy",
    "stop_gradient",
    "switch",
    "tree",
    "value_and_grad",
    "view",
    "vjp",
    "vmap",
    "while_loop",
]
