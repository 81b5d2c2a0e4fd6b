"""A story as text that can be pasted anywhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click

from clusterip.trace.story import Candidate, Place, Step, Story

_SEEN, _COMPUTED = "●", "○"
_INDENT = " " * 14


def show(story: Story) -> str:
    """The whole story. Colours are escape sequences, which ``click.echo`` leaves out of files."""
    return "\n".join(line.rstrip() for line in _lines(story))


def _lines(story: Story) -> Iterator[str]:
    mode = f", proxy mode {story.mode}" if story.mode else ""
    yield click.style(f"{story.client} → {story.target}{mode}", bold=True)
    yield f"{_SEEN} observed on a real packet    {_COMPUTED} computed from the objects"
    places = {place.id: place for place in story.places}
    shown = ""
    for step in story.steps:
        if step.place != shown:
            shown = step.place
            yield ""
            yield _heading(places.get(shown), shown, step.way == "back")
        yield from _step(step)
    yield ""
    good = story.outcome == "reached"
    yield click.style(
        f"{'OK' if good else 'FAILED'}: {story.summary}", fg="green" if good else "red", bold=True
    )
    for number, problem in enumerate(story.problems):
        if number:
            yield f"also: {problem.what}"
        yield from (f"  seen: {line}" for line in problem.evidence)
        yield from (click.style(f"  try: {line}", fg="yellow") for line in problem.remedy)
    yield from (f"note: {note}" for note in story.notes)


def _heading(place: Place | None, name: str, back: bool) -> str:
    if place is None:
        return click.style(name, bold=True)
    words = [", ".join(place.addresses)]
    if place.kind == "pod" and place.node:
        words.append(f"on {place.node}")
    arrow = "← " if back else ""
    return f"{arrow}{click.style(place.id, bold=True)}  {' '.join(word for word in words if word)}"


def _step(step: Step) -> Iterator[str]:
    at = f"{step.at:8.3f} ms" if step.at is not None else " " * 11
    mark = click.style(_SEEN, fg="cyan") if step.basis == "observed" else click.style(_COMPUTED, fg="magenta")
    yield f"{at} {mark} {step.title}"
    yield from (f"{_INDENT}{line}" for line in step.details)
    yield from (f"{_INDENT}{line}" for line in candidate_lines(step.candidates))


def candidate_lines(candidates: Sequence[Candidate]) -> Iterator[str]:
    """Each endpoint in a line, in columns."""
    width = max((len(each.address) for each in candidates), default=0)
    names = [f"Pod {each.pod}" if each.pod else "no Pod" for each in candidates]
    names = [
        f"{name}{f' on {each.node}' if each.node else ''}"
        for name, each in zip(names, candidates, strict=True)
    ]
    wide = max(map(len, names), default=0)
    for each, name in zip(candidates, names, strict=True):
        part = f"{100 * each.probability:5.3g} %" if each.probability else "   left out"
        mark = "▶" if each.chosen else " "
        zone = f", zone {each.zone}" if each.zone else ""
        reason = f": {each.reason}" if each.reason else ""
        yield f"{mark} {each.address:<{width}}  {name:<{wide}}{zone}  {part}{reason}"
