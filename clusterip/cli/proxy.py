"""``clusterip proxy``: the node's Service proxy, with kube-proxy's flags."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any

import click

from clusterip.proxy.config.flags import ACTIONS, LOGGING, SETTINGS, Flag


def _option(flag: Flag) -> Callable[[Any], Any]:
    names = ("-v", "--v") if flag.name == "v" else (f"--{flag.name}",)
    switch: dict[str, Any] = {"is_flag": False, "flag_value": "true"} if flag.is_switch else {}
    metavar = flag.metavar or {"bool": "", "duration": "DURATION"}.get(flag.kind, flag.kind.upper())
    return click.option(
        *names, flag.name.replace("-", "_"), default=None, metavar=metavar, help=flag.help, **switch
    )


def _options(flags: Iterable[Flag]) -> Callable[[Any], Any]:
    def decorate(command: Any) -> Any:
        for flag in reversed([*flags]):
            command = _option(flag)(command)
        return command

    return decorate


@click.command(
    "proxy", context_settings={"token_normalize_func": lambda name: name.replace("_", "-")}
)  # as Kubernetes' own programs, which take --cluster_cidr too
@_options((*ACTIONS, *SETTINGS, *LOGGING))
@click.option(
    "--version", "version", is_flag=False, flag_value="true", default=None, help="Print the version and end."
)
def command(version: str | None, **given: str | None) -> None:
    """Make connections to Services from and through this node reach their endpoints.

    Takes the configuration file and the flags of kube-proxy. The rules stay when the proxy ends; --cleanup
    removes them.

    \b
    Examples:
      clusterip proxy --kubeconfig=/etc/clusterip/proxy.yaml --cluster-cidr=10.244.0.0/16
      clusterip proxy --config=/var/lib/kube-proxy/config.conf --cleanup-kube-proxy
      clusterip proxy --cleanup
    """
    if version not in (None, "false"):
        from importlib import metadata

        click.echo(f"clusterip {metadata.version('clusterip')}")
        return
    from clusterip import process
    from clusterip.process import log
    from clusterip.proxy import modes
    from clusterip.proxy.config import ConfigurationError
    from clusterip.proxy.config.load import load
    from clusterip.proxy.main import main

    log.setup()
    on_primary = [name for name in modes.NAMES if modes.get(name).node_ports_on_primary]
    try:
        options = load(
            {name.replace("_", "-"): value for name, value in given.items() if value is not None},
            modes.NAMES,
            on_primary,
        )
    except ConfigurationError as error:
        log.get("proxy").error(f"the configuration cannot be used: {error}")
        sys.exit(1)
    logging = options.config.logging
    log.setup(logging.verbosity, as_json=logging.format == "json")
    sys.exit(process.run(lambda: main(options)))
