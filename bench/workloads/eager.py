"""What an operation costs in an eager gradient of small arrays, beside HIPS autograd.

Each case applies one operation several times; the figure is the time of the whole gradient over the
number of operations, so that it holds the forward and the backward part of each.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

import tracer
from bench.check import check_outputs
from bench.context import Context
from bench.display import Table, format_seconds
from bench.errors import describe_error
from bench.peers import is_installed, missing_peer
from bench.rebind import rebind
from bench.results import Failure, Measurement
from bench.timing import Calls
from bench.workload import Function, Inputs, Size, Tolerance, Workload, gradient

TOLERANCE = Tolerance(1e-12, "ten operations on ten elements at most")


@dataclass(frozen=True)
class Case:
    """An operation on y with the input x and a constant; how many operations it is."""

    operation: Callable[[Any, Any, Any], Any]
    operations: int = 1
    scalars: bool = True


def cases() -> Mapping[str, Case]:
    """The operations by name, in whatever namespace `np` is bound to."""
    return {
        "add": Case(lambda y, x, c: y + x),
        "multiply": Case(lambda y, x, c: y * c),
        "divide": Case(lambda y, x, c: c / y),
        "power": Case(lambda y, x, c: y**2),
        "sin": Case(lambda y, x, c: np.sin(y)),
        "exp": Case(lambda y, x, c: np.exp(-y), operations=2),
        "tanh": Case(lambda y, x, c: np.tanh(y)),
        "maximum": Case(lambda y, x, c: np.maximum(y, 0.1)),
        "where": Case(lambda y, x, c: np.where(c > 1.0, y, x)),
        "sum": Case(lambda y, x, c: np.sum(y) * c, operations=2, scalars=False),
        "index": Case(lambda y, x, c: y[::-1], scalars=False),
        "reshape": Case(lambda y, x, c: np.reshape(y, (-1,)), scalars=False),
        "dot": Case(lambda y, x, c: np.dot(y, c) * c, operations=2, scalars=False),
    }


def build_case(name: str, repeats: int) -> Function:
    """A scalar function of x which applies the operation of that name `repeats` times."""
    case = cases()[name]

    def function(x: Any, c: Any) -> Any:
        y = x
        for _ in range(repeats):
            y = case.operation(y, x, c)
        return np.sum(y)

    return function


def build(size: Size) -> Function:
    return build_case("multiply", size["repeats"])


def make_inputs(size: Size, rng: np.random.Generator) -> Inputs:
    """x and a constant: arrays, or scalars where `elements` is 0."""
    if size["elements"] == 0:
        return np.float64(1.3), np.float64(0.7)
    shape = size["elements"]
    return rng.uniform(0.5, 1.5, shape), rng.uniform(0.5, 1.5, shape)


def measure(context: Context, size_name: str, size: Size) -> list[Measurement]:
    """Both libraries on every operation, the calls of each operation interleaved."""
    with_autograd = is_installed("autograd")
    if not with_autograd:
        context.display.line(missing_peer("autograd"))
    inputs = make_inputs(size, np.random.default_rng(0))
    names = [name for name, case in cases().items() if size["elements"] or case.scalars]
    found: list[Measurement] = []
    for number, name in enumerate(names):
        context.display.progress(f"eager {size_name}: {name}", number, len(names), brief=True)
        try:
            found += _measure_case(context, size_name, size, name, inputs, with_autograd)
        except Exception as error:
            failure = Failure("eager", size_name, name, "tracer-eager", describe_error(error))
            context.fail(failure, error)
    if found:
        context.display.table(_table(size_name, size, found))
    return found


def _measure_case(
    context: Context, size_name: str, size: Size, name: str, inputs: Inputs, with_autograd: bool
) -> list[Measurement]:
    repeats = size["repeats"]
    operations = repeats * cases()[name].operations
    ours = tracer.grad(build_case(name, repeats))
    calls: dict[str, Callable[[], Any]] = {"tracer-eager": lambda: ours(*inputs)}
    if with_autograd:
        from bench.peers import autograd

        function = rebind(build_case, autograd.NAMESPACES)(name, repeats)
        theirs = autograd.gradient(function, 0)
        calls["autograd"] = lambda: theirs(*inputs)
        check_outputs([ours(*inputs)], [theirs(*inputs)], ["gradient of x"], TOLERANCE)
    timed = context.time(calls)
    return [
        Measurement(
            "eager", size_name, dict(size), name, subject,
            "peer" if subject == "autograd" else "tracer",
            calls=item,
            figures={"microseconds an operation": 1e6 * item.median / operations},
        )
        for subject, item in timed.items()
    ]  # fmt: skip


def _table(size_name: str, size: Size, measurements: list[Measurement]) -> Table:
    by_case: dict[str, dict[str, tuple[Calls, float]]] = {}
    for item in measurements:
        if item.calls is not None:
            figure = 1e-6 * item.figures["microseconds an operation"]
            by_case.setdefault(item.program, {})[item.subject] = (item.calls, figure)
    rows = []
    for name, row in by_case.items():
        ours = row["tracer-eager"]
        theirs = row.get("autograd")
        rows.append(
            (
                name,
                format_seconds(ours[1]),
                "–" if theirs is None else format_seconds(theirs[1]),
                "–" if theirs is None else f"{ours[0].median / theirs[0].median:.2f}",
                "–" if theirs is None else f"{ours[0].minimum / theirs[0].minimum:.2f}",
            )
        )
    columns = ("operation", "tracer", "autograd", "ratio", "of minima")
    kind = f"{size['elements']} elements" if size["elements"] else "scalars"
    return Table(f"eager {size_name}: gradient, time an operation, {kind}", columns, rows)


_SCALAR = {"elements": 0, "repeats": 10}

WORKLOAD = Workload(
    name="eager",
    description="eager gradients of small arrays: time an operation, beside HIPS autograd",
    sizes={
        "scalar": _SCALAR,
        "small": {"elements": 3, "repeats": 10},
        "medium": {"elements": 10, "repeats": 10},
        "large": {"elements": 1_000, "repeats": 10},
    },
    default_sizes=("scalar", "small", "medium"),
    smoke={"elements": 3, "repeats": 2},
    make_inputs=make_inputs,
    build=build,
    programs={"gradient": gradient({0: "x"})},
    tolerance=TOLERANCE,
    measure=measure,
)
