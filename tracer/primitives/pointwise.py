"""The builder for elementwise primitives: a name, NumPy's function, and one partial derivative an
operand.

A partial is `(t, out, *operands) → t · ∂out/∂operand`. The derivative of an elementwise function
is a diagonal matrix, which is its own transpose, so the one expression serves both modes. None
says that it is
zero everywhere.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tracer.errors import NotAnArrayError
from tracer.graph.primitive import REGISTRY, Lowering, Primitive, Rule, register
from tracer.primitives.broadcast import broadcast_to, reshape, unbroadcast
from tracer.primitives.cast import cast
from tracer.trace import Tracer, bind, state, type_of
from tracer.types import PYTHON_SCALARS, ArrayType, DType, broadcast_shapes, resolve_ufunc

Partial = Callable[..., Any] | None
PLAIN = frozenset(
    """
    add subtract negative positive select conjugate maximum minimum fmax fmin
    """.split()  # noqa: SIM905
)
PYTHON_KINDS: dict[str, type] = {"b": bool, "i": int, "f": float, "c": complex}


def elementwise_type(ufunc: np.ufunc) -> Rule:
    """The type rule: NumPy's result dtype, and the broadcast shape."""

    @functools.lru_cache(maxsize=4096)
    def type_rule(*operands: ArrayType) -> ArrayType:
        dtypes = resolve_ufunc(ufunc, tuple(operand.dtype for operand in operands))
        return ArrayType(dtypes[-1], broadcast_shapes(*[operand.shape for operand in operands]))

    return type_rule


def elementwise_jvp(partials: Sequence[Partial]) -> Rule:
    """The JVP rule made of the partials."""

    def jvp_rule(primals: Any, tangents: Any, out: Any, **params: Any) -> Any:
        total = None
        for tangent, partial in zip(tangents, partials, strict=True):
            if tangent is None or partial is None:
                continue
            term = partial(tangent, out, *primals, **params)
            total = term if total is None else total + term
        return None if total is None else broadcast_to(total, out.shape)

    return jvp_rule


def elementwise_vjp(partials: Sequence[Partial], *, plain: bool = False) -> Rule:
    """The VJP rule made of the same partials. `plain` ones multiply by nothing: they need no
    guard.
    """

    def vjp_rule(ct: Any, primals: Any, out: Any, active: Any, **params: Any) -> list[Any]:
        result: list[Any] = []
        guarded = state.guarded and not plain
        for position, partial in enumerate(partials):
            if not active[position] or partial is None:
                result.append(None)
                continue
            term = partial(ct, out, *primals, **params)
            if guarded:
                zero = ct.dtype.type(0)
                # Only what 0 · ∞ made NaN: elsewhere the term depends on ct at 0 too, and may be
                # differentiated again.
                nothing = (ct == zero) & bind(REGISTRY["isnan"], term)
                term = bind(REGISTRY["select"], nothing, zero, term)
            shape = primals[position].shape
            result.append(term if term.shape == shape else unbroadcast(term, shape))
        return result

    return vjp_rule


def align_batched(operands: Sequence[Any], batched: Sequence[bool], size: int) -> list[Any]:
    """The operands with batch axes in front such that NumPy's broadcasting pairs the rest as
    before.
    """
    ranks = [len(x.shape) - bool(b) for x, b in zip(operands, batched, strict=True)]
    rank = max(ranks)
    return [
        reshape(x, (size, *(1,) * (rank - r), *x.shape[1:])) if b and r < rank else x
        for x, b, r in zip(operands, batched, ranks, strict=True)
    ]


def pointwise(
    name: str,
    ufunc: np.ufunc,
    *partials: Partial,
    operation: str | None = None,
    type_rule: Rule | None = None,
    evaluate: Rule | None = None,
) -> Primitive:
    """Register an elementwise primitive over a ufunc."""

    def batch_rule(size: int, operands: Any, batched: Any, **params: Any) -> Any:
        return bind(primitive, *align_batched(operands, batched, size), **params)

    smooth = any(partial is not None for partial in partials)
    primitive = Primitive(
        name,
        type_rule or elementwise_type(ufunc),
        evaluate or ufunc,
        jvp_rule=elementwise_jvp(partials) if smooth else None,
        vjp_rule=elementwise_vjp(partials, plain=name in PLAIN) if smooth else None,
        batch_rule=batch_rule,
        lowering=Lowering("elementwise", operation or name),
        differentiable=smooth,
    )
    return register(primitive)


def promotion_key(operand: Any) -> DType | type:
    """What NumPy's promotion sees of an operand: its dtype, or the kind of a Python scalar."""
    kind = type(operand)
    if kind is Tracer:
        variable = operand.variable
        dtype: DType = variable.type.dtype
        return PYTHON_KINDS[dtype.kind] if variable.weak else dtype
    if kind in PYTHON_SCALARS:
        return kind
    if kind is np.ndarray or isinstance(operand, np.generic):
        return operand.dtype  # type: ignore[no-any-return]
    raise NotAnArrayError(f"a {kind.__name__} ({operand!r:.60}) stands where an array was due")


def as_operand(operand: Any) -> Any:
    """Lists, array-likes and numbers as arrays; tracers as they are."""
    kind = type(operand)
    if kind is Tracer or kind is np.ndarray or kind in PYTHON_SCALARS:
        return operand
    if isinstance(operand, np.generic):
        type_of(operand)
        return operand
    if isinstance(operand, np.ndarray):
        type_of(operand)  # a masked array, for one, is refused
        return np.asarray(operand)
    if isinstance(operand, (list, tuple)):
        from tracer.dispatch import FUNCTIONS

        return FUNCTIONS[np.asarray](operand)
    if hasattr(operand, "__array__"):
        return np.asarray(operand)
    raise NotAnArrayError(
        f"a {kind.__name__} ({operand!r:.60}) stands where an array or a number was due"
    )


def converted(operand: Any, dtype: DType) -> Any:
    """`operand` as an array of that dtype; Python numbers that do not fit raise OverflowError."""
    kind = type(operand)
    if kind in PYTHON_SCALARS:
        return dtype.type(operand)
    if operand.dtype == dtype:
        return operand
    return cast(operand, dtype)


def apply_ufunc(primitive: Primitive, ufunc: np.ufunc) -> Callable[..., Any]:
    """The function that promotes its operands as the ufunc does, and binds the primitive."""

    same: set[tuple[DType | type, ...]] = set()  # dtypes that NumPy's loop takes as they are

    plain = primitive.evaluate is ufunc

    def function(*operands: Any) -> Any:
        traced = 0
        dtypes: tuple[DType, ...] = ()
        for operand in operands:
            if type(operand) is Tracer:
                traced += 1
                variable = operand.variable
                if not variable.weak:
                    dtypes = (*dtypes, variable.type.dtype)
        if traced:
            if dtypes in same:
                return bind(primitive, *operands)
        elif plain and state.watch is None:
            return ufunc(*operands)
        return convert_and_bind(operands)

    def convert_and_bind(operands: tuple[Any, ...]) -> Any:
        try:
            keys = tuple([promotion_key(operand) for operand in operands])
        except NotAnArrayError:
            operands = tuple([as_operand(operand) for operand in operands])
            keys = tuple([promotion_key(operand) for operand in operands])
        dtypes = resolve_ufunc(ufunc, keys)
        if all(type(operand) is Tracer for operand in operands) and keys == dtypes[: len(keys)]:
            same.add(keys)
        operands = tuple(
            [
                operand if key is dtype and type(operand) is Tracer else converted(operand, dtype)
                for operand, key, dtype in zip(operands, keys, dtypes, strict=False)
            ]
        )
        return bind(primitive, *operands)

    function.__name__ = function.__qualname__ = primitive.name
    function.__doc__ = f"NumPy's `{ufunc.__name__}` on traced and concrete arrays."
    return function
