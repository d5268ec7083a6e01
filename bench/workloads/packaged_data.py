"""Tables that scikit-learn carries, read from its files: importing it takes seconds."""

import importlib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from bench.environment import INSTALL_BENCH
from bench.errors import BenchError

Array = np.ndarray[Any, Any]


def read_table(files: tuple[str, ...], loader: str, **options: Any) -> Array:
    """The columns of some files in its folder of data, one after the other, as float64.

    Where a version keeps them elsewhere, its own `loader` is asked, with the target as the last
    column. Raises `BenchError` where scikit-learn is missing.
    """
    spec = find_spec("sklearn")
    if spec is None:
        raise BenchError(f"scikit-learn is not installed: {INSTALL_BENCH}")
    folders = [Path(place) / "datasets" / "data" for place in spec.submodule_search_locations or []]
    for folder in folders:
        paths = [folder / name for name in files]
        if all(path.is_file() for path in paths):
            return np.column_stack([_read(path) for path in paths])
    load = getattr(importlib.import_module("sklearn.datasets"), loader)
    return np.column_stack(load(return_X_y=True, **options))


def _read(path: Path) -> Array:
    """Numbers with commas or blanks between them, compressed or not, as NumPy can tell."""
    try:
        return np.loadtxt(path, delimiter=",")
    except ValueError:
        return np.loadtxt(path)
