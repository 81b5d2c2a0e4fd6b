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
    if not domains or b"\0" in domains:
        line.fail('a cluster domain is needed, such as "kubernetes cluster.local"')
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

    def multicluster(option: Directive) -> None:
        found = values.zones(option, option.args)
        put(multicluster=tuple(names.to_text(each).removesuffix(".") for each in found))

    def startup_timeout(option: Directive) -> None:
        put(startup_timeout=values.duration(option, option.one()))

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
            "zonal": lambda o: put(zonal=o.flag()),
            "multicluster": multicluster,
            "kubeconfig": kubeconfig,
            "endpoint": lambda o: put(endpoint=o.some()[0]),  # further ones never counted
            "tls": tls,
            "ignore": ignore,
            "apiserver_qps": accepted,
            "apiserver_burst": accepted,
            "apiserver_max_inflight": accepted,
            "startup_timeout": startup_timeout,
            "upstream": lambda o: None,  # of old: names that an ExternalName points to were never asked of it
        },
    )
    if "namespaces" in changes and "namespace_labels" in changes:
        line.fail("namespaces and namespace_labels exclude each other")
    if "zonal" in changes and "noendpoints" in changes:
        line.fail("zonal names are made of endpoints: they cannot be without (noendpoints)")
    texts = [names.to_text(domain).removesuffix(".") for domain in domains]
    imported = changes.get("multicluster", ())
    for each in imported:
        if each not in texts:
            line.fail(f"multicluster: {each} is not one of the zones of this plugin")
    own = [text for text in texts if text not in imported]
    if not own:
        line.fail("a cluster domain is needed beside those of multicluster")
    return replace(KubernetesOptions(own[0], tuple(own[1:]), reverse_zones=reverse), **changes)


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
