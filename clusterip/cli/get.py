"""``clusterip get``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from clusterip.cli import completing
from clusterip.cli.connection import connected

if TYPE_CHECKING:
    from clusterip.cli.connection import Session


@click.command("get")
@click.argument(
    "what", nargs=-1, metavar="TYPE[,TYPE] [NAME]... | TYPE/NAME...", shell_complete=completing.objects
)
@click.option("-A", "--all-namespaces", is_flag=True, help="Objects of all namespaces.")
@click.option("-o", "--output", type=click.Choice(["table", "wide", "yaml", "json", "name"]), default="table")
@click.option("-l", "--selector", default="", help="Only objects with these labels, e.g. app=my-app.")
@click.option(
    "--field-selector", default="", help="Only objects with these fields, e.g. spec.nodeName=node-1."
)
@click.option("-w", "--watch", is_flag=True, help="Go on and print every change.")
@click.option("--show-labels", is_flag=True, help="A last column with the labels.")
@click.option("--no-headers", is_flag=True, help="Rows only.")
@click.option("--ignore-not-found", is_flag=True, help="An object that is not there is no error.")
@connected
async def command(
    what: tuple[str, ...],
    all_namespaces: bool,
    output: str,
    selector: str,
    field_selector: str,
    watch: bool,
    show_labels: bool,
    no_headers: bool,
    ignore_not_found: bool,
    session: Session,
) -> None:
    """List objects as tables, or print them as YAML or JSON.

    \b
    Examples:
      clusterip get services
      clusterip get pods,endpointslices -A -o wide
      clusterip get service/my-service -o yaml
      clusterip get pods -l app=my-app --watch
    """
    from clusterip.cli.getting import Getter
    from clusterip.cli.resources import targets

    getter = Getter(
        session,
        output=output,
        all_namespaces=all_namespaces,
        selection={"labelSelector": selector, "fieldSelector": field_selector},
        show_labels=show_labels,
        headers=not no_headers,
        ignore_not_found=ignore_not_found,
    )
    await getter.run(targets(what), watch=watch)
