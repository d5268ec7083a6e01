"""What a call on a device does, in words: launches, library calls, and the memory they move."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from codegen.cuda.library import describe_call
from codegen.cuda.segments import batches
from codegen.device.items import adds_floats, can_add_at_once
from codegen.device.machine import DeviceMachine
from codegen.device.plan import plan_program
from codegen.device.plan_kernel import KernelPlan
from codegen.device.schedule import Choose, Launch, Library, Repeat, RepeatWhile, Schedule, Step
from codegen.device.sort_step import SortStep
from codegen.device.traffic import repeated_steps, schedule_traffic, step_traffic
from codegen.device.user_lines import lines_of_names
from codegen.loops.nodes import Buffer, Loop, Program, While
from codegen.loops.walk import statements
from codegen.lower.graph import lower_with_places
from codegen.passes.pipeline import optimize
from codegen.render.cuda import render_kernel
from tracer.graph.nodes import Graph

UNITS = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def plan_graph(graph: Graph, machine: DeviceMachine) -> Schedule:
    """The schedule of a graph, with the plans of its kernels and the user's lines."""
    program, lines = _lowered(graph)
    return plan_program(program, machine, render_kernel, lines)


def _lowered(graph: Graph) -> tuple[Program, dict[str, str]]:
    """The loop program of a graph, and the user's lines for its names."""
    lowered, places = lower_with_places(graph, "device")
    return optimize(lowered, "device"), lines_of_names(graph, places)


def explain_graph(graph: Graph, machine: DeviceMachine | None = None) -> str:
    """A line for each launch and each library call of one call, in their order; by default on the
    device of `DeviceMachine`.
    """
    machine = machine or DeviceMachine()
    program, user_lines = _lowered(graph)
    schedule = plan_program(program, machine, render_kernel, user_lines)
    total = schedule_traffic(schedule.steps, machine)
    count = launch_count(schedule.steps)
    lines = [
        f"{schedule.name}: {count:g} launches and library calls, {size_text(total.least)} moved, "
        f"coalescing {100 * total.coalescing:.0f} %, workspace {size_text(schedule.workspace)}"
    ]
    lines += ["  " + line for line in (*_order(program), *_lines(schedule.steps, machine))]
    return "\n".join(lines)


def _order(program: Program) -> Iterator[str]:
    """In which order numbers are added to places that are data, where that can be seen."""
    loops = [part for part in statements(program.body) if isinstance(part, Loop)]
    scatters = [loop for loop in loops if loop.kind == "scatter"]
    if any(not can_add_at_once(loop) for loop in scatters):
        yield "sums by index: in a fixed order"
    if any(can_add_at_once(loop) and adds_floats(loop) for loop in scatters):
        yield "sums by index: in any order, by atomic operations (TRACER_SCATTER=atomic)"


def launch_count(steps: Sequence[Step]) -> float:
    """Launches and library calls of one call: loops of known length count as often as they run,
    others once, and of branches both count."""
    return float(sum(runs for _, runs in repeated_steps(steps, unknown=1)))


def _lines(steps: Sequence[Step], machine: DeviceMachine) -> Iterator[str]:
    for step in steps:
        match step:
            case Launch() | Library():
                traffic = step_traffic(step, machine)
                moved = f"{size_text(traffic.least)}, coalescing {100 * traffic.coalescing:.0f} %"
                yield f"{describe_step(step)}: {moved}"
                if isinstance(step, Launch):
                    yield from ("  " + place for place in step.kernel.places)
            case Repeat(index, start, stop, _, body):
                yield f"for {index} from {_bound(start)} to {_bound(stop)}, by the host:"
                yield from ("  " + line for line in _lines(body, machine))
            case RepeatWhile(test, condition, body):
                who = "which kernels look at" if batches(step) else "read by the host"
                yield f"while {condition.name} holds, {who}:"
                yield from ("  " + line for line in _lines((*test, *body), machine))
            case Choose(condition, then, otherwise):
                yield f"if {condition.name} holds, read by the host:"
                yield from ("  " + line for line in _lines(then, machine))
                yield "else:"
                yield from ("  " + line for line in _lines(otherwise, machine))


def describe_step(step: Launch | Library) -> str:
    """`kernel_0 <<<1056, 256>>> one thread an element`, or who does a library's work."""
    if isinstance(step, Launch):
        form = "" if step.plan is None else " " + describe_form(step.plan)
        return f"{step.kernel.name} <<<{step.blocks}, {step.threads}>>>{form}"
    shapes = ", ".join("×".join(map(str, view.shape)) for view in step.call.operands)
    return f"{describe_call(step.call)} of {shapes}"


def describe_form(plan: KernelPlan) -> str:
    """Which threads run an iteration, in words."""
    if plan.product is not None:
        tiling = plan.product.tiling
        return f"one block a tile of {tiling.rows}×{tiling.columns}"
    if plan.sort is not None:
        return describe_sort(plan.sort)
    how = ", by atomic operations" if plan.atomic else ""
    if not plan.grid:
        return ("one block" if plan.threads > 1 else "one thread") + how
    who = "thread" if plan.group == 1 else "block" if plan.group == plan.threads else "warp"
    loops = any(
        isinstance(part, Loop | While) for outer in plan.body for part in statements((outer,))
    )
    return f"one {who} {'a row' if loops else 'an element'}{how}"


def describe_sort(step: SortStep) -> str:
    """What a kernel of a sort does, in words."""
    if step.step == "rows":
        return f"one block sorts a row, in {step.passes} passes"
    parts = {
        "count": "counts digits of",
        "sift": "counts digits of",
        "offsets": "adds up counts of",
        "move": "moves",
        "choose": "chooses among",
    }
    return f"{parts[step.step]} keys in one of {step.passes} passes"


def size_text(size: float) -> str:
    """`40 MB`: three digits and the unit that suits."""
    for unit, name in UNITS:
        if size >= 0.9995 * unit:
            return f"{size / unit:.3g} {name}"
    return f"{size:.0f} bytes"


def _bound(bound: int | Buffer) -> str:
    return str(bound) if isinstance(bound, int) else bound.name
