"""``clusterip apply``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from clusterip.cli.connection import connected

if TYPE_CHECKING:
    from clusterip.cli.connection import Session


@click.command("apply")
@click.option("-f", "--filename", "files", multiple=True, help="File, directory or - (standard input).")
@click.option("-R", "--recursive", is_flag=True, help="Also the directories below.")
@click.option(
    "--dry-run", type=click.Choice(["none", "server"]), default="none", help="Only say what would be done."
)
@connected
async def command(files: tuple[str, ...], recursive: bool, dry_run: str, session: Session) -> None:
    """Create or change objects as a manifest says.

    \b
    Examples:
      clusterip apply -f my-service.yaml
      clusterip apply -f - < my-service.yaml
    """
    from clusterip.cli.applying import apply_all
    from clusterip.cli.documents import read

    await apply_all(session, read(files, recursive=recursive), dry_run=dry_run == "server")
