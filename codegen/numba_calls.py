"""Jitted functions called from inside `@numba.njit` code.

Numba knows of an array its dtype and number of dimensions, and wants the same of every result
before anything runs; our code is made for shapes. So the types of the results come from a call with
such arguments that was made before, or from a trace with small arrays. At run time the call takes
the interpreter's lock and enters the function as Python does: whatever shapes come, the right
machine code is found, or made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numba
import numpy as np
from numba.core import cgutils
from numba.core import types as numba_types
from numba.core.errors import NumbaTypeError
from numba.extending import intrinsic
from numba.np.numpy_support import as_dtype, from_dtype

from tracer.errors import BackendError, TracerError
from tracer.types import ArrayType

types: Any = numba_types  # its stubs lack most of it

# The sizes of the arrays that a function is traced with when it has not been called before.
TRIAL_SIZES = (3, 2, 4, 1, 8, 16)

Function = Callable[..., Any]


def numba_type(function: Function, result_types: Function) -> Any:
    """Numba's type of a jitted function.

    `result_types(*examples)` gives the pytree of `ArrayType` that the function makes of such
    arguments.
    """
    name = getattr(function, "__name__", "function")

    @intrinsic  # type: ignore[untyped-decorator]
    def enter_python(typing_context: Any, arguments: Any) -> Any:
        given = tuple(arguments)
        try:
            shapes = _result(name, result_types, given)
        except NumbaTypeError:  # Numba remembers it: the next function that asks has a new type
            vars(function).pop("_numba_type_", None)
            raise
        result = _type_of_result(name, shapes)
        checked = _checked(function, name, shapes)
        _KEPT.append(checked)

        def emit(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            items = cgutils.unpack_tuple(builder, values[0], len(given))
            return _emit_call(context, builder, checked, result, [*zip(given, items, strict=True)])

        return result(arguments), emit

    @numba.njit  # type: ignore[untyped-decorator]
    def call(*arguments: Any) -> Any:
        return enter_python(arguments)

    _KEPT.append(call)
    return numba.typeof(call)


# Machine code has the addresses of these.
_KEPT: list[Any] = []


def _emit_call(
    context: Any, builder: Any, function: Function, result: Any, arguments: list[Any]
) -> Any:
    """The call with the interpreter's lock held; an exception goes on to Numba's caller."""
    python = context.get_python_api(builder)
    lock = python.gil_ensure()
    environment = context.get_env_manager(builder)
    boxed = []
    for kind, value in arguments:
        if context.enable_nrt:
            context.nrt.incref(builder, kind, value)
        boxed.append(python.from_native_value(kind, value, environment))
    address = context.add_dynamic_addr(builder, id(function), info="jitted function")
    made = python.call_function_objargs(address, boxed)
    for item in boxed:
        python.decref(item)
    with builder.if_then(cgutils.is_null(builder, made), likely=False):
        python.gil_release(lock)
        context.call_conv.return_exc(builder)
    native = python.to_native_value(result, made)
    python.decref(made)
    python.gil_release(lock)
    with builder.if_then(native.is_error, likely=False):
        context.call_conv.return_exc(builder)
    return native.value


def _example(kind: Any, size: int) -> Any:
    """A value of Numba's type; arrays have that size along every axis."""
    kind = types.unliteral(kind)
    if isinstance(kind, types.Array):
        return np.broadcast_to(np.zeros((), as_dtype(kind.dtype)), (size,) * kind.ndim)
    for family, value in (
        (types.Boolean, True),
        (types.Integer, 1),
        (types.Float, 1.0),
        (types.Complex, 1j),
        (types.NoneType, None),
    ):
        if isinstance(kind, family):
            return value
    if isinstance(kind, types.BaseTuple):
        items = [_example(item, size) for item in kind]
        named = isinstance(kind, types.BaseNamedTuple)
        return kind.instance_class(*items) if named else tuple(items)
    raise NumbaTypeError(f"an argument of Numba's type {kind} is not an array, number or tuple")


def _result(name: str, result_types: Function, given: tuple[Any, ...]) -> Any:
    """The pytree of the types of the results for arguments of Numba's types."""
    first: Exception | None = None
    for size in TRIAL_SIZES:
        examples = [_example(kind, size) for kind in given]
        try:
            return result_types(*examples)
        except (TracerError, ValueError, IndexError, TypeError) as error:
            first = first or error
    raise NumbaTypeError(
        f"the types of {name}'s results for {', '.join(map(str, given))} cannot be found with "
        f"small arrays ({type(first).__name__}: {first}); call {name} once with arguments of these "
        "types before Numba compiles the function that calls it"
    )


def _type_of_result(name: str, shapes: Any) -> Any:
    if isinstance(shapes, ArrayType):
        element = from_dtype(shapes.dtype)
        return types.Array(element, shapes.ndim, "C") if shapes.ndim else element
    if shapes is None:
        return types.none
    if isinstance(shapes, tuple):
        items = [_type_of_result(name, item) for item in shapes]
        if hasattr(shapes, "_fields"):
            return types.NamedTuple(items, type(shapes))
        return types.BaseTuple.from_types(items)
    raise NumbaTypeError(
        f"{name} returns a {type(shapes).__name__}; inside numba.njit it can return arrays, "
        "numbers, None and tuples of them"
    )


def _leaves(tree: Any) -> Iterator[Any]:
    """Values, or types, in order; a type is a tuple too."""
    if isinstance(tree, tuple) and not isinstance(tree, ArrayType):
        for item in tree:
            yield from _leaves(item)
    else:
        yield tree


def _checked(function: Function, name: str, shapes: Any) -> Function:
    """The function, whose results are what Numba was told, or an error: it reads them as that."""
    if isinstance(shapes, ArrayType):
        dtype, ndim = shapes.dtype, shapes.ndim
        scalar = None if ndim else dtype.type

        def call_for_one(*arguments: Any) -> Any:
            result = function(*arguments)
            if type(result) is scalar:
                return result
            if type(result) is np.ndarray and result.dtype is dtype and result.ndim == ndim > 0:
                return result if result.flags.carray else np.array(result, order="C")
            return _as_told(name, shapes, result)

        return call_for_one
    told = list(_leaves(shapes))

    def call(*arguments: Any) -> Any:
        result = function(*arguments)
        values = list(_leaves(result))
        if len(values) != len(told):
            raise BackendError(f"{name} made {len(values)} results, and Numba was told {len(told)}")
        items = iter([_as_told(name, one, value) for one, value in zip(told, values, strict=True)])
        return _rebuilt(shapes, items)

    return call


def _rebuilt(shapes: Any, items: Iterator[Any]) -> Any:
    if isinstance(shapes, tuple) and not isinstance(shapes, ArrayType):
        parts = [_rebuilt(shape, items) for shape in shapes]
        return type(shapes)(*parts) if hasattr(shapes, "_fields") else tuple(parts)
    return next(items)


def _as_told(name: str, told: ArrayType | None, value: Any) -> Any:
    if told is None and value is None:
        return value
    dtype = getattr(value, "dtype", None)
    if told is None or dtype != told.dtype or value.ndim != told.ndim:
        what = "None" if dtype is None else f"{dtype} with {value.ndim} dimensions"
        due = "None" if told is None else f"{told.dtype} with {told.ndim} dimensions"
        raise BackendError(
            f"{name} made {what}, and Numba was told {due}; inside numba.njit dtype and number of "
            "dimensions of a result have to follow from those of the arguments"
        )
    if told.ndim and not (value.flags.c_contiguous and value.flags.writeable):
        return np.array(value, order="C")
    return value
