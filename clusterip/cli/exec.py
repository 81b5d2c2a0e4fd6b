"""``clusterip exec``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from clusterip.cli import completing
from clusterip.cli.connection import connected

if TYPE_CHECKING:
    from clusterip.cli.connection import Session


@click.command("exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("-c", "--container", help="Which container; by default the first.")
@click.option("-i", "--stdin", is_flag=True, help="Pass standard input on.")
@click.option("-t", "--tty", is_flag=True, help="Give the command a terminal.")
@click.argument("pod", metavar="POD | TYPE/NAME", shell_complete=completing.pods)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="-- COMMAND [ARGUMENT]...")
@connected
async def command(
    pod: str, container: str | None, stdin: bool, tty: bool, arguments: tuple[str, ...], session: Session
) -> None:
    """Run a command in a Pod's container; the exit code is the command's.

    \b
    Examples:
      clusterip exec my-pod -- cat /etc/resolv.conf
      clusterip exec -it my-pod -- sh
    """
    from clusterip.cli.connection import CommandError
    from clusterip.cli.executing import execute
    from clusterip.cli.pods import container_of, pod_of

    options, words = _split(arguments)
    stdin, tty = stdin or "i" in options, tty or "t" in options
    if not words:
        raise CommandError("error: you must specify at least one command for the container")
    found = await pod_of(session, pod)
    code = await execute(
        session.client,
        session.namespace,
        found.metadata.name,
        container_of(found, container),
        words,
        stdin=stdin,
        tty=tty,
    )
    if code:
        raise CommandError(f"command terminated with exit code {code}", code)


def _split(arguments: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """``-it`` may also follow the Pod's name, up to ``--``."""
    options = ""
    for i, word in enumerate(arguments):
        if word == "--":
            return options, arguments[i + 1 :]
        if word.startswith("-") and not word.strip("-it"):
            options += word.strip("-")
            continue
        return options, arguments[i:]
    return options, ()
