"""The machine, the versions, and the threads that every subject is held to."""

import os
import platform
import re
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = (
    "tracer-ad",
    "numpy",
    "numba",
    "llvmlite",
    "scipy",
    "optree",
    "scikit-learn",
    "autograd",
    "jax",
    "jaxlib",
    "torch",
)
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMBA_NUM_THREADS",
    "NPROC",  # the size of XLA's pool
)
INSTALL_PEERS = "python -m pip install 'tracer-ad[peers]'"
INSTALL_BENCH = "python -m pip install 'tracer-ad[bench]'"


def hold_threads(threads: int, *, keep_cache: bool = False) -> None:
    """Give this process and all libraries in it `threads` threads and as many processors.

    It has to run before NumPy is imported, since a BLAS reads its variables once. Where the system
    can, the process is also pinned: a library that ignores the variables is held to the same cores.
    """
    if "numpy" in sys.modules:
        raise RuntimeError("hold_threads was called after NumPy had been imported")
    for variable in THREAD_VARIABLES:
        os.environ[variable] = str(threads)
    eigen = "true" if threads > 1 else "false"
    flags = f"--xla_cpu_multi_thread_eigen={eigen} intra_op_parallelism_threads={threads}"
    os.environ["XLA_FLAGS"] = flags
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    if not keep_cache:
        # Compile times are of a first run, not of reading back an earlier one's machine code.
        os.environ["TRACER_CACHE_DIR"] = "off"
    if sys.platform == "linux":
        processors = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, processors[-threads:])


def machine(threads: int) -> dict[str, Any]:
    """What the figures depend on; neither host names nor paths are in it."""
    load = [round(value, 2) for value in os.getloadavg()] if hasattr(os, "getloadavg") else []
    return {
        "processor": _processor_name(),
        "architecture": platform.machine(),
        "processors": os.cpu_count(),
        "memory_bytes": _memory_bytes(),
        "system": platform.system(),
        "threads": threads,
        "load_average": load,
    }


def versions() -> dict[str, str]:
    """Python's version, NumPy's BLAS, and the version of each installed package that takes part."""
    found = {"python": f"{platform.python_implementation()} {platform.python_version()}"}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    import numpy as np

    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    found["blas"] = f"{blas['name']} {blas['version']}"
    return found


def _processor_name() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or "unknown"
    match = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return match.group(1).strip() if match else platform.processor() or "unknown"


def _memory_bytes() -> int | None:
    names = getattr(os, "sysconf_names", {})
    if "SC_PHYS_PAGES" not in names or "SC_PAGE_SIZE" not in names:
        return None
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
