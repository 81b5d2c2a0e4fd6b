"""Writes the manual page docs/man/clusterip.1 from the commands, in the macros of man(7).

    python -m tools.manual

It is in the repository since a wheel is built without our dependencies; a test holds it to the commands.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import click

from tools.command_help import paragraphs, parts

PAGE = Path(__file__).parents[1] / "docs" / "man" / "clusterip.1"

_ENVIRONMENT = {
    "KUBECONFIG": "Which kubeconfig the commands on objects use. Without it, and without --kubeconfig, it is "
    "that of the cluster on this machine.",
    "CLUSTERIP_NAME": "Which of several clusters on this machine is meant; the default of --name.",
    "CLUSTERIP_STATE_DIR": "Where that cluster's files are; the default of --state-dir.",
    "CLUSTERIP_REGISTRY_PASSWORD": "The default of clusterip image pull --password.",
    "NO_COLOR": "If it is set and not empty, nothing is coloured.",
}
_FILES = {
    "/var/lib/clusterip": "Database, certificates, images and Pods of a cluster.",
    "/run/clusterip": "What is gone with the next boot: sockets, process records.",
    "/var/log/clusterip": "What the parts log.",
}


def page() -> str:
    """The whole page."""
    return "\n".join(_page()) + "\n"


def _page() -> Iterator[str]:
    from clusterip.cli.main import COMMANDS, load, main

    yield f'.TH CLUSTERIP 1 "" "clusterip {metadata.version("clusterip")}" "User commands"'
    yield ".SH NAME"
    yield r"clusterip \- Kubernetes Services on any Linux machine"
    yield ".SH SYNOPSIS"
    yield r".B clusterip"
    yield r".I COMMAND"
    yield r"[\fIOPTION\fR]... [\fIARGUMENT\fR]..."
    yield ".SH DESCRIPTION"
    yield from _prose(main.help or "")
    yield ".PP"
    yield _plain("The tutorial and all other pages are in docs/; clusterip COMMAND --help says what is here.")
    root = click.Context(main, info_name="clusterip")
    for section, commands in COMMANDS.items():
        yield f".SH {_plain(section.upper())}"
        for name in commands:
            yield from _command(load(name), click.Context(load(name), root, name))
    yield ".SH EXIT STATUS"
    yield "0 if it was done, 1 if it could not be done, 2 if it was called wrongly."
    yield _plain("clusterip exec and enter exit as the command did; trace and doctor say what they found.")
    for title, entries in (("ENVIRONMENT", _ENVIRONMENT), ("FILES", _FILES)):
        yield f".SH {title}"
        for term, text in entries.items():
            yield from (".TP", f".B {_plain(term)}", _plain(text))
    yield ".SH SEE ALSO"
    yield from (".BR kubectl (1),", ".BR nft (8),", ".BR ip (8)")


def _command(command: click.Command, context: click.Context) -> Iterator[str]:
    yield f".SS {_plain(context.command_path.removeprefix('clusterip '))}"
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    yield f".B {_plain(usage)}"
    yield ".PP"
    yield from _prose(command.help or "")
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and "--help" not in parameter.opts:
            names, text = record
            yield from (".TP", f".B {_plain(names)}", _plain(text) or ".")
    for part in parts(context):
        yield from _command(part.command, part)


def _prose(text: str) -> Iterator[str]:
    r"""A docstring; paragraphs that begin with \b are kept as they stand."""
    for number, (title, body) in enumerate(paragraphs(text)):
        if number:
            yield ".PP"
        if body is None:
            yield _plain(" ".join(title.split()))
        else:
            yield _plain(title)
            yield from (".RS", ".nf", *map(_plain, textwrap.dedent(body).splitlines()), ".fi", ".RE")


def _plain(text: str) -> str:
    """Text that means nothing to roff."""
    escaped = text.replace("\\", r"\e").replace("-", r"\-").replace("'", r"\(aq").replace("`", r"\(ga")
    return rf"\&{escaped}" if escaped.startswith(".") else escaped


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page())
