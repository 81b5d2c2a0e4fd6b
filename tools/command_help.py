"""What commands say of themselves, for pages that are made from it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import NamedTuple

import click


class Paragraph(NamedTuple):
    """A paragraph of a docstring: a text; or with a ``body``, lines kept as they stand, and the one above."""

    text: str
    body: str | None = None


def paragraphs(text: str) -> Iterator[Paragraph]:
    r"""A docstring's paragraphs; those after \b, as click has it, have a body."""
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        first, _, rest = paragraph.partition("\n")
        if first.strip() == "\b":
            above, _, body = rest.partition("\n")
            yield Paragraph(above, body)
        else:
            yield Paragraph(paragraph)


def parts(context: click.Context) -> Iterator[click.Context]:
    """The commands within a command, hidden ones left out; none in most."""
    command = context.command
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            if found is not None and not found.hidden:
                yield click.Context(found, context, name)
