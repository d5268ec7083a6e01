"""Places that hold a value: variables, items, attributes, and traced arrays which are written in
place.
"""

from __future__ import annotations

from types import CellType
from typing import Any, Protocol

from tracer.source.protocol import Host


class Undefined:
    """What a variable holds that only some paths bind: reading it raises the error that `message`
    tells."""

    __slots__ = ("error",)

    def __init__(self, error: Exception) -> None:
        self.error = error

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise self.error

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = (
        _refuse
    )
    __pow__ = __rpow__ = __matmul__ = __rmatmul__ = __neg__ = __getitem__ = __setitem__ = _refuse
    __lt__ = __le__ = __gt__ = __ge__ = __bool__ = __float__ = __int__ = __index__ = _refuse
    __len__ = __iter__ = __call__ = __array__ = __array_ufunc__ = __array_function__ = _refuse


class _Unbound:
    """Stands for the content of a variable that has none."""

    def __repr__(self) -> str:
        return "unbound"


UNBOUND = _Unbound()


class Slot(Protocol):
    """A place that holds a value."""

    path: str

    def read(self) -> Any:
        """What it holds now."""

    def write(self, value: Any) -> None:
        """Let it hold `value`."""


class CellSlot:
    """A variable of a function."""

    __slots__ = ("cell", "path")

    def __init__(self, cell: CellType, path: str) -> None:
        self.cell = cell
        self.path = path

    def read(self) -> Any:
        """Its value, or `UNBOUND`."""
        try:
            return self.cell.cell_contents
        except ValueError:
            return UNBOUND

    def write(self, value: Any) -> None:
        """Bind it; `UNBOUND` deletes it."""
        if value is not UNBOUND:
            self.cell.cell_contents = value
        elif self.read() is not UNBOUND:
            del self.cell.cell_contents


class ItemSlot:
    """An item of a list or a dict: of globals and of attributes too."""

    __slots__ = ("container", "key", "path")

    def __init__(self, container: Any, key: Any, path: str) -> None:
        self.container = container
        self.key = key
        self.path = path

    def read(self) -> Any:
        """Its value, or `UNBOUND`."""
        try:
            return self.container[self.key]
        except (KeyError, IndexError):
            return UNBOUND

    def write(self, value: Any) -> None:
        """Store it; `UNBOUND` deletes it."""
        if value is not UNBOUND:
            self.container[self.key] = value
        else:
            self.container.pop(self.key, None)


class AttributeSlot:
    """An attribute that lies in a slot of its class."""

    __slots__ = ("name", "owner", "path")

    def __init__(self, owner: Any, name: str, path: str) -> None:
        self.owner = owner
        self.name = name
        self.path = path

    def read(self) -> Any:
        """Its value, or `UNBOUND`."""
        return getattr(self.owner, self.name, UNBOUND)

    def write(self, value: Any) -> None:
        """Set it; `UNBOUND` deletes it."""
        if value is not UNBOUND:
            setattr(self.owner, self.name, value)
        elif self.read() is not UNBOUND:
            delattr(self.owner, self.name)


class ArraySlot:
    """A traced array that is written in place: the object itself, whatever names it has."""

    __slots__ = ("host", "path", "tracer")

    def __init__(self, tracer: Any, host: Host, path: str) -> None:
        self.tracer = tracer
        self.host = host
        self.path = path

    def read(self) -> Any:
        """Another array of the value that it has now."""
        return self.host.copy(self.tracer)

    def write(self, value: Any) -> None:
        """Give it that value."""
        self.host.assign(self.tracer, value)
