"""A compiler of kernels: from their text, a small part of Numba-CUDA's Python, to NVVM's IR.

Numba compiles the same text, in some five times the time: what a line means is what Numba says.
"""
