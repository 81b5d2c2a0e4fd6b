"""``clusterip doctor``."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import click

from clusterip.cli.cluster_options import cluster_options
from clusterip.cli.printing import print_json

if TYPE_CHECKING:
    from clusterip.cluster.doctor.findings import Finding
    from clusterip.cluster.paths import Paths

CHECKS = (
    *("kernel", "programs", "leftovers", "clashes", "disk", "limits"),
    *("clock", "certificates", "parts", "dns"),
)
_MARKS = {"ok": "ok", "info": "--", "warning": "!!", "error": "XX"}
_COLOURS = {"ok": "green", "info": None, "warning": "yellow", "error": "red"}


@click.command("doctor")
@click.option(
    "-o", "--output", type=click.Choice(["table", "json"]), default="table", help="How to print it."
)
@click.option(
    "--check",
    "checks",
    multiple=True,
    type=click.Choice(CHECKS),
    help="Only this; may be given several times.",
)
@click.option("-q", "--quiet", is_flag=True, help="Only what is wrong.")
@click.option("--kubeconfig", help="Which API server, instead of that of the cluster on this machine.")
@cluster_options
def command(
    output: str, checks: tuple[str, ...], quiet: bool, kubeconfig: str | None, name: str, paths: Paths
) -> None:
    """Look for what is wrong with this machine and its cluster, and say what to do about it.

    Works without a cluster too, and on a node of any Kubernetes cluster. As root it sees more. The exit code
    is 0 if all is well, 1 with warnings, 2 with errors.

    \b
    Examples:
      clusterip doctor
      clusterip doctor --check kernel --check clashes
      clusterip doctor -o json | jq '.[] | select(.level == "error")'
    """
    from clusterip.cli.connection import local_kubeconfig
    from clusterip.cluster.doctor.examine import examine
    from clusterip.cluster.doctor.findings import EXIT_CODES, worst
    from clusterip.cluster.doctor.patient import read

    chosen = kubeconfig or (str(paths.admin_kubeconfig) if paths.admin_kubeconfig.exists() else None)
    patient = read(name, paths, chosen or local_kubeconfig())
    as_json = output == "json"

    def begin(check: str) -> None:
        if not as_json and sys.stderr.isatty():
            click.echo(f"\r\033[K{check} ...", err=True, nl=False)

    def done(found: list[Finding]) -> None:
        if as_json:
            return
        if sys.stderr.isatty():
            click.echo("\r\033[K", err=True, nl=False)
        for finding in found:
            if not quiet or EXIT_CODES[finding.level]:
                _print(finding)

    findings = asyncio.run(examine(patient, checks, begin, done))
    if as_json:
        print_json(findings)
    else:
        counts = {level: sum(each.level == level for each in findings) for level in ("error", "warning")}
        click.echo(
            f"{counts['error']} errors, {counts['warning']} warnings, {len(findings)} things looked at"
        )
    sys.exit(EXIT_CODES[worst(findings)])


def _print(finding: Finding) -> None:
    mark = click.style(_MARKS[finding.level], fg=_COLOURS[finding.level])
    click.echo(f"{mark} {finding.check:13}{finding.subject}: {finding.message}")
    if finding.remedy:
        click.echo(f"{'':16}-> {finding.remedy}")
