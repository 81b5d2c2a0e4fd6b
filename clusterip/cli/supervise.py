"""``clusterip supervise``: what ``clusterip up`` starts, and nobody needs to type."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("supervise")
@click.option("--plan", "plan", required=True, type=click.Path(path_type=Path), help="What to run.")
@click.option("--log-file", required=True, type=click.Path(path_type=Path), help="Where to say what happens.")
def command(plan: Path, log_file: Path) -> None:
    """Run a cluster's processes and start again what ends. Begins after a line on standard input."""
    from clusterip.cluster.supervisor import serve

    serve(plan, log_file)
