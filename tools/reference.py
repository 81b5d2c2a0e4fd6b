"""Writes the pages under docs/reference/ from the code: commands, configuration, kinds of the API.

    python -m tools.reference

The site's build does it (docs/conf.py), so the pages are not in the repository and never out of date.
"""

from __future__ import annotations

import importlib
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from tools.command_help import paragraphs, parts

ROOT = Path(__file__).parents[1]
DIRECTORY = ROOT / "docs" / "reference"


def pages() -> dict[str, str]:
    """Each page's name and what it says."""
    return {
        "command-line.md": "\n".join(_command_line()),
        "exit-codes.md": "\n".join(_exit_codes()),
        "proxy-configuration.md": "\n".join(_proxy_configuration()),
        "resources.md": "\n".join(_resources()),
    }


def write(directory: Path = DIRECTORY) -> None:
    """Write those pages that are not as they should be, and remove others."""
    directory.mkdir(exist_ok=True)
    wanted = {directory / name: text for name, text in pages().items()}
    for path in set(directory.iterdir()) - wanted.keys():
        path.unlink()
    for path, text in wanted.items():
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


# The command line


def _command_line() -> Iterator[str]:
    from clusterip.cli.main import COMMANDS, load, main

    yield "# The command line\n"
    yield "`clusterip COMMAND --help` prints what is said here. `-h` is the same as `--help`.\n"
    yield from _table(
        ["command", "what it does"],
        [
            [f"[`clusterip {name}`](#clusterip-{name})", help_]
            for commands in COMMANDS.values()
            for name, help_ in commands.items()
        ],
    )
    root = click.Context(main, info_name="clusterip")
    for section, commands in COMMANDS.items():
        yield f"## {section}\n"
        for name in commands:
            yield from _command(load(name), click.Context(load(name), root, name), "###")


def _command(command: click.Command, context: click.Context, heading: str) -> Iterator[str]:
    yield f"{heading} {context.command_path}\n"
    yield f"```text\n{context.command_path} {' '.join(command.collect_usage_pieces(context))}\n```\n"
    yield from _prose(command.help or command.short_help or "")
    rows = [row for parameter in command.get_params(context) if (row := _parameter(parameter, context))]
    if rows:
        yield from _table(["option", "what"], rows)
    if command.epilog:
        yield from _prose(command.epilog)
    for part in parts(context):
        yield from _command(part.command, part, f"{heading}#")


def _parameter(parameter: click.Parameter, context: click.Context) -> list[str] | None:
    if "--help" in parameter.opts:
        return None
    record = parameter.get_help_record(context)
    if record is None:
        return None
    names, text = record
    notes = [f"environment: `{name}`" for name in _variables(parameter)]
    return [f"`{names}`", "; ".join([_plain(text), *notes] if text else notes)]


def _variables(parameter: click.Parameter) -> list[str]:
    variables = parameter.envvar
    if variables is None:
        return []
    return [variables] if isinstance(variables, str) else list(variables)


def _prose(text: str) -> Iterator[str]:
    r"""A docstring as Markdown; paragraphs that begin with \b are kept as they stand."""
    for title, body in paragraphs(text):
        if body is None:
            yield f"{_plain(title)}\n"
        elif title.endswith(":"):
            yield f"{title}\n"
            yield f"```text\n{textwrap.dedent(body)}\n```\n"
        else:
            yield f"```text\n{title}\n{body}\n```\n"


# Exit codes


def _exit_codes() -> Iterator[str]:
    from clusterip.cluster.doctor.findings import EXIT_CODES as DOCTOR
    from clusterip.trace.story import EXIT_CODES as TRACE

    yield "# Exit codes\n"
    yield from _table(
        ["code", "of", "means"],
        [
            ["0", "every command", "done; of a part: it was told to end (SIGTERM, SIGINT)"],
            ["1", "every command", "it could not be done; standard error says what, to what, and what to do"],
            ["2", "every command", "called wrongly: no such command or option, or a value that is none"],
            ["1", "`status`", "something is wrong with the cluster, or there is none"],
            ["1", "`down`", "something could not be removed; run it again"],
            ["1", "`controllers`", "the Lease could not be renewed, so that another one may lead"],
            ["N", "`exec`, `enter`", "what the command exited with"],
            ["127", "`enter`", "there is no such command"],
            ["130", "commands on objects, parts", "interrupted (of a part: by a second SIGINT)"],
        ],
    )
    yield "Codes of `get`, `apply`, `delete`, `logs` and `exec` are kubectl's.\n"
    yield "## clusterip doctor\n"
    worst = {code: level for level, code in reversed(DOCTOR.items())}
    yield from _table(
        ["code", "the worst of what it found"], [[str(code), worst[code]] for code in sorted(worst)]
    )
    yield "## clusterip trace\n"
    yield "Beside 1 and 2, which say that nothing was traced:\n"
    yield from _table(["code", "outcome"], [[str(code), f"`{outcome}`"] for outcome, code in TRACE.items()])


# The proxy's configuration file


def _proxy_configuration() -> Iterator[str]:
    from clusterip.proxy.config.defaults import set_defaults
    from clusterip.proxy.config.flags import ACTIONS, LOGGING, SETTINGS
    from clusterip.proxy.config.types import API_VERSION, KIND, KubeProxyConfiguration, tree_of

    config = KubeProxyConfiguration()
    before = dict(_leaves(tree_of(config)))
    set_defaults(config)
    by_name = {flag.name: flag for flag in (*ACTIONS, *SETTINGS, *LOGGING)}
    flags = {flag.field: flag for flag in by_name.values() if flag.field}
    flags |= {field: by_name[name] for field, name in _BY_MODE.items()}
    yield "# The proxy's configuration\n"
    yield f"`clusterip proxy --config FILE` reads kube-proxy's `{KIND}` (`{API_VERSION}`) as YAML or JSON."
    yield "[From kube-proxy to clusterip](../from-kube-proxy.md) says what differs from kube-proxy with the"
    yield "same file. A default marked with * depends on others: it is what holds if nothing else is given.\n"
    rows = []
    for field, value in sorted({**before, **dict(_leaves(tree_of(config)))}.items()):
        if field in ("kind", "apiVersion") or (value == {} and f"{field}.infoBufferSize" in flags):
            continue
        flag = flags.get(field)
        what = _plain(_MEANINGS.get(field) or (flag.help if flag else ""))
        default = _SPECIAL.get(field) or f"`{_value(value)}`"
        rows.append([f"`{field}`", default, f"`--{flag.name}`" if flag else "", what])
    yield from _table(["field", "default", "flag", "what"], rows)


_SPECIAL = {
    "mode": "`nftables` *",
    "detectLocalMode": "`ClusterCIDR` *",
    "nodePortAddresses": "`[primary]` with nftables, otherwise all *",
    "healthzBindAddress": "`0.0.0.0:10256` *",
    "metricsBindAddress": "`127.0.0.1:10249` *",
    "hostnameOverride": "the host's name *",
}
"""Defaults that follow from other settings."""

_BY_MODE = {
    "iptables.masqueradeAll": "masquerade-all",
    "nftables.masqueradeAll": "masquerade-all",
    "iptables.syncPeriod": "iptables-sync-period",
    "nftables.syncPeriod": "iptables-sync-period",
    "iptables.minSyncPeriod": "iptables-min-sync-period",
    "nftables.minSyncPeriod": "iptables-min-sync-period",
    "nftables.masqueradeBit": "iptables-masquerade-bit",
}
"""Fields that a flag sets in the section of the mode."""

_WINDOWS = "Accepted; for Windows nodes, which this proxy does not run on."
_MEANINGS = {
    "clientConnection.acceptContentTypes": "What objects may come as; `application/vnd.kubernetes.protobuf`"
    " insists on protobuf.",
    "iptables.masqueradeBit": "The bit of a packet's mark by which it is masqueraded.",
    "nftables.masqueradeBit": "The bit of a packet's mark by which it is masqueraded.",
    "ipvs.minSyncPeriod": "The least time between two writes; 0: none.",
    "ipvs.syncPeriod": "Half of what a change may wait before /healthz fails.",
    "portRange": "Accepted, as kube-proxy does; it means nothing.",
    "windowsRunAsService": _WINDOWS,
    **{
        f"winkernel.{name}": _WINDOWS
        for name in ("enableDSR", "forwardHealthCheckVip", "networkName", "rootHnsEndpointName", "sourceVip")
    },
}
"""What fields mean that no flag sets, or that a flag's help says less clearly."""


def _leaves(tree: dict[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{path}{name}.")
        else:
            yield f"{path}{name}", value


def _value(value: Any) -> str:
    if value is None or value == {}:
        return "not set"
    if isinstance(value, bool):
        return str(value).lower()
    return '""' if value == "" else str(value)


# The API


def _resources() -> Iterator[str]:
    importlib.import_module("clusterip.objects.kinds")
    from clusterip.apiserver.discovery import ALL_VERBS, subresources, verbs
    from clusterip.objects.registry import resources, virtual_resources

    stored, virtual = [*resources()], [*virtual_resources()]
    yield "# Resources of the API\n"
    yield f"{len(stored)} kinds of objects are stored; {len(virtual)} are answered and not stored."
    yield f"Verbs are {', '.join(f'`{verb}`' for verb in ALL_VERBS)} unless the last column says otherwise."
    yield "`kubectl explain RESOURCE` tells the fields of each.\n"
    for group in dict.fromkeys(resource.group for resource in [*stored, *virtual]):
        yield f"## {group or 'core'}\n"
        rows = []
        for resource in [*stored, *virtual]:
            if resource.group != group:
                continue
            parts = ", ".join(f"`{part.name}`" for part in subresources(resource))
            differs = verbs(resource) != [*ALL_VERBS]
            rows.append(
                [
                    f"`{resource.plural}`",
                    ", ".join(f"`{name}`" for name in resource.short_names),
                    f"`{resource.api_version}`",
                    resource.kind,
                    "yes" if resource.namespaced else "no",
                    parts,
                    ", ".join(f"`{name}`" for name in sorted(resource.fields)),
                    ", ".join(f"`{verb}`" for verb in verbs(resource)) if differs else "",
                ]
            )
        header = ["resource", "short", "version", "kind", "in a namespace"]
        yield from _table([*header, "subresources", "field selectors", "verbs"], rows)


# Markdown


def _table(header: list[str], rows: list[list[str]]) -> Iterator[str]:
    used = [at for at in range(len(header)) if any(row[at] for row in rows)]
    for cells in ([header[at] for at in used], ["---"] * len(used)):
        yield f"| {' | '.join(cells)} |"
    for row in rows:
        yield f"| {' | '.join(_cell(row[at]) for at in used)} |"
    yield ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _plain(text: str) -> str:
    """Text that means nothing to Markdown but for its code spans."""
    parts = re.split(r"(`[^`]+`)", " ".join(text.split()))
    return "".join(
        part if part.startswith("`") and len(part) > 1 else re.sub(r"([\\`*_{}\[\]<>#$])", r"\\\1", part)
        for part in parts
    )


if __name__ == "__main__":
    write()
