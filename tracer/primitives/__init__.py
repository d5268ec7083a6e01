"""The primitives: one file a family, one record a primitive. Importing this package registers them
all.
"""

from tracer.primitives import (
    arithmetic,
    broadcast,
    call,
    cast,
    comparison,
    contract,
    custom,
    index,
    loop,
    numbers,
    ordering,
    reduce,
    roots,
    running,
    shape,
    solve,
    special,
    switch,
    transcendental,
)

__all__ = [
    "arithmetic",
    "broadcast",
    "call",
    "cast",
    "comparison",
    "contract",
    "custom",
    "index",
    "loop",
    "numbers",
    "ordering",
    "reduce",
    "roots",
    "running",
    "shape",
    "solve",
    "special",
    "switch",
    "transcendental",
]
