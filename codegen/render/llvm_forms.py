"""Index arithmetic seen through named scalars, and what depends on a loop's index."""

from __future__ import annotations

from codegen.loops.linear import LinearForm
from codegen.loops.nodes import Buffer, Expression, Literal, Operation, Variable
from codegen.loops.walk import subexpressions

LINEAR = ("add", "subtract", "multiply", "negative")


class Forms:
    """The linear forms of the int64 scalars that are visible; a name without one is a term."""

    def __init__(self, other: Forms | None = None) -> None:
        self.known: dict[str, LinearForm] = {} if other is None else dict(other.known)
        self.mutable: set[str] = set() if other is None else set(other.mutable)

    def define(self, name: str, value: Expression) -> None:
        """A new name for a value."""
        self.known.pop(name, None)
        if value.dtype.name != "int64":
            return
        linear = isinstance(value, Literal | Variable) or (
            isinstance(value, Operation) and value.name in LINEAR
        )
        if not linear:
            return
        form = self.linear(value)
        simple = all(isinstance(term, Variable) for term in form.terms)
        if simple and not any(self._changes(term) for term in form.terms):
            self.known[name] = form

    def _changes(self, term: Expression) -> bool:
        return any(
            isinstance(part, Variable) and part.name in self.mutable
            for part in subexpressions(term)
        )

    def constant(self, name: str, value: int) -> None:
        """A name that stands for a number."""
        self.known[name] = LinearForm(value)

    def index(self, name: str) -> None:
        """A name that stands for itself."""
        self.known.pop(name, None)

    def linear(self, expression: Expression) -> LinearForm:
        """The form of an int64 expression."""
        match expression:
            case Literal(value):
                return LinearForm(int(value.real))
            case Variable(name) if name in self.known:
                form = LinearForm()
                form.add(self.known[name])
                return form
            case Operation("add" | "subtract" as name, (left, right)):
                form = self.linear(left)
                form.add(self.linear(right), 1 if name == "add" else -1)
                return form
            case Operation("negative", (operand,)):
                form = LinearForm()
                form.add(self.linear(operand), -1)
                return form
            case Operation("multiply", (left, right)):
                first, second = self.linear(left), self.linear(right)
                if first.terms and second.terms:
                    return LinearForm(0, {expression: 1})
                if first.terms:
                    first, second = second, first
                form = LinearForm()
                form.add(second, first.constant)
                return form
        return LinearForm(0, {expression: 1})

    def flat(self, buffer: Buffer, indices: tuple[Expression, ...]) -> LinearForm:
        """The position of an element, or of a part with leading indices fixed, in C order."""
        form = LinearForm()
        stride = buffer.size
        for extent, index in zip(buffer.shape, indices, strict=False):
            stride = stride // extent if extent else 0
            form.add(self.linear(index), stride)
        return form
