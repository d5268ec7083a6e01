"""Calls of reductions, statistics, sorting, calculus and sets for the differential tests."""

from __future__ import annotations

from tests.numpy.differential import Table

_REDUCTIONS = "sum prod max min mean std var all any amax amin ptp median argmax argmin"
_AXES = ("x", "x, 0", "x, axis=-1", "x, axis=None, keepdims=True", "x, axis=0, keepdims=True")
_PAIRED = ("x, axis=(0, 1)", "x, (-1, 0), keepdims=True", "t, (0, 2)", "x, axis=()")
_NAN = "nansum nanprod nanmax nanmin nanmean nanstd nanvar nanmedian nanargmax nanargmin"
_QUANTILES = (
    "inverted_cdf averaged_inverted_cdf closest_observation interpolated_inverted_cdf hazen "
    "weibull linear median_unbiased normal_unbiased lower higher midpoint nearest"
)

_OPTIONS: dict[str, tuple[str, ...]] = {
    "sum": ("x, where=b", "x, 0, where=b", "x, initial=2", "x, 0, 'f4'", "x, dtype='c16'"),
    "prod": ("x, where=b", "x, 0, initial=2", "x, 0, 'f4'", "x * 0", "x * b, axis=1"),
    "max": ("x, initial=0", "x, where=b, initial=-3", "x, 0, out=xp.copy(y)"),
    "min": ("x, initial=0", "x, where=b, initial=5"),
    "mean": ("x, where=b", "x, 0, dtype='f4'", "x, 1, where=b"),
    "std": ("x, ddof=1", "x, 0, ddof=1", "x, correction=1", "x, where=b", "x, 0, mean=x[:1]*0+1"),
    "var": ("x, ddof=1", "x, 0, ddof=2", "x, correction=1", "x, 1, where=b", "x, dtype='f4'"),
    "all": ("x, where=b", "x > 0, 0"),
    "any": ("x, where=b", "x > 0, axis=1"),
    "argmax": ("x, 1, keepdims=True", "t, 0, out=xp.argmin(t, 0)"),
    "count_nonzero": ("x", "x, 0", "x, axis=(0, 1)", "b, axis=1, keepdims=True"),
    "cumsum": ("x", "x, 0", "x, axis=-1", "x, 1, 'f4'", "t, 0, out=xp.copy(t)"),
    "cumprod": ("x", "x, 0", "x, axis=-1", "x * b, axis=1"),
    "cumulative_sum": ("u", "x, axis=1, include_initial=True", "x, axis=0, dtype='f4'"),
    "cumulative_prod": ("u", "x, axis=1, include_initial=True"),
    "nancumsum": ("x", "x, 0"),
    "nancumprod": ("x", "x, 0"),
    "average": (
        "x",
        "x, 0",
        "x, axis=1, weights=xp.abs(y) + 1",
        "x, weights=xp.abs(z) + 1",
        "x, axis=(0, 1), weights=xp.abs(z) + 1",
        "u, weights=w, returned=True",
        "x, 0, keepdims=True",
    ),
    "median": ("x, 0, out=xp.copy(y)", "t, axis=(0, 1)"),
    "quantile": (
        "x, 0.3",
        "x, [0.1, 0.5, 1.0], axis=0",
        "x, 0.77, axis=1, keepdims=True",
        *[f"x, 0.37, axis=1, method='{name}'" for name in _QUANTILES.split()],
        "u, 0.4, weights=w, method='inverted_cdf'",
    ),
    "percentile": (
        "x, 30",
        "x, [10, 50], axis=0",
        *[f"x, 62, axis=0, method='{name}'" for name in _QUANTILES.split()],
    ),
    "nanquantile": ("x, 0.3", "x, [0.25, 0.5], axis=1", "x, 0.4, 0, method='hazen'"),
    "nanpercentile": ("x, 30", "x, [25, 50], axis=0, keepdims=True"),
    "cov": (
        "x",
        "x, rowvar=False",
        "x, z",
        "x, bias=True",
        "x, ddof=0",
        "m, fweights=[1, 2, 3]",
        "m, aweights=[0.5, 1.0, 2.0]",
        "u, v",
        "m, fweights=[1, 2, 1], aweights=[0.5, 1.0, 2.0], ddof=1",
        "x, dtype='f4'",
    ),
    "corrcoef": ("x", "x, z", "x, rowvar=False", "u, v"),
    "histogram": (
        "x",
        "x, 4",
        "x, bins=[-2, -0.5, 0, 1.0, 2]",
        "x, 3, range=(-1, 1)",
        "x, 4, density=True",
        "u, 4, weights=w",
        "u, 4, (-1, 1), True, w",
    ),
    "histogram_bin_edges": ("x, 4", "x, 3, (-1, 1)", "~x, 'auto'", "~x, 'fd'", "~x, 'sturges'"),
    "histogram2d": ("u, v, 3", "u, v, [2, 3]", "u, v, 2, weights=w", "u, v, 2, [[-1, 1], [-1, 1]]"),
    "histogramdd": ("x, 2", "m, (2, 3, 2)", "m, 2, density=True"),
    "bincount": ("~k", "~k, weights=y", "~k, minlength=5", "~k, y, 6"),
    "digitize": ("x, [-1, 0, 1]", "x, [1, 0, -1], right=True", "x, [0.0, 0.5], True"),
    "searchsorted": (
        "xp.sort(u), x",
        "xp.sort(u), v, side='right'",
        "u, v, sorter=xp.argsort(u)",
        "xp.sort(u), s",
        "[-1, 0, 1], x",
    ),
    "sort": ("x", "x, 0", "x, axis=None", "x, kind='stable'", "x, stable=True"),
    "argsort": ("x", "x, 0", "x, axis=None", "x, kind='stable'"),
    "sort_complex": ("x",),
    "lexsort": ("(u, v)", "x", "@[v, u]", "(x, z), axis=0"),
    "partition": ("= xp.partition(x, 1, axis=-1)[..., 1]", "= xp.partition(u, [1, 3])[[1, 3]]"),
    "argpartition": ("= xp.argpartition(u, 2)[2]",),
    "unique": (
        "~x",
        "~i",
        "~i, return_index=True, return_inverse=True, return_counts=True",
        "~i, axis=0",
        "~x, equal_nan=False",
        "~b",
    ),
    "unique_all": ("~i", "~x"),
    "unique_counts": ("~i",),
    "unique_inverse": ("~i",),
    "unique_values": ("~= xp.sort(xp.unique_values(i))",),
    "union1d": ("~i, k", "~x, z"),
    "intersect1d": ("~i, k", "~x, x, return_indices=True"),
    "setdiff1d": ("~i, k", "~x, z"),
    "setxor1d": ("~i, k",),
    "isin": ("i, k", "x, y", "i, [0, 2], invert=True", "i, [1], assume_unique=False"),
    "diff": (
        "x",
        "x, 2",
        "x, axis=0",
        "x, prepend=0",
        "x, append=x[..., :1]",
        "x, 0",
        "b",
    ),
    "ediff1d": ("x", "x, to_end=u", "x, 1, [2, 3]"),
    "gradient": (
        "x",
        "u, 2.0",
        "u, xp.cumsum(xp.abs(w))",
        "x, axis=1",
        "x, 0.5, 2.0",
        "u, edge_order=2",
        "u, w.cumsum(), edge_order=2",
        "m, axis=(0, 1)",
    ),
    "trapezoid": ("x", "x, dx=0.5", "x, y", "x, axis=0", "u, w.cumsum()", "x, z, axis=0"),
    "interp": (
        "u, w.cumsum(), v",
        "x, [-1, 0, 1], [2.0, 0.5, 3.0]",
        "u, w.cumsum() - 2, v, left=7.0, right=-7.0",
        "u, w.cumsum(), v, period=2.5",
        "s, [0.0, 1.0], [1.0, 4.0]",
        "w, w.cumsum(), v",
    ),
    "convolve": ("u, v", "u, v[:3], 'same'", "u, v[:2], mode='valid'", "u[:2], v"),
    "correlate": ("u, v", "u, v[:3], 'same'", "u, v[:2], mode='full'", "u[:2], v, 'full'"),
    "polyval": ("u, x", "[1, 2, 3], x", "u, s"),
    "polyadd": ("u, v[:3]",),
    "polysub": ("u, v[:3]",),
    "polymul": ("u, v[:3]",),
    "polydiv": ("~u, v[:2]",),
    "polyder": ("u", "u, 2"),
    "polyint": ("u", "u, 2, [1, 2]"),
    "poly": ("u",),
    "polyfit": (
        "u, v, 2",
        "w, v, 1",
        "u, v, 2, w=w",
        "m[0] * 3, n, 1",
        "u, v, 1, full=True",
        "u, v, 1, cov=True",
        "u, v, 1, cov='unscaled'",
    ),
    "roots": ("= xp.sort(xp.roots(u[:3] * 1.0))", "= xp.abs(xp.roots(v)).sum()"),
    "vander": ("u", "u, 3", "u, 4, increasing=True"),
    "nan_to_num": ("t",),
    "trim_zeros": ("~xp.concatenate([u * 0, v])", "~v, 'f'"),
}


def analysis() -> Table:
    """All calls of functions that reduce, sort, count or integrate."""
    table: dict[str, tuple[str, ...]] = {}
    for name in _REDUCTIONS.split():
        table[name] = _AXES
    for name in ["sum", "prod", "max", "min", "mean", "std", "var", "all", "any", "ptp", "median"]:
        table[name] += _PAIRED
    for name in _NAN.split():
        table[name] = _AXES
    for name in ["nansum", "nanmax", "nanmean", "nanstd", "nanvar", "nanprod", "nanmin"]:
        table[name] += ("x, axis=(0, 1)", "x, 0, where=b" if name != "nanmax" else "x, initial=0")
    table["nanstd"] += ("x, ddof=1",)
    table["nanvar"] += ("x, 1, ddof=1",)
    for name, texts in _OPTIONS.items():
        table[name] = table.get(name, ()) + texts
    return table
