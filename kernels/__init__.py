"""Hand-written Numba kernels, each beside its NumPy twin."""
