"""From a kernel's text to machine code, without a GPU."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from codegen.cuda import cubins
from codegen.cuda.assemble import Figures, cubin_of, figures
from codegen.cuda.target import compile_ptx
from codegen.device.schedule import Argument, Kernel
from codegen.loops.nodes import Buffer
from codegen.nvvm.statements import ir_of
from tests.cuda.example_kernels import HEAD, KERNELS
from tracer import config
from tracer.errors import BackendError

ROOT = Path(__file__).resolve().parents[2]
MACHINES = ((8, 0), (9, 0), (10, 0))


def ptx_of(kernel: Kernel, capability: tuple[int, int] = (8, 0)) -> str:
    return compile_ptx(kernel.source, kernel.name, kernel.arguments, capability)


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Path]:
    """An empty folder as the disk cache, and nothing in memory."""
    cubins.forget()
    before = config.get("cache_dir")
    config.set("cache_dir", str(tmp_path))
    yield tmp_path
    config.set("cache_dir", before)
    cubins.forget()


@pytest.mark.parametrize("name", KERNELS)
def test_kernels_assemble_for_every_architecture(name: str) -> None:
    ptx = ptx_of(KERNELS[name])
    assert f".visible .entry {name}(" in ptx
    for capability in MACHINES:
        assert cubin_of(ptx, capability)[:4] == b"\x7fELF"
        found = figures(ptx, capability)
        assert 0 < found.registers <= 48
        assert (found.spill_stores, found.spill_loads, found.stack) == (0, 0, 0)


@pytest.mark.parametrize("capability", [(9, 0), (10, 0)])
def test_kernels_compile_for_newer_architectures_too(capability: tuple[int, int]) -> None:
    ptx = ptx_of(KERNELS["total"], capability)
    assert ".target sm_{}{}".format(*capability) in ptx
    assert figures(ptx, capability).shared == 128 * 4


def test_parameters_are_as_the_driver_passes_them() -> None:
    for name, place in (("exponential", 1), ("histogram", 1)):
        ptx = ptx_of(KERNELS[name])
        assert ptx.count(f".param .u64 {name}_param_") == 3
        assert f"[{name}_param_{place}]" in ptx


def test_what_is_not_written_is_read_through_the_cache_for_constants() -> None:
    kernel = KERNELS["exponential"]
    given, *others = kernel.arguments
    assert "ld.global.nc.f64" in ptx_of(kernel)
    workspace = Buffer("x", given.dtype, (1000,), "workspace")
    arguments = (replace(given, buffer=workspace), *others)
    assert "ld.global.nc" not in ptx_of(replace(kernel, arguments=arguments))


def test_products_and_sums_are_fused_but_for_complex_numbers() -> None:
    text = HEAD + "def fused(x, y):\n    y[0] = x[0] * x[1] + x[2]\n"
    arguments = tuple(Argument(name, np.dtype(np.float64)) for name in "xy")
    assert "fma.rn.f64" in compile_ptx(text, "fused", arguments, (8, 0))
    assert "fma" not in ptx_of(KERNELS["product"])


def test_booleans_are_bytes() -> None:
    ptx = ptx_of(KERNELS["mask"])
    assert "ld.global.nc.u8" in ptx
    assert "st.global.u8" in ptx


def test_branches_with_values_become_selections() -> None:
    text = HEAD + "def relu(x, y):\n    v = x[0]\n    y[0] = v if v > 0.0 else 0.0\n"
    arguments = tuple(Argument(name, np.dtype(np.float64)) for name in "xy")
    assert "br label" not in ir_of(text, "relu", arguments)
    # Reading memory, or dividing, may not be done in vain.
    text += "    y[1] = x[1] / v if v != 0.0 else x[1]\n"
    assert ir_of(text, "relu", arguments).count("phi double") == 1
    assert compile_ptx(text, "relu", arguments, (8, 0)).count(".visible .entry") == 1


def test_a_spilling_kernel_is_seen() -> None:
    names = [f"t{number}" for number in range(300)]
    loads = "".join(f"    {name} = x[{place} * n]\n" for place, name in enumerate(names))
    stores = "".join(
        f"    y[{place}] = {name} * {names[-1 - place]}\n" for place, name in enumerate(names)
    )
    text = f"{HEAD}def crowded(x, y, n):\n{loads}    cuda.syncthreads()\n{stores}"
    double = np.dtype(np.float64)
    arguments = (
        Argument("x", double),
        Argument("y", double),
        Argument("n", np.dtype(np.int64), "scalar"),
    )
    found = figures(compile_ptx(text, "crowded", arguments, (8, 0)), (8, 0))
    assert found.registers > 200
    assert found.spill_stores > 0
    assert found.spill_loads > 0


def test_functions_that_are_called_count() -> None:
    text = KERNELS["exponential"].source.replace("math.exp", "math.sin")
    ptx = ptx_of(replace(KERNELS["exponential"], source=text))
    assert isinstance(figures(ptx, (9, 0)), Figures)
    assert figures(ptx, (9, 0)).stack > 0


def test_a_kernel_that_does_not_compile_names_the_users_line_and_keeps_its_text() -> None:
    kernel = KERNELS["exponential"]
    text = kernel.source.replace("math.exp", "math.expo")
    with pytest.raises(BackendError, match=r"model\.py:7 in loss") as caught:
        compile_ptx(text, "exponential", kernel.arguments, (8, 0), ("model.py:7 in loss",))
    message = str(caught.value)
    kept = Path(message.rpartition("Its source: ")[2])
    assert kept.read_text("utf-8") == text
    kept.unlink()
    assert "exponential" in message
    assert "\x1b" not in message


def test_ptx_that_does_not_assemble() -> None:
    ptx = ptx_of(KERNELS["exponential"])
    with pytest.raises(BackendError, match=r"sm_90.*Unsupported \.version 99\.0"):
        cubin_of(ptx.replace(".version 9.0", ".version 99.0"), (9, 0))


def test_machine_code_is_kept(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = KERNELS["exponential"]
    code = cubins.cubin_of_kernel(kernel, (9, 0))
    cubins.forget()

    def refuse(*arguments: object) -> str:
        raise AssertionError("compiled again")

    monkeypatch.setattr("codegen.cuda.target.kernel_ptx", refuse)
    assert cubins.cubin_of_kernel(kernel, (9, 0)) == code
    (file,) = cache.glob("*.bin")
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    assert cubins.cubin_of_kernel(kernel, (9, 0)) == code, "it is in memory"
    cubins.forget()
    with pytest.raises(AssertionError, match="compiled again"):
        cubins.cubin_of_kernel(kernel, (9, 0))


def test_several_kernels_are_compiled_at_a_time(cache: Path) -> None:
    kernels = [*KERNELS.values(), KERNELS["total"]]
    codes = cubins.cubins_of(kernels, (9, 0))
    cubins.forget()
    assert codes == [cubins.cubin_of_kernel(kernel, (9, 0)) for kernel in kernels]
    assert len(list(cache.glob("*.bin"))) == len(KERNELS)
    cubins.forget()
    wrong = replace(kernels[0], source=kernels[0].source.replace("math.exp", "math.expo"))
    with pytest.raises(BackendError, match="exponential does not compile"):
        cubins.cubins_of([kernels[1], wrong], (8, 0))


def test_keys_tell_apart_what_compiles_to_other_code() -> None:
    kernel = KERNELS["exponential"]
    given, made, count = kernel.arguments
    others = [
        kernel,
        replace(kernel, source=kernel.source + "\n"),
        replace(kernel, arguments=(given, replace(made, kind="scalar"), count)),
        replace(kernel, arguments=(replace(given, dtype=np.dtype(np.float32)), made, count)),
        replace(kernel, arguments=(replace(given, buffer=None), made, count)),
    ]
    keys = [cubins.key_of(other, (9, 0)) for other in others]
    assert len({*keys, cubins.key_of(kernel, (8, 0))}) == len(others) + 1


FROM_DISK = """
import sys
from codegen.cuda.cubins import cubin_of_kernel
from tests.cuda.example_kernels import KERNELS
print(len(cubin_of_kernel(KERNELS["exponential"], (9, 0))))
print(*sorted({"numba", "llvmlite", "cuda", "cupy"} & set(sys.modules)))
"""


def test_code_from_disk_needs_no_compiler(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = len(cubins.cubin_of_kernel(KERNELS["exponential"], (9, 0)))
    monkeypatch.setenv("TRACER_CACHE_DIR", str(cache))
    assert run(FROM_DISK) == [str(size), ""]


ON_THE_CPU = """
import sys
import numpy as np
import tracer
tracer.jit(tracer.grad(lambda x: (x * np.sin(x)).sum()))(np.ones(3))
print(*sorted({"numba.cuda", "cuda", "cupy"} & set(sys.modules)))
"""


def test_the_cpu_backend_knows_nothing_of_cuda() -> None:
    assert run(ON_THE_CPU) == [""]


def run(code: str) -> list[str]:
    """The lines that a process of its own prints."""
    command = [sys.executable, "-c", code]
    child = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return child.stdout.split("\n")[:-1]
