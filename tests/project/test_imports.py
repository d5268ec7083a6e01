"""What `import tracer` loads, and when the rest comes: each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = "{'scipy', 'numba', 'llvmlite', 'codegen', 'kernels', 'numpy.random', 'numpy.ma'}"


def loaded_after(code: str) -> list[str]:
    """Which of the heavy modules are there after some lines of Python, in a new process."""
    text = f"import sys\n{code}\nprint('loaded', *sorted({HEAVY} & set(sys.modules)))\n"
    done = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, check=True, cwd=ROOT
    )
    _, *names = done.stdout.splitlines()[-1].split()
    return names


def test_import_loads_no_compiler_and_not_scipy() -> None:
    assert loaded_after("import tracer") == []


def test_eager_gradients_load_no_compiler_and_not_scipy() -> None:
    code = "import numpy as np, tracer\ntracer.grad(lambda x: np.sum(np.sin(x) * x))(np.ones(3))"
    assert loaded_after(code) == []


def test_llvm_does_not_load_numba() -> None:
    code = (
        "import numpy as np, tracer\n"
        "tracer.jit(tracer.grad(lambda x: np.sum(np.sin(x) * x)), backend='llvm')(np.ones(3))"
    )
    names = loaded_after(code)
    assert "llvmlite" in names
    assert "numba" not in names


@pytest.mark.parametrize(
    "line",
    [
        "assert np.allclose(grad(scipy.special.expit)(x), [0.23500371, 0.14914645])",
        "assert np.array_equal(tracer.jit(scipy.special.psi)(x), scipy.special.psi(x))",
        "assert np.array_equal(transcendental.erf(x), scipy.special.erf(x))",
    ],
)
@pytest.mark.parametrize("order", ["tracer, scipy.special", "scipy.special, tracer"])
def test_functions_of_scipy_are_found_whichever_was_imported_first(order: str, line: str) -> None:
    code = (
        f"import numpy as np, {order}\n"
        "tracer.config.set('backend', 'numpy')\n"
        "from tracer.primitives import transcendental\n"
        "grad = tracer.elementwise_grad\n"
        "x = np.array([0.5, 1.5])\n"
        f"{line}"
    )
    assert "scipy" in loaded_after(code)
