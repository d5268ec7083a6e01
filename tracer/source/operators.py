"""What converted code calls. On concrete values each operator does what Python does; on values that
are known only when the compiled function runs it makes a part of the graph."""

from __future__ import annotations

import builtins
import contextlib
import functools
import random
import sys
from collections.abc import Callable, Iterator
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

import numpy as np

from tracer.source.branch import Branch
from tracer.source.callees import Callees
from tracer.source.convert import convert, is_converted
from tracer.source.iterables import Counted, Enumerated, TracedRange, Zipped, counted
from tracer.source.logic import Logic, Names
from tracer.source.loops import Lessons, Loop
from tracer.source.members import Members
from tracer.source.memory import is_library, library_folders
from tracer.source.protocol import Host
from tracer.source.slots import Undefined
from tracer.source.values import place
from tracer.types import kind_of

_AS_THEY_ARE = frozenset({np.ufunc, BuiltinFunctionType, type})


# Methods of plain arrays that take other arrays, and leave their own as it is.
_READING = frozenset(["dot", "clip", "take", "choose", "compress", "searchsorted", "repeat"])

# np.r_[…] and np.c_[…], which join arrays written as an index.
_JOINING = {id(np.r_): "r_", id(np.c_): "c_"}


class Operators(Logic, Members):
    """The operators, for one `Host`."""

    slice = builtins.slice

    def __init__(self, host: Host) -> None:
        super().__init__(host, Lessons())
        self._callees = Callees(host).table
        self._folders = library_folders(host)
        self._plain_sum = self._callees[id(sum)][1]
        self._callees[id(sum)] = sum, self.total
        self._callees[id(next)] = next, self._next
        for function in (map, filter, functools.reduce, *host.take_functions()):
            self._callees[id(function)] = function, self._with_function(function)
        self._counted_forms = {
            id(enumerate): self._enumerate, id(zip): self._zip, id(reversed): self._reversed,
        }  # fmt: skip

    # Calls

    def convert(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """`function` converted, if it is a Python function of the user's."""
        if type(function) is not FunctionType:
            found: Callable[..., Any] = self.callee(function)
            return found
        code = function.__code__
        if is_converted(code) or is_library(code.co_filename, self._folders):
            return function
        return convert(function, self)

    def callee(self, function: Any) -> Any:
        """What a call of `function` in converted code calls."""
        known = self._callees.get(id(function))
        if known is not None:
            return known[1]
        if type(function) is np.ufunc:
            return function
        if self._lessons.loops and _draws(getattr(function, "__self__", None)):
            raise self.host.control_flow_error(
                f"{function.__name__} would be drawn once for all turns of a traced loop; use"
                " tracer.random with a key that the loop carries"
            )
        kind = type(function)
        if kind in _AS_THEY_ARE:
            if kind is BuiltinFunctionType and type(function.__self__) is np.ndarray:
                return self._of_plain(function, function.__self__)
            return self.construct(function) if kind is type else function
        if kind is FunctionType:
            late = self.host.late_substitute(function)
            return self.convert(function) if late is None else late
        if kind is MethodType:
            late = self.host.late_substitute(function)
            if late is not None:
                return late
            inner = function.__func__
            converted = self.convert(inner) if type(inner) is FunctionType else inner
            return function if converted is inner else MethodType(converted, function.__self__)
        if kind is functools.partial:
            return functools.partial(
                self.callee(function.func), *function.args, **function.keywords
            )
        if kind is np.vectorize:
            inner = self.callee(function.pyfunc)
            options = (function.otypes, None, function.excluded, False, function.signature)
            return self.host.numpy("vectorize")(inner, *options)
        call = getattr(kind, "__call__", None)  # noqa: B004 -- the function itself is wanted
        if type(call) is FunctionType:
            converted = self.convert(call)
            return function if converted is call else MethodType(converted, function)
        return function

    def _of_plain(self, method: Any, array: np.ndarray[Any, Any]) -> Any:
        """A method of a plain array: a copy that is made in a trace can hold traced values."""
        if method.__name__ == "copy" and kind_of(array.dtype) in "fc":
            return lambda order="C": self.host.numpy("array")(array)
        if method.__name__ not in _READING:
            return method

        def of_traced(*args: Any, **kwargs: Any) -> Any:
            if any(map(self.host.is_traced, (*args, *kwargs.values()))):
                return getattr(self.host.as_traced(array), method.__name__)(*args, **kwargs)
            return method(*args, **kwargs)

        return of_traced

    def _with_function(self, original: Any) -> Callable[..., Any]:
        """`map(f, items)` and its like, with `f` converted."""
        return lambda function, *rest, **kwargs: original(self.callee(function), *rest, **kwargs)

    def _next(self, iterator: Any, *default: Any) -> Any:
        self._refuse_outer(iterator)
        return next(iterator, *default)

    def _refuse_outer(self, iterator: Any) -> None:
        """A traced loop would advance an iterator from outside once, and not in each turn."""
        for loop in self._lessons.loops:
            if loop.memory.reaches(iterator):
                raise loop.error(
                    f"the body of the loop advances a {type(iterator).__name__} that was made"
                    " before it, which a traced loop would do once for all turns; make an array of"
                    " the items and index it"
                )

    def counted(self, function: Any) -> Any:
        """`callee`, of the iterable of a `for`."""
        form = self._counted_forms.get(id(function)) if self.host.is_tracing() else None
        return form if form is not None else self.callee(function)

    def _enumerate(self, iterable: Any, start: int = 0) -> Any:
        return (
            Enumerated(iterable, start) if self._countable(iterable) else enumerate(iterable, start)
        )

    def _zip(self, *iterables: Any, strict: bool = False) -> Any:
        if any(map(self._countable, iterables)):
            return Zipped(*iterables, strict=strict)
        return zip(*iterables, strict=strict)

    def _reversed(self, sequence: Any) -> Any:
        if isinstance(sequence, range) or (
            self._countable(sequence) and hasattr(sequence, "shape")
        ):
            return sequence[::-1]
        return reversed(sequence)

    def _countable(self, iterable: Any) -> bool:
        kinds = (range, np.ndarray, TracedRange, Enumerated, Zipped)
        return isinstance(iterable, kinds) or self.host.is_traced(iterable)

    def getitem(self, table: Any, index: Any) -> Any:
        """`table[index]`; a traced index makes an array, or a list of arrays, traced."""
        if isinstance(table, (np.ndarray, list, tuple)) and self._is_traced_index(table, index):
            return self.host.as_traced(table)[index]
        if id(table) in _JOINING:
            joining: Any = self.host.numpy(_JOINING[id(table)])
            return joining[index]
        return table[index]

    def _is_traced_index(self, table: Any, index: Any) -> bool:
        is_traced = self.host.is_traced if isinstance(table, np.ndarray) else self.host.is_abstract
        return any(map(is_traced, index)) if type(index) is tuple else is_traced(index)

    def caught(self, error: BaseException) -> None:
        """The start of an `except`: it must not catch what happens in a traced block."""
        where = getattr(error, "__dict__", {}).get("conditional")
        if where is not None:
            raise self.host.control_flow_error(
                f"{where}: {error!r:.80} was raised while this traced block was recorded, so"
                " whether it happens is known only when the compiled function runs, and no `except`"
                " can catch it"
            ) from error

    def load(self, value: Any) -> Any:
        """A variable that only some paths bind."""
        if type(value) is Undefined:
            raise value.error
        return value

    # Statements

    def assert_(self, test: Any, message: Callable[[], Any] | None = None) -> None:
        """`assert test, message()`; compiled code leaves assertions on traced values out, as
        `python -O` does."""
        if not self.host.is_abstract(test) and not test:
            raise AssertionError(*([] if message is None else [message()]))

    def while_(
        self, test: Callable[[], Any], body: Callable[[], Any], outputs: Names, updates: Names
    ) -> None:
        """`while test(): body()`."""
        while True:
            answer = test()
            if self.host.is_abstract(answer):
                break
            if not answer:
                return
            body()
        loop = Loop(self.host, body, test, outputs, updates, self._lessons)

        def ask(state: list[Any]) -> Any:
            return self._truth_of(loop.ask(test, state))

        def turn(state: list[Any]) -> list[Any]:
            return loop.step((), state)

        loop.run(
            lambda carry: self.host.while_loop(ask, turn, carry), surely_runs=False, ends=False
        )

    def for_(
        self,
        iterable: Any,
        body: Callable[[Any], Any],
        stop: Callable[[], Any] | None,
        outputs: Names,
        updates: Names,
    ) -> None:
        """`for item in iterable: body(item)`, until `stop()`."""
        if self._lessons.loops and isinstance(iterable, Iterator):
            self._refuse_outer(iterable)
        items = counted(iterable, self.host) if self.host.is_tracing() else None
        if items is None:
            self._plain(iter(iterable), body, stop, outputs)
        elif self.host.is_traced(items.length):
            self._counted_loop(items, 0, body, stop, outputs, updates)
        elif items.length <= self.host.unroll_limit:
            self._plain(iter(iterable), body, stop, outputs)
        else:
            self._static(iterable, items, body, stop, outputs, updates)

    def _static(
        self, iterable: Any, items: Counted, body: Any, stop: Any, outputs: Names, updates: Names
    ) -> None:
        """A loop of known length: one node if that can be, maybe after a first turn which settles
        the types."""
        turned: bool | None = None
        with contextlib.suppress(
            Exception
        ):  # perhaps only the types before the loop are others than in it
            turned = self._counted_loop(items, 0, body, stop, outputs, updates)
        if turned:
            return
        if turned is False:
            self._plain(iter(iterable), body, stop, outputs)
            return
        body(items.item(0))
        answer = False if stop is None else stop()
        if answer is True:
            return
        try:
            if self._counted_loop(items, 1, body, stop, outputs, updates):
                return
        except Exception as error:  # whatever is the user's own mistake occurs again below
            where = place(body.__code__)
            self.host.note(
                f"{where}: the loop of {items.length} turns is unrolled, because: {error}"
            )
        rest = iter(iterable)
        next(rest)
        self._go_on(answer, rest, body, stop, outputs)

    def _counted_loop(
        self, items: Counted, start: int, body: Any, stop: Any, outputs: Names, updates: Names
    ) -> bool:
        """The turns from `start` on as one loop; False if nothing in it is traced."""
        host = self.host
        loop = Loop(host, body, stop, outputs, updates, self._lessons)
        static = not host.is_traced(items.length)
        if static and not loop.touches_abstract:
            return False
        if stop is None:

            def counted_turn(index: Any, state: list[Any]) -> list[Any]:
                return loop.step((items.item(index),), state)

            loop.run(
                lambda carry: host.fori_loop(start, items.length, counted_turn, carry),
                surely_runs=static,
            )
            return True

        def test(state: list[Any]) -> Any:
            going = host.numpy("logical_not")(self._truth_of(loop.ask(stop, state[1:])))
            return host.numpy("logical_and")(state[0] < items.length, going)

        def turn(state: list[Any]) -> list[Any]:
            host.make_number(state[0])
            return [state[0] + 1, *loop.step((items.item(state[0]),), state[1:])]

        first = np.asarray(start, np.int64)
        loop.run(lambda carry: host.while_loop(test, turn, [first, *carry])[1:], surely_runs=static)
        return True

    def _plain(self, items: Iterator[Any], body: Any, stop: Any, outputs: Names) -> None:
        """Turn by turn."""
        for item in items:
            body(item)
            if stop is not None:
                self._go_on(stop(), items, body, stop, outputs)
                return

    def _go_on(
        self, answer: Any, items: Iterator[Any], body: Any, stop: Any, outputs: Names
    ) -> None:
        """The remaining turns, unless `answer` says to stop; if it is traced they stand in a
        branch."""
        while not self.host.is_abstract(answer):
            if answer:
                return
            for item in items:
                body(item)
                answer = False if stop is None else stop()
                break
            else:
                return
        rest = list(items)
        if rest:
            branch = Branch(
                self.host,
                (None, lambda: self._plain(iter(rest), body, stop, outputs)),
                outputs, (), self._lessons, reach=(body, stop),
            )  # fmt: skip
            branch.run(self._truth(answer))


def _draws(owner: Any) -> bool:
    """Whether it is a generator of random numbers; `numpy.random` is not imported to ask."""
    if isinstance(owner, random.Random):
        return True
    drawn = sys.modules.get("numpy.random")
    return drawn is not None and isinstance(owner, (drawn.Generator, drawn.RandomState))
