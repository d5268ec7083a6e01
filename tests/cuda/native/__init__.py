"""Kernels run by the host's processor from the NVVM IR that NVIDIA's compiler gets.

The simulator runs the text of kernels; what a compiler makes of it, widths of integers, casts,
functions of libdevice, wide accesses, is seen here only. libdevice's own bitcode is linked, so that
its numerics are those of a GPU but for the few instructions that are approximate in hardware.
"""
