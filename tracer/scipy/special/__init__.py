"""`scipy.special` on traced and concrete arrays: the functions that have derivatives.

Universal functions of SciPy itself (`scipy.special.gammaln(x)`) do the same with traced arrays.
Values, shapes and dtypes are SciPy's; accuracy and domains are in docs/special.md.
"""

from __future__ import annotations

import functools as _functools
import importlib as _importlib
from collections.abc import Callable as _Callable
from typing import Any as _Any

from tracer.numpy.common import any_traced as _any_traced
from tracer.primitives import transcendental as _transcendental
from tracer.primitives.special import dispatch as _dispatch
from tracer.scipy.special import elementary as _elementary
from tracer.scipy.special import functions as _functions
from tracer.scipy.special import reductions as _reductions
from tracer.scipy.special.wrap import public as _public

_PRIMITIVES = "erf erfc erfinv expit gammaln"


def _plain_to_scipy(name: str, traced: _Callable[..., _Any]) -> _Callable[..., _Any]:
    """Our version where an argument is traced, SciPy's elsewhere."""

    @_functools.wraps(traced)
    def function(*args: _Any, **kwargs: _Any) -> _Any:
        if _any_traced(args, kwargs):
            return traced(*args, **kwargs)
        return getattr(_importlib.import_module("scipy.special"), name)(*args, **kwargs)

    return function


def _fill() -> dict[str, _Callable[..., _Any]]:
    found: dict[str, _Callable[..., _Any]] = {}
    for module, names in _dispatch.SAME_NAME:
        found.update({name: _public(name, getattr(module, name)) for name in names.split()})
    for name in _PRIMITIVES.split():
        found[name] = _public(name, getattr(_transcendental, name))
    found["digamma"] = found["psi"] = _public("psi", _transcendental.digamma)
    for name in _dispatch.COMPOSED.split():
        ours = "log_one_plus" if name == "log1p" else name
        found[name] = getattr(_elementary, ours)
    for name in _functions.__all__:
        found[name] = _plain_to_scipy(name, getattr(_functions, name))
    for name in ("logsumexp", "softmax", "log_softmax"):
        found[name] = _plain_to_scipy(name, getattr(_reductions, name))
    found["jn"], found["yn"] = found["jv"], found["yv"]
    return found


globals().update(_fill())


def sinc(x: _Any) -> _Any:
    """sin(πx)/(πx), NumPy's."""
    import tracer.numpy as tnp

    return tnp.sinc(x)


def __getattr__(name: str) -> _Any:
    raise AttributeError(
        f"tracer.scipy.special has no '{name}'; wrap SciPy's with tracer.primitive, or compose it"
    )


def __dir__() -> list[str]:
    return sorted(name for name in globals() if not name.startswith("_"))
