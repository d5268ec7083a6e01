"""`check_grads`: derivatives against difference quotients and against the Taylor remainder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tracer import tree
from tracer.errors import GradientCheckError
from tracer.source.host import follow_source
from tracer.trace import type_of
from tracer.transforms.gradient import check_differentiable, function_name, jvp, vjp
from tracer.types import epsilon_of, is_complex, is_inexact, real_dtype

Arrays = list[Any]


def check_grads(
    f: Callable[..., Any],
    args: Sequence[Any],
    order: int = 2,
    modes: Sequence[str] = ("fwd", "rev"),
    atol: float | None = None,
    rtol: float | None = None,
) -> None:
    """Raise GradientCheckError unless the derivatives of f at `args` are right.

    For each leaf of the arguments, along a random direction: forward mode against the central
    difference quotient; reverse mode against forward mode by ⟨u, J v⟩ = ⟨Jᵀ u, v⟩; and the Taylor
    remainder f(x + h v) − f(x) − h J v, which must shrink with h². Then the same for the derivative
    itself, up to `order`. The message names the argument, the mode and the figures.

    args   positional arguments: floating or complex arrays, or pytrees of them
    atol, rtol
           tolerances of the comparison with difference quotients; by default they follow from the
           dtype (1e-5 and 1e-5 in double precision)
    """
    unknown = set(modes) - {"fwd", "rev"}
    if unknown:
        raise ValueError(f"modes are 'fwd' and 'rev', not {sorted(unknown)}")
    generator = np.random.default_rng(20)
    name = function_name(f)
    _check(follow_source(f), tuple(args), order, tuple(modes), (atol, rtol), generator, name)


def _check(
    f: Callable[..., Any],
    args: tuple[Any, ...],
    order: int,
    modes: tuple[str, ...],
    tolerances: tuple[float | None, float | None],
    generator: np.random.Generator,
    name: str,
) -> None:
    if order < 1:
        return
    leaves, form = tree.flatten(args)
    arrays = [np.asarray(check_differentiable(leaf, f"an argument of {name}")) for leaf in leaves]

    def flat(*values: Any) -> Arrays:
        return [
            leaf
            for leaf in tree.leaves(f(*tree.unflatten(form, values)))
            if is_inexact(type_of(leaf).dtype)
        ]

    for place in range(len(arrays)):
        direction = _random_like(arrays[place], generator)
        _check_leaf(flat, arrays, place, direction, modes, tolerances, generator, name)
    tangents = tuple(_random_like(array, generator) for array in arrays)
    if "fwd" in modes:

        def pushed(*values: Any) -> Any:
            return jvp(flat, values, tangents)[1]

        _check(pushed, tuple(arrays), order - 1, modes, tolerances, generator, f"the jvp of {name}")
    if "rev" in modes:
        cotangents = [_random_like(np.asarray(out), generator) for out in flat(*arrays)]

        def pulled(*values: Any) -> Any:
            return vjp(flat, *values)[1](cotangents)

        _check(pulled, tuple(arrays), order - 1, modes, tolerances, generator, f"the vjp of {name}")


def _random_like(array: Any, generator: np.random.Generator) -> Any:
    values = generator.standard_normal(array.shape)
    if is_complex(array.dtype):
        values = values + 1j * generator.standard_normal(array.shape)
    return values.astype(array.dtype)[()]


def _moved(arrays: Arrays, place: int, direction: Any, step: float) -> Arrays:
    result = list(arrays)
    moved = arrays[place] + direction.dtype.type(step) * direction
    result[place] = np.asarray(moved, arrays[place].dtype)
    return result


def _check_leaf(
    flat: Callable[..., Arrays],
    arrays: Arrays,
    place: int,
    direction: Any,
    modes: tuple[str, ...],
    tolerances: tuple[float | None, float | None],
    generator: np.random.Generator,
    name: str,
) -> None:
    what = f"{name}, argument leaf {place} of type {type_of(arrays[place])}"
    epsilon = epsilon_of(real_dtype(arrays[place].dtype))
    step = epsilon ** (1 / 3) * max(1.0, float(np.max(np.abs(arrays[place]), initial=0.0)))
    ahead = flat(*_moved(arrays, place, direction, step))
    behind = flat(*_moved(arrays, place, direction, -step))
    numerical = [
        (np.asarray(a) - np.asarray(b)) / (2 * step) for a, b in zip(ahead, behind, strict=True)
    ]
    atol = epsilon ** (1 / 3) if tolerances[0] is None else tolerances[0]
    rtol = epsilon ** (1 / 3) if tolerances[1] is None else tolerances[1]
    if "fwd" in modes:
        tangents = [np.zeros_like(array) for array in arrays]
        tangents[place] = np.asarray(direction)
        pushed = jvp(flat, tuple(arrays), tuple(tangents))[1]
        _compare(pushed, numerical, atol, rtol, f"forward mode of {what}")
        _check_remainder(flat, arrays, place, direction, pushed, step, f"forward mode of {what}")
    if "rev" in modes:
        outputs, pullback = vjp(flat, *arrays)
        cotangents = [_random_like(np.asarray(out), generator) for out in outputs]
        pulled = pullback(cotangents)[place]
        left = sum(np.sum(ct * value) for ct, value in zip(cotangents, numerical, strict=True))
        right = np.sum(pulled * direction)
        scale = sum(
            float(np.sum(np.abs(ct * value)))
            for ct, value in zip(cotangents, numerical, strict=True)
        )
        # of a complex argument only the real part of the pairing is a derivative
        pairs = [(np.real(right), np.real(left))]
        if not np.allclose(pairs[0][0], pairs[0][1], atol=atol + rtol * scale, rtol=rtol):
            raise GradientCheckError(
                f"reverse mode of {what}: ⟨Jᵀu, v⟩ is {pairs[0][0]}, the difference quotient "
                f"⟨u, Jv⟩ is {pairs[0][1]}"
            )


def _compare(found: Arrays, expected: Arrays, atol: float, rtol: float, what: str) -> None:
    for place, (value, other) in enumerate(zip(found, expected, strict=True)):
        array = np.asarray(value)
        if np.allclose(array, other, atol=atol, rtol=rtol, equal_nan=True):
            continue
        error = np.abs(array - other)
        worst = np.unravel_index(int(np.argmax(np.nan_to_num(error, nan=np.inf))), error.shape)
        raise GradientCheckError(
            f"{what}, result leaf {place} at {tuple(int(i) for i in worst)}: the derivative is "
            f"{array[worst]}, the difference quotient {np.asarray(other)[worst]}"
        )


def _check_remainder(
    flat: Callable[..., Arrays],
    arrays: Arrays,
    place: int,
    direction: Any,
    pushed: Arrays,
    step: float,
    what: str,
) -> None:
    """The remainder at 32·h and at h: where it is above rounding it falls by about 32²."""
    start = flat(*arrays)

    def remainder(h: float) -> float:
        moved = flat(*_moved(arrays, place, direction, h))
        parts = [
            np.asarray(m) - np.asarray(s) - h * np.asarray(t)
            for m, s, t in zip(moved, start, pushed, strict=True)
        ]
        return float(np.sqrt(sum(float(np.sum(np.abs(part) ** 2)) for part in parts)))

    coarse, fine = remainder(32 * step), remainder(step)
    size = float(np.sqrt(sum(float(np.sum(np.abs(np.asarray(s)) ** 2)) for s in start)))
    epsilon = epsilon_of(real_dtype(arrays[place].dtype))
    noise = 64 * epsilon * (1.0 + size)
    if fine > noise and coarse < 128 * fine:
        raise GradientCheckError(
            f"{what}: the Taylor remainder is {coarse:.3g} at h = {32 * step:.2g} and {fine:.3g} "
            f"at "
            f"h = {step:.2g}; it should shrink with h²"
        )
