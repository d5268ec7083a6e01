"""Where vertices lie: layers by longest path, orders by barycentres, places by least squares.

After K. Sugiyama, S. Tagawa, M. Toda, "Methods for visual understanding of hierarchical system
structures" (1981). Within a layer the places nearest to the neighbours' mean that keep order and
distance are found exactly, by pooling adjacent violators.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

GAP = 26.0
LAYER_GAP = 46.0
SWEEPS = 12
LONG = 12
"""An edge over more layers than this is drawn straight, without places on the way."""


@dataclass(slots=True)
class Box:
    """The middle of a vertex, and its size."""

    x: float
    y: float
    width: float
    height: float


@dataclass(slots=True)
class Layout:
    """A box for each vertex, the points that each edge goes through, and the size of the whole."""

    boxes: list[Box]
    paths: list[list[tuple[float, float]]]
    width: float
    height: float


def lay_out(
    sizes: Sequence[tuple[float, float]], edges: Sequence[tuple[int, int]], label: float = 0.0
) -> Layout:
    """The layout of a graph: `sizes` are (width, height) of the vertices, `edges` pairs (tail,
    head); `label` is the extra height wanted between layers. Cycles are allowed.
    """
    count = len(sizes)
    layer = _layers(count, edges)
    widths = [size[0] for size in sizes]
    chains: list[list[int]] = []
    for tail, head in edges:
        chains.append(_chain(tail, head, layer, widths))
    segments = [pair for chain in chains for pair in itertools.pairwise(chain)]
    rows = _rows(layer)
    above, below = _neighbours(len(layer), segments, layer)
    order = _ordered(rows, above, below)
    x = _places(order, widths, above, below)
    y, height = _heights(order, sizes, label)
    boxes = [Box(x[v], y[layer[v]], *sizes[v]) for v in range(count)]
    paths = [[(x[v], y[layer[v]]) for v in chain] for chain in chains]
    left = min((box.x - box.width / 2 for box in boxes), default=0.0)
    left = min([left, *(point[0] for path in paths for point in path)])
    for box in boxes:
        box.x += GAP - left
    paths = [[(px + GAP - left, py) for px, py in path] for path in paths]
    right = max((box.x + box.width / 2 for box in boxes), default=0.0)
    right = max([right, *(point[0] for path in paths for point in path)])
    return Layout(boxes, paths, right + GAP, height)


def _layers(count: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """The longest path to each vertex; then what only shortens edges moves down."""
    heads: list[list[int]] = [[] for _ in range(count)]
    waiting = [0] * count
    for tail, head in edges:
        if tail != head:
            heads[tail].append(head)
            waiting[head] += 1
    layer = [0] * count
    ready = [v for v in range(count) if not waiting[v]]
    done = [False] * count
    finished: list[int] = []
    while len(finished) < count:
        if not ready:  # a cycle: its first vertex begins it
            ready.append(next(v for v in range(count) if not done[v]))
        v = ready.pop()
        if done[v]:
            continue
        done[v] = True
        finished.append(v)
        for head in heads[v]:
            if not done[head]:
                layer[head] = max(layer[head], layer[v] + 1)
                waiting[head] -= 1
                if not waiting[head]:
                    ready.append(head)
    tails = [0] * count
    for tail, head in edges:
        tails[head] += tail != head
    for v in reversed(finished):
        if heads[v] and tails[v] <= len(heads[v]):
            layer[v] = max(layer[v], min(layer[head] for head in heads[v]) - 1)
    return layer


def _chain(tail: int, head: int, layer: list[int], widths: list[float]) -> list[int]:
    """The edge as vertices, one a layer: new ones of no size on the way."""
    span = layer[head] - layer[tail]
    if span < 2 or span > LONG:
        return [tail, head]
    chain = [tail]
    for level in range(layer[tail] + 1, layer[head]):
        chain.append(len(layer))
        layer.append(level)
        widths.append(6.0)
    return [*chain, head]


def _rows(layer: Sequence[int]) -> list[list[int]]:
    rows: list[list[int]] = [[] for _ in range(max(layer, default=-1) + 1)]
    for v, level in enumerate(layer):
        rows[level].append(v)
    return rows


def _neighbours(
    count: int, segments: Sequence[tuple[int, int]], layer: Sequence[int]
) -> tuple[list[list[int]], list[list[int]]]:
    above: list[list[int]] = [[] for _ in range(count)]
    below: list[list[int]] = [[] for _ in range(count)]
    for tail, head in segments:
        if layer[tail] < layer[head]:
            above[head].append(tail)
            below[tail].append(head)
    return above, below


def _ordered(
    rows: list[list[int]], above: list[list[int]], below: list[list[int]]
) -> list[list[int]]:
    """Orders within the rows with few crossings: the best of several sweeps down and up."""
    place = {v: float(k) for row in rows for k, v in enumerate(row)}
    best = [list(row) for row in rows]
    fewest = _crossings(best, below)
    for sweep in range(SWEEPS):
        if not fewest:
            break
        down = sweep % 2 == 0
        neighbours = above if down else below
        for row in rows if down else reversed(rows):
            row.sort(key=lambda v: (_mean(neighbours[v], place), place[v]))
            for k, v in enumerate(row):
                place[v] = float(k)
        found = _crossings(rows, below)
        if found < fewest:
            fewest, best = found, [list(row) for row in rows]
    return best


def _mean(neighbours: list[int], place: dict[int, float]) -> float:
    return sum(place[n] for n in neighbours) / len(neighbours) if neighbours else -1.0


def _crossings(rows: list[list[int]], below: list[list[int]]) -> int:
    """How many pairs of segments cross: inversions, counted with a Fenwick tree."""
    total = 0
    for row, following in itertools.pairwise(rows):
        position = {v: k for k, v in enumerate(following)}
        tree = [0] * (len(following) + 1)
        seen = 0
        for v in row:
            ends = sorted(position[w] for w in below[v] if w in position)
            for end in ends:
                smaller, k = 0, end + 1
                while k:
                    smaller += tree[k]
                    k &= k - 1
                total += seen - smaller
            for end in ends:
                k = end + 1
                while k < len(tree):
                    tree[k] += 1
                    k += k & -k
                seen += 1
    return total


def _places(
    order: list[list[int]], widths: Sequence[float], above: list[list[int]], below: list[list[int]]
) -> list[float]:
    x = [0.0] * len(widths)
    for row in order:
        edge = 0.0
        for v in row:
            x[v] = edge + widths[v] / 2
            edge += widths[v] + GAP
    for sweep in range(SWEEPS):
        for row in order if sweep % 2 == 0 else reversed(order):
            wanted = []
            for v in row:
                near = above[v] if sweep % 2 == 0 else below[v]
                near = near or above[v] or below[v]
                wanted.append(sum(x[n] for n in near) / len(near) if near else x[v])
            for v, at in zip(row, _separated(wanted, [widths[v] for v in row]), strict=True):
                x[v] = at
    return x


def _separated(wanted: Sequence[float], widths: Sequence[float]) -> list[float]:
    """The places nearest to `wanted`, in their order, that do not overlap."""
    offsets, edge = [], 0.0
    for k, width in enumerate(widths):
        edge += width / 2 + (widths[k - 1] / 2 + GAP if k else 0.0)
        offsets.append(edge)
    pools: list[tuple[float, int]] = []  # (mean of what is pooled, how many)
    for place, offset in zip(wanted, offsets, strict=True):
        mean, size = place - offset, 1
        while pools and pools[-1][0] > mean:
            other, many = pools.pop()
            mean = (mean * size + other * many) / (size + many)
            size += many
        pools.append((mean, size))
    levels = [mean for mean, size in pools for _ in range(size)]
    return [level + offset for level, offset in zip(levels, offsets, strict=True)]


def _heights(
    order: list[list[int]], sizes: Sequence[tuple[float, float]], label: float
) -> tuple[list[float], float]:
    y, edge = [], GAP
    for row in order:
        tallest = max((sizes[v][1] for v in row if v < len(sizes)), default=0.0)
        y.append(edge + tallest / 2)
        edge += tallest + LAYER_GAP + label
    return y, edge - LAYER_GAP - label + GAP if order else 2 * GAP
