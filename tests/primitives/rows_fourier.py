"""Rows of the Fourier transforms, compared with NumPy's, which computes them."""

from __future__ import annotations

import numpy as np

from tests.primitives.row import Case, Row, type_of

UNIT = ((-2.0, 2.0),)


def _row(reference, dtypes, shape, *params):
    return Row(
        reference,
        tuple(Case((type_of(dtype, shape),), UNIT, each) for dtype in dtypes for each in params),
        order=2,
    )


ROWS = {
    "fft": _row(
        lambda x, *, axes, inverse, norm: (
            (np.fft.ifftn if inverse else np.fft.fftn)(x, axes=axes, norm=norm),
        ),
        ("c16", "c8"),
        (3, 4, 5),
        {"axes": (-1,), "inverse": False, "norm": "backward"},
        {"axes": (-3, -1), "inverse": True, "norm": "backward"},
        {"axes": (-2,), "inverse": True, "norm": "ortho"},
    ),
    "rfft": _row(
        lambda x, *, norm: (np.fft.rfft(x, norm=norm),),
        ("f8", "f4"),
        (3, 6),
        {"norm": "backward"},
        {"norm": "ortho"},
        {"norm": "forward"},
    ),
    "irfft": _row(
        lambda x, *, n, norm: (np.fft.irfft(x, n, norm=norm),),
        ("c16", "c8"),
        (3, 4),
        {"n": 6, "norm": "backward"},
        {"n": 7, "norm": "ortho"},
        {"n": 6, "norm": "forward"},
    ),
}
