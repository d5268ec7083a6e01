"""The pictures: contours and surfaces of a loss, derivatives of a function, Taylor remainders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tracer.errors import BackendError
from tracer.plot.data import derivatives_on, landscape_values, taylor_remainders

Function = Callable[..., Any]


def _figure(width: float, height: float) -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise BackendError(
            "tracer.plot draws with matplotlib, which is not installed: "
            "python -m pip install 'tracer-ad[plot]'"
        ) from None
    return Figure(figsize=(width, height), layout="constrained")


def landscape(
    f: Function,
    x: Any,
    *,
    path: Sequence[Any] = (),
    span: float | None = None,
    points: int = 81,
    levels: int = 24,
    seed: int = 0,
) -> Any:
    """Contours and surface of f: pytree → scalar over its two parameters, or over two random
    directions through x, with the path of a descent on it.

    `path`: pytrees as x, for instance those of `plot.descent`. Returns a matplotlib `Figure`.
    """
    found = landscape_values(f, x, path=path, span=span, points=points, seed=seed)
    figure = _figure(11, 4.8)
    flat = figure.add_subplot(1, 2, 1)
    filled = flat.contourf(found.first, found.second, found.value, levels, cmap="viridis")
    flat.contour(found.first, found.second, found.value, levels, colors="white", linewidths=0.3)
    flat.plot(*found.path.T, "o-", color="tab:red", markersize=3, linewidth=1)
    flat.set_xlabel(found.names[0])
    flat.set_ylabel(found.names[1])
    figure.colorbar(filled, ax=flat)
    solid = figure.add_subplot(1, 2, 2, projection="3d")
    solid.plot_surface(*np.meshgrid(found.first, found.second), found.value, cmap="viridis")
    solid.set_xlabel(found.names[0])
    solid.set_ylabel(found.names[1])
    return figure


def derivative(f: Function, a: float, b: float, *, order: int = 2, points: int = 401) -> Any:
    """f: number → number between a and b with its derivatives up to `order` (2 by default).

    Returns a matplotlib `Figure`.
    """
    if not a < b:
        raise ValueError(f"plot.derivative needs a < b, got {a} and {b}")
    place = np.linspace(a, b, points)
    figure = _figure(7, 4.4)
    axes = figure.add_subplot()
    for k, values in enumerate(derivatives_on(f, place, order)):
        axes.plot(place, values, label="f" + "′" * k if k < 4 else f"derivative {k}")
    axes.axhline(0, color="gray", linewidth=0.5)
    axes.set_xlabel("x")
    axes.legend()
    return figure


def taylor(f: Function, x: Any, direction: Any = None, *, seed: int = 0) -> Any:
    """The Taylor remainders of f: pytree → scalar at x against the step, on log axes.

    |f(x + hv) − f(x)| falls with slope 1, |f(x + hv) − f(x) − h f′(x)v| with slope 2 where the
    derivative is right. Returns a matplotlib `Figure`.
    """
    found = taylor_remainders(f, x, direction, seed=seed)
    figure = _figure(6, 4.4)
    axes = figure.add_subplot()
    axes.loglog(found.steps, found.constant, "o-", label="|f(x + hv) − f(x)|")
    slope = f", slope {found.slope:.2f}" if np.isfinite(found.slope) else ""
    axes.loglog(found.steps, found.linear, "s-", label=f"|f(x + hv) − f(x) − h f′(x)v|{slope}")
    scale = found.linear[0] if found.linear[0] > 0 else 1.0
    guide = scale * (found.steps / found.steps[0]) ** 2
    axes.loglog(found.steps, guide, ":", color="gray", label="h²")
    axes.set_xlabel("h")
    axes.legend()
    return figure
