"""``clusterip version``."""

from __future__ import annotations

import platform
from importlib import metadata

import click


@click.command("version")
def command() -> None:
    """Print the version of clusterip and of the Python it runs on.

    \b
    Example:
      clusterip version
    """
    click.echo(f"clusterip {metadata.version('clusterip')} (Python {platform.python_version()})")
