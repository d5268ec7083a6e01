"""Sparse Jacobians and Hessians: pattern from the graph, coloured, and compressed products.

What is made for a function and its types, the plan, is kept with the function: the pattern, its
colouring, and the graph of all compressed products in one batch. A function that is not jitted is
traced again at each call, since what it reads from outside may have changed; where the trace is the
same as before, the plan is.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from scipy import sparse

from tracer import backend as backends
from tracer import tree
from tracer.errors import (
    DerivativeError,
    DTypeError,
    NonScalarOutputError,
    UnsupportedFunctionError,
)
from tracer.graph.build import build, build_closed
from tracer.graph.evaluate import evaluate
from tracer.graph.nodes import Graph
from tracer.source.host import follow_source
from tracer.trace import is_tracer, snapshot, type_of
from tracer.transforms.colouring import (
    colour_columns,
    colour_rows,
    colour_symmetric,
    count_colours,
    seeds,
    symmetric_places,
)
from tracer.transforms.gradient import ArgNums, check_differentiable, function_name, positions
from tracer.transforms.graphs import inexact_flags, jvp_graph, vjp_graph
from tracer.transforms.same_program import same_program
from tracer.transforms.simplify import simplify
from tracer.transforms.sparsity import canonical, dependence
from tracer.transforms.vmap import batch_graph
from tracer.types import PYTHON_SCALARS, ArrayType, is_complex, is_inexact

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Plan:
    """All that does not depend on the values of the arguments.

    graph     the function
    pattern   csr_array of booleans
    colours   how many products there are
    products  (arguments, seeds) → products, one row a colour, flat from the second axis on
    seeds     those of each differentiated argument
    places    for each entry of the pattern its place in the products: (colour, element)
    """

    graph: Graph
    pattern: Any
    colours: int
    products: Graph
    seeds: tuple[Array, ...]
    places: tuple[Array, Array]

    def matrix(self, operands: Sequence[Any], backend: str) -> Any:
        """The sparse matrix at these arguments."""
        with np.errstate(all="ignore"):
            outputs = backends.run(self.products, [*operands, *self.seeds], backend)
        flat = [np.reshape(output, (self.colours, -1)) for output in outputs]
        table = np.concatenate(flat, axis=1)
        pattern = self.pattern
        data = table[self.places]
        return sparse.csr_array((data, pattern.indices, pattern.indptr), shape=pattern.shape)


class _Call:
    """One call, taken apart: the differentiated leaves, the other arrays, and the rest."""

    def __init__(self, f: Callable[..., Any], argnums: ArgNums, args: Any, kwargs: Any) -> None:
        self.f = f
        self.name = function_name(f)
        self.chosen = positions(argnums, len(args))
        self.leaves, self.form = tree.flatten((args, kwargs))
        if any(is_tracer(leaf) for leaf in self.leaves):
            raise UnsupportedFunctionError(
                f"the sparse derivative of {self.name} is a scipy.sparse array, which cannot be "
                "traced; take it outside of jit, vmap and grad, or use the dense one (sparse=False)"
            )
        counts = [len(tree.leaves(arg)) for arg in args]
        bounds = np.cumsum([0, *counts])
        self.blocks = [range(bounds[place], bounds[place + 1]) for place in self.chosen]
        self.active = [place for block in self.blocks for place in block]
        for place in self.active:
            check_differentiable(self.leaves[place], f"an argument of {self.name}")
        self.traced = [
            *self.active,
            *(
                place
                for place, leaf in enumerate(self.leaves)
                if place not in self.active and _is_inexact_array(leaf)
            ),
        ]
        self.operands = [snapshot(self.leaves[place]) for place in self.traced]
        self.types = tuple(type_of(operand) for operand in self.operands)
        self.weak = tuple(type(self.leaves[place]) in PYTHON_SCALARS for place in self.traced)

    @property
    def key(self) -> Any:
        """What a trace depends on. Whole numbers and booleans count by their values: they are
        indices, masks and sizes, which decide the pattern."""
        traced = set(self.traced)
        static = tuple(
            _static_key(leaf) for place, leaf in enumerate(self.leaves) if place not in traced
        )
        return self.form, tuple(self.active), self.types, self.weak, static

    def flags(self) -> tuple[bool, ...]:
        """Which operands are differentiated."""
        return tuple(place < len(self.active) for place in range(len(self.traced)))

    def trace(self) -> Graph:
        """The graph of f on the traced leaves."""

        def flat(*inputs: Any) -> list[Any]:
            leaves = list(self.leaves)
            for place, value in zip(self.traced, inputs, strict=True):
                leaves[place] = value
            args, kwargs = tree.unflatten(self.form, leaves)
            result, form = tree.flatten(follow_source(self.f)(*args, **kwargs))
            if form.num_leaves != 1 or form.num_nodes != 1:
                raise NonScalarOutputError(
                    f"a sparse derivative is one matrix, so {self.name} must return one array, "
                    f"not {form}; join its results, for instance by tracer.tree.ravel"
                )
            return [snapshot(result[0])]

        graph, captured = build(flat, self.types, self.name, self.weak)
        if captured:
            raise UnsupportedFunctionError(
                f"{self.name} closes over traced values, and a scipy.sparse array cannot be "
                "traced; take its sparse derivative outside, or use the dense one (sparse=False)"
            )
        result = graph.output_types[0]
        if not is_inexact(result.dtype):
            raise DTypeError(f"{self.name} returns {result}, which has no derivative")
        inputs = {is_complex(type_.dtype) for type_ in self.types[: len(self.active)]}
        if inputs != {is_complex(result.dtype)}:
            raise DTypeError(
                f"the sparse derivative of {self.name} takes real arguments and a real result, or "
                f"complex ones of a holomorphic function, not {self.types[0]} and {result}"
            )
        return simplify(graph)

    def split(self, matrix: Any, axis: int) -> list[Any]:
        """The matrix by arguments along an axis."""
        sizes = [sum(np.size(self.leaves[place]) for place in block) for block in self.blocks]
        bounds = np.cumsum([0, *sizes])
        if len(sizes) == 1:
            return [matrix]
        parts = [slice(*pair) for pair in itertools.pairwise(bounds)]
        return [matrix[part] if axis == 0 else matrix[:, part] for part in parts]


def _is_inexact_array(leaf: Any) -> bool:
    if type(leaf) in (float, complex):
        return True
    return isinstance(leaf, (np.ndarray, np.generic)) and is_inexact(leaf.dtype)


def _static_key(leaf: Any) -> Any:
    if isinstance(leaf, (np.ndarray, np.generic)):
        return type_of(leaf), leaf.tobytes()
    return type(leaf), leaf


def _basis(colours: Array, types: Sequence[ArrayType]) -> tuple[Array, ...]:
    """The seeds of each argument (or result)."""
    parts = []
    begin = 0
    for type_ in types:
        part = seeds(colours, type_.dtype)[:, begin : begin + type_.size]
        parts.append(np.ascontiguousarray(part).reshape(-1, *type_.shape))
        begin += type_.size
    return tuple(parts)


def _pushed(graph: Graph, active: tuple[bool, ...]) -> Graph:
    """(arguments, tangents) → tangent."""
    both = jvp_graph(graph, active, (True,))

    def function(*operands: Any) -> list[Any]:
        return evaluate(both, operands)[1:]

    return simplify(build_closed(function, both.input_types, both.name))


def _gradient(graph: Graph, active: tuple[bool, ...]) -> Graph:
    """Arguments → gradients of the scalar result."""
    pulled = vjp_graph(graph, active)
    one = graph.output_types[0].dtype.type(1)

    def function(*operands: Any) -> list[Any]:
        return evaluate(pulled, [*operands, one])

    return simplify(build_closed(function, graph.input_types, f"gradient_{graph.name}"))


def _batched(linear: Graph, count: int, colours: int) -> Graph:
    """The linear map of all seeds at once; `count` operands are not batched."""
    flags = tuple(place >= count for place in range(len(linear.inputs)))
    wide, _ = batch_graph(linear, colours, flags, (True,) * len(linear.outputs))
    return simplify(wide)


def _matrix_pattern(linear: Graph, count: int) -> Any:
    """The rows of all outputs of a linear map, one below the other."""
    active = [place >= count for place in range(len(linear.inputs))]
    return canonical(sparse.vstack(dependence(linear, active), format="csr"))


def _entries(pattern: Any) -> tuple[Array, Array]:
    rows = np.repeat(np.arange(pattern.shape[0]), np.diff(pattern.indptr))
    return rows, pattern.indices


def _jacobian_plan(graph: Graph, active: tuple[bool, ...]) -> Plan:
    """By columns in forward mode, or by rows in reverse mode: whichever has fewer colours."""
    count = len(graph.inputs)
    try:
        linear = _pushed(graph, active)
    except DerivativeError:  # a rule for reverse mode only
        pulled = simplify(vjp_graph(graph, active))
        pattern = canonical(_matrix_pattern(pulled, count).T)
        return _reverse_plan(graph, pulled, pattern, colour_rows(pattern))
    pattern = _matrix_pattern(linear, count)
    columns, rows = colour_columns(pattern), colour_rows(pattern)
    if count_colours(rows) < count_colours(columns):
        pulled = simplify(vjp_graph(graph, active))
        return _reverse_plan(graph, pulled, pattern, rows)
    number = count_colours(columns)
    row, column = _entries(pattern)
    chosen = [t for t, wanted in zip(graph.input_types, active, strict=True) if wanted]
    products = _batched(linear, count, number)
    return Plan(graph, pattern, number, products, _basis(columns, chosen), (columns[column], row))


def _reverse_plan(graph: Graph, pulled: Graph, pattern: Any, colours: Array) -> Plan:
    number = count_colours(colours)
    row, column = _entries(pattern)
    products = _batched(pulled, len(graph.inputs), number)
    basis = _basis(colours, graph.output_types)
    return Plan(graph, pattern, number, products, basis, (colours[row], column))


def _hessian_plan(graph: Graph, active: tuple[bool, ...]) -> Plan:
    """Forward over reverse. The true pattern is symmetric, so what one side alone says can go."""
    count = len(graph.inputs)
    gradient = _gradient(graph, active)
    wanted = inexact_flags(gradient.output_types)
    both = jvp_graph(gradient, active, wanted)
    lead = len(gradient.outputs)

    def function(*operands: Any) -> list[Any]:
        return evaluate(both, operands)[lead:]

    linear = simplify(build_closed(function, both.input_types, both.name))
    found = _matrix_pattern(linear, count)
    pattern = canonical(found.multiply(found.T))
    colours = colour_symmetric(pattern)
    number = count_colours(colours)
    chosen = [t for t, flag in zip(graph.input_types, active, strict=True) if flag]
    products = _batched(linear, count, number)
    places = symmetric_places(pattern, colours)
    return Plan(graph, pattern, number, products, _basis(colours, chosen), places)


class _Plans:
    """The plans of one function, by what a trace depends on."""

    def __init__(self, make: Callable[[Graph, tuple[bool, ...]], Plan]) -> None:
        self.make = make
        self.plans: dict[Any, Plan] = {}

    def plan(self, call: _Call, *, scalar: bool, fixed: bool) -> Plan:
        """The plan for a call; `fixed` functions are not traced again."""
        key = call.key
        try:
            before = self.plans.get(key)
        except TypeError:
            raise DTypeError(
                f"an argument of {call.name} is neither an array nor hashable"
            ) from None
        if before is not None and fixed:
            return before
        graph = call.trace()
        if scalar and graph.output_types[0].shape != ():
            raise NonScalarOutputError(
                f"hessian(sparse=True) needs a function that returns one scalar, but {call.name} "
                f"returns {graph.output_types[0]}"
            )
        if before is None or not same_program(before.graph, graph):
            self.plans[key] = before = self.make(graph, call.flags())
        return before


_kept: WeakKeyDictionary[Any, dict[str, _Plans]] = WeakKeyDictionary()


def _plans_of(f: Any, kind: str, make: Callable[[Graph, tuple[bool, ...]], Plan]) -> _Plans:
    """The plans that are kept with f; a callable that cannot be referred to weakly has new ones."""
    try:
        known = _kept.setdefault(f, {})
    except TypeError:
        return _Plans(make)
    return known.setdefault(kind, _Plans(make))


def _prepared(
    f: Any, argnums: ArgNums, kind: str, make: Callable[[Graph, tuple[bool, ...]], Plan]
) -> Callable[[Any, Any], tuple[_Call, Any]]:
    """A function from arguments to the call, and its matrix."""
    from tracer.jit import JittedFunction

    plans = _plans_of(f, kind, make)
    jitted = isinstance(f, JittedFunction)
    backend = backends.choose(f.backend) if jitted else "numpy"

    def run(args: Any, kwargs: Any) -> tuple[_Call, Any]:
        call = _Call(f, argnums, args, kwargs)
        plan = plans.plan(call, scalar=kind == "hessian", fixed=jitted)
        return call, plan.matrix(call.operands, backend)

    return run


def sparse_jacobian(f: Callable[..., Any], argnums: ArgNums = 0) -> Callable[..., Any]:
    """The Jacobian as a csr_array (result elements, argument elements): see `jacobian`."""
    run = _prepared(f, argnums, "jacobian", _jacobian_plan)

    @functools.wraps(f)
    def jacobian_of(*args: Any, **kwargs: Any) -> Any:
        call, matrix = run(args, kwargs)
        blocks = tuple(call.split(matrix, 1))
        return blocks[0] if isinstance(argnums, (int, np.integer)) else blocks

    return jacobian_of


def sparse_hessian(f: Callable[..., Any], argnums: ArgNums = 0) -> Callable[..., Any]:
    """The Hessian as a csr_array (argument elements, argument elements): see `hessian`."""
    run = _prepared(f, argnums, "hessian", _hessian_plan)

    @functools.wraps(f)
    def hessian_of(*args: Any, **kwargs: Any) -> Any:
        call, matrix = run(args, kwargs)
        rows = tuple(tuple(call.split(row, 1)) for row in call.split(matrix, 0))
        return rows[0][0] if isinstance(argnums, (int, np.integer)) else rows

    return hessian_of
