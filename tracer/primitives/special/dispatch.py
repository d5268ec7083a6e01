"""How SciPy's own functions find ours when they are called with traced arrays."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

from tracer.dispatch import LATE
from tracer.primitives.special import bessel, entropy, error, gamma, incomplete, integrals, inverse

SAME_NAME: tuple[tuple[ModuleType, str], ...] = (
    (gamma, "gamma rgamma betaln beta binom poch"),
    (incomplete, "gammainc gammaincc betainc betaincc stdtr"),
    (inverse, "gammaincinv gammainccinv betaincinv stdtrit"),
    (error, "erfcx erfcinv ndtri log_ndtr dawsn"),
    (bessel, "i0 i0e i1 i1e k0 k0e k1 k1e j0 j1 y0 y1 iv ive"),
    (integrals, "exp1 expi expn spence exprel hyp1f1"),
    (entropy, "xlogy xlog1py entr rel_entr kl_div log_expit"),
)
"""Primitives that are called as in `scipy.special`."""
COMPOSED = (
    "logit ndtr exp2 exp10 expm1 log1p cbrt cosm1 powm1 huber pseudo_huber boxcox boxcox1p "
    "gammasgn sindg cosdg tandg cotdg radian"
)
"""Universal functions that `tracer.scipy.special` composes."""
BY_ORDER = "jv yv kv kve loggamma"


def _later(name: str) -> Callable[..., Any]:
    """A function of `tracer.scipy.special`, which is imported when it is first used."""

    def call(*operands: Any) -> Any:
        return getattr(importlib.import_module("tracer.scipy.special"), name)(*operands)

    return call


def register() -> None:
    """Enter all of them in the table of dispatch."""
    for module, names in SAME_NAME:
        for name in names.split():
            LATE[name] = ("scipy.special", getattr(module, name))
    for name in f"{COMPOSED} {BY_ORDER}".split():
        LATE[name] = ("scipy.special", _later(name))


register()
