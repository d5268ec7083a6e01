"""Imports the four packages from FOLDER, where a wheel was unpacked, and runs one gradient."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path


def check(folder: Path) -> None:
    """Raises AssertionError where a package comes from elsewhere, or lacks its marks of typing."""
    for name in ("tracer", "codegen", "kernels", "bench"):
        module = importlib.import_module(name)
        assert module.__file__ is not None, f"{name} is a namespace package"
        package = Path(module.__file__).parent
        assert package == folder / name, f"{name} was imported from {package}, not from {folder}"
        assert (package / "py.typed").is_file(), f"{package} has no py.typed"

    import numpy as np

    import tracer

    def energy(x: np.ndarray) -> np.ndarray:
        return np.sum(np.sin(x) ** 2)

    x = np.linspace(0.0, 1.0, 5)
    expected = np.sin(2.0 * x)
    for derivative in (tracer.grad(energy), tracer.jit(tracer.grad(energy))):
        np.testing.assert_allclose(derivative(x), expected, rtol=1e-14)
    print(f"the wheel's tracer works from {folder}")


if __name__ == "__main__":
    check(Path(sys.argv[1]).resolve())
