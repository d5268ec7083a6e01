"""The roofline plot (S. Williams, A. Waterman, D. Patterson, 2009) as SVG: operations a second
against operations a byte, on logarithmic axes, under what the machine allows.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

from tracer.view.profile import Kernel, Limits, duration

COLOURS = (
    "#7fb2e5", "#f2a65a", "#8fcf8b", "#e58a8a", "#b9a3e3", "#d8b78a", "#f0a8d0", "#a9b4c0",
    "#cfd06b", "#7cd0d6",
)  # fmt: skip
WIDTH, HEIGHT = 960, 460
LEFT, RIGHT, TOP, BOTTOM = 70, 30, 24, 50
RADIUS = 10
DASHES = ("none", "9 4", "5 3 1 3", "2 3")
"""Of the roofs, by level."""
FONT = 'font-family="DejaVu Sans, Arial, sans-serif"'
LEVELS = ("L1", "L2", "L3", "memory")


@dataclass(frozen=True, slots=True)
class Axes:
    """Logarithmic axes: decades from `low` to `high` in both directions."""

    low: tuple[int, int]
    high: tuple[int, int]

    def x(self, intensity: float) -> float:
        """The place of operations a byte."""
        part = (math.log10(intensity) - self.low[0]) / (self.high[0] - self.low[0])
        return LEFT + part * (WIDTH - LEFT - RIGHT)

    def y(self, flops: float) -> float:
        """The place of operations a second."""
        part = (math.log10(flops) - self.low[1]) / (self.high[1] - self.low[1])
        return HEIGHT - BOTTOM - part * (HEIGHT - TOP - BOTTOM)


def points_of(kernels: Sequence[Kernel]) -> list[tuple[Kernel, float, float]]:
    """Kernels with operations a byte and operations a second, where both are known."""
    return [
        (kernel, kernel.flops / kernel.bytes, kernel.gflops * 1e9)
        for kernel in kernels
        if kernel.exact and kernel.flops > 0 and kernel.bytes > 0 and kernel.seconds > 0
    ]


def axes_for(points: Sequence[tuple[Kernel, float, float]], limits: Limits) -> Axes:
    """Whole decades that hold all points, and the corner where the machine's limits meet."""
    peak = max(limits.flops64, limits.flops32)
    intensities = [0.1, peak / min(limits.bandwidths.values()), *(point[1] for point in points)]
    rates = [peak * 2, peak / 1000, *(point[2] for point in points)]
    low = (math.floor(math.log10(min(intensities))), math.floor(math.log10(min(rates))))
    high = (math.ceil(math.log10(max(intensities) * 2)), math.ceil(math.log10(max(rates))))
    return Axes(low, high)


def render_roofline(kernels: Sequence[Kernel], limits: Limits) -> str:
    """The plot; kernels whose operations or bytes are not known, or none, are not in it."""
    points = points_of(kernels)
    axes = axes_for(points, limits)
    parts = [*_grid(axes), *_roofs(axes, limits, [kernel.width for kernel, _, _ in points])]
    for _, intensity, flops in points:
        x, y = axes.x(intensity), axes.y(flops)
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="#1c1c1c"/>')
    taken: list[tuple[float, float]] = []
    for kernel, intensity, flops in sorted(points, key=lambda point: -point[0].seconds):
        parts.append(_point(kernel, axes.x(intensity), axes.y(flops), taken))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="roofline plot">\n'
        + "\n".join(parts)
        + "\n</svg>"
    )


def _text(x: float, y: float, text: str, anchor: str = "middle", more: str = "") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="12" {FONT} text-anchor="{anchor}" '
        f"{more}>{html.escape(text)}</text>"
    )


def _line(x1: float, y1: float, x2: float, y2: float, style: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" {style}/>'


def _grid(axes: Axes) -> list[str]:
    """A line for each decade, and what the axes mean."""
    parts = []
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    style = 'stroke="#e3e6ea" stroke-width="1"'
    for decade in range(axes.low[0], axes.high[0] + 1):
        x = axes.x(10.0**decade)
        parts.append(_line(x, TOP, x, bottom, style))
        parts.append(_text(x, bottom + 18, f"{10.0**decade:g}"))
    for decade in range(axes.low[1], axes.high[1] + 1):
        y = axes.y(10.0**decade)
        parts.append(_line(LEFT, y, right, y, style))
        parts.append(_text(LEFT - 8, y + 4, f"{10.0 ** (decade - 9):g}", "end"))
    parts.append(_text((LEFT + right) / 2, HEIGHT - 10, "operations a byte"))
    middle = (TOP + bottom) / 2
    parts.append(_text(16, middle, "Gflop/s", more=f'transform="rotate(-90 16 {middle:.1f})"'))
    return parts


def _roofs(axes: Axes, limits: Limits, widths: Sequence[int]) -> list[str]:
    """A slope for each bandwidth, a level for the peak of each kind of number that is used."""
    used = [(8, "float64", limits.flops64), (4, "float32", limits.flops32)]
    peaks = [(name, peak) for width, name, peak in used if width in widths or width == 8]
    highest = max(peak for _, peak in peaks)
    left, right = 10.0 ** axes.low[0], 10.0 ** axes.high[0]
    bottom = 10.0 ** axes.low[1]
    solid = 'stroke="#555" stroke-width="1.6" fill="none"'
    parts = []
    widest = max(limits.bandwidths.values())
    for name, peak in peaks:
        start = max(left, peak / widest)
        parts.append(_line(axes.x(start), axes.y(peak), axes.x(right), axes.y(peak), solid))
        text = f"{name}: {peak / 1e9:.3g} Gflop/s"
        parts.append(_text(axes.x(right) - 4, axes.y(peak) - 6, text, "end"))
    sizes = sorted(limits.bandwidths)
    names = LEVELS if len(sizes) == len(LEVELS) else tuple(size_text(size) for size in sizes)
    for row, (name, size) in enumerate(zip(names, sizes, strict=True)):
        speed = limits.bandwidths[size]
        start, end = max(left, bottom / speed), highest / speed
        style = f'{solid} stroke-dasharray="{DASHES[row % len(DASHES)]}"'
        begin = axes.x(start), axes.y(start * speed)
        parts.append(_line(*begin, axes.x(end), axes.y(highest), style))
        y = HEIGHT - BOTTOM - 18 * (len(sizes) - row) + 4
        parts.append(_line(WIDTH - RIGHT - 190, y, WIDTH - RIGHT - 150, y, style))
        parts.append(_text(WIDTH - RIGHT - 142, y + 4, f"{name}: {speed / 1e9:.3g} GB/s", "start"))
    return parts


def _point(kernel: Kernel, x: float, y: float, taken: list[tuple[float, float]]) -> str:
    """A kernel's point, and its number in a disc beside it that covers no other."""
    colour = COLOURS[(kernel.number - 1) % len(COLOURS)]
    places = [(x, y)]
    for ring in (1, 2, 3):
        for turn in range(8 * ring):
            angle = 2 * math.pi * turn / (8 * ring)
            reach = 2.2 * RADIUS * ring
            places.append((x + reach * math.cos(angle), y + reach * math.sin(angle)))
    free = [
        (a, b) for a, b in places if all(math.hypot(a - c, b - d) >= 2.1 * RADIUS for c, d in taken)
    ]
    a, b = free[0] if free else places[0]
    taken.append((a, b))
    title = html.escape(f"{kernel.number}  {kernel.name}, {duration(kernel.seconds)}")
    link = _line(x, y, a, b, f'stroke="{colour}" stroke-width="1.5"') if (a, b) != (x, y) else ""
    return (
        f'<g class="point"><title>{title}</title>{link}'
        f'<circle cx="{a:.1f}" cy="{b:.1f}" r="{RADIUS}" fill="{colour}" stroke="#1c1c1c" '
        f'stroke-width="0.8"/>{_text(a, b + 4, str(kernel.number))}</g>'
    )


def size_text(size: int) -> str:
    """Bytes in binary units."""
    return f"{size / 2**20:.3g} MiB" if size >= 2**20 else f"{size / 2**10:.3g} KiB"
