"""The benchmark: workloads in plain NumPy, their gradients on every backend, and peers beside them.

`python -m bench list` shows what there is, `python -m bench run NAME` measures it. Nothing is
timed before its results have been checked against the NumPy reference.

Nothing heavy is imported here: the number of threads has to be settled before NumPy loads its BLAS.
"""
