"""A profile as one HTML page: the shares as a bar, a table of the kernels, the roofline plot."""

from __future__ import annotations

import html
from collections.abc import Iterable
from dataclasses import dataclass

from tracer.view.profile import COLUMNS, Kernel, Line, Profile, cells_of, duration, percent
from tracer.view.roofline import COLOURS, render_roofline

WIDTH, ROW = 960, 30
LETTER = 7.0
"""About the width of a letter of the bar's texts."""
STYLE = """
.profile { color: #1c1c1c; background: #fff; max-width: 1000px; margin: 0 auto; padding: 16px 20px;
  font: 14px "DejaVu Sans", "Helvetica Neue", Arial, sans-serif; line-height: 1.4; }
.profile h1 { font-size: 20px; margin: 0 0 4px; overflow-wrap: anywhere; }
.profile h2 { font-size: 16px; margin: 24px 0 6px; }
.profile p { margin: 4px 0; color: #444; }
.profile svg { max-width: 100%; height: auto; display: block; }
.profile table { border-collapse: collapse; width: 100%; font-size: 13px; }
.profile th, .profile td { padding: 5px 8px; text-align: right; vertical-align: top;
  border-bottom: 1px solid #d5d8dd; white-space: nowrap; }
.profile td:last-child, .profile th:last-child { text-align: left; white-space: normal;
  width: 60%; overflow-wrap: anywhere; }
.profile .mark { display: inline-block; width: 12px; height: 12px; border-radius: 2px;
  margin-right: 6px; vertical-align: -1px; }
.profile code { font-size: 12.5px; color: #444; }
"""


def render_page(profile: Profile) -> str:
    """The whole page."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(profile.name)}: profile</title>\n</head>\n"
        f'<body style="margin:0">\n{render_parts(profile)}</body>\n</html>\n'
    )


def render_parts(profile: Profile) -> str:
    """What stands in the page, with its style: as a notebook shows it."""
    name = html.escape(profile.name)
    return (
        f'<style>{STYLE}</style>\n<div class="profile">\n<h1>{name}</h1>\n'
        f"<p>{duration(profile.seconds)} a call, the least of {profile.calls} calls. "
        "Below the whole call, the lines of your program; below these, the kernels that compute "
        f"them.</p>\n{render_bar(profile)}\n<h2>Kernels</h2>\n{_table(profile)}\n"
        f"{_against(profile)}</div>\n"
    )


def _against(profile: Profile) -> str:
    """The roofline plot, where the machine's limits are known."""
    if not profile.limits.known:
        return ""
    return (
        "<h2>Against the machine</h2>\n<p>Each point is a kernel: how many operations it does for "
        "a byte that it moves, and how many a second. The lines are what this machine can do at "
        "best, by where the bytes lie.</p>\n"
        f"{render_roofline(profile.kernels, profile.limits)}\n"
    )


@dataclass(frozen=True, slots=True)
class _Group:
    """Kernels of one line of the user's program."""

    title: str
    kernels: list[Kernel]

    @property
    def share(self) -> float:
        return sum(kernel.share for kernel in self.kernels)


def grouped(kernels: Iterable[Kernel]) -> list[_Group]:
    """Kernels by the line of most of their nodes, in the order of these lines' first kernels."""
    groups: dict[str, _Group] = {}
    for kernel in kernels:
        title = _main_line(kernel)
        groups.setdefault(title, _Group(title, [])).kernels.append(kernel)
    return list(groups.values())


def _main_line(kernel: Kernel) -> str:
    if not kernel.lines:
        return "no line"
    counts = {line.place: 0 for line in kernel.lines}
    for node in kernel.nodes:
        if str(node.source) in counts:
            counts[str(node.source)] += 1
    place = max(counts, key=lambda name: counts[name])
    text = next(line.text for line in kernel.lines if line.place == place)
    return f"{place}  {text}".rstrip()


def colour(number: int) -> str:
    """The colour of the kernel of that number."""
    return COLOURS[(number - 1) % len(COLOURS)]


def render_bar(profile: Profile) -> str:
    """The shares, as SVG: the whole call, the user's lines, the kernels."""
    rest = max(0.0, 1.0 - sum(kernel.share for kernel in profile.kernels))
    parts = [_box(0, 0, 1.0, f"{profile.name}, {duration(profile.seconds)}", "#d9dee6")]
    left = 0.0
    for group in grouped(profile.kernels):
        parts.append(_box(left, 1, group.share, group.title, "#eceff3"))
        for kernel in group.kernels:
            title = f"{kernel.number}  {kernel.name}, {duration(kernel.seconds)}"
            parts.append(_box(left, 2, kernel.share, title, colour(kernel.number)))
            left += kernel.share
    if rest:
        parts.append(_box(left, 1, rest, "the rest of the call", "#f6f7f9"))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{3 * ROW}" '
        f'viewBox="0 0 {WIDTH} {3 * ROW}" role="img" aria-label="shares of the time">\n'
        + "\n".join(parts)
        + "\n</svg>"
    )


def _box(left: float, row: int, share: float, title: str, fill: str) -> str:
    """A share of the width, with as much of its title as fits."""
    x, width = left * WIDTH, share * WIDTH
    room = int((width - 10) / LETTER)
    text = title if len(title) <= room else f"{title[: room - 1]}…" if room > 3 else ""
    label = f"{html.escape(title)} ({percent(share)})"
    shown = (
        f'<text x="{x + 5:.1f}" y="{row * ROW + 19}" font-size="12" '
        f'font-family="DejaVu Sans, Arial, sans-serif">{html.escape(text)}</text>'
        if text
        else ""
    )
    return (
        f'<g><title>{label}</title><rect x="{x:.2f}" y="{row * ROW + 1}" '
        f'width="{max(width, 0.3):.2f}" height="{ROW - 2}" fill="{fill}" stroke="#fff" '
        f'stroke-width="{0.8 if width > 3 else 0}"/>{shown}</g>'
    )


def _table(profile: Profile) -> str:
    rows = ["<tr>" + "".join(f"<th>{head}</th>" for head in ("", *COLUMNS)) + "</tr>"]
    for kernel in profile.kernels:
        number, *middle, name = cells_of(kernel)
        mark = f'<span class="mark" style="background:{colour(kernel.number)}"></span>'
        described = html.escape(name) + "".join(map(_line, kernel.lines))
        cells = "".join(f"<td>{cell}</td>" for cell in (mark + number, *middle, described))
        rows.append(f"<tr>{cells}</tr>")
    return "<table>\n" + "\n".join(rows) + "\n</table>"


def _line(line: Line) -> str:
    return f"<br><code>{html.escape(line.place)}&nbsp; {html.escape(line.text)}</code>"
