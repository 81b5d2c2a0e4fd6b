"""``clusterip member``: what ``clusterip agent`` starts, and nobody needs to type."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click


@click.command("member")
@click.option("--state-file", type=click.Path(path_type=Path), required=True, metavar="FILE")
@click.option("--servers-file", type=click.Path(path_type=Path), required=True, metavar="FILE")
@click.option("--certificate-dir", type=click.Path(path_type=Path), required=True, metavar="DIR")
@click.option("--kubeconfig", required=True, metavar="FILE", help="The node's.")
@click.option("--servers-kubeconfig", required=True, metavar="FILE", help="One that may read EndpointSlices.")
@click.option("--bind-address", default="127.0.0.1:6444", show_default=True, metavar="HOST:PORT")
@click.option("--healthz-bind-address", default="", metavar="HOST:PORT")
@click.option("-v", "--v", "verbosity", type=int, default=0, help="How much to log.")
def command(verbosity: int, **settings: Any) -> None:
    """Pass connections on to the API servers, and renew this node's certificates."""
    from clusterip.member.main import main
    from clusterip.member.options import Options
    from clusterip.process import log
    from clusterip.process.run import run

    log.setup(verbosity)
    options = Options(**settings)
    sys.exit(run(lambda: main(options)))
