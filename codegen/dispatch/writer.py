"""Writing LLVM IR as text: fresh names, loads and stores at byte offsets, branches."""

from __future__ import annotations

from codegen.dispatch.layout import REFCOUNT, Layout


class Writer:
    """The body of one function, line after line."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.lines: list[str] = []
        self._count = 0

    def emit(self, line: str) -> None:
        """Add one instruction."""
        self.lines.append("  " + line)

    def value(self, expression: str) -> str:
        """Name the result of an instruction."""
        self._count += 1
        name = f"%v{self._count}"
        self.emit(f"{name} = {expression}")
        return name

    def label(self, stem: str) -> str:
        """A fresh label, not yet placed."""
        self._count += 1
        return f"{stem}{self._count}"

    def begin(self, label: str) -> None:
        """Start the block `label`."""
        self.lines.append(f"{label}:")

    def at(self, base: str, offset: int | str) -> str:
        """The address `offset` bytes (a number or an i64) after `base`."""
        if offset == 0:
            return base
        return self.value(f"getelementptr i8, ptr {base}, i64 {offset}")

    def load(self, kind: str, base: str, offset: int = 0) -> str:
        """The value of type `kind` that lies `offset` bytes after `base`."""
        return self.value(f"load {kind}, ptr {self.at(base, offset)}")

    def store(self, kind: str, value: str, base: str, offset: int = 0) -> None:
        """Put `value` at `offset` bytes after `base`."""
        self.emit(f"store {kind} {value}, ptr {self.at(base, offset)}")

    def jump(self, label: str) -> None:
        """Go on at `label`."""
        self.emit(f"br label %{label}")

    def branch(self, condition: str, yes: str, no: str) -> None:
        """Go on at `yes` where the i1 `condition` holds, at `no` where not."""
        self.emit(f"br i1 {condition}, label %{yes}, label %{no}")

    def require(self, condition: str, otherwise: str) -> None:
        """Go to `otherwise` unless the i1 `condition` holds."""
        following = self.label("ok")
        self.branch(condition, following, otherwise)
        self.begin(following)

    def require_equal(self, kind: str, left: str, right: str, otherwise: str) -> None:
        """Go to `otherwise` unless the two values are equal."""
        self.require(self.value(f"icmp eq {kind} {left}, {right}"), otherwise)

    def require_object(self, pointer: str, otherwise: str) -> None:
        """Go to `otherwise` where a C function gave NULL."""
        self.require(self.value(f"icmp ne ptr {pointer}, null"), otherwise)

    def hold(self, pointer: str) -> None:
        """One more reference to an object."""
        if not self.layout.inline_refcounts:
            self.emit(f"call void @tracer_Py_IncRef(ptr {pointer})")
            return
        count = self.load("i64", pointer, REFCOUNT)
        self.store("i64", self.value(f"add i64 {count}, 1"), pointer, REFCOUNT)

    def release(self, pointer: str) -> None:
        """One reference less, and the object's end where it was the last."""
        if not self.layout.inline_refcounts:
            self.emit(f"call void @tracer_Py_DecRef(ptr {pointer})")
            return
        count = self.value(f"sub i64 {self.load('i64', pointer, REFCOUNT)}, 1")
        self.store("i64", count, pointer, REFCOUNT)
        dead, alive = self.label("dead"), self.label("alive")
        self.branch(self.value(f"icmp eq i64 {count}, 0"), dead, alive)
        self.begin(dead)
        self.emit(f"call void @tracer__Py_Dealloc(ptr {pointer})")
        self.jump(alive)
        self.begin(alive)

    def text(self, indent: str = "") -> str:
        """Everything written so far."""
        return "\n".join(indent + line for line in self.lines)
