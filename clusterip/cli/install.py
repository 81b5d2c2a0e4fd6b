"""``clusterip install``: servers and agents as services of systemd."""

from __future__ import annotations

from typing import Literal

import click

from clusterip.cli.machine_options import told


@click.command("install", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--dry-run", is_flag=True, help="Only print the unit file.")
@click.argument("role", type=click.Choice(["server", "agent"]))
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
@told
def command(dry_run: bool, role: Literal["server", "agent"], options: tuple[str, ...]) -> None:
    """Have systemd run `clusterip server` or `clusterip agent` with OPTIONS, from now on and after each boot.

    An agent's token goes into a file that only root may read.

    \b
    Examples:
      clusterip install server
      clusterip install agent --join=https://10.0.0.1:6443 --token=TOKEN
    """
    from clusterip.cli.main import load
    from clusterip.cluster.machines import units

    parsed = load(role).make_context(role, list(options))  # tells now what systemd would be told later
    words, token = units.without_token(options)
    secrets = units.secrets_of(role) if role == "agent" else None
    text = units.unit(role, units.program(), words, parsed.params["data_dir"], secrets=secrets)
    if dry_run:
        click.echo(text, nl=False)
        return
    for line in units.install(role, text, token):
        click.echo(line)
