"""``kubernetes`` and ``autopath``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from clusterip.dns import names
from clusterip.dns.config import values
from clusterip.dns.config.model import AutopathOptions, KubernetesOptions, PodMode
from clusterip.dns.config.source import Directive
from clusterip.objects.selectors import parse_label_selector

_POD_MODES: dict[str, PodMode] = {"DISABLED": "disabled", "INSECURE": "insecure", "VERIFIED": "verified"}
REVERSE = (names.to_wire("in-addr.arpa"), names.to_wire("ip6.arpa"))


def kubernetes(line: Directive, server_zones: tuple[bytes, ...]) -> KubernetesOptions:
    """``kubernetes [ZONES...] { ... }``"""
    zones = values.zones(line, line.args) or server_zones
    reverse = tuple(zone for zone in zones if any(names.is_below(zone, tree) for tree in REVERSE))
    domains = [zone for zone in zones if zone not in reverse]
    if len(domains) != 1 or domains[0] == b"\0":
        line.fail('exactly one cluster domain is needed, such as "kubernetes cluster.local"')
    changes: dict[str, Any] = {}

    def put(**new: Any) -> None:
        changes.update(new)

    def kubeconfig(option: Directive) -> None:
        if not 1 <= len(option.args) <= 2:
            option.fail("expects FILE [CONTEXT]")
        put(kubeconfig=option.args[0], context=option.args[1] if len(option.args) > 1 else None)

    def selector(option: Directive) -> str:
        text = " ".join(option.some())
        try:
            parse_label_selector(text)
        except ValueError as error:
            option.fail(str(error))
        return text

    def tls(option: Directive) -> None:
        if len(option.args) != 3:
            option.fail("expects CERT KEY CACERT")
        put(tls=tuple(option.args))

    def ignore(option: Directive) -> None:
        if option.one() != "empty_service":
            option.fail('can only be "ignore empty_service"')
        put(ignore_empty_service=True)

    def accepted(option: Directive) -> None:
        """What limits CoreDNS's own client; ours needs no limit."""
        option.one()

    values.each(
        line,
        {
            "pods": lambda o: put(pods=values.keyword(o, o.one(), _POD_MODES, "mode of pods")),
            "endpoint_pod_names": lambda o: put(endpoint_pod_names=o.flag()),
            "ttl": lambda o: put(ttl=values.integer(o, o.one(), 0, 3600)),
            "fallthrough": lambda o: put(fallthrough=values.zones(o, o.args) or zones),
            "namespaces": lambda o: put(namespaces=frozenset(o.some())),
            "namespace_labels": lambda o: put(namespace_labels=selector(o)),
            "labels": lambda o: put(labels=selector(o)),
            "noendpoints": lambda o: put(noendpoints=o.flag()),
            "kubeconfig": kubeconfig,
            "endpoint": lambda o: put(endpoint=o.one()),
            "tls": tls,
            "ignore": ignore,
            "apiserver_qps": accepted,
            "apiserver_burst": accepted,
            "apiserver_max_inflight": accepted,
            "startup_timeout": accepted,
        },
    )
    domain = names.to_text(domains[0]).removesuffix(".")
    return replace(KubernetesOptions(domain, reverse), **changes)


def autopath(line: Directive, server_zones: tuple[bytes, ...]) -> AutopathOptions:
    """``autopath [ZONE...] @kubernetes|RESOLV-CONF``"""
    *texts, source = line.some()
    zones = values.zones(line, texts) or server_zones
    if source == "@kubernetes":
        return AutopathOptions(zones, (), True)
    if source.startswith("@"):
        line.fail(f"{source[1:]} has no search paths; @kubernetes has")
    try:
        text = Path(source).read_text()
    except OSError as error:
        line.fail(f"cannot read {source}: {error.strerror}")
    search: tuple[str, ...] = ()
    for each in text.splitlines():
        words = each.split()
        if words and words[0] in ("search", "domain"):
            search = tuple(words[1:])
    if not search:
        line.fail(f'{source} has no line "search"')
    return AutopathOptions(zones, values.zones(line, search), False)
