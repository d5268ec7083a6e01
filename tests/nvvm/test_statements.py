"""Kernel text as NVVM's IR: what names are held in, and what text has no meaning."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pytest

from codegen.device.schedule import Argument
from codegen.nvvm.library import NvvmError, ptx_of
from codegen.nvvm.statements import ir_of
from codegen.nvvm.values import KernelError
from tests.cuda.example_kernels import HEAD

F64, F32, I64 = (np.dtype(code) for code in ("f8", "f4", "i8"))
ARGUMENTS = (
    Argument("x", F64),
    Argument("y", F64, written=True),
    Argument("n", I64, "scalar"),
)


def compiled(*lines: str, before: Sequence[str] = (), dtype: np.dtype[np.generic] = F64) -> str:
    """The IR of a kernel of these lines, which NVVM takes."""
    body = "".join(f"    {line}\n" for line in lines)
    text = HEAD + "".join(f"{line}\n" for line in before) + f"\n\ndef kernel(x, y, n):\n{body}"
    arguments = tuple(
        Argument(a.name, dtype, a.kind, written=a.written) if a.kind == "pointer" else a
        for a in ARGUMENTS
    )
    ir = ir_of(text, "kernel", arguments)
    ptx = ptx_of(ir, (9, 0), fused=True, verified=True)
    assert ".visible .entry kernel(" in ptx
    return ir


def test_a_name_that_is_assigned_once_is_a_register() -> None:
    ir = compiled("v = x[0]", "w = v * v", "y[0] = w + v")
    assert "alloca" not in ir


def test_a_name_that_is_assigned_again_is_memory() -> None:
    ir = compiled("v = x[0]", "for i in range(n):", "    v = v + x[i]", "y[0] = v")
    assert ir.count("alloca double") == 1


def test_a_name_known_in_one_branch_only_is_memory() -> None:
    ir = compiled("if n > 3:", "    v = x[1]", "else:", "    v = x[2]", "y[0] = v")
    assert ir.count("alloca double") == 1
    ir = compiled("if n > 3:", "    v = x[1]", "    y[1] = v", "w = x[3]", "y[0] = w")
    assert "alloca" not in ir


def test_an_index_is_known_after_its_loop() -> None:
    ir = compiled("for i in range(n):", "    y[i] = x[i]", "y[0] = x[i]")
    assert ir.count("alloca i64") == 1


def test_a_name_gets_the_kind_that_holds_all_its_values() -> None:
    ir = compiled("v = 0", "for i in range(n):", "    v = v + x[i]", "y[0] = v")
    assert ir.count("alloca double") == 1
    assert "alloca i64" not in ir


def test_loops_go_both_ways_and_are_left() -> None:
    ir = compiled(
        "for i in range(n - 1, -1, -1):",
        "    if x[i] < 0.0:",
        "        continue",
        "    if x[i] > 9.0:",
        "        break",
        "    y[i] = x[i]",
        "k = n",
        "while True:",
        "    k = k // 2",
        "    if k == 0:",
        "        break",
        "while k < n and x[k] > 0.0:",
        "    k += 1",
        "    y[k] -= 1.0",
    )
    assert "icmp sgt" in ir
    assert ir.count("phi i64") == 1


def test_a_grid_is_not_unrolled() -> None:
    ir = compiled("for i in range(cuda.grid(1), n, cuda.gridsize(1)):", "    y[i] = x[i]")
    assert "llvm.loop.unroll.disable" in ir
    assert ir.count("!llvm.loop !6") == 1
    assert "!llvm.loop !6" not in compiled("for i in range(3):", "    y[i] = x[i]")


def test_a_walk_through_a_threads_own_memory_is_written_out() -> None:
    """In registers it can be only so."""
    fill = ("for i in range(4):", "    kept[i] = x[i]", "for i in range(4):", "    y[i] = x[i]")
    ir = compiled("kept = cuda.local.array(4, np.float64)", *fill)
    assert "llvm.loop.unroll.full" in ir
    assert ir.count("!llvm.loop !8") == 1
    long = ("for i in range(40):", "    kept[i] = x[i]")
    assert "!llvm.loop !8" not in compiled("kept = cuda.local.array(40, np.float64)", *long)
    shared = compiled("kept = cuda.shared.array(4, np.float64)", *fill)
    assert "!llvm.loop !8" not in shared


def test_short_loops_of_many_turns_are_unrolled_by_eights() -> None:
    lines = ["for i in range(64):", "    y[0] = x[i] + y[0]"]
    assert "!llvm.loop !10" in compiled(*lines)
    assert "!llvm.loop" not in compiled(*lines, *["    y[1] = x[1] + y[1]"] * 8).split("\n}\n")[0]
    assert "!llvm.loop" not in compiled(lines[0].replace("64", "32"), lines[1]).split("\n}\n")[0]


def test_functions_are_put_in_place() -> None:
    before = (
        '@cuda.jit(device=True, inline="always")',
        "def first(a, b):",
        "    while b > 0.5:",
        "        if a > b:",
        "            return a, b",
        "        a, b = b, a - b",
        "    return b, 0.0",
        "",
        "def second(a):",
        "    pair = first(a, a + 1.0)",
        "    return pair[0] * pair[1]",
    )
    ir = compiled("y[0] = second(x[0])", "y[1] = second(x[1])", before=before)
    assert "call" not in ir
    assert ir.count("fmul double") == 2


def test_return_ends_a_kernel() -> None:
    ir = compiled("if n < 1:", "    return", "y[0] = x[0]")
    assert ir.count("ret void") == 2


def test_what_may_do_harm_is_computed_where_it_is_needed() -> None:
    ir = compiled("y[0] = x[n] if n > 0 else 1", "y[1] = 1.0 if n > 0 and x[n] > 0.0 else 0.0")
    assert ir.count("phi double") == 1
    assert ir.count("phi i1") == 1
    assert "sitofp" not in ir, "1 is a float where the other is one"


def test_whole_divisions_by_powers_of_two_are_shifts() -> None:
    ir = compiled("y[n // 8] = x[n % 8]")
    assert "sdiv" not in ir
    assert "ashr i64 %n, 3" in ir
    assert "sdiv" in compiled("y[n // 7] = x[n % 7]")


def test_constants_of_the_module_are_its_own() -> None:
    ir = compiled("y[0] = HALF * x[0]", before=("HALF = np.float64(0.5)",))
    assert "0x3FE0000000000000" in ir


@pytest.mark.parametrize("dtype", ["?", "i1", "u2", "i4", "u8", "f2", "f4", "c8", "c16"])
def test_vectors(dtype: str) -> None:
    kind = np.dtype(dtype)
    counts = (2, 4, 8) if kind.itemsize < 8 else (2, 4)
    for count in counts:
        names = ", ".join(f"v{i}" for i in range(count))
        ir = compiled(
            f"{names} = load{count}(x, n)",
            "if aligned(y):",
            f"    store{count}(y, n, {names})",
            dtype=kind,
        )
        widest = re.findall(r"load <(\d+) x (\w+)>.*align (\d+)", ir)
        assert all(int(size) <= 16 for *_, size in widest)
        assert sum(int(size) for *_, size in widest) == count * kind.itemsize


@pytest.mark.parametrize("dtype", ["i4", "u4", "i8", "u8", "f4", "f8"])
def test_threads_exchange_and_add(dtype: str) -> None:
    name = np.dtype(dtype).name
    ir = compiled(
        f"room = cuda.shared.array(32, np.{name})",
        "own = cuda.local.array(2, np.float32)",
        "own[0] = 1.0",
        "place = np.int64(cuda.threadIdx.x)",
        "room[place] = cuda.shfl_xor_sync(0xFFFFFFFF, x[place], 1)",
        "cuda.syncthreads()",
        "cuda.atomic.add(y, 0, room[31 - place])",
        "cuda.atomic.add(room, 0, own[0])",
        "if cuda.syncthreads_or(np.int32(place == 3)) != 0:",
        "    cuda.syncwarp()",
        "    y[1] = cuda.popc(cuda.ballot_sync(0xFFFFFFFF, place > 3))",
        dtype=np.dtype(dtype),
    )
    assert "addrspace(3) global [32 x" in ir
    assert ("atomicrmw" in ir) == (dtype[0] != "f")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("y[0] = z", "nothing is called z"),
        ("y[0] = math.expo(n)", "there is no function math.expo"),
        ("y[0] = x", "a number is expected"),
        ("y[0] = n[0]", "only arrays have elements"),
        ("y[0] = math.exp(x[0], 1.0)", "math.exp takes other arguments"),
        ("y[0] = cuda.selp(n, 1)", "takes other arguments"),
        ("y[0] = x[0] @ n", "there is no operator MatMult"),
        ("y[0] = n << x[0]", "there is no << of int64 and float64"),
        ("y[0] = v; v = 1.0", "v is read before it is assigned"),
        ("assert n", "there is no meaning of Assert"),
        ("y[0] = 'text'", "no literal of str"),
        ("for i in [1, 2]: pass", "loops are over range"),
        ("break", "there is no loop to leave"),
        ("room = cuda.shared.array(n, np.float64)", "an array has a size that is known"),
        ("y[0] = complex(1.0, 2.0)", "a complex number is no float64"),
    ],
)
def test_text_without_meaning(line: str, message: str) -> None:
    text = f"{HEAD}\n\ndef kernel(x, y, n):\n    {line}\n"
    with pytest.raises(KernelError, match=message) as caught:
        ir_of(text, "kernel", ARGUMENTS)
    assert f"line {len(text.splitlines())}: " in str(caught.value)


def test_ir_that_nvvm_refuses() -> None:
    with pytest.raises(NvvmError, match="expected"):
        ptx_of("define void @kernel( {", (9, 0), fused=True)
