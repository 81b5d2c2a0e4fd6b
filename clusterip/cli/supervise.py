"""``clusterip supervise``: what ``clusterip up`` starts, and nobody needs to type."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click


@click.command("supervise")
@click.option("--plan", "plan", required=True, type=click.Path(path_type=Path), help="What to run.")
@click.option("--log-file", required=True, type=click.Path(path_type=Path), help="Where to say what happens.")
def command(plan: Path, log_file: Path) -> None:
    """Run a cluster's processes and start again what ends. Begins after a line on standard input."""
    from clusterip.cli.main import load, main
    from clusterip.cluster.supervisor import serve
    from clusterip.cluster.zygote import CommandLine

    def run(arguments: Sequence[str]) -> None:
        main(args=list(arguments), prog_name="clusterip")

    serve(plan, log_file, CommandLine(load, run))
