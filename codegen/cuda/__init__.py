"""CUDA: kernels compiled without a GPU, arrays and libraries by CuPy; or all of it simulated."""
