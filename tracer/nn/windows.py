"""Convolution and pooling over one, two or three axes: products and reductions of shifted slices.

Arrays are (n, channels, *space), kernels (out, channels // groups, *extents): the
cross-correlation that networks call convolution.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import tracer.numpy as tnp
from tracer.errors import ShapeError
from tracer.nn.precision import by_single
from tracer.trace import type_of

Sizes = int | Sequence[int]
Padding = int | str | Sequence[int] | Sequence[tuple[int, int]]


def _sizes(given: Sizes, rank: int, what: str, least: int = 1) -> tuple[int, ...]:
    sizes = (given,) * rank if isinstance(given, (int, np.integer)) else tuple(given)
    if len(sizes) != rank or any(size < least for size in sizes):
        raise ShapeError(f"{what} is one number or {rank}, at least {least} each; got {given}")
    return tuple(int(size) for size in sizes)


def _padding(
    given: Padding,
    space: Sequence[int],
    extents: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
) -> list[tuple[int, int]]:
    """Entries before and after, for each axis of space."""
    rank = len(space)
    if isinstance(given, str):
        if given.lower() == "valid":
            return [(0, 0)] * rank
        if given.lower() != "same":
            raise ShapeError(f'padding is "same", "valid", numbers or pairs, not {given!r}')
        around = []
        for n, k, s, d in zip(space, extents, stride, dilation, strict=True):
            total = max(0, (-(-n // s) - 1) * s + d * (k - 1) + 1 - n)
            around.append((total // 2, total - total // 2))
        return around
    if isinstance(given, (int, np.integer)):
        return [(int(given), int(given))] * rank
    items: list[Any] = list(given)
    if len(items) != rank:
        raise ShapeError(f"padding has {len(items)} entries for {rank} axes")
    pairs = [(item, item) if isinstance(item, (int, np.integer)) else item for item in items]
    return [(int(before), int(after)) for before, after in pairs]


class Windows:
    """The positions of a window on an array: how far it is padded, and how many there are."""

    def __init__(
        self,
        space: Sequence[int],
        extents: Sequence[int],
        stride: Sizes,
        padding: Padding,
        dilation: Sizes,
    ) -> None:
        rank = len(space)
        self.extents = tuple(extents)
        self.stride = _sizes(stride, rank, "stride")
        self.dilation = _sizes(dilation, rank, "dilation")
        self.padding = _padding(padding, space, extents, self.stride, self.dilation)
        self.shape = tuple(
            (n + sum(pad) - d * (k - 1) - 1) // s + 1
            for n, pad, k, s, d in zip(
                space, self.padding, extents, self.stride, self.dilation, strict=True
            )
        )
        if any(count < 1 for count in self.shape):
            raise ShapeError(
                f"a window of {tuple(extents)} (dilation {self.dilation}) does not fit into "
                f"{tuple(space)} padded by {self.padding}"
            )

    def slices(self, x: Any, fill: float = 0.0) -> list[Any]:
        """For each offset in the window, in C order, the entries of x that lie there, as
        (n, channels, *shape).
        """
        if any(sum(pad) for pad in self.padding):
            pads = [(0, 0), (0, 0), *self.padding]
            x = tnp.pad(x, pads, constant_values=fill)
        parts = []
        for offset in itertools.product(*map(range, self.extents)):
            index = tuple(
                slice(o * d, o * d + (count - 1) * s + 1, s)
                for o, d, s, count in zip(
                    offset, self.dilation, self.stride, self.shape, strict=True
                )
            )
            parts.append(x[(slice(None), slice(None), *index)])
        return parts


@by_single
def conv(
    x: Any,
    kernel: Any,
    stride: Sizes = 1,
    padding: Padding = 0,
    dilation: Sizes = 1,
    groups: int = 1,
    bias: Any = None,
) -> Any:
    """Convolution over the last 1, 2 or 3 axes.

    x (n, channels, *space), kernel (out, channels // groups, *extents), bias (out,) →
    (n, out, *space′). `padding` is "valid" (0), "same", a number, or numbers or (before, after)
    pairs an axis. Raises ShapeError where shapes do not fit.
    """
    shape, weights = type_of(x).shape, type_of(kernel).shape
    rank = len(weights) - 2
    if rank not in (1, 2, 3) or len(shape) != rank + 2:
        raise ShapeError(
            f"conv takes x of (n, channels, *space) and a kernel of (out, channels, *extents) with "
            f"1 to 3 axes of space; got {shape} and {weights}"
        )
    out = weights[0]
    if shape[1] != weights[1] * groups or out % groups:
        raise ShapeError(
            f"conv in {groups} groups: x has {shape[1]} channels, the kernel takes {weights[1]} "
            f"and makes {out}"
        )
    windows = Windows(shape[2:], weights[2:], stride, padding, dilation)
    parts = windows.slices(x)
    count, place = len(parts), math.prod(windows.shape)
    columns = parts[0][:, :, None] if count == 1 else tnp.stack(parts, axis=2)
    inner = shape[1] // groups * count
    if groups == 1:
        result = kernel.reshape(out, inner) @ columns.reshape(shape[0], inner, place)
    else:
        grouped = columns.reshape(shape[0], groups, inner, place)
        result = kernel.reshape(groups, out // groups, inner) @ grouped
    result = result.reshape(shape[0], out, *windows.shape)
    return result if bias is None else result + tnp.reshape(bias, (out, *(1,) * rank))


@by_single
def conv_transpose(
    x: Any, kernel: Any, stride: Sizes = 1, padding: Padding = 0, bias: Any = None
) -> Any:
    """The adjoint of `conv` with the same kernel, stride and padding (numbers only) in its input.

    x (n, channels, *space), kernel (channels, out, *extents) → (n, out, *(space − 1) · stride +
    extents − 2 · padding).
    """
    shape, weights = type_of(x).shape, type_of(kernel).shape
    rank = len(weights) - 2
    if rank not in (1, 2, 3) or len(shape) != rank + 2 or shape[1] != weights[0]:
        raise ShapeError(
            f"conv_transpose takes x of (n, channels, *space) and a kernel of (channels, out, "
            f"*extents); got {shape} and {weights}"
        )
    steps = _sizes(stride, rank, "stride")
    pads = _sizes(padding if not isinstance(padding, str) else -1, rank, "padding", 0)  # type: ignore[arg-type]
    spread = _spread(x, steps)
    around = [(k - 1 - p, k - 1 - p) for k, p in zip(weights[2:], pads, strict=True)]
    cut = [(max(0, -a), max(0, -b)) for a, b in around]
    around = [(max(0, a), max(0, b)) for a, b in around]
    mirrored = tnp.flip(tnp.swapaxes(kernel, 0, 1), axis=tuple(range(2, rank + 2)))
    index = tuple(slice(a, n - b) for (a, b), n in zip(cut, spread.shape[2:], strict=True))
    return conv(spread[(slice(None), slice(None), *index)], mirrored, 1, around, bias=bias)


def _spread(x: Any, steps: tuple[int, ...]) -> Any:
    """x with step − 1 zeros between its entries along each axis of space."""
    for axis, step in enumerate(steps, 2):
        if step == 1:
            continue
        shape = type_of(x).shape
        zeros = np.zeros((*shape[: axis + 1], step - 1, *shape[axis + 1 :]), type_of(x).dtype)
        wide = tnp.concatenate([tnp.expand_dims(x, axis + 1), zeros], axis=axis + 1)
        wide = wide.reshape(*shape[:axis], shape[axis] * step, *shape[axis + 1 :])
        index = (slice(None),) * axis + (slice(0, (shape[axis] - 1) * step + 1),)
        x = wide[index]
    return x


def _pooled(
    x: Any,
    window: Sizes,
    stride: Sizes | None,
    padding: Padding,
    fill: float,
    reduce: Callable[[Any], Any],
) -> Any:
    shape = type_of(x).shape
    rank = len(shape) - 2
    if rank not in (1, 2, 3):
        raise ShapeError(
            f"pooling takes (n, channels, *space) with 1 to 3 axes of space, not {shape}"
        )
    extents = _sizes(window, rank, "the window")
    windows = Windows(shape[2:], extents, extents if stride is None else stride, padding, 1)
    return reduce(tnp.stack(windows.slices(x, fill), axis=0))


def max_pool(x: Any, window: Sizes, stride: Sizes | None = None, padding: Padding = 0) -> Any:
    """The largest entry in each window; x is (n, channels, *space), the stride by default the
    window. Equal largest entries share the derivative.
    """
    return _pooled(x, window, stride, padding, -np.inf, lambda parts: parts.max(axis=0))


@by_single
def average_pool(
    x: Any,
    window: Sizes,
    stride: Sizes | None = None,
    padding: Padding = 0,
    count_padding: bool = True,
) -> Any:
    """The mean of each window; x is (n, channels, *space), the stride by default the window.

    Padded zeros count as entries, unless `count_padding` is False.
    """
    mean = _pooled(x, window, stride, padding, 0.0, lambda parts: parts.mean(axis=0))
    if count_padding:
        return mean
    kind = type_of(x)
    ones = np.ones((1, 1, *kind.shape[2:]), kind.dtype)
    share = _pooled(ones, window, stride, padding, 0.0, lambda parts: parts.mean(axis=0))
    return mean / share
