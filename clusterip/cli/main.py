"""The ``clusterip`` program: one command per file, imported only when it is used."""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

COMMANDS: dict[str, dict[str, str]] = {
    "A cluster on this machine": {
        "up": "Start a cluster on this machine, or see that it runs.",
        "down": "Stop it and remove everything it made.",
        "status": "Say what runs and what is wrong.",
        "enter": "Run a command where the cluster's Services are reachable.",
        "kubeconfig": "Print the administrator's kubeconfig.",
        "snapshot": "Save and restore all that the cluster's store holds.",
        "env": "Print shell commands that make kubectl and clusterip use the cluster.",
    },
    "A cluster of several machines": {
        "server": "Run the control plane on this machine.",
        "agent": "Join this machine to a cluster and run its Pods.",
        "token": "Make, list and delete the tokens that let machines join.",
        "install": "Have systemd run a server or an agent.",
        "leave": "Remove all that a server or an agent made of this machine.",
    },
    "Objects": {
        "get": "List objects as tables, or print them as YAML or JSON.",
        "apply": "Create or change objects as a manifest says.",
        "delete": "Delete objects.",
        "logs": "Print what a Pod's container wrote.",
        "exec": "Run a command in a Pod's container.",
        "image": "Import, list and remove container images.",
    },
    "See it": {
        "ui": "Show the cluster in a browser: who reaches what, live.",
        "trace": "Connect to a Service and tell the way of the packet.",
        "explain": "Say who reaches what through a Service, and why.",
        "top": "Show live which Services, nodes and DNS servers are busy.",
        "doctor": "Look for what is wrong, and say what to do about it.",
    },
    "Parts, each also a program of its own": {
        "apiserver": "Serve the Kubernetes API.",
        "controllers": "Run the controllers and the scheduler.",
        "proxy": "Program this node's kernel so that Services work.",
        "dns": "Answer DNS queries for Services.",
        "node": "Run the Pods of this node.",
    },
    "Other": {
        "completion": "Print what makes bash, zsh or fish complete commands and names.",
        "version": "Print the version.",
    },
}
"""Every command with its one line of help, so that ``--help`` imports none of them."""

HIDDEN = {
    "supervise": "Run and watch a cluster's processes (what `up` starts).",
    "member": "Keep a machine a member of its cluster (what `agent` starts).",
}


def load(name: str) -> click.Command:
    """Import a command's module; the command."""
    command: click.Command = importlib.import_module(f"clusterip.cli.{name}").command
    return command


class LazyGroup(click.Group):
    """A group whose commands are the modules of ``clusterip.cli``, found by name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for commands in COMMANDS.values() for name in commands]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx) and cmd_name not in HIDDEN:
            return None
        return load(cmd_name)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """As the base class does it, but without importing any command."""
        from click.shell_completion import CompletionItem

        if incomplete.startswith("-"):
            return click.Command.shell_complete(self, ctx, incomplete)
        known = {name: help_ for commands in COMMANDS.values() for name, help_ in commands.items()}
        return [
            CompletionItem(name, help=help_) for name, help_ in known.items() if name.startswith(incomplete)
        ]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if not name.startswith("-") and self.get_command(ctx, name) is None:
            from clusterip.cli.suggesting import did_you_mean

            hint = did_you_mean(name, self.list_commands(ctx), before=" ", likeness=0.5)
            ctx.fail(f"There is no command {name!r}.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for section, commands in COMMANDS.items():
            with formatter.section(section):
                formatter.write_dl(list(commands.items()))


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.pass_context
def main(context: click.Context) -> None:
    """Kubernetes Services on any Linux machine: stable virtual IPs, DNS names, load balancing.

    \b
    Examples:
      clusterip up
      clusterip apply -f my-service.yaml
      clusterip trace http://my-service
    """
    if os.environ.get("NO_COLOR"):  # no-color.org
        context.color = False


if __name__ == "__main__":
    sys.exit(main())
