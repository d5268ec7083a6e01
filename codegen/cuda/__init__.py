"""CUDA: kernels compiled by Numba, arrays and libraries by CuPy; or simulated."""
