"""The passes over a loop program, by name and in order."""

from __future__ import annotations

from collections.abc import Callable

from codegen.loops.check import check_program
from codegen.loops.nodes import Program
from codegen.loops.text import print_program
from codegen.passes.batch_calls import batch_routines
from codegen.passes.carried import carried
from codegen.passes.contract import contract, device_contract
from codegen.passes.device_fuse import device_fuse
from codegen.passes.device_kinds import device_kinds
from codegen.passes.device_layout import device_layout
from codegen.passes.forward import forward
from codegen.passes.fuse import fuse
from codegen.passes.jam import jam
from codegen.passes.outward import outward
from codegen.passes.round_halves import round_halves
from codegen.passes.sort_calls import prune_sorts
from codegen.passes.split import split
from codegen.passes.strips import strips
from codegen.passes.sums import sums
from codegen.passes.unroll import device_unroll, unroll
from codegen.passes.unused import remove_unused
from tracer import config

Pass = Callable[[Program], Program]

PASSES: tuple[tuple[str, Pass], ...] = (
    ("halves", round_halves),
    ("fuse", fuse),
    ("unroll", unroll),
    ("forward", forward),
    ("remove_unused", remove_unused),
    ("sums", sums),
    ("jam", jam),
    ("contract", contract),
    ("strips", strips),
    ("forward_again", forward),
    ("remove_unused_again", remove_unused),
    ("split", split),
)

DEVICE_PASSES: tuple[tuple[str, Pass], ...] = (
    ("halves", round_halves),
    ("batch", batch_routines),
    ("kinds", device_kinds),
    ("layout", device_layout),
    ("fuse", device_fuse),
    ("outward", outward),
    ("fuse_again", device_fuse),
    ("unroll", device_unroll),
    ("fuse_unrolled", device_fuse),
    ("forward", forward),
    ("remove_unused", remove_unused),
    ("contract", device_contract),
    ("carried", carried),
    ("sorts", prune_sorts),
    ("forward_again", forward),
    ("remove_unused_again", remove_unused),
)

TARGETS = {"cpu": PASSES, "device": DEVICE_PASSES}


def optimize(program: Program, target: str = "cpu") -> Program:
    """The program after all passes for a target; verified after each where the `check` switch is
    on."""
    checking = bool(config.get("check"))
    settled: Program | None = None  # as some pass has left it that need not run again
    for name, change in TARGETS[target]:
        if name.endswith("_again") and program is settled:
            continue  # nothing is new since the first time
        program = change(program)
        if name in ("remove_unused", "fuse"):
            settled = program
        if checking:
            check_program(program)
        if config.debugging("loops"):
            print(f"--- {name}\n{print_program(program)}")
    return program
