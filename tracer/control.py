"""Control flow that stays one node of the graph: cond, switch, while_loop, fori_loop, scan, map,
associative_scan.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tracer import tree
from tracer.errors import CarryTypeError, ConcretizationError, NotAnArrayError, ShapeError
from tracer.graph.build import build
from tracer.graph.nodes import Graph
from tracer.primitives.cast import cast
from tracer.primitives.comparison import logical_and
from tracer.primitives.loop import LoopShape
from tracer.primitives.loop import loop as bind_loop
from tracer.primitives.pointwise import converted
from tracer.primitives.switch import switch as bind_switch
from tracer.primitives.switch import with_unused
from tracer.source.host import follow_source
from tracer.source_lines import user_source
from tracer.trace import Tracer, is_abstract, is_tracer, snapshot, type_of
from tracer.types import BOOL, INT64, PYTHON_SCALARS, ArrayType, DType, kind_of


def _where() -> str:
    source = user_source()
    return f"{source}: " if source else ""


def _is_weak(value: Any) -> bool:
    return type(value) in PYTHON_SCALARS or (type(value) is Tracer and value.variable.weak)


def _leaf(value: Any) -> Any:
    """A leaf of an operand as an array of a known type."""
    type_of(value)
    return snapshot(value)


class _Body:
    """A function traced on types: its graph, what it captured, and the structure of its result."""

    def __init__(
        self,
        function: Callable[..., Any],
        form: Any,
        types: Sequence[ArrayType],
        weak: Sequence[bool],
        *,
        enclosing: bool = False,
    ) -> None:
        self.name = getattr(function, "__name__", "body")
        self.out_form: Any = None
        self.out_weak: list[bool] = []

        def flat(*inputs: Any) -> list[Any]:
            result = function(*tree.unflatten(form, inputs))
            leaves, self.out_form = tree.flatten(result)
            self.out_weak = [_is_weak(leaf) for leaf in leaves]
            return [_leaf(leaf) for leaf in leaves]

        self.graph, self.captured = build(flat, types, self.name, weak, enclosing=enclosing)


def _concrete_scalar(value: Any) -> Any:
    """The value of a predicate or index that is known now, else None."""
    if isinstance(value, Tracer):
        return None if is_abstract(value) else value.concrete("a branch")
    return value


def cond(
    pred: Any, true_fun: Callable[..., Any], false_fun: Callable[..., Any], *operands: Any
) -> Any:
    """`true_fun(*operands)` where `pred` holds, else `false_fun(*operands)`.

    pred is a boolean scalar. Both branches return one structure, shapes and dtypes; under a trace
    without
    values both are traced and one runs. Raises CarryTypeError where the results differ.
    """
    true_fun, false_fun = follow_source(true_fun), follow_source(false_fun)
    known = _concrete_scalar(pred)
    if known is not None:
        if np.shape(known) != ():
            raise ShapeError(f"{_where()}the predicate of cond has shape {np.shape(known)}, not ()")
        return (true_fun if known else false_fun)(*operands)
    if pred.shape != ():
        raise ShapeError(f"{_where()}the predicate of cond has shape {pred.shape}, not ()")
    flag = pred if pred.dtype == BOOL else pred != 0
    return _branches(cast(flag, INT64), (false_fun, true_fun), operands, "cond")


def switch(index: Any, branches: Sequence[Callable[..., Any]], *operands: Any) -> Any:
    """`branches[index](*operands)`; an index outside counts as the nearest branch."""
    if not branches:
        raise ValueError("switch needs at least one branch")
    branches = [follow_source(branch) for branch in branches]
    known = _concrete_scalar(index)
    if known is not None:
        return branches[int(np.clip(known, 0, len(branches) - 1))](*operands)
    if index.shape != () or index.dtype.kind not in "iu":
        raise ShapeError(f"{_where()}the index of switch is an integer scalar, not {index.type}")
    return _branches(cast(index, INT64), tuple(branches), operands, "switch")


def _branches(index: Any, functions: Sequence[Callable[..., Any]], operands: Any, what: str) -> Any:
    leaves, form = tree.flatten(operands)
    weak = [_is_weak(leaf) for leaf in leaves]
    flat = [_leaf(leaf) for leaf in leaves]
    types = [type_of(leaf) for leaf in flat]
    bodies = [_Body(function, form, types, weak, enclosing=True) for function in functions]
    first = bodies[0]
    targets = _common_results(bodies, what)
    every = [*flat]
    places: list[tuple[int, ...]] = []
    known: dict[int, int] = {}
    for body in bodies:
        mine = list(range(len(flat)))
        for tracer in body.captured:
            key = id(tracer.variable)
            if key not in known:
                known[key] = len(every)
                every.append(tracer)
            mine.append(known[key])
        places.append(tuple(mine))
    before = tuple(type_of(value) for value in every)
    graphs = tuple(
        with_unused(_converted_outputs(body.graph, targets), before, mine)
        for body, mine in zip(bodies, places, strict=True)
    )
    return tree.unflatten(first.out_form, bind_switch(index, every, graphs))


def _common_results(bodies: Sequence[_Body], what: str) -> list[DType]:
    first = bodies[0]
    targets = [type_.dtype for type_ in first.graph.output_types]
    for body in bodies[1:]:
        if body.out_form != first.out_form:
            raise CarryTypeError(
                f"{_where()}{what}: {first.name} returns {first.out_form} and {body.name} "
                f"{body.out_form}; "
                "all branches must return one structure"
            )
        rows = zip(first.graph.output_types, body.graph.output_types, strict=True)
        for place, (one, other) in enumerate(rows):
            if one.shape != other.shape:
                raise CarryTypeError(
                    f"{_where()}{what}: {first.name} returns {one} where {body.name} returns "
                    f"{other}"
                )
            if other.dtype == targets[place]:
                continue
            if _yields(first.out_weak[place], targets[place], other.dtype):
                targets[place] = other.dtype
            elif not _yields(body.out_weak[place], other.dtype, targets[place]):
                raise CarryTypeError(
                    f"{_where()}{what}: {first.name} returns {one} where {body.name} returns "
                    f"{other}"
                )
    return targets


def _yields(weak: bool, dtype: DType, other: DType) -> bool:
    """Whether a Python scalar of `dtype` takes the other's dtype: of the same kind."""
    kinds = kind_of(dtype), kind_of(other)
    return weak and (kinds[0] == kinds[1] or set(kinds) == {"i", "u"})


def _converted_outputs(graph: Graph, targets: Sequence[DType]) -> Graph:
    if all(type_.dtype == dtype for type_, dtype in zip(graph.output_types, targets, strict=True)):
        return graph
    from tracer.graph.build import build_closed
    from tracer.graph.evaluate import evaluate

    def function(*operands: Any) -> list[Any]:
        outputs = evaluate(graph, operands)
        return [cast(value, dtype) for value, dtype in zip(outputs, targets, strict=True)]

    return build_closed(function, graph.input_types, graph.name)


class _Carry:
    """The carry of a loop: leaves, structure, and types, which Python scalars take from the
    body.
    """

    def __init__(self, init: Any) -> None:
        leaves, self.form = tree.flatten(init)
        self.weak = [_is_weak(leaf) for leaf in leaves]
        self.leaves = [_leaf(leaf) for leaf in leaves]
        self.types = [type_of(leaf) for leaf in self.leaves]

    def accept(self, body: _Body, found: Sequence[ArrayType], form: Any, what: str) -> bool:
        """Whether the body returns the carry's types; else adopt dtypes for Python scalars, or
        raise.
        """
        if form != self.form:
            raise CarryTypeError(
                f"{_where()}{what}: {body.name} turns a carry of structure {self.form} into {form}"
            )
        changed = False
        for place, (mine, other) in enumerate(zip(self.types, found, strict=True)):
            if mine == other:
                continue
            if mine.shape == other.shape and _yields(self.weak[place], mine.dtype, other.dtype):
                self.types[place] = other
                self.leaves[place] = converted(self.leaves[place], other.dtype)
                self.weak[place] = False
                changed = True
            elif not (
                mine.shape == other.shape and _yields(body.out_weak[place], other.dtype, mine.dtype)
            ):
                raise CarryTypeError(
                    f"{_where()}{what}: leaf {place} of the carry is {mine} before and {other} "
                    f"after "
                    f"{body.name}; a carry keeps its type: convert the start value, or the "
                    f"result, with "
                    "astype"
                )
        return not changed


def while_loop(
    cond_fun: Callable[[Any], Any],
    body_fun: Callable[[Any], Any],
    init: Any,
    *,
    checkpoint_every: int | None = None,
) -> Any:
    """`while cond_fun(x): x = body_fun(x)` from `init`; a pytree that keeps its structure and
    types.

    Differentiates in both modes with a trip count that only the run knows. With
    `checkpoint_every=k` the
    adjoint's tape holds the carry of every k-th step only, and k steps are recomputed at a time:
    n/k + k in place
    of n. Raises CarryTypeError.
    """
    if checkpoint_every is not None:
        return _segmented_while(cond_fun, body_fun, init, int(checkpoint_every))
    cond_fun, body_fun = follow_source(cond_fun), follow_source(body_fun)
    carry = _Carry(init)
    while True:
        body = _Body(_single(body_fun), _pack(carry.form), carry.types, carry.weak)
        if carry.accept(body, body.graph.output_types, body.out_form, "while_loop"):
            break
    test = _Body(_single(cond_fun), _pack(carry.form), carry.types, carry.weak)
    if test.graph.output_types != (ArrayType(BOOL, ()),):
        found = ", ".join(str(type_) for type_ in test.graph.output_types)
        raise CarryTypeError(f"{_where()}while_loop: {test.name} returns {found}, not one bool")
    graph = _converted_outputs(body.graph, [type_.dtype for type_ in carry.types])
    shape = LoopShape(len(test.captured), len(body.captured), len(carry.leaves), 0, None, False)
    operands = [*test.captured, *body.captured, *carry.leaves]
    outputs = bind_loop(
        operands,
        _body_order(graph, 0, len(carry.leaves), 0, len(body.captured)),
        _captured_first(test.graph, len(carry.leaves)),
        shape,
    )
    return tree.unflatten(carry.form, outputs[: len(carry.leaves)])


def _segmented_while(
    cond_fun: Callable[[Any], Any], body_fun: Callable[[Any], Any], init: Any, segment: int
) -> Any:
    if segment < 1:
        raise ValueError(f"checkpoint_every is at least 1, not {segment}")
    from tracer.transforms.checkpoint import checkpoint

    def several(value: Any) -> Any:
        def more(pair: Any) -> Any:
            return logical_and(pair[1] < segment, cond_fun(pair[0]))

        def step(pair: Any) -> Any:
            return body_fun(pair[0]), pair[1] + 1

        return while_loop(more, step, (value, 0))[0]

    return while_loop(cond_fun, checkpoint(several), init)


def _single(function: Callable[[Any], Any]) -> Callable[..., Any]:
    def taking_one(value: Any) -> Any:
        return function(value)

    taking_one.__name__ = getattr(function, "__name__", "body")
    return taking_one


def _pack(form: Any) -> Any:
    """The structure of a one-tuple around `form`."""
    return tree.structure((tree.unflatten(form, [0] * form.num_leaves),))


def _captured_first(graph: Graph, count: int) -> Graph:
    """A traced test takes (carry, captured); the loop gives (captured, carry)."""
    inputs = (*graph.inputs[count:], *graph.inputs[:count])
    return Graph(inputs, graph.constants, graph.nodes, graph.outputs, graph.name)


def _body_order(graph: Graph, index: int, carry: int, slices: int, captured: int) -> Graph:
    """A traced body takes ([index,] carry, slices, captured); the loop gives (index, captured,
    carry, slices).
    """
    from tracer.graph.nodes import Variable

    lead = graph.inputs[:index] if index else (Variable(ArrayType(INT64, ())),)
    rest = graph.inputs[index:]
    inputs = (*lead, *rest[carry + slices :], *rest[: carry + slices])
    assert len(rest) == carry + slices + captured, "inputs of a loop's body"
    return Graph(inputs, graph.constants, graph.nodes, graph.outputs, graph.name)


def fori_loop(lower: Any, upper: Any, body_fun: Callable[[Any, Any], Any], init: Any) -> Any:
    """`for i in range(lower, upper): x = body_fun(i, x)` from `init`, as one loop; i is an int64.

    The bounds are integers, traced or not.
    """
    for bound in (lower, upper):
        if type_of(bound).shape != () or type_of(bound).dtype.kind not in "iu":
            raise NotAnArrayError(
                f"{_where()}the bounds of fori_loop are integers, not {type_of(bound)}"
            )
    body_fun = follow_source(body_fun)
    static = not isinstance(lower, Tracer) and not isinstance(upper, Tracer)
    carry = _Carry(init)
    start = int(lower) if not isinstance(lower, Tracer) else cast(lower, INT64)

    def stepped(index: Any, value: Any) -> Any:
        offset = index if isinstance(start, int) and start == 0 else index + start
        return body_fun(offset, value)

    stepped.__name__ = getattr(body_fun, "__name__", "body")
    form = tree.structure((0, tree.unflatten(carry.form, [0] * carry.form.num_leaves)))
    while True:
        types = [ArrayType(INT64, ()), *carry.types]
        body = _Body(stepped, form, types, [False, *carry.weak])
        if carry.accept(body, body.graph.output_types, body.out_form, "fori_loop"):
            break
    graph = _converted_outputs(body.graph, [type_.dtype for type_ in carry.types])
    count = len(carry.leaves)
    length = max(0, int(upper) - int(lower)) if static else None
    shape = LoopShape(0, len(body.captured), count, 0, length, False)
    trips = [] if static else [_trip_count(lower, upper)]
    operands = [*body.captured, *carry.leaves, *trips]
    outputs = bind_loop(operands, _body_order(graph, 1, count, 0, len(body.captured)), None, shape)
    return tree.unflatten(carry.form, outputs[:count])


def _trip_count(lower: Any, upper: Any) -> Any:
    difference = cast(np.int64(0) + upper, INT64) - cast(np.int64(0) + lower, INT64)
    from tracer.primitives.arithmetic import maximum

    return maximum(difference, np.int64(0))


def scan(
    f: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
    *,
    checkpoint: str = "",
) -> tuple[Any, Any]:
    """Fold with history: `carry, y = f(carry, x)` for each x along the first axis of `xs`.

    Returns the last carry and the stacked ys. `xs`, `y` and the carry are pytrees, or None.
    `length` is needed where xs is None. With `reverse` the last x comes first; ys stand in the
    order of xs. `checkpoint="sqrt"` stores the carry of every √n-th step only and recomputes the
    others for the adjoint; "full" stores the carry alone at every step.
    """
    if checkpoint not in ("", "sqrt", "full"):
        raise ValueError(f"checkpoint is '', 'sqrt' or 'full', not {checkpoint!r}")
    f = follow_source(f)
    slices, slice_form = tree.flatten(xs)
    slices = [_leaf(part) for part in slices]
    count = _scan_length(slices, length)
    if checkpoint:
        from tracer.transforms.checkpoint import checkpointed_scan

        return checkpointed_scan(f, init, xs, count, reverse, checkpoint)
    return _plain_scan(f, init, slices, slice_form, count, reverse)


def _plain_scan(
    f: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    slices: Sequence[Any],
    slice_form: Any,
    count: int,
    reverse: bool,
) -> tuple[Any, Any]:
    carry = _Carry(init)
    element_types = [ArrayType(type_of(s).dtype, type_of(s).shape[1:]) for s in slices]
    form = tree.structure(
        (
            tree.unflatten(carry.form, [0] * carry.form.num_leaves),
            tree.unflatten(slice_form, [0] * slice_form.num_leaves),
        )
    )
    y_form: list[Any] = [None, None]

    def paired(value: Any, element: Any) -> Any:
        result = f(value, element)
        if not isinstance(result, tuple) or len(result) != 2:
            raise CarryTypeError(f"{_where()}scan: the body must return a pair (carry, y)")
        y_form[:] = [tree.structure(result[0]), tree.structure(result[1])]
        return result

    paired.__name__ = getattr(f, "__name__", "body")
    lead = len(carry.leaves)
    while True:
        types = [*carry.types, *element_types]
        body = _Body(paired, form, types, [*carry.weak, *(False,) * len(slices)])
        carried = y_form[0].num_leaves
        if carry.accept(body, body.graph.output_types[:carried], y_form[0], "scan"):
            break
    targets = [t.dtype for t in carry.types] + [t.dtype for t in body.graph.output_types[lead:]]
    graph = _converted_outputs(body.graph, targets)
    shape = LoopShape(0, len(body.captured), lead, len(slices), count, reverse)
    outputs = bind_loop(
        [*body.captured, *carry.leaves, *slices],
        _body_order(graph, 0, lead, len(slices), len(body.captured)),
        None,
        shape,
    )
    return (
        tree.unflatten(carry.form, outputs[:lead]),
        tree.unflatten(y_form[1], outputs[lead:]),
    )


def _scan_length(slices: Sequence[Any], length: int | None) -> int:
    lengths = set()
    for part in slices:
        shape = type_of(part).shape
        if not shape:
            raise ShapeError(f"{_where()}scan: a leaf of xs is a scalar and cannot be scanned over")
        lengths.add(shape[0])
    if length is not None:
        if is_tracer(length):
            raise ConcretizationError(f"{_where()}scan: length must be a Python int; use fori_loop")
        lengths.add(int(length))
    if not lengths:
        raise ShapeError(f"{_where()}scan: give xs, or length")
    if len(lengths) > 1:
        raise ShapeError(
            f"{_where()}scan: the leaves of xs have different lengths: {sorted(lengths)}"
        )
    return lengths.pop()


def map(f: Callable[[Any], Any], xs: Any) -> Any:
    """`f` of each x along the first axis, one after the other; `vmap` does them side by side."""
    f = follow_source(f)

    def body(carry: None, x: Any) -> tuple[None, Any]:
        return None, f(x)

    return scan(body, None, xs)[1]
