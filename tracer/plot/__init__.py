"""Pictures of functions, of their derivatives and of descents on them.

matplotlib draws them (an extra: `pip install 'tracer-ad[plot]'`); each returns a
`matplotlib.figure.Figure`.
"""

from tracer.plot.data import (
    Landscape,
    Remainders,
    derivatives_on,
    descent,
    landscape_values,
    taylor_remainders,
)
from tracer.plot.pictures import derivative, landscape, taylor

__all__ = [
    "Landscape",
    "Remainders",
    "derivative",
    "derivatives_on",
    "descent",
    "landscape",
    "landscape_values",
    "taylor",
    "taylor_remainders",
]
