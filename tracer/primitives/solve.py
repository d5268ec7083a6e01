"""The solution of a linear system given as a function: differentiated by the system, not by its
solver.

    operands   constants of the system, right-hand side, both flat
    params     `system`: graph (x, constants) → A x, linear in x; `solver`: how it is solved

A·dx = db − dA·x; and with Aᵀλ = ct the cotangents are λ of b and −(∂(A x)/∂constants)ᵀ λ of the
constants.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tracer.graph.build import build_closed, cached_by_graph
from tracer.graph.evaluate import evaluate
from tracer.graph.nodes import Graph
from tracer.graph.primitive import Lowering, Primitive, register
from tracer.primitives.broadcast import zeros
from tracer.trace import bind, type_of
from tracer.types import ArrayType


class Solver:
    """How a system is solved: `solve(matvec, b)` on lists of arrays; `symmetric` systems equal
    their
    transposes."""

    def __init__(self, name: str, solve: Any, symmetric: bool) -> None:
        self.name = name
        self.solve = solve
        self.symmetric = symmetric

    def __call__(self, matvec: Any, b: list[Any]) -> list[Any]:
        return list(self.solve(matvec, b))


@cached_by_graph
def _solution_graph(system: Graph, solver: Solver, count: int) -> Graph:
    """(constants, b) → x."""
    lead = len(system.inputs) - count

    def function(*operands: Any) -> list[Any]:
        constants = operands[:lead]

        def matvec(x: list[Any]) -> list[Any]:
            return evaluate(system, [*x, *constants])

        return solver(matvec, list(operands[lead:]))

    types = [*system.input_types[count:], *system.input_types[:count]]
    return build_closed(function, types, f"solve_{system.name}")


@cached_by_graph
def _transposed(system: Graph, count: int) -> Graph:
    """(x, constants) → Aᵀ x."""
    from tracer.transforms.graphs import vjp_graph

    flags = tuple(place < count for place in range(len(system.inputs)))
    pulled = vjp_graph(system, flags)

    def function(*operands: Any) -> list[Any]:
        unused = [zeros(type_) for type_ in system.input_types[:count]]
        return evaluate(pulled, [*unused, *operands[count:], *operands[:count]])

    return build_closed(function, system.input_types, f"transposed_{system.name}")


def solve(constants: Sequence[Any], b: Sequence[Any], system: Graph, solver: Solver) -> Any:
    """The x of `system(x, constants) = b`, flat, as a tuple."""
    graph = _solution_graph(system, solver, len(b))
    return bind(solve_p, *constants, *b, graph=graph, system=system, solver=solver)


def _solve_type(*operands: ArrayType, graph: Graph, system: Graph, solver: Solver) -> Any:
    if operands != graph.input_types:
        raise TypeError(f"{graph.name} takes {graph.input_types}, not {operands}")
    return graph.output_types


def _solve_evaluate(*operands: Any, graph: Graph, system: Graph, solver: Solver) -> Any:
    return tuple(evaluate(graph, operands))


def _count(system: Graph) -> int:
    return len(system.outputs)


def _solve_jvp(
    primals: Any, tangents: Any, results: Any, *, graph: Graph, system: Graph, solver: Solver
) -> Any:
    from tracer.transforms.graphs import jvp_graph

    count = _count(system)
    constants, moved = primals[:-count], tangents[:-count]
    right = [
        zeros(type_of(primal)) if tangent is None else tangent
        for primal, tangent in zip(primals[-count:], tangents[-count:], strict=True)
    ]
    active = (*(False,) * count, *(tangent is not None for tangent in moved))
    if any(active):
        given = [tangent for tangent in moved if tangent is not None]
        pushed = evaluate(jvp_graph(system, active), [*results, *constants, *given])[count:]
        right = [b - part for b, part in zip(right, pushed, strict=True)]
    return solve(constants, right, system, solver)


def _solve_vjp(
    cts: Any,
    primals: Any,
    results: Any,
    active: Any,
    *,
    graph: Graph,
    system: Graph,
    solver: Solver,
) -> list[Any]:
    from tracer.transforms.graphs import vjp_graph

    count = _count(system)
    constants = primals[:-count]
    given = [
        zeros(type_) if ct is None else ct
        for ct, type_ in zip(cts, graph.output_types, strict=True)
    ]
    adjoint = system if solver.symmetric else _transposed(system, count)
    multipliers = list(solve(constants, given, adjoint, solver))
    flags = tuple(active[:-count])
    pulled: list[Any] = [None] * len(constants)
    if any(flags):
        outputs = iter(
            evaluate(
                vjp_graph(system, (*(False,) * count, *flags)),
                [*results, *constants, *multipliers],
            )
        )
        pulled = [-next(outputs) if flag else None for flag in flags]
    return [*pulled, *multipliers]


def _solve_batch(
    size: int, operands: Any, batched: Any, *, graph: Graph, system: Graph, solver: Solver
) -> Any:
    """Many systems are one block-diagonal system: its solver sees all lanes at once."""
    from tracer.transforms.vmap import batch_graph

    count = _count(system)
    every = (True,) * count
    wide_system = batch_graph(system, size, (*every, *batched[:-count]), every)[0]
    wide_graph = batch_graph(graph, size, tuple(batched), every)[0]
    results = bind(solve_p, *operands, graph=wide_graph, system=wide_system, solver=solver)
    return results, every


solve_p = register(
    Primitive(
        "linear_solve",
        _solve_type,
        _solve_evaluate,
        jvp_rule=_solve_jvp,
        vjp_rule=_solve_vjp,
        batch_rule=_solve_batch,
        lowering=Lowering("call"),
        multiple=True,
    )
)
