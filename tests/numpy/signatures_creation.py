"""Calls of functions that make arrays, and index arrays, for the differential tests."""

from __future__ import annotations

from tests.numpy.differential import Table

# NumPy dispatches none of these: without an array among their arguments there is nothing to see.
# Read from the source of a traced function they work as they stand; here, through tracer.numpy.
creation: Table = {
    "arange": (
        "@= xp.arange(4) * s",
        "@= xp.arange(1, 2, 0.25) + s",
        "@= xp.arange(3, dtype='f4')",
    ),
    "array": (
        "@[x, z]",
        "@x, dtype='f4'",
        "@x, ndmin=3",
        "@[s, s, 2]",
        "@[[s, 1], [2, s]]",
        "@x, copy=False",
    ),
    "asarray": ("@x", "@x, dtype='f4'", "@x, float", "@[x, z]", "@x, copy=True"),
    "asanyarray": ("@x", "@x, 'c16'"),
    "ascontiguousarray": ("@x", "@s"),
    "asfortranarray": ("@x",),
    "asarray_chkfinite": ("@~x",),
    "bartlett": ("@= xp.bartlett(5) * s",),
    "blackman": ("@= xp.blackman(5) * s",),
    "c_": ("@= xp.c_[u, v]", "@= xp.c_[x, z]", "@= xp.c_[0:3, m[0]]"),
    "diag_indices": ("@= m[xp.diag_indices(3)]",),
    "empty": ("@= xp.empty((2, 3)).shape",),
    "eye": ("@= xp.eye(3) * s", "@= xp.eye(2, 3, 1, dtype=int) * s"),
    "frombuffer": ("@= xp.frombuffer(b'ab', 'u1') * s",),
    "fromfunction": ("@= xp.fromfunction(lambda p, q: p + q * s, (2, 3))",),
    "fromiter": ("@= xp.fromiter([1.0, 2.0], float) * s",),
    "full": ("@3, s", "@(2, 2), 1.5", "@(2,), s, dtype='f4'"),
    "hamming": ("@= xp.hamming(4) * s",),
    "hanning": ("@= xp.hanning(4) * s",),
    "identity": ("@= xp.identity(2) * s",),
    "indices": ("@= xp.indices((2, 3)) * s", "@= xp.indices((2, 3), sparse=True)[1] * s"),
    "kaiser": ("@= xp.kaiser(5, 2.0) * s",),
    "mask_indices": ("@= m[np.mask_indices(3, np.triu)]",),
    "ndenumerate": ("@= [p for _, p in xp.ndenumerate(x)]",),
    "ones": ("@= xp.ones(3) * s", "@= xp.ones((2, 1), dtype='i4') * s"),
    "r_": ("@= xp.r_[u, s, v]", "@= xp.r_[1:4, u]", "@= xp.r_[0:1:3j, v]", "@= xp.r_[x, z]"),
    "require": ("@= xp.require(x, None, ['C'])",),
    "tri": ("@= xp.tri(3) * s", "@= xp.tri(2, 3, 1, dtype=int) * s"),
    "tril_indices": ("@= m[xp.tril_indices(3)]",),
    "triu_indices": ("@= m[xp.triu_indices(3, 1)]",),
    "zeros": ("@= xp.zeros(3) + s", "@= after(xp.zeros(3), lambda a: setitem(a, 1, s))"),
}
