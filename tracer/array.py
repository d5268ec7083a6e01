"""The ndarray face of a tracer: operators, methods, attributes and NumPy's dispatch protocols."""

from __future__ import annotations

import dis
import functools
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from tracer.dispatch import FUNCTIONS, METHODS, find
from tracer.errors import (
    ArrayConversionError,
    ConcretizationError,
    NotAnArrayError,
    UnsupportedFunctionError,
)
from tracer.source_lines import user_source

if TYPE_CHECKING:
    from tracer.graph.nodes import Variable
    from tracer.types import ArrayType


STORE_SUBSCRIPT = dis.opmap["STORE_SUBSCR"]
BINARY_OPERATION = dis.opmap["BINARY_OP"]


def _where() -> str:
    source = user_source()
    return f"{source}: " if source else ""


def _binary(name: str) -> Callable[[Any, Any], Any]:
    def operator(self: Any, other: Any) -> Any:
        try:
            return METHODS[name](self, other)
        except NotAnArrayError:
            return NotImplemented

    operator.__name__ = name
    return operator


def _unary(name: str) -> Callable[[Any], Any]:
    def operator(self: Any) -> Any:
        return METHODS[name](self)

    operator.__name__ = name
    return operator


def _in_place(name: str) -> Callable[[Any, Any], Any]:
    def operator(self: Any, other: Any) -> Any:
        return METHODS["__inplace__"](name, self, other)

    operator.__name__ = name
    return operator


class ArrayFace:
    """What a tracer shows to the user's program: ndarray's operators, attributes and methods."""

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]
    __array_priority__ = 1000.0

    if TYPE_CHECKING:
        variable: Variable

        @property
        def shape(self) -> tuple[int, ...]: ...
        @property
        def dtype(self) -> np.dtype[Any]: ...
        @property
        def type(self) -> ArrayType: ...

        def concrete(self, purpose: str) -> Any: ...

    # NumPy's protocols

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method == "__call__" and not kwargs:
            function = FUNCTIONS.get(ufunc) or find(ufunc)
            if function is not None:
                try:
                    return function(*inputs)
                except NotAnArrayError:
                    if METHODS["__has_selection__"](inputs):
                        return NotImplemented
                    raise
        handler = METHODS["__ufunc_method__"]
        return handler(ufunc, method, inputs, kwargs)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        ours = FUNCTIONS.get(function)
        if ours is None:
            name = f"{getattr(function, '__module__', 'numpy')}.{function.__name__}"
            raise UnsupportedFunctionError(
                f"{_where()}{name} is not traced; compose it from functions that are, or wrap it "
                "with tracer.primitive"
            )
        try:
            return ours(*args, **kwargs)
        except NotAnArrayError:
            result = METHODS["__of_selections__"](function, args, kwargs)
            if result is NotImplemented:
                raise
            return result

    def __array__(self, *_: Any, **__: Any) -> Any:
        indexing = "; to index a plain array write tracer.numpy.asarray(table)[i]"
        raise ArrayConversionError(
            f"{_where()}a traced array of type {self.type} cannot become a plain ndarray, which "
            "would lose its derivative; write tracer.numpy.asarray / tracer.numpy.array for "
            "conversions, and make the array that is assigned to with tracer.numpy.zeros (or keep "
            f"it: x = x.at[i].set(v)){indexing if self.dtype.kind in 'iub' else ''}"
        )

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        return METHODS["__array_namespace__"](self, api_version)

    # Python's protocols

    def _refuse_assignment(self) -> None:
        """`plain[i] = traced`: NumPy asks for a number, and the derivative would be lost."""
        caller = sys._getframe(2)
        code = caller.f_code.co_code
        if 0 <= caller.f_lasti < len(code) and code[caller.f_lasti] == STORE_SUBSCRIPT:
            self.__array__()

    def __bool__(self) -> bool:
        return bool(self.concrete("a Python condition (if, while, and, or, not, assert)"))

    def _refuse_lost_derivative(self, name: str) -> None:
        """A Python number has no derivative; `"%f" % x`, which only shows it, needs none."""
        caller = sys._getframe(2)
        code = caller.f_code.co_code
        if 0 <= caller.f_lasti < len(code) and code[caller.f_lasti] == BINARY_OPERATION:
            return
        from tracer.activity import has_derivative

        if has_derivative(self):
            raise ConcretizationError(
                f"{_where()}{name} of a traced array that a derivative is taken of would lose that "
                "derivative; keep the array, and call functions of NumPy or tracer.numpy; wrap a "
                "function that needs Python numbers with tracer.primitive, or, where its "
                f"derivative is not wanted, write {name[:-1]}tracer.stop_gradient(x))"
            )

    def __float__(self) -> float:
        self._refuse_assignment()
        value = float(self.concrete("float()"))
        self._refuse_lost_derivative("float()")
        return value

    def __int__(self) -> int:
        self._refuse_assignment()
        return int(self.concrete("int()"))

    def __complex__(self) -> complex:
        self._refuse_assignment()
        value = complex(self.concrete("complex()"))
        self._refuse_lost_derivative("complex()")
        return value

    def __index__(self) -> int:
        if self.dtype.kind not in "iu" or self.shape != ():
            raise TypeError("only integer scalar arrays can be converted to a scalar index")
        try:
            value = self.concrete(
                "a shape, the bound of a slice, or the index of a plain ndarray, list or range"
            )
        except ConcretizationError as error:
            raise ConcretizationError(
                f"{error.args[0]}; to index a concrete array write tracer.numpy.asarray(table)[i]"
            ) from None
        return int(value)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of unsized object")
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        if not self.shape:
            raise TypeError("iteration over a 0-d array")
        return (self._item(position) for position in range(self.shape[0]))

    def _item(self, position: int) -> Any:
        """An item as a loop in Python meets it: an integer that was computed while tracing is
        known, so that it can be a bound of a slice."""
        known = self.variable.value
        is_constant = type(known) is np.ndarray and not self.variable.trace.carries_values
        if is_constant and known.ndim == 1 and known.dtype.kind in "iu":
            return known[position]
        return self[position]

    def __repr__(self) -> str:
        try:
            return f"Tracer({self.type}, {self.concrete('repr()')!r})"
        except ConcretizationError:
            return f"Tracer({self.type})"

    def __format__(self, spec: str) -> str:
        try:
            return format(self.concrete("format()"), spec)
        except ConcretizationError:
            return repr(self)

    def __dlpack__(self, **options: Any) -> Any:
        return METHODS["__dlpack__"](self, **options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)

    def __copy__(self) -> Any:
        return METHODS["copy"](self)

    def __deepcopy__(self, memo: Any) -> Any:
        return METHODS["copy"](self)

    def __contains__(self, item: Any) -> bool:
        return bool(METHODS["any"](self == item))

    def __getitem__(self, index: Any) -> Any:
        return METHODS["__getitem__"](self, index)

    def __setitem__(self, index: Any, value: Any) -> None:
        METHODS["__setitem__"](self, index, value)

    def __getattr__(self, name: str) -> Any:
        function = METHODS.get(name)
        if function is None or name.startswith("__"):
            if hasattr(np.ndarray, name) and not name.startswith("__"):
                raise UnsupportedFunctionError(f"{_where()}ndarray.{name} is not traced")
            raise AttributeError(f"a traced array has no attribute '{name}'")
        return functools.partial(function, self)

    # Attributes

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def itemsize(self) -> int:
        """Bytes an element."""
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes in all."""
        return self.size * self.dtype.itemsize

    @property
    def T(self) -> Any:
        """Axes in reverse order."""
        return METHODS["transpose"](self)

    @property
    def mT(self) -> Any:
        """The last two axes exchanged."""
        return METHODS["swapaxes"](self, -1, -2)

    @property
    def real(self) -> Any:
        """The real part."""
        return METHODS["__real__"](self)

    @real.setter
    def real(self, value: Any) -> None:
        METHODS["__setitem__"](METHODS["__real__"](self), Ellipsis, value)

    @property
    def imag(self) -> Any:
        """The imaginary part."""
        return METHODS["__imag__"](self)

    @imag.setter
    def imag(self, value: Any) -> None:
        if self.dtype.kind != "c":
            raise TypeError("array does not have imaginary part to set")
        METHODS["__setitem__"](METHODS["__imag__"](self), Ellipsis, value)

    @property
    def flat(self) -> Any:
        """The elements in one row: iterated over, read and assigned by index."""
        return METHODS["__flat__"](self)

    @flat.setter
    def flat(self, value: Any) -> None:
        METHODS["__flat__"](self)[:] = value

    @property
    def at(self) -> Any:
        """`x.at[i].set(v)`, `.add`, `.multiply`, `.min`, `.max`: a changed copy."""
        return METHODS["__at__"](self)

    @property
    def strides(self) -> tuple[int, ...]:
        """Bytes from one element to the next along each axis, in C order."""
        return tuple(METHODS["__strides__"](self))

    @property
    def flags(self) -> Any:
        """What NumPy says of the memory of a new array of this type."""
        return METHODS["__flags__"](self)

    @property
    def base(self) -> None:
        """None: a traced array owns its elements, and views of it are followed by name."""
        return None

    @property
    def device(self) -> str:
        """Where the array lies."""
        return "cpu"

    # Operators

    __add__, __radd__, __iadd__ = _binary("__add__"), _binary("__radd__"), _in_place("__add__")
    __sub__, __rsub__, __isub__ = _binary("__sub__"), _binary("__rsub__"), _in_place("__sub__")
    __mul__, __rmul__, __imul__ = _binary("__mul__"), _binary("__rmul__"), _in_place("__mul__")
    __truediv__, __rtruediv__ = _binary("__truediv__"), _binary("__rtruediv__")
    __floordiv__, __rfloordiv__ = _binary("__floordiv__"), _binary("__rfloordiv__")
    __mod__, __rmod__, __imod__ = _binary("__mod__"), _binary("__rmod__"), _in_place("__mod__")
    __pow__, __rpow__, __ipow__ = _binary("__pow__"), _binary("__rpow__"), _in_place("__pow__")
    __matmul__, __rmatmul__ = _binary("__matmul__"), _binary("__rmatmul__")
    __and__, __rand__, __iand__ = _binary("__and__"), _binary("__rand__"), _in_place("__and__")
    __or__, __ror__, __ior__ = _binary("__or__"), _binary("__ror__"), _in_place("__or__")
    __xor__, __rxor__, __ixor__ = _binary("__xor__"), _binary("__rxor__"), _in_place("__xor__")
    __lshift__, __rlshift__ = _binary("__lshift__"), _binary("__rlshift__")
    __rshift__, __rrshift__ = _binary("__rshift__"), _binary("__rrshift__")
    __divmod__, __rdivmod__ = _binary("__divmod__"), _binary("__rdivmod__")
    __itruediv__, __ifloordiv__ = _in_place("__truediv__"), _in_place("__floordiv__")
    __imatmul__ = _in_place("__matmul__")
    __ilshift__, __irshift__ = _in_place("__lshift__"), _in_place("__rshift__")
    __lt__, __le__ = _binary("__lt__"), _binary("__le__")
    __gt__, __ge__ = _binary("__gt__"), _binary("__ge__")
    __eq__ = _binary("__eq__")
    __ne__ = _binary("__ne__")
    __neg__, __pos__ = _unary("__neg__"), _unary("__pos__")
    __abs__, __invert__ = _unary("__abs__"), _unary("__invert__")

    def __round__(self, ndigits: int | None = None) -> Any:
        return METHODS["__round__"](self, ndigits)
