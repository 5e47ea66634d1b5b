"""Bar charts as SVG: nothing but rectangles and text, so that no library is needed."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH, LABEL, BAR, GAP, TOP = 720, 190, 18, 4, 44
COLOURS = {"ours": "#2a6f97", "fast": "#61a5c2", "raw": "#444444"}
OTHER = "#b9c6cf"
LIMIT = "#c1121f"

Bar = tuple[str, float, str]
"""A label, a value, and the name that chooses the colour."""


def bars(title: str, unit: str, values: Sequence[Bar], limit: float | None = None) -> str:
    """A chart with a bar for every value, and a line at the limit."""
    most = max([value for _, value, _ in values] + [limit or 0.0]) or 1.0
    scale = (WIDTH - LABEL - 90) / most
    height = TOP + len(values) * (BAR + GAP) + 8
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="10" y="22" font-size="14" font-weight="bold">{escape(title)}</text>',
    ]
    for index, (label, value, name) in enumerate(values):
        top = TOP + index * (BAR + GAP)
        length = max(value * scale, 1.0)
        parts += _bar(label, f"{_number(value)} {unit}", COLOURS.get(name, OTHER), top, length)
    if limit is not None:
        parts += _limit(limit, LABEL + limit * scale, height)
    return "\n".join([*parts, "</svg>", ""])


def _bar(label: str, said: str, colour: str, top: int, length: float) -> list[str]:
    middle = top + BAR - 5
    return [
        f'<text x="{LABEL - 8}" y="{middle}" text-anchor="end">{escape(label)}</text>',
        f'<rect x="{LABEL}" y="{top}" width="{length:.1f}" height="{BAR}" fill="{colour}"/>',
        f'<text x="{LABEL + length + 5:.1f}" y="{middle}">{escape(said)}</text>',
    ]


def _limit(limit: float, x: float, height: int) -> list[str]:
    return [
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 6}" y2="{height - 6}" '
        f'stroke="{LIMIT}" stroke-dasharray="4 3"/>',
        f'<text x="{x:.1f}" y="{TOP - 9}" fill="{LIMIT}" text-anchor="middle" font-size="11">'
        f"limit {_number(limit)}</text>",
    ]


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.2f}"
