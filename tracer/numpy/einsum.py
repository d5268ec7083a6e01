"""Einstein's summation: pairs of operands contracted one after the other, in a good order."""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from tracer.errors import ShapeError, UnsupportedFunctionError
from tracer.numpy.common import array_function, as_arrays, as_dtype, result_dtype, store, where_text
from tracer.numpy.matrices import diagonal_of
from tracer.primitives.arithmetic import multiply
from tracer.primitives.broadcast import broadcast_to, reduce_sum, reshape
from tracer.primitives.cast import cast
from tracer.primitives.contract import dot_general
from tracer.primitives.shape import transpose

Term = tuple[str, Any]  # the labels of an operand's axes, and the operand


def _letters(sublist: Any) -> str:
    return "".join("..." if item is Ellipsis else string.ascii_letters[item] for item in sublist)


def _subscripts(operands: Sequence[Any]) -> tuple[str, list[Any]]:
    """The subscripts as one string, and the arrays, from either form of call."""
    if isinstance(operands[0], str):
        return operands[0].replace(" ", ""), list(operands[1:])
    pairs = len(operands) // 2
    arrays = [operands[2 * place] for place in range(pairs)]
    text = ",".join(_letters(operands[2 * place + 1]) for place in range(pairs))
    return (f"{text}->{_letters(operands[-1])}" if len(operands) % 2 else text), arrays


def _without_ellipsis(inputs: list[str], arrays: list[Any]) -> tuple[list[str], str]:
    """The subscripts with letters for what "..." stands for, and those letters."""
    used = set("".join(inputs))
    free = [letter for letter in string.ascii_letters if letter not in used]
    longest = 0
    for text, array in zip(inputs, arrays, strict=True):
        if "..." in text:
            longest = max(longest, len(array.shape) - len(text.replace("...", "")))
    letters = "".join(free[:longest])
    result = []
    for text, array in zip(inputs, arrays, strict=True):
        named = len(text.replace("...", ""))
        count = len(array.shape) - named
        if count < 0 or (count and "..." not in text):
            raise ShapeError(
                f"{where_text()}einsum: '{text}' names {named} axes of an operand of shape "
                f"{array.shape}"
            )
        result.append(text.replace("...", letters[longest - count :]))
    return result, letters


def parse(operands: Sequence[Any]) -> tuple[list[str], str, list[Any]]:
    """The labels of each operand's axes, those of the result, and the operands."""
    text, values = _subscripts(operands)
    arrays = as_arrays(*values)
    left, arrow, output = text.partition("->")
    inputs = left.split(",")
    if len(inputs) != len(arrays):
        raise ValueError(
            f"{where_text()}einsum: {len(inputs)} operands in '{text}', {len(arrays)} given"
        )
    labels, hidden = _without_ellipsis(inputs, arrays)
    if arrow:
        output = output.replace("...", hidden)
    else:
        counts = Counter("".join(labels))
        output = hidden + "".join(
            sorted(letter for letter, n in counts.items() if n == 1 and letter not in hidden)
        )
    unknown = set(output) - set("".join(labels))
    if unknown or len(set(output)) != len(output):
        raise ValueError(
            f"{where_text()}einsum: the result '{output}' repeats a label, or has one that no "
            "operand has"
        )
    return labels, output, arrays


def _one_each(term: Term) -> Term:
    """The diagonal over each label that an operand repeats."""
    labels, x = term
    for letter in dict.fromkeys(labels):
        while labels.count(letter) > 1:
            first = labels.index(letter)
            second = labels.index(letter, first + 1)
            if x.shape[first] != x.shape[second]:
                raise ShapeError(
                    f"{where_text()}einsum: label '{letter}' has lengths {x.shape[first]} and "
                    f"{x.shape[second]} in one operand"
                )
            x = diagonal_of(x, 0, first, second)
            labels = "".join(
                name for place, name in enumerate(labels) if place not in (first, second)
            )
            labels += letter
    return labels, x


def _extents(terms: Sequence[Term]) -> dict[str, int]:
    extents: dict[str, int] = {}
    for labels, x in terms:
        for letter, extent in zip(labels, x.shape, strict=True):
            known = extents.get(letter, 1)
            if extent not in (known, 1) and known != 1:
                raise ShapeError(
                    f"{where_text()}einsum: label '{letter}' has lengths {known} and {extent}"
                )
            extents[letter] = extent if known == 1 else known
    return extents


def _squeezed(term: Term, extents: dict[str, int]) -> Term:
    """Without axes of length 1 that broadcast against longer ones."""
    labels, x = term
    kept = [place for place, name in enumerate(labels) if x.shape[place] == extents[name]]
    if len(kept) == len(labels):
        return term
    shape = tuple(x.shape[place] for place in kept)
    return "".join(labels[place] for place in kept), reshape(x, shape)


def _summed(term: Term, needed: set[str]) -> Term:
    """Summed over the labels that nothing else needs."""
    labels, x = term
    axes = tuple(place for place, name in enumerate(labels) if name not in needed)
    return "".join(name for name in labels if name in needed), reduce_sum(x, axes)


def _product(first: Term, second: Term, needed: set[str]) -> Term:
    """Two operands made one: summed over the labels that nothing else needs."""
    first = _summed(first, needed | set(second[0]))
    second = _summed(second, needed | set(first[0]))
    (names_x, x), (names_y, y) = first, second
    shared = [name for name in names_x if name in names_y]
    gone = [name for name in shared if name not in needed]
    kept = [name for name in shared if name in needed]
    only_x = [name for name in names_x if name not in names_y]
    only_y = [name for name in names_y if name not in names_x]
    if not gone:
        order = "".join((*kept, *only_x, *only_y))
        return order, multiply(_aligned(first, order), _aligned(second, order))
    contract = (tuple(map(names_x.index, gone)), tuple(map(names_y.index, gone)))
    batch = (tuple(map(names_x.index, kept)), tuple(map(names_y.index, kept)))
    return "".join((*kept, *only_x, *only_y)), dot_general(x, y, contract, batch)


def _aligned(term: Term, order: str) -> Any:
    """The operand with axes in that order, those it lacks of length 1."""
    labels, x = term
    places = tuple(labels.index(name) for name in order if name in labels)
    x = transpose(x, places)
    extents = iter(x.shape)
    return reshape(x, tuple(next(extents) if name in labels else 1 for name in order))


def _path(terms: Sequence[Term], output: str, extents: dict[str, int], optimize: Any) -> Any:
    if isinstance(optimize, (list, tuple)) and optimize and optimize[0] == "einsum_path":
        return optimize[1:]
    if len(terms) <= 2:
        return [tuple(range(len(terms)))]
    samples = [
        np.broadcast_to(0.0, tuple(extents[name] for name in labels)) for labels, _ in terms
    ]
    method = "optimal" if len(terms) <= 5 else "greedy"
    text = ",".join(labels for labels, _ in terms) + "->" + output
    return np.einsum_path(text, *samples, optimize=method)[0][1:]


@array_function(np.einsum)
def einsum(
    *operands: Any,
    out: Any = None,
    optimize: Any = False,
    dtype: Any = None,
    order: Any = "K",
    casting: str = "safe",
) -> Any:
    """Sum of products of the operands, their axes labelled; contracted in an optimal order."""
    labels, output, arrays = parse(operands)
    common = as_dtype(dtype) if dtype is not None else result_dtype(*[x.dtype for x in arrays])
    terms = [
        _one_each((names, cast(x, common))) for names, x in zip(labels, arrays, strict=True)
    ]
    extents = _extents(terms)
    terms = [_squeezed(term, extents) for term in terms]
    for places in _path(terms, output, extents, optimize):
        chosen = [terms[place] for place in sorted(places)]
        terms = [term for place, term in enumerate(terms) if place not in places]
        while len(chosen) > 1:
            others = "".join(names for names, _ in (*terms, *chosen[2:]))
            chosen[:2] = [_product(chosen[0], chosen[1], set(output) | set(others))]
        terms.extend(chosen)
    if len(terms) != 1:
        raise UnsupportedFunctionError(
            f"{where_text()}einsum: the path {optimize!r} is not complete"
        )
    term = _summed(terms[0], set(output))
    result = broadcast_to(_aligned(term, output), tuple(extents[name] for name in output))
    return store(result, out)


@array_function(np.einsum_path)
def einsum_path(*operands: Any, optimize: Any = "greedy", **options: Any) -> Any:
    """NumPy's plan for `einsum`, from the shapes alone."""
    text, values = _subscripts(operands)
    samples = [np.broadcast_to(0.0, x.shape) for x in as_arrays(*values)]
    return np.einsum_path(text, *samples, optimize=optimize, **options)
