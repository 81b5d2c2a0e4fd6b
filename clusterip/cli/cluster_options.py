"""Options of the commands that concern a cluster on this machine, and how they report errors."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import click


def cluster_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--name`` and ``--state-dir``; the command gets ``name`` and ``paths``."""

    @click.option(
        "--name",
        default="clusterip",
        envvar="CLUSTERIP_NAME",
        show_default=True,
        help="Which cluster; everything on the machine is named after it.",
    )
    @click.option(
        "--state-dir",
        envvar="CLUSTERIP_STATE_DIR",
        help="Keep all files below this directory instead of /var/lib, /run and /var/log.",
    )
    @functools.wraps(command)
    def wrapped(*args: Any, name: str, state_dir: str | None, **kwargs: Any) -> Any:
        from clusterip.cluster.errors import ClusterError
        from clusterip.cluster.paths import Paths

        try:
            return command(*args, name=name, paths=Paths.of(name, state_dir), **kwargs)
        except ClusterError as error:
            click.echo(f"clusterip: {error}", err=True)
            sys.exit(1)
        except PermissionError as error:
            click.echo(f"clusterip: {error.filename}: permission denied; run this as root", err=True)
            sys.exit(1)

    return wrapped
