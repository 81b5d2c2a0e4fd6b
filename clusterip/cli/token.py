"""``clusterip token``: what lets machines join."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clusterip.cli.durations import seconds
from clusterip.cli.machine_options import data_dir_option, told
from clusterip.cli.printing import print_json
from clusterip.cli.tables import align

if TYPE_CHECKING:
    from clusterip.client.rest import Client


@click.group("token")
def command() -> None:
    """Make, list and delete the tokens that let machines join this server's cluster.

    \b
    Examples:
      clusterip token create
      clusterip token list
    """


@command.command("create")
@data_dir_option("/var/lib/clusterip-server")
@click.option(
    "--ttl",
    callback=seconds,
    default="24h",
    show_default=True,
    metavar="DURATION",
    help="How long it is good; 0s: for ever.",
)
@click.option("--description", default="", help="What it is for.")
@told
def create(data_dir: Path, ttl: float, description: str) -> None:
    """Make a token and print the command that joins a machine with it.

    \b
    Examples:
      clusterip token create
      clusterip token create --ttl=30m
    """
    from clusterip.cluster.machines import tokens
    from clusterip.member.clusterinfo import hash_of

    async def work(client: Client) -> str:
        token = await tokens.create(client, timedelta(seconds=ttl) if ttl else None, description)
        authority = client.config.root_ca.encode()
        return tokens.join_command(client.config.server, token, hash_of(authority))

    click.echo(_with_client(data_dir, work))


@command.command("list")
@click.option(
    "-o", "--output", type=click.Choice(["table", "json"]), default="table", help="How to print it."
)
@data_dir_option("/var/lib/clusterip-server")
@told
def list_(output: str, data_dir: Path) -> None:
    """List the tokens, without their secrets.

    \b
    Example:
      clusterip token list
    """
    from clusterip.cluster.machines import tokens

    rows = _with_client(data_dir, tokens.listed)
    if output == "json":
        print_json([dict(zip(("token", "expires", "description"), row, strict=True)) for row in rows])
        return
    click.echo(align([("TOKEN", "EXPIRES", "DESCRIPTION"), *rows]))


@command.command("delete")
@data_dir_option("/var/lib/clusterip-server")
@click.argument("token")
@told
def delete(data_dir: Path, token: str) -> None:
    """Delete a token, so that nobody can join with it any more. Nodes that have joined stay.

    \b
    Example:
      clusterip token delete abcdef
    """
    from clusterip.cluster.machines import tokens

    _with_client(data_dir, lambda client: tokens.delete(client, token))
    click.echo(f"token {token.partition('.')[0]} deleted")


def _with_client(data_dir: Path, work: Callable[[Client], Coroutine[Any, Any, Any]]) -> Any:
    from clusterip.client.config import load
    from clusterip.client.rest import Client
    from clusterip.cluster.machines.layout import paths_in

    async def run() -> Any:
        async with Client(load(str(paths_in(data_dir).admin_kubeconfig))) as client:
            return await work(client)

    return asyncio.run(run())
