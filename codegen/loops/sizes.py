"""Integers that machine code reads when it runs, so that one piece of code serves many sizes.

A `Size` stands for an integer of a program that is being rendered, and behaves like one. What is
computed from sizes is a size again; its value goes into a table which the code reads. Whenever a
decision is made by a size (a comparison, a conversion to a plain integer), the outcome is noted as
a guard. The code is then right for all sizes for which every guard comes out as it did, whatever
the renderer does with them: it can make code that serves too few sizes, never wrong code.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

SMALL = 32
"""Integers up to this one are part of the code; words are larger."""

_COMPUTE: dict[str, Callable[[int, int], int]] = {
    "add": operator.add,
    "multiply": operator.mul,
    "floor_divide": operator.floordiv,
    "remainder": operator.mod,
    "maximum": max,
    "minimum": min,
}
_SIGNS = {"add": "+", "multiply": "·", "floor_divide": "//", "remainder": "%"}
_COMPARE: dict[str, Callable[[int, int], bool]] = {
    "==": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
}

Step = tuple[str, int, int]
"""An operation on two values: those at these places."""
Guard = tuple[str, int, int, bool]
"""A comparison of the value at a place with a number, and how it comes out."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the table follows from the words of a program.

    Values are numbered: the words, then `steps`. `slots` are the entries of the table, each the
    number of a value and what is added to it.
    """

    words: int
    steps: tuple[Step, ...]
    guards: tuple[Guard, ...]
    slots: tuple[tuple[int, int], ...]

    def table(self, words: Sequence[int]) -> list[int] | None:
        """The entries for other words; None where the code does not serve those."""
        values = list(words)
        try:
            for name, left, right in self.steps:
                if name == "constant":
                    values.append(left)
                else:
                    values.append(_COMPUTE[name](values[left], values[right]))
        except ZeroDivisionError:
            return None
        for name, place, number, outcome in self.guards:
            if _COMPARE[name](values[place], number) is not outcome:
                return None
        return [values[place] + offset for place, offset in self.slots]

    def broken_guard(self, words: Sequence[int]) -> str:
        """The first decision that other words change, in words; "" where there is none."""
        values, texts = list(words), [str(word) for word in words]
        for name, left, right in self.steps:
            if name == "constant":
                values.append(left)
                texts.append(str(left))
                continue
            values.append(_COMPUTE[name](values[left], values[right]) if values[right] else 0)
            sign = _SIGNS.get(name, name)
            texts.append(f"({texts[left]} {sign} {texts[right]})")
        for name, place, number, outcome in self.guards:
            if _COMPARE[name](values[place], number) is not outcome:
                now, before = ("is", "was not") if not outcome else ("is not", "was")
                return f"{texts[place].strip('()')} {now} {name} {number}, and {before}"
        return ""

    def plain(self) -> list[Any]:
        """The recipe as lists, to be stored."""
        return [self.words, self.steps, self.guards, self.slots]

    @staticmethod
    def from_plain(parts: Sequence[Any]) -> Recipe:
        """A recipe from `plain`."""
        words, *rest = parts
        steps, guards, slots = (tuple(tuple(row) for row in rows) for rows in rest)
        return Recipe(words, steps, guards, slots)


class Sizes:
    """The words of one program, what is computed of them, and what was decided by them."""

    def __init__(self, large: Sequence[int], others: Sequence[int] = ()) -> None:
        """`large` words are greater than SMALL in all programs; `others` may be anything."""
        self.values = [*large, *others]
        self.words = len(self.values)
        self.large = [True] * len(large) + [False] * len(others)
        self.steps: list[Step] = []
        self.guards: dict[tuple[str, int, int], bool] = {}
        self.slots: dict[tuple[int, int], int] = {}
        self.spell: Callable[[int], str] | None = None
        self._known: dict[Step, int] = {}

    def word(self, number: int) -> Size:
        """A word of the program."""
        return Size(self, number, 0)

    def recipe(self) -> Recipe:
        """What was found out so far."""
        guards = tuple((*key, outcome) for key, outcome in self.guards.items())
        return Recipe(self.words, tuple(self.steps), guards, tuple(self.slots))

    def slot(self, place: int, offset: int) -> int:
        """The entry of the table that holds a value."""
        return self.slots.setdefault((place, offset), len(self.slots))

    def step(self, name: str, left: int, right: int) -> int:
        """The place of an operation's value."""
        key = (name, left, right)
        found = self._known.get(key)
        if found is not None:
            return found
        if name == "constant":
            value, large = left, left > SMALL
        else:
            value = _COMPUTE[name](self.values[left], self.values[right])
            large = name == "multiply" and self._is_large_product(left, right)
        self.steps.append(key)
        self.values.append(value)
        self.large.append(large)
        self._known[key] = len(self.values) - 1
        return self._known[key]

    def _is_large_product(self, left: int, right: int) -> bool:
        return (self.large[left] or self.large[right]) and all(
            self.large[place] or (self.is_constant(place) and self.values[place] > 0)
            for place in (left, right)
        )

    def is_constant(self, place: int) -> bool:
        """Whether a value is the same for all sizes."""
        return place >= self.words and self.steps[place - self.words][0] == "constant"

    def decide(self, name: str, place: int, number: int) -> bool:
        """Whether a value compares so with a number; noted, unless it is so for all sizes."""
        outcome = _COMPARE[name](self.values[place], number)
        if not (self.large[place] and number <= SMALL):
            self.guards[name, place, number] = outcome
        return outcome


class Size:
    """An integer of a program: the value at a place, and a number that is added to it."""

    __slots__ = ("offset", "place", "sizes")

    def __init__(self, sizes: Sizes, place: int, offset: int) -> None:
        self.sizes = sizes
        self.place = place
        self.offset = offset

    @property
    def value(self) -> int:
        """Its value in the program at hand; nothing may be decided by it."""
        return self.sizes.values[self.place] + self.offset

    @property
    def real(self) -> Size:
        """Itself, as of any integer."""
        return self

    def split(self) -> tuple[Size, int]:
        """What depends on the sizes, and the number that is added to that."""
        return Size(self.sizes, self.place, 0), self.offset

    def __repr__(self) -> str:
        """Nothing that tells its value."""
        return f"${self.place}{f'{self.offset:+d}' if self.offset else ''}"

    def __str__(self) -> str:
        """The register that holds it, where code is being written."""
        if self.sizes.spell is None:
            return repr(self)
        return self.sizes.spell(self.sizes.slot(self.place, self.offset))

    def __format__(self, specification: str) -> str:
        return str(self)

    def __hash__(self) -> int:
        return hash((self.place, self.offset))

    def _place(self) -> int:
        """Where the whole value stands."""
        if not self.offset:
            return self.place
        return self.sizes.step("add", self.place, self.sizes.step("constant", self.offset, 0))

    def _other(self, other: Size | int) -> int:
        return other._place() if type(other) is Size else self.sizes.step("constant", int(other), 0)

    def _made(self, name: str, left: int, right: int) -> Size:
        return Size(self.sizes, self.sizes.step(name, left, right), 0)

    # Arithmetic

    def __add__(self, other: Any) -> Any:
        if type(other) is not Size:
            if not isinstance(other, int):
                return NotImplemented
            return self if other == 0 else Size(self.sizes, self.place, self.offset + other)
        total = self._made("add", self.place, other.place)
        return total + (self.offset + other.offset)

    __radd__ = __add__

    def __neg__(self) -> Any:
        return self * -1

    def __sub__(self, other: Any) -> Any:
        if type(other) is Size and other.place == self.place:
            return self.offset - other.offset
        if type(other) is not Size and not isinstance(other, int):
            return NotImplemented
        return self + -other

    def __rsub__(self, other: Any) -> Any:
        return -self + other if isinstance(other, int) else NotImplemented

    def __mul__(self, other: Any) -> Any:
        if type(other) is Size:
            return self._made("multiply", *sorted((self._place(), other._place())))
        if not isinstance(other, int):
            return NotImplemented
        if other in (0, 1):
            return self if other else 0
        product = self._made("multiply", self.place, self._other(other))
        return product + self.offset * other

    __rmul__ = __mul__

    def __floordiv__(self, other: Any) -> Any:
        if type(other) is not Size and not isinstance(other, int):
            return NotImplemented
        return self._made("floor_divide", self._place(), self._other(other))

    def __rfloordiv__(self, other: Any) -> Any:
        if not isinstance(other, int):
            return NotImplemented
        return self._made("floor_divide", self._other(other), self._place())

    def __mod__(self, other: Any) -> Any:
        if type(other) is not Size and not isinstance(other, int):
            return NotImplemented
        return self._made("remainder", self._place(), self._other(other))

    def combined(self, name: str, other: Size | int) -> Size:
        """The larger or smaller of two."""
        return self._made(name, self._place(), self._other(other))

    # Decisions

    def _decide(self, name: str, other: Any) -> Any:
        """`self name other`, where `name` is ==, < or <=."""
        if type(other) is Size:
            if other.place == self.place:
                return _COMPARE[name](self.offset, other.offset)
            difference = self - other
            return difference._decide(name, 0)
        if isinstance(other, float):
            if not math.isfinite(other):
                return name != "==" and other > 0
            if not other.is_integer():
                if name == "==":
                    return False
                other = math.floor(other) if name == "<=" else math.ceil(other)
        elif not isinstance(other, int):
            return NotImplemented
        return self.sizes.decide(name, self.place, int(other) - self.offset)

    def __eq__(self, other: object) -> bool:
        return self._decide("==", other)  # type: ignore[no-any-return]

    def __lt__(self, other: Any) -> bool:
        return self._decide("<", other)  # type: ignore[no-any-return]

    def __le__(self, other: Any) -> bool:
        return self._decide("<=", other)  # type: ignore[no-any-return]

    def __gt__(self, other: Any) -> bool:
        found = self._decide("<=", other)
        return found if found is NotImplemented else not found

    def __ge__(self, other: Any) -> bool:
        found = self._decide("<", other)
        return found if found is NotImplemented else not found

    def __bool__(self) -> bool:
        return not self._decide("==", 0)

    def __index__(self) -> int:
        """Its value, for which alone the code is then right."""
        self._decide("==", self.value)
        return self.value

    def __int__(self) -> int:
        return self.__index__()

    def __float__(self) -> float:
        return float(self.__index__())

    def __truediv__(self, other: Any) -> float:
        return float(self) / float(other)

    def __rtruediv__(self, other: Any) -> float:
        return float(other) / float(self)


def larger(one: Any, other: Any) -> Any:
    """The larger of two integers, without a decision."""
    return _of_two("maximum", one, other)


def smaller(one: Any, other: Any) -> Any:
    """The smaller of two integers, without a decision."""
    return _of_two("minimum", one, other)


def _of_two(name: str, one: Any, other: Any) -> Any:
    if type(one) is Size:
        return one.combined(name, other)
    return other.combined(name, one) if type(other) is Size else _COMPUTE[name](one, other)


def is_size(value: object) -> TypeGuard[Size]:
    """Whether an integer is read at run time."""
    return type(value) is Size


def whole(value: Any) -> Any:
    """The integer that a literal holds: an int, or a size."""
    return value if type(value) is Size else int(value.real)


TYPICAL = 256
"""What a size is taken for where costs are estimated, so that estimates decide alike for all."""


def typical(trips: int) -> int:
    """A number for estimates."""
    return TYPICAL if is_size(trips) else int(trips)


@dataclass(frozen=True, slots=True)
class Number:
    """A floating-point constant that the code reads from the table, at `slot`."""

    slot: int

    def __repr__(self) -> str:
        return f"#{self.slot}"


def is_number(value: object) -> TypeGuard[Number]:
    """Whether a floating-point constant is read at run time."""
    return type(value) is Number
