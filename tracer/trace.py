"""Tracing: a function runs on tracers, and each operation is written down as a node.

There are two kinds of trace. A `ValueTrace` knows the value of every variable one level below: an
ndarray when
run eagerly, or a tracer of an enclosing transform; derivatives are taken of it. A `GraphTrace`
knows types only;
it becomes a `Graph`. Levels count upwards, and an operation belongs to the innermost trace among
its operands:
what comes from outer levels is constant there, so nested derivatives never mix up their
perturbations.
"""

from __future__ import annotations

import functools
import itertools
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from tracer.array import ArrayFace
from tracer.errors import (
    ArrayConversionError,
    ConcretizationError,
    LeakedTracerError,
    NonlinearError,
    NotAnArrayError,
)
from tracer.foreign import no_array_text
from tracer.graph.nodes import Constant, Graph, Node, Source, Variable
from tracer.graph.primitive import REGISTRY, Primitive
from tracer.source_lines import user_source
from tracer.types import INEXACT, PYTHON_SCALARS, ArrayType, check_dtype, kind_of

_levels = itertools.count(1)
DERIVATIVE = "the derivative of "


class _State(threading.local):
    """What a thread knows of its traces: the stack of open ones, and the line that new nodes
    belong to.
    """

    def __init__(self) -> None:
        self.stack: list[Trace] = []
        self.enclosing: Trace | None = None
        self.source: Source | None = None
        self.watch: Any = None  # called with each operation that NumPy evaluates (tracer.debug)
        self.deriving = False  # whether it belongs to a derivative
        self.guarded = False  # whether zero cotangents stay zero, whatever they are multiplied with


state = _State()


class Tracer(ArrayFace):
    """An array inside a trace. Has ndarray's attributes, methods and operators; immutable scalars
    excepted,
    `x[i] = v` gives it a new variable, so that all names of the array see the new value."""

    # `alias`: the views of this array, or, of a view, where it looks (see tracer.numpy.views).
    __slots__ = ("__weakref__", "alias", "variable")

    def __init__(self, variable: Variable) -> None:
        self.variable = variable
        self.alias: Any = None

    @property
    def type(self) -> ArrayType:
        """dtype and shape."""
        return self.variable.type

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype."""
        return self.variable.type.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape, a tuple of Python ints."""
        return self.variable.type.shape

    def concrete(self, purpose: str) -> Any:
        """The concrete value, where the trace is eager; else `ConcretizationError`."""
        value = self.variable.value
        while isinstance(value, Tracer):
            value = value.variable.value
        if value is None or isinstance(value, Unknown):
            from tracer.source.convert import unread_reason

            reason = unread_reason()
            raise ConcretizationError(
                f"{user_source() or 'here'}: {purpose} needs the value of a traced array of type "
                f"{self.type}, which is known only when the compiled function runs; write "
                "tracer.cond, tracer.while_loop or np.where, mark the argument as static "
                "(static_argnums), or take the function out of jit"
                + (f" ({reason})" if reason else "")
            )
        return value


class Unknown:
    """The value of a variable in a linear trace: it has a type, and any other use is an error."""

    __slots__ = ("type",)

    def __init__(self, type_: ArrayType) -> None:
        self.type = type_

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape."""
        return self.type.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype."""
        return self.type.dtype

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.type.shape)

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise NonlinearError("the function is not linear in its arguments, so it has no transpose")

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = _refuse
    __rtruediv__ = __pow__ = __rpow__ = __neg__ = __matmul__ = __rmatmul__ = _refuse
    __array_ufunc__ = __array_function__ = __array__ = __abs__ = __getitem__ = _refuse
    __lt__ = __le__ = __gt__ = __ge__ = _refuse


class Trace:
    """What was recorded at one level."""

    carries_values = True
    enclosing = False

    def __init__(self, *, reverse: bool = False) -> None:
        self.level = next(_levels)
        self.nodes: list[Node] = []
        self.closed = False
        self.reverse = (
            reverse  # its nodes will be pulled back through, so that residuals are worth storing
        )

    def record(self, primitive: Primitive, operands: Sequence[Any], params: dict[str, Any]) -> Any:
        """Write a node down; its result(s) as tracers."""
        raise NotImplementedError  # pragma: no cover


class ValueTrace(Trace):
    """A trace whose variables have values one level below."""

    def input(self, value: Any, *, weak: bool = False) -> Tracer:
        """A new independent variable with that value."""
        variable = Variable(type_of(value), self, snapshot(value))
        variable.weak = weak
        return Tracer(variable)

    def record(self, primitive: Primitive, operands: Sequence[Any], params: dict[str, Any]) -> Any:
        """Evaluate one level below, and write the node down."""
        recorded = []
        values = []
        concrete = True
        for operand in operands:
            if type(operand) is Tracer:
                variable = operand.variable
                if variable.trace is self:
                    value = variable.value
                    if type(value) is Tracer:
                        concrete = False
                    recorded.append(variable)
                    values.append(value)
                    continue
                concrete = False
                operand = Tracer(variable)
            elif type(operand) is np.ndarray and operand.flags.writeable:
                operand = operand.copy()  # the caller may overwrite what the adjoint will read
            recorded.append(operand)
            values.append(operand)
        if primitive.multiple:
            return self._record_multiple(primitive, recorded, values, params)
        try:
            if concrete and state.watch is None:
                value = primitive.evaluate(*values, **params)
            else:
                value = bind(primitive, *values, **params)
        except (TypeError, ValueError):
            types = [type_of(operand) for operand in values]
            infer_types(primitive, types, params, state.source or user_source())
            raise
        result = Variable(ArrayType(value.dtype, value.shape), self, value)
        source = state.source
        if state.watch is not None and source is None:
            source = user_source()
        if type(value) is Tracer:
            source = value.variable.trace.nodes[-1].source
        self.nodes.append(
            Node(primitive, tuple(recorded), params, (result,), source, None, values)
        )
        return Tracer(result)

    def _record_multiple(
        self, primitive: Primitive, recorded: list[Any], values: list[Any], params: dict[str, Any]
    ) -> tuple[Tracer, ...]:
        residuals = None
        active = [type(op) is Variable and op.type.dtype.kind in INEXACT for op in recorded]
        with _below(self):
            if self.reverse and primitive.forward_rule is not None and any(active):
                value, residuals = primitive.forward_rule(values, active, **params)
            else:
                value = bind(primitive, *values, **params)
        results = tuple(Variable(type_of(item), self, item) for item in value)
        source = value[0].variable.trace.nodes[-1].source if is_tracer(value[0]) else state.source
        self.nodes.append(
            Node(primitive, tuple(recorded), params, results, source, residuals, values)
        )
        return tuple(Tracer(result) for result in results)


class GraphTrace(Trace):
    """A trace of types only. What it uses from outside becomes a constant, or a captured outer
    tracer.
    """

    carries_values = False

    def __init__(self, *, linear: bool = False, enclosing: bool = False) -> None:
        super().__init__()
        self.linear = linear
        self.enclosing = enclosing  # operations on outer values alone belong here too: a branch
        self.inputs: list[Variable] = []
        self.captures: dict[int, tuple[Variable, Tracer]] = {}
        self.constants: dict[int, tuple[Variable, np.ndarray, Any]] = {}

    def new_variable(self, type_: ArrayType) -> Variable:
        """A variable of this trace, of that type."""
        return Variable(type_, self, Unknown(type_) if self.linear else None)

    def input(self, type_: ArrayType, *, weak: bool = False) -> Tracer:
        """A new input of that type."""
        variable = self.new_variable(type_)
        variable.weak = weak
        self.inputs.append(variable)
        return Tracer(variable)

    def operand(self, value: Any) -> Any:
        """What stands for `value` in a node of this trace."""
        if type(value) is Tracer:
            variable = value.variable
            if variable.trace is self:
                return variable
            if self.linear:
                return Tracer(variable)
            return self._captured(variable)
        if self.linear:
            return value
        if getattr(value, "is_tape", False):
            return self._tape(value)
        if np.ndim(value) == 0:
            return Constant(value)
        return self._regular(value) or self._constant(value)

    def _captured(self, outer: Variable) -> Variable:
        known = self.captures.get(id(outer))
        if known is None:
            known = (self.new_variable(outer.type), Tracer(outer))
            self.captures[id(outer)] = known
        return known[0]

    def _regular(self, value: np.ndarray) -> Variable | None:
        """A node that makes the array, where it is one number repeated, or 0, 1, 2, …"""
        if value.size < 2 or type(value) is not np.ndarray:
            return None
        first, last = value.flat[0], value.flat[-1]
        if first.tobytes() == last.tobytes() and np.all(value == first):
            params: dict[str, Any] = {"shape": value.shape}
            return self._made("broadcast_to", (Constant(first),), params, type_of(value))
        counts = (
            value.ndim == 1 and value.dtype.kind in "iu" and (first, last) == (0, value.size - 1)
        )
        if counts and np.array_equal(value, np.arange(value.size)):
            params = {"length": value.size, "dtype": value.dtype}
            return self._made("iota", (), params, type_of(value))
        return None

    def _made(
        self, name: str, operands: tuple[Any, ...], params: dict[str, Any], type_: ArrayType
    ) -> Variable:
        result = self.new_variable(type_)
        self.nodes.append(Node(REGISTRY[name], operands, params, (result,), state.source))
        return result

    def _tape(self, value: Any) -> Variable:
        """What an eager loop stored, as a constant of a graph that vmap pulls back through."""
        known = self.constants.get(id(value))
        if known is None:
            known = (self.new_variable(type_of(value)), value, value)
            self.constants[id(value)] = known
        return known[0]

    def _constant(self, value: np.ndarray) -> Variable:
        known = self.constants.get(id(value))
        if known is not None and np.array_equal(
            known[1], value, equal_nan=kind_of(value.dtype) in "fc"
        ):
            return known[0]
        frozen = value.copy()  # the caller may overwrite its array later
        frozen.flags.writeable = False
        variable = self.new_variable(type_of(frozen))
        self.constants[id(value)] = (variable, frozen, value)
        if known is not None:  # one array, two contents: keep both
            self.constants[id(frozen)] = (known[0], known[1], frozen)
        return variable

    def record(self, primitive: Primitive, operands: Sequence[Any], params: dict[str, Any]) -> Any:
        """Infer the result's type, and write the node down."""
        recorded = tuple([self.operand(operand) for operand in operands])
        source = state.source or user_source()
        if state.deriving and source is not None:
            source = _derivative_of(source)
        if self.linear:
            types = [type_of(operand) for operand in recorded]
        else:
            types = [operand.type for operand in recorded]
        result_types = infer_types(primitive, types, params, source)
        results = tuple([self.new_variable(type_) for type_ in result_types])
        self.nodes.append(Node(primitive, recorded, params, results, source))
        if primitive.multiple:
            return tuple(Tracer(result) for result in results)
        return Tracer(results[0])

    def finish(self, outputs: Sequence[Any], name: str = "graph") -> tuple[Graph, list[Tracer]]:
        """The graph, and the outer tracers that it captured: they are its last inputs."""
        recorded = tuple(self.operand(output) for output in outputs)
        captured = list(self.captures.values())
        inputs = (*self.inputs, *(variable for variable, _ in captured))
        constants = tuple((variable, array) for variable, array, _ in self.constants.values())
        graph = Graph(inputs, constants, tuple(self.nodes), recorded, name)
        return graph, [tracer for _, tracer in captured]


@functools.lru_cache(maxsize=4096)
def _derivative_of(source: Source) -> Source:
    """The source of a node of the derivative of that line."""
    if source.function.startswith(DERIVATIVE):
        return source
    return source._replace(function=DERIVATIVE + source.function)


def infer_types(
    primitive: Primitive, types: Sequence[ArrayType], params: dict[str, Any], source: Source | None
) -> tuple[ArrayType, ...]:
    """The types of the results; an error that there is names the line and the operation."""
    try:
        return primitive.result_types(types, params)
    except (TypeError, ValueError, IndexError) as error:
        if source is not None and error.args and str(source) not in str(error.args[0]):
            error.args = (f"{source}: {primitive.name}: {error.args[0]}", *error.args[1:])
        raise


def type_of(value: Any) -> ArrayType:
    """The type of a tracer, variable, constant, array or Python number."""
    kind = type(value)
    if kind is Tracer:
        return value.variable.type  # type: ignore[no-any-return]
    if kind is Variable or kind is Constant or kind is Unknown:
        return value.type  # type: ignore[no-any-return]
    if kind is np.ndarray or isinstance(value, (np.ndarray, np.generic)):
        if kind is not np.ndarray and _has_other_rules(kind):
            raise NotAnArrayError(
                f"a {kind.__name__}, whose operations are not those of ndarray, stands "
                "where an array was due; convert it with np.asarray, or its filled method"
            )
        return ArrayType(check_dtype(value.dtype), value.shape)
    if kind in PYTHON_SCALARS:
        return ArrayType(PYTHON_SCALARS[kind], ())
    if getattr(value, "is_tape", False):
        return ArrayType(value.dtype, value.shape)
    raise NotAnArrayError(no_array_text(value))


def _has_other_rules(kind: type) -> bool:
    """Whether operations on it are not ndarray's; `numpy.ma` is not imported to ask."""
    if kind is np.matrix:
        return True
    masked = sys.modules.get("numpy.ma")
    return masked is not None and kind in (masked.MaskedArray, masked.core.MaskedConstant)


def snapshot(value: Any) -> Any:
    """`value` such that no later assignment changes it: tracers are re-wrapped, scalars made
    NumPy's.
    """
    if type(value) is Tracer:
        return Tracer(value.variable)
    if type(value) in PYTHON_SCALARS:
        return PYTHON_SCALARS[type(value)].type(value)
    return value


def bind(primitive: Primitive, *operands: Any, **params: Any) -> Any:
    """Apply a primitive: at the innermost level among the operands, or to plain arrays with
    NumPy.
    """
    top: Any = None
    for operand in operands:
        if type(operand) is Tracer:
            trace = operand.variable.trace
            if top is None or trace.level > top.level:
                top = trace
    if top is None:
        result = primitive.evaluate(*operands, **params)
        if state.watch is not None:
            state.watch(primitive, operands, result)
        return result
    if top.closed:
        raise LeakedTracerError(
            f"{user_source() or 'here'}: {primitive.name} got a traced array of a function that "
            f"has already "
            "returned; return the array from the function instead of storing it in an outer "
            "variable"
        )
    enclosing = state.enclosing
    if enclosing is not None and enclosing.level > top.level:
        top = enclosing
    return top.record(primitive, operands, params)


@contextmanager
def opened(trace: Any) -> Iterator[Any]:
    """Make `trace` the innermost one; it is closed at the end."""
    state.stack.append(trace)
    around = state.enclosing
    if trace.enclosing:
        state.enclosing = trace
    try:
        yield trace
    except (ValueError, SystemError) as error:
        # NumPy and other compiled code put an error of their own in front of one that says more:
        # "setting an array element with a sequence", "returned a result with an exception set".
        if isinstance(error.__cause__, (ArrayConversionError, ConcretizationError)):
            raise error.__cause__ from None
        raise
    finally:
        state.enclosing = around
        state.stack.remove(trace)
        trace.closed = True


@contextmanager
def _below(trace: Trace) -> Iterator[None]:
    """Arrays that the user's rules and functions make do not belong to `trace` or one above."""
    stack, enclosing = state.stack, state.enclosing
    state.stack = [other for other in stack if other.level < trace.level]
    state.enclosing = next((other for other in reversed(state.stack) if other.enclosing), None)
    try:
        yield
    finally:
        state.stack, state.enclosing = stack, enclosing


@contextmanager
def at_source(source: Source | None) -> Iterator[None]:
    """New nodes belong to that line of the user's."""
    before = state.source
    state.source = source
    try:
        yield
    finally:
        state.source = before


def current_trace() -> Trace | None:
    """The innermost open trace of this thread."""
    return state.stack[-1] if state.stack else None


def is_tracer(value: Any) -> bool:
    """Whether `value` is a traced array."""
    return type(value) is Tracer


def is_abstract(value: Any) -> bool:
    """Whether `value` is a traced array without a concrete value (under `jit`, `vmap`, in a loop's
    body).
    """
    while type(value) is Tracer:
        value = value.variable.value
    return value is None or isinstance(value, Unknown)
