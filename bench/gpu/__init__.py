"""The benchmark on an NVIDIA GPU: `bench/gpu.sh`, or `python -m bench gpu`.

Each subject runs in a process of its own, so that one which leaves its CUDA context broken, or
hangs, costs its own row and nothing else; their samples are interleaved by the parent.
"""
