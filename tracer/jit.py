"""`jit`: trace once for each signature, compile, reuse; and the staged objects between."""

from __future__ import annotations

import functools
import time
import weakref
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tracer import backend as backends
from tracer import config, tree
from tracer.cache_info import CacheInfo, Signature, why_compiled
from tracer.cached import cached_property
from tracer.collector import patient_collector
from tracer.device import device_type_of
from tracer.errors import NotAnArrayError
from tracer.graph.build import build
from tracer.graph.evaluate import evaluate
from tracer.graph.nodes import Graph
from tracer.primitives.call import call
from tracer.source.host import follow_source, unread
from tracer.static_arguments import check_static, positional_names
from tracer.trace import Tracer, is_abstract, snapshot, state, type_of
from tracer.transforms.simplify import simplify
from tracer.types import PYTHON_SCALARS

if TYPE_CHECKING:
    from tracer.view.profile import Profile

MOST_ENTRIES = 16


class Compiled:
    """A compiled function: call it with arguments of the types it was compiled for."""

    def __init__(self, traced: Traced, executable: backends.Executable) -> None:
        self.traced = traced
        self.executable = executable
        self.timings = {**traced.timings, **executable.timings}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        leaves, signature = self.traced.owner.signature(args, kwargs)
        if signature != self.traced.signature:
            raise NotAnArrayError(
                f"{self.traced.graph.name} was compiled for "
                f"{list(map(str, self.traced.signature.types))}, "
                f"not {list(map(str, signature.types))}"
            )
        return self.run(leaves)

    def run(self, leaves: Sequence[Any]) -> Any:
        """The result for the flat arguments."""
        arrays = [_as_input(leaf) for leaf in leaves]
        if state.watch is not None:
            evaluate(self.traced.graph, arrays)
        outputs = self.executable.run(arrays)
        return tree.unflatten(self.traced.out_form, outputs)

    def cost(self) -> dict[str, float]:
        """Floating-point operations, bytes moved and peak workspace (bytes) of one call."""
        return self.executable.cost()


class Lowered:
    """A traced function on its way to one backend."""

    def __init__(self, traced: Traced, backend: str) -> None:
        self.traced = traced
        self.backend = backend

    @patient_collector()
    def compile(self) -> Compiled:
        """The machine code."""
        parallel = self.traced.owner.parallel
        made = backends.executable(self.traced.graph, self.backend, parallel)
        return Compiled(self.traced, made)

    @patient_collector()
    def _text(self, kind: str) -> str:
        parallel = self.traced.owner.parallel
        return backends.render(self.traced.graph, self.backend, kind, parallel)

    def source(self) -> str:
        """The generated Numba program, which runs by itself when saved to a file."""
        return self._text("source")

    def llvm_ir(self) -> str:
        """The generated LLVM IR."""
        return self._text("llvm_ir")

    def ptx(self) -> str:
        """The generated PTX, of the cuda backend."""
        return self._text("ptx")

    def loops(self) -> str:
        """The loop program as text."""
        return self._text("loops")

    def explain(self) -> str:
        """What a call launches on a GPU, a line for each kernel and each call of a library: which
        threads run what, bytes that are moved, and the lines of the program; of the cuda backend.
        """
        return self._text("launches")


class Traced:
    """A function traced for one signature: `graph`, and how results are put together."""

    @patient_collector()
    def __init__(self, owner: JittedFunction, signature: Signature, args: Any, kwargs: Any) -> None:
        begin = time.perf_counter()
        self.owner = owner
        self.signature = signature
        forms: list[Any] = []

        def flat(*inputs: Any) -> list[Any]:
            result = owner.call_with(signature, inputs)
            leaves, form = tree.flatten(result)
            forms.append(form)
            for leaf in leaves:
                type_of(leaf)
            return [snapshot(leaf) for leaf in leaves]

        raw, self.captured = build(flat, signature.types, owner.__name__, signature.weak)
        self.out_form = forms[0]
        traced = time.perf_counter()
        self.graph: Graph = simplify(raw)
        simplified = time.perf_counter()
        self.timings = {"trace": traced - begin, "simplify": simplified - traced}
        if config.debugging("graph"):
            print(self.graph)

    def lower(self, backend: str | None = None) -> Lowered:
        """Choose the backend."""
        return Lowered(self, backends.choose(backend or self.owner.backend))


def _as_input(leaf: Any) -> Any:
    kind = type(leaf)
    if kind in PYTHON_SCALARS:
        return PYTHON_SCALARS[kind].type(leaf)
    if kind is np.ndarray and not leaf.flags.c_contiguous:
        return np.ascontiguousarray(leaf)
    return leaf


class JittedFunction:
    """What `jit(f)` returns: called like f, with `trace`, `cache_info` and `clear_cache`."""

    def __init__(
        self,
        function: Callable[..., Any],
        backend: str | None,
        static_argnums: int | Sequence[int],
        static_argnames: str | Sequence[str],
        parallel: bool | None,
        source: bool,
    ) -> None:
        if not callable(function):
            raise TypeError(f"jit takes a function, not a {type(function).__name__}")
        functools.update_wrapper(self, function, updated=())
        self.__name__ = getattr(function, "__name__", type(function).__name__)
        self.__qualname__ = getattr(function, "__qualname__", self.__name__)
        self.function = function
        self.backend = backends.choose(backend) if backend is not None else None
        self.static_argnums = (
            (static_argnums,) if isinstance(static_argnums, int) else tuple(static_argnums)
        )
        self.static_argnames = (
            (static_argnames,) if isinstance(static_argnames, str) else tuple(static_argnames)
        )
        self.parallel = parallel
        self.source = source
        self._entries: dict[Signature, Compiled] = {}
        self._origins: Counter[str] = Counter()
        self._reasons: list[str] = []
        self._hits = 0
        self._slow_calls = 0
        self._native_entries = 0
        self._native_target: Callable[..., Any] = self.call
        self.target: Callable[..., Any] = self.call
        if isinstance(self, _native_class(backends.choose(backend)) or ()):
            _NATIVE.add(self)
        self._names = positional_names(function) if self.static_argnames else ()
        check_static(function, self.__name__, self.static_argnums, self.static_argnames)

    def __reduce__(self) -> str:
        """Pickled and copied as functions are: by name."""
        return self.__qualname__

    def split(self, args: Any, kwargs: Any) -> tuple[Any, Any]:
        """The dynamic part of the arguments, and the static one (hashable)."""
        fixed = {
            number % len(args) for number in self.static_argnums if -len(args) <= number < len(args)
        }
        fixed |= {self._names.index(name) for name in self.static_argnames if name in self._names}
        dynamic = tuple(arg for place, arg in enumerate(args) if place not in fixed)
        static_args = tuple((place, args[place]) for place in sorted(fixed) if place < len(args))
        named = {name: value for name, value in kwargs.items() if name not in self.static_argnames}
        static_named = tuple(
            (name, value) for name, value in kwargs.items() if name in self.static_argnames
        )
        return (dynamic, named), (len(args), static_args, static_named)

    def signature(self, args: Any, kwargs: Any) -> tuple[list[Any], Signature]:
        """The flat arguments, and what they are compiled for."""
        static: Any = ()
        if self.static_argnums or self.static_argnames:
            (args, kwargs), static = self.split(args, kwargs)
        leaves, form = tree.flatten((args, kwargs))
        kind_of = device_type_of if backends.choose(self.backend) == "cuda" else type_of
        try:
            types = tuple([kind_of(leaf) for leaf in leaves])
        except NotAnArrayError as error:
            raise NotAnArrayError(
                f"an argument of {self.__name__}: {error.args[0]}; arguments that are not arrays "
                f"or "
                "numbers must be named in static_argnums or static_argnames"
            ) from None
        weak = tuple([_is_weak(leaf) for leaf in leaves])
        return leaves, Signature(form, types, weak, static)

    def call_with(self, signature: Signature, inputs: Any) -> Any:
        """The function on flat inputs."""
        args, kwargs = tree.unflatten(signature.form, inputs)
        if signature.static:
            count, static_args, static_named = signature.static
            places = dict(static_args)
            rest = iter(args)
            args = [places[i] if i in places else next(rest) for i in range(count)]
            kwargs = {**kwargs, **dict(static_named)}
        return self.traced_function(*args, **kwargs)

    @cached_property
    def traced_function(self) -> Callable[..., Any]:
        """The function that is traced: with its Python control flow read from its source."""
        if self.source:
            return follow_source(self.function)

        @functools.wraps(self.function)
        def as_it_stands(*args: Any, **kwargs: Any) -> Any:
            with unread():
                return self.function(*args, **kwargs)

        return as_it_stands

    def trace(self, *args: Any, **kwargs: Any) -> Traced:
        """Trace for these arguments (arrays, or anything with their types)."""
        _, signature = self.signature(args, kwargs)
        return Traced(self, signature, args, kwargs)

    def lower(self, *args: Any, backend: str | None = None, **kwargs: Any) -> Lowered:
        """`trace(*args).lower(backend)`."""
        return self.trace(*args, **kwargs).lower(backend)

    def profile(self, *args: Any, **kwargs: Any) -> Profile:
        """Where the time of a call with these arguments goes: `tracer.profile(f, *args)`."""
        from tracer.view.profile import profile

        return profile(self, *args, **kwargs)

    if TYPE_CHECKING:

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            """The result for these arguments; derived classes have it, in machine code or not."""

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """A call by way of Python: any signature, any leaves."""
        self._slow_calls += 1
        leaves, signature = self.signature(args, kwargs)
        for leaf in leaves:
            if type(leaf) is Tracer:
                return self._inside_trace(leaves, signature, args, kwargs)
        try:
            entry = self._entries.get(signature)
        except TypeError:
            raise NotAnArrayError(
                f"a static argument of {self.__name__} cannot be hashed: {signature.static}"
            ) from None
        if entry is None:
            traced = Traced(self, signature, args, kwargs)
            if traced.captured:
                return self._bind(traced, leaves)
            entry = self._keep(signature, traced.lower().compile())
            wanted = entry.traced is traced  # else another thread was faster
        else:
            self._hits += 1
            wanted = entry.executable.is_elsewhere(leaves)
        if wanted:
            native = self._add_entry(entry, args, kwargs, leaves)
            if native is not None and state.watch is None:
                return native(*args, **kwargs)
        return entry.run(leaves)

    def _add_entry(
        self, compiled: Compiled, args: Any, kwargs: Any, leaves: Any
    ) -> Callable[..., Any] | None:
        """Let calls like this one go to native code without Python from now on: that code."""
        named = not set(self.static_argnames).isdisjoint((*self._names, *kwargs))
        if named or self not in _NATIVE or self._native_entries >= MOST_ENTRIES:
            return None
        count = len(args)
        static = {place % count for place in self.static_argnums if -count <= place < count}
        form = compiled.traced.out_form
        entry = compiled.executable.entry(
            args,
            kwargs,
            leaves,
            frozenset(static),
            lambda *outputs: tree.unflatten(form, outputs),
            self._native_target,
        )
        if entry is not None:
            self._native_entries += 1
            self._native_target = entry
            self.target = self.call if state.watch is not None else entry
        return entry

    def _inside_trace(self, leaves: Any, signature: Signature, args: Any, kwargs: Any) -> Any:
        if any(is_abstract(leaf) for leaf in leaves if type(leaf) is Tracer):
            return self.traced_function(*args, **kwargs)
        return self._bind(self._traced(signature, args, kwargs), leaves)

    def _traced(self, signature: Signature, args: Any, kwargs: Any) -> Traced:
        entry = self._entries.get(signature)
        if entry is not None:
            return entry.traced
        traced = Traced(self, signature, args, kwargs)
        if not traced.captured:
            return self._keep(signature, traced.lower().compile()).traced
        return traced

    def _keep(self, signature: Signature, compiled: Compiled) -> Compiled:
        """Remember a compiled signature, and where its code came from."""
        earlier = list(self._entries)
        kept = self._entries.setdefault(signature, compiled)
        if kept is compiled:
            origin = compiled.executable.origin
            self._origins[origin] += 1
            if origin == "compiled":
                small, told = compiled.executable.small, compiled.executable.reason
                self._reasons.append(why_compiled(signature, earlier, small, told))
        return kept

    def _bind(self, traced: Traced, leaves: Any) -> Any:
        backend = backends.choose(self.backend)
        operands = [*[_as_input(leaf) for leaf in leaves], *traced.captured]
        return tree.unflatten(traced.out_form, call(traced.graph, operands, backend))

    @cached_property
    def _numba_type_(self) -> Any:
        """What Numba asks for where `numba.njit` code calls this function."""
        return backends.numba_type(self, self._result_types)

    def _result_types(self, *args: Any) -> Any:
        """The types of the results for arguments like these, known from a call with arrays of the
        same dtypes and numbers of dimensions, or else traced.
        """
        _, wanted = self.signature(args, {})
        traced = next(
            (entry.traced for known, entry in self._entries.items() if known.resembles(wanted)),
            None,
        ) or self.trace(*args)
        return tree.unflatten(traced.out_form, [output.type for output in traced.graph.outputs])

    def cache_info(self) -> CacheInfo:
        """Calls with a known signature and with a new one, how many signatures are kept, and where
        their machine code came from: made, with the reason, shared with other sizes, or on disk.
        """
        native = getattr(self, "calls", self._slow_calls) - self._slow_calls
        kept, origins = len(self._entries), self._origins
        return CacheInfo(
            self._hits + native,
            kept,
            kept,
            origins["compiled"],
            origins["memory"],
            origins["disk"],
            tuple(self._reasons),
        )

    def clear_cache(self) -> None:
        """Forget all that was traced and compiled."""
        self._entries.clear()
        self._origins.clear()
        self._reasons.clear()
        self._hits = -getattr(self, "calls", self._slow_calls) + self._slow_calls
        self._native_entries = 0
        self._native_target = self.target = self.call


class PythonFunction(JittedFunction):
    """A jitted function of a backend without native entries."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The result for these arguments."""
        return self.call(*args, **kwargs)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        """Bind to an instance, as a function does."""
        return self if instance is None else functools.partial(self, instance)


@functools.cache
def _native_class(backend: str) -> type[JittedFunction] | None:
    """The class of jitted functions that are entered without Python."""
    base = backends.function_base(backend)
    if base is None:
        return None
    return type("NativeFunction", (base, JittedFunction), {"__init__": JittedFunction.__init__})


def use_native_entries(wanted: bool) -> None:
    """Let all calls go by way of Python, where they can be watched, or as they went before."""
    for function in list(_NATIVE):
        function.target = function._native_target if wanted else function.call


_NATIVE: weakref.WeakSet[JittedFunction] = weakref.WeakSet()


def _is_weak(leaf: Any) -> bool:
    return type(leaf) in PYTHON_SCALARS or (type(leaf) is Tracer and leaf.variable.weak)


def jit(
    f: Callable[..., Any] | None = None,
    *,
    backend: str | None = None,
    static_argnums: int | Sequence[int] = (),
    static_argnames: str | Sequence[str] = (),
    parallel: bool | None = None,
    source: bool = True,
) -> Any:
    """Compile a function: traced once for each signature, then one native function.

    backend          "llvm", "numba", "cuda" or "numpy" (the reference); else the configured one
    static_argnums, static_argnames
                     arguments that are Python values; each new value is traced anew
    parallel         True: threads share every loop that they can; False: none; None: those where
                     that is estimated, and then measured, to be faster (of the llvm backend)
    source           read f's source, so that Python `if`, `while` and `for` on traced values work
    Usable as `@jit` and `@jit(backend=…)`.
    """
    if f is None:
        return functools.partial(
            jit,
            backend=backend,
            static_argnums=static_argnums,
            static_argnames=static_argnames,
            parallel=parallel,
            source=source,
        )
    made = _native_class(backends.choose(backend)) or PythonFunction
    return made(f, backend, static_argnums, static_argnames, parallel, source)


def make_graph(f: Callable[..., Any]) -> Callable[..., Graph]:
    """A function from example arguments to the graph of f on their types.

    >>> import numpy as np, tracer
    >>> print(tracer.make_graph(lambda x: x + x)(1.5))  # doctest: +ELLIPSIS
    graph <lambda>(%0: f64[]) {
      %1: f64[] = add %0 %0...
      return %1
    }
    """

    @functools.wraps(f)
    def graph_of(*args: Any, **kwargs: Any) -> Graph:
        return jit(f).trace(*args, **kwargs).graph  # type: ignore[no-any-return]

    return graph_of
