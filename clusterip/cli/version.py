"""``clusterip version``."""

from __future__ import annotations

import platform
from importlib import metadata

import click


@click.command("version")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="How to print it.")
def command(output: str) -> None:
    """Print the version of clusterip and of the Python it runs on.

    \b
    Example:
      clusterip version
    """
    if output == "json":
        import json

        versions = {"clusterip": metadata.version("clusterip"), "python": platform.python_version()}
        click.echo(json.dumps(versions))
        return
    click.echo(f"clusterip {metadata.version('clusterip')} (Python {platform.python_version()})")
