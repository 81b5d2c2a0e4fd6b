"""Draws connect time against the number of Services, a line a mode, as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 360, 64, 120, 48, 48
COLOURS = {"nftables": "#2563eb", "ebpf": "#059669", "iptables": "#dc2626", "ipvs": "#d97706"}
DASHES = {"one node": "", "two nodes": "6 4"}


class Point(NamedTuple):
    """One measurement: where the server is, the mode, how many Services, the median in microseconds."""

    place: str
    mode: str
    services: int
    microseconds: float


def draw(points: Sequence[Point]) -> str:
    """The picture. Services grow tenfold from mark to mark; microseconds start at 0."""
    most = max(point.microseconds for point in points) * 1.1
    largest = max(math.log10(max(point.services, 10)) for point in points)

    def x(services: int) -> float:
        return LEFT + math.log10(services) / largest * (WIDTH - LEFT - RIGHT)

    def y(microseconds: float) -> float:
        return HEIGHT - BOTTOM - microseconds / most * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif"'
        ' font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="24" font-size="15">Time to connect to a Service (median, µs)</text>',
    ]
    step = 10 ** math.floor(math.log10(most / 2)) if most > 0 else 1
    value = 0.0
    while value <= most:
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="#ddd"/>'
            f'<text x="{LEFT - 8}" y="{y(value) + 4:.1f}" text-anchor="end">{value:g}</text>'
        )
        value += step
    for services in sorted({point.services for point in points}):
        label = (
            f'<text x="{x(services):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{services:,}</text>'
        )
        parts.append(label)
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">Services</text>')
    lines = list(dict.fromkeys((point.place, point.mode) for point in points))
    for number, (place, mode) in enumerate(lines):
        of_line = [point for point in points if (point.place, point.mode) == (place, mode)]
        of_line.sort(key=lambda point: point.services)
        path = " ".join(f"{x(p.services):.1f},{y(p.microseconds):.1f}" for p in of_line)
        colour = COLOURS.get(mode, "#555")
        style = f'stroke="{colour}" stroke-width="2" stroke-dasharray="{DASHES[place]}"'
        parts.append(f'<polyline points="{path}" fill="none" {style}/>')
        parts.extend(
            f'<circle cx="{x(p.services):.1f}" cy="{y(p.microseconds):.1f}" r="3" fill="{colour}"/>'
            for p in of_line
        )
        line_y = TOP + 8 + 18 * number
        parts.append(
            f'<line x1="{WIDTH - RIGHT + 8}" x2="{WIDTH - RIGHT + 28}" y1="{line_y}" y2="{line_y}" {style}/>'
            f'<text x="{WIDTH - RIGHT + 32}" y="{line_y + 4}">{mode}, {place.split()[0]}</text>'
        )
    return "\n".join([*parts, "</svg>"]) + "\n"
