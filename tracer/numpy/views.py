"""Views: two traced arrays that share elements, as NumPy's slices, transposes and reshapes do.

A traced array is a name for a variable, so that writing gives it a new variable. An array of which
views are alive knows them (weakly); a view knows its array, how to read itself from that, and how
to write itself into it. A write to any of them makes a new value of the array, and every live view
reads itself from it again. Nothing is done until something is written.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from tracer.primitives.shape import slice_update
from tracer.trace import Tracer

Read = Callable[[Any], Any]
Write = Callable[[Any, Any], Any]

_FEW = 16  # so many dead views are not worth looking for


def as_view(base: Any, read: Read, write: Write) -> Any:
    """`read(base)`, as a view: what is written to one shows in the other.

    `write(base, view)` is the base with what the view shows replaced.
    """
    view = read(base)
    if type(view) is not Tracer or view is base:
        return view
    alias = base.alias
    if type(alias) is tuple:
        root, outer_read, outer_write = alias

        def read_through(origin: Any) -> Any:
            return read(outer_read(origin))

        def write_through(origin: Any, part: Any) -> Any:
            return outer_write(origin, write(outer_read(origin), part))

        view.alias = (root, read_through, write_through)
        _remember(root, view)
    else:
        view.alias = (base, read, write)
        _remember(base, view)
    return view


def _remember(root: Tracer, view: Tracer) -> None:
    known = root.alias
    if known is None:
        root.alias = known = []
    elif len(known) >= _FEW and (len(known) & (len(known) - 1)) == 0:
        known[:] = [reference for reference in known if reference() is not None]
    known.append(weakref.ref(view))


def relatives(tracer: Tracer) -> list[Tracer]:
    """The arrays that share elements with this one: what it is a view of, and other views."""
    alias = tracer.alias
    root = alias[0] if type(alias) is tuple else tracer
    views = [reference() for reference in root.alias or ()]
    family = [root, *(view for view in views if view is not None)]
    return [member for member in family if member is not tracer]


def read_only(base: Any, part: Any) -> Any:
    """How to write into what NumPy lets nobody write into."""
    raise ValueError("assignment destination is read-only")


def rebind(target: Tracer, value: Any) -> None:
    """Let `target` be `value`, of one type, from here on; arrays that share elements follow."""
    if type(value) is not Tracer:
        nothing = (0,) * len(target.shape)
        value = slice_update(target, value, nothing, (1,) * len(target.shape))
    alias = target.alias
    if alias is None:
        target.variable = value.variable
        return
    root, changed = target, value
    if type(alias) is tuple:
        root, _, write = alias
        changed = write(Tracer(root.variable), Tracer(value.variable))
        root.variable = changed.variable
    target.variable = value.variable
    for reference in root.alias or ():
        view = reference()
        if view is None or view is target or view.variable.trace.closed:
            continue  # gone, up to date, or of a loop's body that has ended
        view.variable = view.alias[1](Tracer(changed.variable)).variable
