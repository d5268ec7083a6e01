"""Index arithmetic seen through named scalars, and what depends on a loop's index."""

from __future__ import annotations

from codegen.loops.linear import LinearForm, strides
from codegen.loops.nodes import Buffer, Expression, Literal, Operation, Variable
from codegen.loops.sizes import whole
from codegen.loops.walk import subexpressions
from codegen.render.llvm_emit import INT64

LINEAR = ("add", "subtract", "multiply", "negative")


class Forms:
    """The linear forms of the int64 scalars that are visible; a name without one is a term.

    While `changes` stays as it is, no name has got another form than it had.
    """

    def __init__(self, outer: Forms | None = None) -> None:
        self.outer = outer
        self.known: dict[str, LinearForm | None] = {}
        self.mutable: set[str] = set()
        self.changes = 0

    def find(self, name: str) -> LinearForm | None:
        """The form of a name, here or in what this one extends."""
        forms: Forms | None = self
        while forms is not None:
            if name in forms.known:
                return forms.known[name]
            forms = forms.outer
        return None

    def is_mutable(self, name: str) -> bool:
        """Whether a name may change its value."""
        return name in self.mutable or (self.outer is not None and self.outer.is_mutable(name))

    def define(self, name: str, value: Expression) -> None:
        """A new name for a value."""
        self.index(name)
        if value.dtype != INT64:
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
            isinstance(part, Variable) and self.is_mutable(part.name)
            for part in subexpressions(term)
        )

    def constant(self, name: str, value: int) -> None:
        """A name that stands for a number."""
        self.known[name] = LinearForm(value)
        self.changes += 1

    def index(self, name: str) -> None:
        """A name that stands for itself."""
        if self.outer is None:
            if self.known.pop(name, None) is not None:
                self.changes += 1
        else:
            self.known[name] = None

    def linear(self, expression: Expression) -> LinearForm:
        """The form of an int64 expression."""
        match expression:
            case Literal(value):
                return LinearForm(whole(value))
            case Variable(name) if (found := self.find(name)) is not None:
                form = LinearForm()
                form.add(found)
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
        for stride, index in zip(strides(buffer), indices, strict=False):
            form.add(self.linear(index), stride)
        return form
