"""All tables of calls."""

from __future__ import annotations

from tests.numpy.differential import Table
from tests.numpy.signatures_analysis import analysis
from tests.numpy.signatures_arrays import arrays
from tests.numpy.signatures_creation import creation
from tests.numpy.signatures_elementwise import elementwise, ufunc_methods
from tests.numpy.signatures_methods import methods

_TABLES = (elementwise(), ufunc_methods(), analysis(), arrays, creation, methods)


def merged() -> Table:
    """The calls of all tables by name."""
    table: dict[str, tuple[str, ...]] = {}
    for part in _TABLES:
        for name, texts in part.items():
            table[name] = tuple(dict.fromkeys(table.get(name, ()) + texts))
    return table


TABLE = merged()
