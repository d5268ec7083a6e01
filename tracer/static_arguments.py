"""The arguments that `jit` takes as Python values: whether the function has them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any


def positional_names(function: Callable[..., Any]) -> tuple[str, ...]:
    """The names of the arguments that can be given by place; none where they are not known."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return ()
    return tuple(
        parameter.name
        for parameter in parameters
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    )


def check_static(
    function: Callable[..., Any], name: str, places: Sequence[int], names: Sequence[str]
) -> None:
    """Raise ValueError for a static argument that the function does not have."""
    if not (places or names):
        return
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return
    kinds = {parameter.kind for parameter in parameters}
    count = len(positional_names(function))
    if inspect.Parameter.VAR_POSITIONAL not in kinds:
        for place in places:
            if not -count <= place < count:
                raise ValueError(
                    f"static_argnums has {place}, and {name} takes {count} positional arguments"
                )
    if inspect.Parameter.VAR_KEYWORD not in kinds:
        known = [parameter.name for parameter in parameters]
        for wanted in names:
            if wanted not in known:
                raise ValueError(
                    f"static_argnames has {wanted!r}, and the arguments of {name} are "
                    f"{', '.join(known)}"
                )
