"""What the commands of a cluster of several machines share: where the files are, and how errors are told."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click


def data_dir_option(default: str) -> Callable[[Any], Any]:
    """``--data-dir``."""
    return click.option(
        "--data-dir",
        type=click.Path(path_type=Path, resolve_path=True),
        default=default,
        show_default=True,
        metavar="DIR",
        help="Where all of its files are.",
    )


def told(command: Callable[..., Any]) -> Callable[..., Any]:
    """Tell errors to the person at the terminal, in one line and with exit code 1."""

    @functools.wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        from clusterip.client.config import ConfigError
        from clusterip.client.errors import ApiError, Unreachable
        from clusterip.cluster.errors import ClusterError

        try:
            return command(*args, **kwargs)
        except (ClusterError, ConfigError, ApiError, Unreachable) as error:
            click.echo(f"clusterip: {error}", err=True)
        except PermissionError as error:
            click.echo(f"clusterip: {error.filename}: permission denied; run this as root", err=True)
        sys.exit(1)

    return wrapped


def run_command(arguments: Sequence[str]) -> None:
    """Run a command of this program in this process, for parts."""
    from clusterip.cli.main import main

    main(args=list(arguments), prog_name="clusterip")
