"""Conditions: `if`, `and`, `or`, `not`, comparisons in chains, and conditional expressions."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tracer.source.branch import Branch
from tracer.source.loops import Lessons
from tracer.source.protocol import Host

Names = tuple[str, ...]
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    **{
        name: getattr(operator, name)
        for name in ("lt", "le", "gt", "ge", "eq", "ne", "is_", "is_not")
    },
    "in_": lambda item, container: item in container,
    "not_in": lambda item, container: item not in container,
}


class Logic:
    """The operators that decide."""

    def __init__(self, host: Host, lessons: Lessons) -> None:
        self.host = host
        self._lessons = lessons

    def if_(
        self,
        test: Any,
        body: Callable[[], Any] | None,
        orelse: Callable[[], Any] | None,
        outputs: Names,
        dead: Names,
    ) -> Any:
        """`if test: body() else: orelse()`."""
        if self.host.is_abstract(test):
            if body is None and orelse is None:
                return None
            branch = Branch(self.host, (body, orelse), outputs, dead, self._lessons)
            return branch.run(self._truth(test))
        chosen = body if test else orelse
        return chosen() if chosen is not None else None

    def choose(self, test: Any, body: Callable[[], Any], orelse: Callable[[], Any]) -> Any:
        """`body() if test else orelse()`."""
        return self.if_(test, body, orelse, (), ())

    def and_(self, simple: bool, value: Any, *later: Callable[[], Any]) -> Any:
        """`value and later() and …`."""
        return self._junction(value, later, "logical_and" if simple else None, until=False)

    def or_(self, simple: bool, value: Any, *later: Callable[[], Any]) -> Any:
        """`value or later() or …`."""
        return self._junction(value, later, "logical_or" if simple else None, until=True)

    def _junction(
        self, value: Any, later: Sequence[Callable[[], Any]], joining: str | None, *, until: bool
    ) -> Any:
        for position, following in enumerate(later):
            if self.host.is_abstract(value):
                rest = later[position:]
                if joining is not None:
                    other = self._junction(rest[0](), rest[1:], joining, until=until)
                    if self._is_truth_value(value) and self._is_truth_value(other):
                        return self.host.numpy(joining)(value, other)
                return self._short_circuit(value, rest, joining, until)
            if bool(value) is until:
                return value
            value = following()
        return value

    def _short_circuit(
        self, value: Any, rest: Sequence[Callable[[], Any]], joining: str | None, until: bool
    ) -> Any:
        """The rest is computed only where it matters: it may fail elsewhere (`i < n and a[i] >
        0`)."""

        def evaluate() -> Any:
            return self._junction(rest[0](), rest[1:], joining, until=until)

        branches = (None, evaluate) if until else (evaluate, None)
        branch = Branch(self.host, branches, (), (), self._lessons, reach=rest, otherwise=value)
        return branch.run(self._truth(value))

    def not_(self, value: Any) -> Any:
        """`not value`."""
        return (
            self.host.numpy("logical_not")(self._truth(value))
            if self.host.is_abstract(value)
            else not value
        )

    def compare(self, simple: bool, left: Any, *pairs: Any) -> Any:
        """`left < middle() < right()`, each operand computed once."""
        later = pairs[1::2]

        def link(position: int, left: Any) -> Any:
            right = later[position]()
            result = _COMPARE[pairs[2 * position]](left, right)
            if position + 1 == len(later):
                return result

            def following() -> Any:
                return link(position + 1, right)

            if simple or not self.host.is_abstract(result):
                return self._junction(result, (following,), "logical_and", until=False)
            branch = Branch(
                self.host, (following, None), (), (), self._lessons, reach=later, otherwise=result
            )
            return branch.run(self._truth(result))

        return link(0, left)

    def _truth(self, value: Any) -> Any:
        """A traced value as a condition."""
        _, shape = self.host.dtype_and_shape(value)
        if any(extent != 1 for extent in shape):
            raise ValueError(
                f"the truth value of a traced array of shape {shape} is ambiguous; use its any() or"
                " all()"
            )
        scalar = self.host.numpy("reshape")(value, ()) if shape else value
        return self.host.cast(scalar, np.bool_)

    def _is_truth_value(self, value: Any) -> bool:
        if self.host.is_traced(value):
            dtype, shape = self.host.dtype_and_shape(value)
            return dtype.kind == "b" and shape == ()
        return isinstance(value, (bool, np.bool_))

    def _truth_of(self, value: Any) -> Any:
        return self._truth(value) if self.host.is_traced(value) else bool(value)
