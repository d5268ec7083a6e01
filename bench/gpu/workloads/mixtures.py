"""Points and centres: the Gaussian mixture's likelihood and k-means' objective, with gradients."""

from bench.gpu.case import Case
from bench.workload import Size, Tolerance, Work
from bench.workloads import gmm, kmeans


def gmm_work(size: Size, itemsize: int) -> Work:
    return Work(gmm.work(size).flops, gmm.work(size).bytes * itemsize / 8.0)


def kmeans_work(size: Size, itemsize: int) -> Work:
    return Work(kmeans.work(size).flops, kmeans.work(size).bytes * itemsize / 8.0)


CASES = (
    Case(
        name="gmm",
        title="Gaussian mixture, gradient",
        workload=gmm.WORKLOAD,
        program_name="gradient",
        sizes={
            "toy": {"n": 12, "k": 3, "d": 2},
            "tiny": {"n": 1_000, "k": 5, "d": 2},
            "medium": {"n": 10_000, "k": 25, "d": 10},
            "large": {"n": 200_000, "k": 25, "d": 10},
        },
        work=gmm_work,
        tolerance=Tolerance(2e-3, "exponents of some hundreds lose three of seven digits"),
        memory_bound=False,
    ),
    Case(
        name="kmeans",
        title="k-means, gradient by the centres",
        workload=kmeans.WORKLOAD,
        program_name="gradient",
        sizes={
            "toy": {"k": 3, "n": 10, "d": 2, "expanded": 0},
            "tiny": {"k": 10, "n": 1_000, "d": 8, "expanded": 0},
            "medium": {"k": 100, "n": 10_000, "d": 32, "expanded": 0},
            "large": {"k": 64, "n": 200_000, "d": 32, "expanded": 0},
        },
        work=kmeans_work,
        tolerance=Tolerance(1e-3, "a point halfway between two centres may go to either"),
        memory_bound=False,
    ),
)
