"""``clusterip delete``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from clusterip.cli import completing
from clusterip.cli.connection import connected

if TYPE_CHECKING:
    from clusterip.cli.connection import Session


@click.command("delete")
@click.argument("what", nargs=-1, metavar="[TYPE NAME... | TYPE/NAME...]", shell_complete=completing.objects)
@click.option("-f", "--filename", "files", multiple=True, help="Objects of a file, directory or - for input.")
@click.option("-R", "--recursive", is_flag=True, help="Also the directories below.")
@click.option("-l", "--selector", default="", help="Objects with these labels.")
@click.option("--all", "every", is_flag=True, help="All objects of the types.")
@click.option("--cascade", type=click.Choice(["background", "foreground", "orphan"]), default="background")
@click.option("--grace-period", type=int, default=-1, help="Seconds to end in; -1: as the object says.")
@click.option("--now", is_flag=True, help="Like --grace-period=1.")
@click.option("--force", is_flag=True, help="With --grace-period=0: do not wait for the Pod's node.")
@click.option("--ignore-not-found", is_flag=True, help="What is not there is no error.")
@click.option("--wait/--no-wait", default=True, help="Wait until they are gone.  [default: wait]")
@connected
async def command(
    what: tuple[str, ...],
    files: tuple[str, ...],
    recursive: bool,
    selector: str,
    every: bool,
    cascade: str,
    grace_period: int,
    now: bool,
    force: bool,
    ignore_not_found: bool,
    wait: bool,
    session: Session,
) -> None:
    """Delete objects, and by default wait until they are gone.

    \b
    Examples:
      clusterip delete service my-service
      clusterip delete pods -l app=my-app
      clusterip delete -f my-service.yaml
    """
    from clusterip.cli.deleting import Deletion

    grace = 0 if force and grace_period < 0 else 1 if now and grace_period < 0 else grace_period
    deletion = Deletion(
        session,
        grace_period_seconds=grace if grace >= 0 else None,
        propagation_policy=cascade.capitalize(),
        ignore_not_found=ignore_not_found,
        wait=wait and not force,
    )
    await deletion.run(what, files, recursive=recursive, selector=selector, every=every)
