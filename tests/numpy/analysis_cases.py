"""Cases of gathering, sorting, calculus, statistics, histograms, sets, polynomials and padding."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.numpy.compare import Case
from tests.numpy.core_cases import (
    A34,
    B34,
    C34,
    F34,
    I34,
    P34,
    SQ,
    T234,
    V4,
    Z4,
    integers,
    normal,
    positive,
)

V9, W5, V6 = normal(9), normal(5), normal(6)
NAN = np.where(np.abs(A34) < 0.4, np.nan, A34)
NAN[:, 0] = A34[:, 0]
NODES, LEVELS = np.sort(normal(6)), normal(6)
K34 = integers(3, 4) % 3
THIRDS = np.arange(12).reshape(3, 4) % 3 == 0
APART = (np.arange(21) * 8 % 21 / 4.0).reshape(3, 7)  # no two close to each other


def _gathering() -> list[Case]:
    return [
        Case(
            "take",
            lambda xp, x: (
                xp.take(x, [0, 5, -1]),
                xp.take(x, 2, axis=1),
                x.take([[0, 1], [2, 0]], axis=0),
            ),
            (A34,),
        ),
        Case(
            "take modes",
            lambda xp, x: (
                xp.take(x, [0, 15, -13], mode="wrap"),
                xp.take(x, [7, -7], 1, mode="clip"),
            ),
            (A34,),
        ),
        Case("take traced", lambda xp, x, i: xp.take(x, i, axis=1), (A34, K34)),
        Case(
            "take_along_axis",
            lambda xp, x, i: (
                xp.take_along_axis(x, i[:, :2], axis=1),
                xp.take_along_axis(x, i, axis=0),
            ),
            (A34, K34),
        ),
        Case(
            "take_along_axis flat",
            lambda xp, x: xp.take_along_axis(x, np.array([3, 1, 11]), axis=None),
            (A34,),
        ),
        Case("put_along_axis", lambda xp, x, y: _put_along(xp, x, y), (A34, B34)),
        Case("put", lambda xp, x, y: _put(xp, x, y), (A34, V4)),
        Case("putmask", lambda xp, x, y: _putmask(xp, x, y), (A34, V4)),
        Case("copyto", lambda xp, x, y: _copyto(xp, x, y), (A34, V4)),
        Case(
            "compress",
            lambda xp, x: (xp.compress([True, False, True], x, axis=0), x.compress([False, True])),
            (A34,),
        ),
        Case("extract", lambda xp, x: xp.extract(THIRDS, x), (A34,)),
        Case(
            "nonzero",
            lambda xp, x: (*xp.nonzero(x > 0), xp.flatnonzero(x > 0), xp.argwhere(x > 0)),
            (A34,),
            0,
            False,
        ),
        Case("where of one", lambda xp, x: xp.where(x > 0.3), (A34,), 0, False),
        Case(
            "multi index",
            lambda xp, i: (
                xp.ravel_multi_index((abs(i) % 3, abs(i) % 4), (3, 4)),
                xp.unravel_index(abs(i), (2, 3)),
            ),
            (I34,),
            0,
        ),
        Case(
            "sliding_window_view",
            lambda xp, x: (
                np.lib.stride_tricks.sliding_window_view(x, 3, axis=1),
                np.lib.stride_tricks.sliding_window_view(x, (2, 2)),
            ),
            (A34,),
        ),
        Case(
            "sort", lambda xp, x: (xp.sort(x), xp.sort(x, axis=0), xp.sort(x, axis=None)), (A34,), 2
        ),
        Case("sort of ints", lambda xp, i: (xp.sort(i), xp.argsort(i, kind="stable")), (I34,), 0),
        Case("sort method", lambda xp, x: _sorted(xp, x), (A34,)),
        Case("sort of nan", lambda xp, x: xp.sort(x), (NAN,), 0),
        Case("sort of complex", lambda xp, z: (xp.sort(z), xp.sort_complex(z)), (C34,)),
        Case(
            "argsort",
            lambda xp, x: (xp.argsort(x), x.argsort(0), xp.argsort(x, axis=None)),
            (A34,),
            0,
        ),
        Case("lexsort", lambda xp, i, x: xp.lexsort((x, i), axis=0), (I34, A34), 0),
        Case(
            "searchsorted",
            lambda xp, x: (xp.searchsorted(NODES, x), xp.searchsorted(NODES, x, side="right")),
            (A34,),
            0,
        ),
        Case(
            "searchsorted of ints",
            lambda xp, i: xp.searchsorted(np.array([-3, 0, 2]), i),
            (I34,),
            0,
        ),
        Case(
            "digitize",
            lambda xp, x: (
                xp.digitize(x, NODES),
                xp.digitize(x, NODES[::-1]),
                xp.digitize(x, NODES, right=True),
            ),
            (A34,),
            0,
        ),
    ]


def _put_along(xp: Any, x: Any, y: Any) -> Any:
    x = x * 1.0
    xp.put_along_axis(x, np.array([[0, 2], [1, 3], [3, 0]]), y[:, :2], axis=1)
    return x


def _put(xp: Any, x: Any, y: Any) -> Any:
    x = x * 1.0
    xp.put(x, [0, -1, 5], y[:2])
    return x


def _putmask(xp: Any, x: Any, y: Any) -> Any:
    x, z = x * 1.0, x * 2.0
    xp.putmask(x, x > 0, y)
    xp.place(z, z > 0, y[:3])
    return x, z


def _copyto(xp: Any, x: Any, y: Any) -> Any:
    x = x * 1.0
    xp.copyto(x, y, where=x > 0)
    return x


def _sorted(xp: Any, x: Any) -> Any:
    x = x * 1.0
    x.sort(axis=0)
    return x


def _calculus() -> list[Case]:
    return [
        Case("gradient", lambda xp, x: xp.gradient(x), (A34,)),
        Case(
            "gradient spacing",
            lambda xp, x: (xp.gradient(x, 0.5, axis=1), xp.gradient(x, 2.0, 0.5)),
            (A34,),
        ),
        Case("gradient second order", lambda xp, x: xp.gradient(x, axis=1, edge_order=2), (A34,)),
        Case(
            "gradient coordinates",
            lambda xp, x, t: xp.gradient(x, t, axis=1, edge_order=2),
            (A34, np.array([0.0, 0.5, 1.5, 2.0])),
        ),
        Case("trapezoid", lambda xp, y: (xp.trapezoid(y), xp.trapezoid(y, dx=0.5, axis=0)), (A34,)),
        Case(
            "trapezoid places",
            lambda xp, y, x: (xp.trapezoid(y, x), xp.trapezoid(y, y * 2)),
            (A34, V4),
        ),
        Case("interp", lambda xp, x, p, f: xp.interp(x, p, f), (A34, NODES, LEVELS)),
        Case(
            "interp ends",
            lambda xp, x: (
                xp.interp(x, NODES, LEVELS, left=0.0, right=9.0),
                xp.interp(NODES[-1], NODES, x[0, 0] * LEVELS),
            ),
            (3 * A34,),
        ),
        Case(
            "interp period",
            lambda xp, x: xp.interp(
                x, np.array([0.1, 1.0, 2.5]), np.array([1.0, 3.0, 2.0]), period=3.0
            ),
            (A34,),
            sweep=False,  # NumPy drops the imaginary part of complex places, here that is an error
        ),
        Case("interp of complex", lambda xp, x, f: xp.interp(x, NODES[:4], f), (A34, Z4)),
        Case(
            "convolve",
            lambda xp, x, y: [xp.convolve(x, y, m) for m in ("full", "same", "valid")],
            (V9, W5),
            2,
        ),
        Case(
            "convolve shorter first",
            lambda xp, x, y: [xp.convolve(y, x, m) for m in ("full", "same", "valid")],
            (V9, W5),
        ),
        Case(
            "correlate",
            lambda xp, x, y: [xp.correlate(x, y, m) for m in ("full", "same", "valid")],
            (V9, W5),
        ),
        Case(
            "correlate shorter first",
            lambda xp, x, y: [xp.correlate(y, x, m) for m in ("full", "same", "valid")],
            (V9, V4),
        ),
        Case(
            "correlate same lengths",
            lambda xp, x, y: [
                xp.correlate(x[:n], y[:m], "same") for n in (3, 4, 5) for m in (3, 4, 5)
            ],
            (V9, W5),
        ),
        Case("correlate complex", lambda xp, z, x: xp.correlate(z, x * 1j, "full"), (Z4, V6)),
        Case(
            "cov",
            lambda xp, x: (xp.cov(x), xp.cov(x, rowvar=False), xp.cov(x, bias=True), xp.cov(x[0])),
            (A34,),
            2,
        ),
        Case("cov of two", lambda xp, x, y: (xp.cov(x, y), xp.cov(x[0], y[0], ddof=0)), (A34, B34)),
        Case(
            "cov weighted",
            lambda xp, x, w: (xp.cov(x, aweights=w), xp.cov(x, fweights=np.array([1, 2, 1, 3]))),
            (A34, positive(4)),
        ),
        Case("cov of complex", lambda xp, z: xp.cov(z), (C34,)),
        Case("corrcoef", lambda xp, x: xp.corrcoef(x), (A34,)),
        Case("average", lambda xp, x: (xp.average(x), xp.average(x, axis=1)), (A34,)),
        Case(
            "average weighted",
            lambda xp, x, w: (xp.average(x, axis=1, weights=w), xp.average(x, weights=x * x)),
            (A34, positive(4)),
        ),
        Case(
            "average returned",
            lambda xp, x: xp.average(x, axis=0, weights=np.array([1.0, 2.0, 3.0]), returned=True),
            (A34,),
        ),
    ]


METHODS = [
    "inverted_cdf",
    "averaged_inverted_cdf",
    "closest_observation",
    "interpolated_inverted_cdf",
    "hazen",
    "weibull",
    "linear",
    "median_unbiased",
    "normal_unbiased",
    "lower",
    "higher",
    "midpoint",
    "nearest",
]


def _statistics() -> list[Case]:
    cases = [
        Case(
            f"quantile {method}",
            lambda xp, x, m=method: [
                xp.quantile(x, q, axis=1, method=m) for q in (0.0, 0.1, 0.25, 0.5, 0.77, 1.0)
            ],
            (APART,),
        )
        for method in METHODS
    ]
    cases += [
        Case(
            f"quantile {method} even",
            lambda xp, x, m=method: xp.quantile(x, np.array([0.05, 0.25, 0.5, 0.75]), method=m),
            (APART.ravel()[:8],),
        )
        for method in METHODS
    ]
    cases += [
        Case(
            "quantile options",
            lambda xp, x: (
                xp.quantile(x, [0.2, 0.6], axis=(0, 2), keepdims=True),
                xp.percentile(x, 30),
                xp.percentile(x, [10, 90], axis=0),
            ),
            (T234,),
        ),
        Case("quantile of q", lambda xp, x, q: xp.quantile(x, q), (V9, np.array([0.21, 0.64]))),
        Case(
            "quantile weighted",
            lambda xp, x: xp.quantile(x, 0.4, weights=np.arange(1.0, 10.0), method="inverted_cdf"),
            (V9,),
        ),
        Case(
            "quantile of ints", lambda xp, i: (xp.quantile(i, 0.3), xp.median(i, axis=0)), (I34,), 0
        ),
        Case(
            "quantile of nan",
            lambda xp, x: (xp.quantile(x, 0.4, axis=1), xp.median(x, axis=0)),
            (NAN,),
            0,
        ),
        Case(
            "median",
            lambda xp, x: (
                xp.median(x),
                xp.median(x, axis=0),
                xp.median(x, axis=(0, 2), keepdims=True),
            ),
            (T234,),
        ),
        Case("median of float32", lambda xp, f: xp.median(f, axis=1), (F34,), 0),
    ]
    for name in [
        "nansum",
        "nanprod",
        "nanmax",
        "nanmin",
        "nanmean",
        "nanvar",
        "nanstd",
        "nanmedian",
    ]:
        cases += [
            Case(
                name,
                lambda xp, x, n=name: (
                    getattr(xp, n)(x),
                    getattr(xp, n)(x, axis=0),
                    getattr(xp, n)(x, axis=1, keepdims=True),
                ),
                (NAN,),
            ),
            Case(f"{name} without", lambda xp, x, n=name: getattr(xp, n)(x, axis=0), (A34,)),
            Case(f"{name} of ints", lambda xp, i, n=name: getattr(xp, n)(i, axis=0), (I34,), 0),
        ]
    cases += [
        Case(
            "nanquantile",
            lambda xp, x: (
                xp.nanquantile(x, 0.3),
                xp.nanquantile(x, [0.2, 0.7], axis=1),
                xp.nanpercentile(x, 40, axis=0),
            ),
            (NAN,),
        ),
        Case("nanargmax", lambda xp, x: (xp.nanargmax(x), xp.nanargmin(x, axis=0)), (NAN,), 0),
        Case(
            "nancumsum along",
            lambda xp, x: (xp.nancumsum(x, axis=1), xp.nancumprod(x, axis=0)),
            (NAN,),
        ),
        Case("histogram", lambda xp, x: xp.histogram(x, bins=4), (V9,), 0, sweep=False),
        Case("histogram edges", lambda xp, x: xp.histogram(x, bins=NODES), (V9,), 0, sweep=False),
        Case(
            "histogram weights",
            lambda xp, x, w: xp.histogram(x, bins=NODES, weights=w)[0],
            (V9, normal(9)),
            1,
            sweep=False,
        ),
        Case(
            "histogram density",
            lambda xp, x: xp.histogram(x, bins=3, range=(-1.0, 1.0), density=True),
            (V9,),
            0,
            sweep=False,
        ),
        Case(
            "histogram2d",
            lambda xp, x, y: xp.histogram2d(x, y, bins=3),
            (V9, normal(9)),
            0,
            sweep=False,
        ),
        Case(
            "histogramdd",
            lambda xp, x: xp.histogramdd(x, bins=(2, 3, 2, 2)),
            (A34,),
            0,
            sweep=False,
        ),
        Case("bincount", lambda xp, i: xp.bincount(i), (np.array([0, 3, 3, 1]),), 0, False),
        Case(
            "bincount weights",
            lambda xp, w: xp.bincount(np.array([0, 3, 3, 1]), w, 6),
            (V4,),
            1,
            False,
        ),
        Case(
            "unique",
            lambda xp, i: xp.unique(i, return_index=True, return_inverse=True, return_counts=True),
            (I34,),
            0,
            False,
        ),
        Case(
            "unique of floats", lambda xp, x: (xp.unique(x), xp.unique(x, axis=0)), (A34,), 1, False
        ),
        Case(
            "sets",
            lambda xp, i: (
                xp.union1d(i[0], i[1]),
                xp.intersect1d(i[0], i[1]),
                xp.setdiff1d(i[0], i[1]),
                xp.setxor1d(i[0], i[1]),
            ),
            (I34,),
            0,
            False,
        ),
        Case("isin", lambda xp, i: (xp.isin(i, [1, 2]), xp.isin(i, i[0], invert=True)), (I34,), 0),
        Case(
            "trim_zeros",
            lambda xp, x: xp.trim_zeros(x),
            (np.array([0.0, 1.0, 0.0, 2.0, 0.0]),),
            0,
            False,
        ),
    ]
    return cases


def _others() -> list[Case]:
    pads: dict[str, dict[str, Any]] = {
        "constant": {},
        "constant 2": {"mode": "constant", "constant_values": ((1.0, 2.0), (3.0, 4.0))},
        "edge": {"mode": "edge"},
        "reflect": {"mode": "reflect"},
        "reflect odd": {"mode": "reflect", "reflect_type": "odd"},
        "symmetric": {"mode": "symmetric"},
        "symmetric odd": {"mode": "symmetric", "reflect_type": "odd"},
        "wrap": {"mode": "wrap"},
        "linear_ramp": {"mode": "linear_ramp", "end_values": ((1.0, 2.0), (3.0, 4.0))},
        "maximum": {"mode": "maximum"},
        "minimum": {"mode": "minimum", "stat_length": 2},
        "mean": {"mode": "mean"},
        "mean of some": {"mode": "mean", "stat_length": ((1, 2), (2, 3))},
        "median": {"mode": "median"},
    }
    cases = [
        Case(
            f"pad {name}",
            lambda xp, x, o=options: xp.pad(x, ((1, 2), (3, 0)), **o),
            (A34,),
            sweep="odd" not in name,
        )
        for name, options in pads.items()
    ]
    # Several odd reflections of an infinity: NumPy gets ∞ − ∞ on the way, so these are not swept.
    cases += [
        Case(
            f"pad {name} far",
            lambda xp, x, o=options: xp.pad(x, ((1, 2), (9, 7)), **o),
            (A34,),
            sweep=False,
        )
        for name, options in pads.items()
    ]
    cases += [
        Case(
            "pad widths",
            lambda xp, x: (xp.pad(x, 2), xp.pad(x, (1, 2)), xp.pad(x, ((0, 1),), "edge")),
            (A34,),
        ),
        Case(
            "pad of ints",
            lambda xp, i: [xp.pad(i, 2, m) for m in ("edge", "mean", "linear_ramp", "maximum")],
            (I34,),
            0,
        ),
        Case(
            "meshgrid",
            lambda xp, x, y: (*xp.meshgrid(x, y), *xp.meshgrid(x, y, indexing="ij", sparse=True)),
            (V4, W5),
        ),
        Case("meshgrid of three", lambda xp, x, y: xp.meshgrid(x, y, y), (V4, W5)),
        Case("polyval", lambda xp, p, x: xp.polyval(p, x), (V4, A34)),
        Case(
            "polynomials",
            lambda xp, p, q: (xp.polyadd(p, q), xp.polysub(q, p), xp.polymul(p, q)),
            (V4, W5),
        ),
        Case(
            "polyder",
            lambda xp, p: (
                xp.polyder(p),
                xp.polyder(p, 2),
                xp.polyint(p),
                xp.polyint(p, 2, [1.0, 2.0]),
            ),
            (V4,),
        ),
        Case("polydiv", lambda xp, p, q: xp.polydiv(p, q), (V6, V4), 1, False),
        Case("poly", lambda xp, r: xp.poly(r), (V4,)),
        Case(
            "apply_along_axis",
            lambda xp, x: (
                xp.apply_along_axis(np.sum, 0, x),
                xp.apply_along_axis(lambda r: r * r[0], 1, x),
                xp.apply_along_axis(lambda r: np.outer(r, r), 1, x),
            ),
            (A34,),
        ),
        Case("apply_over_axes", lambda xp, x: xp.apply_over_axes(np.sum, x, [0, 2]), (T234,)),
        Case(
            "tri_indices",
            lambda xp, x: (
                x[np.tril_indices(4)],
                x[xp.triu_indices_from(x, 1)],
                x[xp.diag_indices_from(x)],
            ),
            (SQ,),
        ),
        Case(
            "powers", lambda xp, x: (xp.float_power(x, 2), xp.power(x, 3), xp.pow(x, 0.5)), (P34,)
        ),
    ]
    return cases


CASES = [*_gathering(), *_calculus(), *_statistics(), *_others()]
