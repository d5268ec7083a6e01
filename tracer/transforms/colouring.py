"""Colourings of sparsity patterns: which columns, rows, or variables can share one product.

Forward mode multiplies a Jacobian by a sum of unit vectors. Columns without a common row can be
told apart in the result, so they share a colour (Curtis, Powell and Reid, "On the estimation of
sparse Jacobian matrices", 1974). A Hessian is symmetric, so an entry may be read from either of two
products, and a star colouring does: neighbours differ, and no path of four vertices has two colours
only (Coleman and Moré, "Estimation of sparse Hessian matrices and graph coloring problems", 1984).
Sets of colours are the bits of Python's integers: one union is one operation, however many colours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from scipy import sparse

Array = np.ndarray[Any, np.dtype[Any]]
Greedy = Callable[[Any, Iterable[int]], Array]


def _lists(matrix: Any) -> list[list[int]]:
    """The columns of each row."""
    columns = matrix.indices.tolist()
    bounds = matrix.indptr.tolist()
    return [columns[bounds[i] : bounds[i + 1]] for i in range(matrix.shape[0])]


def _smallest_free(taken: int) -> int:
    """The smallest colour that is not in a set."""
    return (~taken & (taken + 1)).bit_length() - 1


def _greedy_columns(pattern: Any, order: Iterable[int]) -> Array:
    """Each column in turn takes the smallest colour that none of its rows has seen."""
    rows_of = _lists(pattern.T.tocsr())
    seen = [0] * pattern.shape[0]
    colours = np.zeros(pattern.shape[1], np.int64)
    for column in order:
        taken = 0
        for row in rows_of[column]:
            taken |= seen[row]
        colour = _smallest_free(taken)
        colours[column] = colour
        bit = 1 << colour
        for row in rows_of[column]:
            seen[row] |= bit
    return colours


def _greedy_star(pattern: Any, order: Iterable[int]) -> Array:
    """Each vertex in turn takes the smallest colour such that, of two vertices of one colour, every
    common neighbour has a smaller one (Powell and Toint's condition, which implies a star
    colouring: on a path of four vertices with two colours each would have to be the smaller)."""
    neighbours = _lists(pattern)
    around = [0] * pattern.shape[0]
    colours = [-1] * pattern.shape[0]
    for vertex in order:
        taken = 0
        for other in neighbours[vertex]:
            colour = colours[other]
            if colour < 0:
                taken |= around[other]
            else:
                taken |= 1 << colour | around[other] & ((1 << colour) - 1)
        colour = colours[vertex] = _smallest_free(taken)
        for other in neighbours[vertex]:
            around[other] |= 1 << colour
    return np.asarray(colours, np.int64)


def _fewest(greedy: Greedy, pattern: Any, degrees: Array) -> Array:
    """The better of two orders: as they stand, and those of most entries first."""
    found = [
        greedy(pattern, range(len(degrees))),
        greedy(pattern, np.argsort(-degrees, kind="stable").tolist()),
    ]
    return min(found, key=count_colours)


def count_colours(colours: Array) -> int:
    """How many there are."""
    return int(colours.max(initial=-1)) + 1


def colour_columns(pattern: Any) -> Array:
    """A colour for each column, such that no row has two columns of one colour.

    pattern  boolean csr_array (rows, columns); without entries one colour is enough
    """
    return _fewest(
        _greedy_columns, pattern, np.bincount(pattern.indices, minlength=pattern.shape[1])
    )


def colour_rows(pattern: Any) -> Array:
    """A colour for each row, such that no column has two rows of one colour."""
    return colour_columns(sparse.csr_array(pattern.T))


def colour_symmetric(pattern: Any) -> Array:
    """A star colouring of a symmetric pattern (n, n), whose diagonal plays no part."""
    coordinates = pattern.tocoo()
    row, column = coordinates.coords
    off = row != column
    edges = sparse.csr_array(
        (np.ones(int(off.sum()), bool), (row[off], column[off])), shape=pattern.shape
    )
    return _fewest(_greedy_star, edges, np.diff(edges.indptr))


def seeds(colours: Array, dtype: Any) -> Array:
    """One vector a colour, the sum of its unit vectors: (colours, n)."""
    result = np.zeros((count_colours(colours), len(colours)), dtype)
    result[colours, np.arange(len(colours))] = 1
    return result


def symmetric_places(pattern: Any, colours: Array) -> tuple[Array, Array]:
    """Where each entry of a symmetric pattern is found in the products (colour, element), in the
    order of the csr_array: (colours, elements).

    Entry (i, j) is product `colours[j]` at i if j is the only one of its colour in row i; else j is
    a leaf of a star around another vertex, and (j, i) stands alone in its row.
    """
    columns = pattern.indices
    rows = np.repeat(np.arange(pattern.shape[0]), np.diff(pattern.indptr))
    keys = rows * count_colours(colours) + colours[columns]
    _, inverse, counts = np.unique(keys, return_inverse=True, return_counts=True)
    alone = counts[inverse] == 1
    return np.where(alone, colours[columns], colours[rows]), np.where(alone, rows, columns)
