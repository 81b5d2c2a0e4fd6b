"""A story as a picture: a graph in Graphviz's language, or an SVG that needs no other program."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from xml.sax.saxutils import escape, quoteattr

from clusterip.trace.story import Place, Step, Story
from clusterip.trace.text import candidate_lines

_WIDE = 104
"""Characters in a line."""
_CHARACTER, _LINE, _MARGIN, _GAP = 7.3, 17, 14, 34
_STYLE = """
  :root { --ink: #1d2733; --faint: #5b6875; --paper: #ffffff; --box: #f4f6f8; --edge: #b6c0ca;
          --seen: #0b6bcb; --computed: #8a3ffc; --good: #11743a; --bad: #b3261e; }
  @media (prefers-color-scheme: dark) {
    :root { --ink: #e6ebf0; --faint: #9aa7b4; --paper: #14191f; --box: #1e252d; --edge: #46525f;
            --seen: #67b3ff; --computed: #c4a1ff; --good: #5fd38d; --bad: #ff8a80; } }
  svg { background: var(--paper); }
  text { font: 12px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; fill: var(--ink);
         white-space: pre; }
  .place { font-weight: bold; font-size: 13px; } .detail { fill: var(--faint); }
  .observed { fill: var(--seen); } .computed { fill: var(--computed); }
  .good { fill: var(--good); font-weight: bold; } .bad { fill: var(--bad); font-weight: bold; }
  rect { fill: var(--box); stroke: var(--edge); } .failed { stroke: var(--bad); stroke-width: 2; }
  path { stroke: var(--seen); fill: none; stroke-width: 1.6; } .back { stroke-dasharray: 5 4; }
  marker path { fill: var(--seen); stroke: none; }
"""


@dataclass
class _Line:
    text: str
    style: str
    mark: str = ""


@dataclass
class _Box:
    """A stay at a place."""

    place: Place
    steps: list[Step] = field(default_factory=list)


def _boxes(story: Story) -> tuple[list[_Box], bool]:
    """The stays in the order of the packet's way, and whether an answer came back.

    DNS is first, and the client has one box, although DNS was asked in between.
    """
    places = {place.id: place for place in story.places}
    dns: list[_Box] = []
    boxes: list[_Box] = []
    there = [step for step in story.steps if step.way != "back" and step.kind != "end"]
    for step in there:
        place = places.get(step.place) or Place(id=step.place, kind="node", name=step.place)
        stays = dns if place.kind == "dns" else boxes
        if stays and stays[-1].place.id == step.place:
            stays[-1].steps.append(step)
        else:
            stays.append(_Box(place, [step]))
    back = [step for step in story.steps if step.way == "back"]
    left = list(reversed(boxes))
    for step in back:
        while left and left[0].place.id != step.place:
            del left[0]
        if left:
            left[0].steps.append(step)
    if boxes:
        boxes[0].steps += [step for step in story.steps if step.kind == "end"]
    return [*dns, *boxes], bool(back)


def _title(place: Place) -> str:
    where = f" on {place.node}" if place.kind == "pod" and place.node else ""
    return f"{place.id}  {', '.join(place.addresses)}{where}"


# Graphviz.


def dot(story: Story) -> str:
    """The story in Graphviz's language: ``… -o dot | dot -Tpng > trace.png``."""
    boxes, back = _boxes(story)
    lines = [
        "digraph trace {",
        "  rankdir=TB;",
        '  node [shape=box, fontname="monospace", fontsize=10];',
        '  edge [fontname="monospace", fontsize=9];',
        f"  label={_quoted(story.summary)};",
    ]
    for number, box in enumerate(boxes):
        title = _title(box.place)
        shown = [title, *(f"{'●' if step.basis == 'observed' else '○'} {step.title}" for step in box.steps)]
        label = "".join(f"{_escaped(line)}\\l" for line in shown)
        lines.append(f'  stay{number} [label="{label}"];')
    way = [number for number, box in enumerate(boxes) if box.place.kind != "dns"]
    for number, box in enumerate(boxes):
        if box.place.kind == "dns" and way:
            lines.append(f"  stay{way[0]} -> stay{number} [style=dotted, dir=both];")
    for one, next_ in itertools.pairwise(way):
        packets = [step.packet for step in boxes[next_].steps if step.packet is not None]
        label = f" [label={_quoted(str(packets[0]))}]" if packets else ""
        lines.append(f"  stay{one} -> stay{next_}{label};")
    if back and len(way) > 1:
        for one, next_ in itertools.pairwise(way):
            lines.append(f"  stay{next_} -> stay{one} [style=dashed, constraint=false];")
    return "\n".join([*lines, "}"])


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _quoted(text: str) -> str:
    return f'"{_escaped(text)}"'


# SVG.


def svg(story: Story) -> str:
    """The story as an SVG image, in the colours that its viewer prefers."""
    boxes, back = _boxes(story)
    width = round(_WIDE * _CHARACTER) + 6 * _MARGIN
    parts: list[str] = []
    top = _MARGIN + _LINE
    heading = f"{story.client} → {story.target}"
    parts.append(_text(_MARGIN, top, heading, "place"))
    top += _LINE
    ends: list[tuple[float, float]] = []
    for box in boxes:
        lines = list(_lines(box))
        height = (len(lines) + 1) * _LINE + _MARGIN
        stopped = any(_stops(step) for step in box.steps)
        parts.append(
            f'<rect x="{_MARGIN}" y="{top}" width="{width - 4 * _MARGIN}" height="{height}" rx="6"'
            + (' class="failed"/>' if stopped else "/>")
        )
        parts.append(_text(2 * _MARGIN, top + _LINE, _title(box.place), "place"))
        for number, line in enumerate(lines, 2):
            parts.append(_text(2 * _MARGIN, top + number * _LINE, line.text, line.style, line.mark))
        ends.append((top, top + height))
        top += height + _GAP
    parts += _arrows(boxes, ends, width, answered=back)
    good = story.outcome == "reached"
    said = [(f"{'OK' if good else 'FAILED'}: {story.summary}", "good" if good else "bad")]
    for problem in story.problems[:1]:
        said += [(f"seen: {line}", "detail") for line in problem.evidence]
        said += [(f"try: {line}", "") for line in problem.remedy]
    for text, style in said:
        for part in textwrap.wrap(text, _WIDE) or [""]:
            parts.append(_text(_MARGIN, top, part, style))
            top += _LINE
    height = top + _MARGIN
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"'
            f' viewBox="0 0 {width} {height}" role="img" aria-label={quoteattr(story.summary)}>',
            f"<title>{escape(heading)}: {escape(story.summary)}</title>",
            f"<style>{_STYLE}</style>",
            '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7"'
            ' orient="auto-start-reverse"><path d="M0 0 8 4 0 8z"/></marker></defs>',
            *parts,
            "</svg>",
        ]
    )


def _lines(box: _Box) -> Iterator[_Line]:
    for step in box.steps:
        mark = "●" if step.basis == "observed" else "○"
        at = f"{step.at:9.3f} ms " if step.at is not None else " " * 13
        first, *more = _wrapped(step.title, _WIDE - 17)
        yield _Line(f"{at}  {first}", "", mark + step.basis)
        for line in more:
            yield _Line(f"{'':17}{line}", "")
        for detail in (*step.details, *candidate_lines(step.candidates)):
            for line in _wrapped(detail, _WIDE - 17):
                yield _Line(f"{'':17}{line}", "detail")


def _stops(step: Step) -> bool:
    """Whether the connection ended with it."""
    texts = (step.title, *step.details)
    return any(text.startswith(("DROPPED", "REFUSED", "nobody listens")) for text in texts)


def _wrapped(text: str, width: int) -> list[str]:
    """Lines of a text, with its own indent and a little more for those after the first."""
    indent = " " * (len(text) - len(text.lstrip()))
    return textwrap.wrap(text, width, subsequent_indent=f"{indent}    ", drop_whitespace=False) or [""]


def _text(x: float, y: float, text: str, style: str, mark: str = "") -> str:
    kind = f' class="{style}"' if style else ""
    if mark:
        # The mark stands in the gap between the time and the title.
        text = f"{text[:13]}\0 {text[15:]}"
        shown = escape(text).replace("\0", f'<tspan class="{mark[1:]}">{mark[0]}</tspan>')
    else:
        shown = escape(text)
    return f'<text x="{x}" y="{y}" xml:space="preserve"{kind}>{shown}</text>'


def _arrows(
    boxes: Sequence[_Box], ends: Sequence[tuple[float, float]], width: int, *, answered: bool
) -> Iterator[str]:
    """Down between stays, and one back along the right side."""
    way = [number for number, box in enumerate(boxes) if box.place.kind != "dns"]
    for number, box in enumerate(boxes):
        if box.place.kind == "dns" and way:
            (_, start), (end, _) = ends[number], ends[way[0]]
            yield _path(f"M{8 * _MARGIN} {end} V{start}", "back", both=True)
    for one, next_ in itertools.pairwise(way):
        yield _path(f"M{4 * _MARGIN} {ends[one][1]} V{ends[next_][0]}")
    if answered and len(way) > 1:
        right, edge = width - 3 * _MARGIN, width - _MARGIN
        last, first = ends[way[-1]][0] + _LINE, ends[way[0]][0] + _LINE
        yield _path(f"M{right} {last} H{edge} V{first} H{right}", "back")


def _path(shape: str, style: str = "", *, both: bool = False) -> str:
    kind = f' class="{style}"' if style else ""
    start = ' marker-start="url(#head)"' if both else ""
    return f'<path d="{shape}"{kind}{start} marker-end="url(#head)"/>'
