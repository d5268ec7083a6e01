"""The Python of a call, written for one program: no loop over arrays, no table of buffers.

A call whose addresses are known, and with them its graph, costs the host some microseconds. It
takes a place, outputs, and the graph from the place's table of addresses, and replays that. All
else is `CudaProgram.general`, with what the call has got until then.

Outputs of up to `SPARE` bytes in all are used again once nobody has them: the arrays stay with the
place, and those that only the place refers to are free. So a loop over calls allocates nothing, and
soon has the addresses of an earlier turn. That nobody has an array is known by counts of
references, of the array and of its memory; a view, an export, or an array made of a part of its
memory has one. Streams are no concern, since places belong to one, and memory pools hand memory out
again just so.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from codegen.cuda.driver import Texts

if TYPE_CHECKING:
    from codegen.cuda.program import CudaProgram

SPARE = 8 * 1024 * 1024
"""Bytes of outputs, in all, that are kept to be used again."""
SPARES = 3
"""Arrays that are kept for each output: one with the user, one that replaces it, one more."""


def make_run(program: CudaProgram) -> Callable[..., tuple[Any, ...]]:
    """`run(*arrays)`: the outputs for arrays of the driver's, of the program's types, C-ordered and
    on the device.
    """
    texts = program.driver.texts
    namespace: dict[str, Any] = {
        "driver": program.driver,
        "places": program.idle,
        "new_place": program.new_place,
        "general": program.general,
        "settled": program.settled,
        "lock": program.graphs.lock,
        **spare_names(),
        **texts.names,
    }
    exec("\n".join(_run_lines(program, texts, namespace)), namespace)
    run: Callable[..., tuple[Any, ...]] = namespace["run"]
    return run


def _run_lines(program: CudaProgram, texts: Texts, namespace: dict[str, Any]) -> list[str]:
    inputs = [f"x{number}" for number in range(len(program.schedule.inputs))]
    outputs = [f"y{number}" for number in range(len(program.schedule.outputs))]
    given, made = "".join(f"{name}, " for name in inputs), "".join(f"{name}, " for name in outputs)
    lines = [f"def run({given.rstrip(', ')}):"]
    if texts.here:
        lines += [f"    if not ({texts.here}):", f"        return elsewhere(run, {given})"]
    lines += [
        f"    stream = {texts.stream}",
        f"    where = {texts.where}",
        "    idle = places.get(where)",
        "    if idle is None:",
        "        idle = places.setdefault(where, [])",
        "    try:",
        "        place = idle.pop()",
        "    except IndexError:",
        "        place = new_place()",
    ]
    lines += _output_lines(program, texts, namespace, outputs)
    addresses = [texts.address.format(x=name) for name in (*inputs, *outputs)]
    lines += [
        f"    key = ({''.join(f'{address}, ' for address in addresses)})",
        "    found = place.known.get(key)",
        "    if found is None:",
        f"        return general(place, idle, key, ({given}), ({made}))",
    ]
    checked = program.schedule.status is not None
    lines += ["    driver.zero(place.status)"] * checked
    lines += [
        "    with lock:",
        "        found.used = next(found.clock)",
        "        graph = found.graph",  # nothing comes between this look and the replay
        "        if graph is not None:",
        f"            {texts.replay.format(graph='graph')}",
        "    if graph is None:",
        "        del place.known[key]",
        f"        return general(place, idle, key, ({given}), ({made}))",
    ]
    if checked:
        lines += ["    if not settled(place):"]
        lines += [f"        return general(new_place(), idle, key, ({given}), ({made}))"]
    return [*lines, "    idle.append(place)", f"    return ({made})"]


def _output_lines(
    program: CudaProgram, texts: Texts, namespace: dict[str, Any], outputs: list[str]
) -> list[str]:
    """Arrays for the outputs: new ones, or ones that nobody has any more."""
    lines = []
    spare = keeps_outputs(program)
    for number, (name, buffer) in enumerate(zip(outputs, program.schedule.outputs, strict=True)):
        shape, dtype = f"{name}_shape", f"{name}_dtype"
        namespace[shape], namespace[dtype] = buffer.shape, buffer.dtype
        if not spare:
            lines.append(f"    {name} = driver.empty({shape}, {dtype})")
            continue
        lines += [
            f"    for {name} in place.spare[{number}]:",
            f"        if {texts.unused.format(x=name)} and {name}.shape == {shape}:",
            "            break",
            "    else:",
            f"        {name} = one_more(place.spare[{number}], driver, {shape}, {dtype})",
        ]
    return lines


def keeps_outputs(program: CudaProgram) -> bool:
    """Whether outputs are kept to be used again."""
    size = sum(buffer.size * buffer.dtype.itemsize for buffer in program.schedule.outputs)
    return bool(program.driver.texts.unused) and size <= SPARE


def _one_more(spare: list[Any], driver: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    """A new array, kept in the place of the oldest."""
    array = driver.empty(shape, dtype)
    if len(spare) >= SPARES:
        del spare[0]
    spare.append(array)
    return array


class _Holder:
    """An object with one other."""

    def __init__(self) -> None:
        self.held = object()


def spare_names() -> dict[str, Any]:
    """What tells arrays that nobody has: `alone(x)` counts for an array in a list and in a
    variable, `inner` for what it refers to; both as this interpreter counts.
    """
    names: dict[str, Any] = {
        "one_more": _one_more,
        "references": sys.getrefcount,
        "weak": weakref.getweakrefcount,
    }
    scope: dict[str, Any] = {"references": sys.getrefcount, "spare": [_Holder()]}
    text = "def counts():\n    for y in spare:\n        return references(y), references(y.held)\n"
    exec(text, scope)
    names["alone"], names["inner"] = scope["counts"]()
    return names
