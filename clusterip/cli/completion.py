"""``clusterip completion``: what makes a shell complete our commands, options and names."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print the script that lets a shell complete commands, options, kinds and names of objects.

    \b
    Examples:
      source <(clusterip completion bash)
      clusterip completion bash > /etc/bash_completion.d/clusterip
      clusterip completion zsh > "${fpath[1]}/_clusterip"
      clusterip completion fish > ~/.config/fish/completions/clusterip.fish
    """
    completion = get_completion_class(shell)
    assert completion is not None, "click knows each of these"
    click.echo(completion(context.find_root().command, {}, "clusterip", "_CLUSTERIP_COMPLETE").source())
