"""NumPy's names on traced and concrete arrays. What is not traced is given to NumPy itself.

Creation functions give traced arrays inside a trace, ndarrays outside. Names that have nothing to
do with arrays' values (dtypes, constants, `finfo`, …) are NumPy's own.
"""

from __future__ import annotations

import sys as _sys
from typing import Any as _Any

import numpy as _np

from tracer import primitives as _primitives
from tracer.dispatch import METHODS as _METHODS
from tracer.numpy import array_api as _array_api
from tracer.numpy import attributes as _attributes
from tracer.numpy import bits as _bits
from tracer.numpy import calculus as _calculus
from tracer.numpy import contractions as _contractions
from tracer.numpy import creation as _creation
from tracer.numpy import cumulative as _cumulative
from tracer.numpy import einsum as _einsum
from tracer.numpy import elementwise as _elementwise
from tracer.numpy import fft as fft
from tracer.numpy import fitting as _fitting
from tracer.numpy import functional as _functional
from tracer.numpy import gathering as _gathering
from tracer.numpy import grids as _grids
from tracer.numpy import histograms as _histograms
from tracer.numpy import indexing as _indexing
from tracer.numpy import joining as _joining
from tracer.numpy import linalg as linalg
from tracer.numpy import matrices as _matrices
from tracer.numpy import nan_functions as _nan_functions
from tracer.numpy import operators as _operators
from tracer.numpy import padding as _padding
from tracer.numpy import polynomials as _polynomials
from tracer.numpy import reductions as _reductions
from tracer.numpy import selected_functions as _selected_functions
from tracer.numpy import selected_order as _selected_order
from tracer.numpy import sets as _sets
from tracer.numpy import shapes as _shapes
from tracer.numpy import sorting as _sorting
from tracer.numpy import statistics as _statistics
from tracer.numpy import ufunc_methods as _ufunc_methods
from tracer.numpy.common import PUBLIC as _PUBLIC

# Importing a family registers its functions.
_FAMILIES = (
    _primitives,
    _attributes,
    _bits,
    _calculus,
    _contractions,
    _creation,
    _cumulative,
    _einsum,
    _elementwise,
    _fitting,
    _functional,
    _gathering,
    _grids,
    _histograms,
    _indexing,
    _joining,
    _matrices,
    _nan_functions,
    _operators,
    _padding,
    _polynomials,
    _reductions,
    _selected_functions,
    _selected_order,
    _sets,
    _shapes,
    _sorting,
    _statistics,
)

globals().update(
    {name: _PUBLIC[f] for name, f in vars(_np).items() if callable(f) and f in _PUBLIC}
)
globals().update(_ufunc_methods.UFUNCS)
globals().update({name: getattr(_creation, name) for name in _creation.CREATION})
globals().update(vectorize=_functional.vectorize, r_=_grids.r_, c_=_grids.c_)

__array_namespace_info__ = _array_api.namespace_info
__array_api_version__ = _array_api.VERSION


def _namespace(self: _Any, api_version: str | None = None) -> _Any:
    if api_version not in (None, "2021.12", "2022.12", "2023.12", "2024.12"):
        raise ValueError(f"version {api_version!r} of the array API standard is not known here")
    return _sys.modules[__name__]


_METHODS["__array_namespace__"] = _namespace


def __getattr__(name: str) -> _Any:
    if name.startswith("_"):
        raise AttributeError(f"module 'tracer.numpy' has no attribute '{name}'")
    return getattr(_np, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *dir(_np)})
