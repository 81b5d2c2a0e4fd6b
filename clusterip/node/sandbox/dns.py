"""A Pod's ``resolv.conf``: where its programs ask for names, by ``dnsPolicy`` and ``dnsConfig``.

The rules are upstream's, ``pkg/kubelet/network/dns/dns.go``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from clusterip.objects.core.pod import Pod

_MAXIMUM_NAMESERVERS = 3
_MAXIMUM_SEARCHES = 32
_MAXIMUM_SEARCH_CHARACTERS = 2048
_CLUSTER_OPTIONS = ("ndots:5",)


@dataclass
class Resolver:
    """The content of a ``resolv.conf``."""

    nameservers: list[str] = field(default_factory=list)
    searches: list[str] = field(default_factory=list)
    options: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"search {' '.join(self.searches)}"] if self.searches else []
        lines += [f"nameserver {address}" for address in self.nameservers]
        if self.options:
            lines.append(f"options {' '.join(self.options)}")
        return "\n".join(lines) + "\n"


def parse(text: str) -> Resolver:
    """A ``resolv.conf`` as the C library reads it: the last ``search`` counts."""
    resolver = Resolver()
    for line in text.splitlines():
        words = line.split("#", 1)[0].split(";", 1)[0].split()
        if not words:
            continue
        keyword, values = words[0], words[1:]
        if keyword == "nameserver" and values:
            resolver.nameservers.append(values[0])
        elif keyword in ("search", "domain"):
            resolver.searches = [value.rstrip(".") or "." for value in values]
        elif keyword == "options":
            resolver.options = values
    return resolver


def resolver_for(pod: Pod, *, servers: Sequence[str], domain: str, host: Resolver) -> Resolver:
    """What a Pod's resolver configuration should be, whether or not it fits in a ``resolv.conf``.

    ``servers`` are the cluster's, ``host`` is the node's own.
    """
    policy = pod.spec.dnsPolicy or "ClusterFirst"
    if policy == "ClusterFirst" and pod.spec.hostNetwork:
        policy = "Default"
    if policy == "None":
        resolver = Resolver()
    elif policy == "Default" or not servers:
        resolver = Resolver(list(host.nameservers), list(host.searches), list(host.options))
    else:
        namespace = pod.metadata.namespace
        own = [f"{namespace}.svc.{domain}", f"svc.{domain}", domain] if domain else []
        resolver = Resolver(list(servers), _unique([*own, *host.searches]), list(_CLUSTER_OPTIONS))
    if config := pod.spec.dnsConfig:
        resolver.nameservers = _unique([*resolver.nameservers, *config.nameservers])
        resolver.searches = _unique([*resolver.searches, *config.searches])
        options = {option.partition(":")[0]: option for option in resolver.options}
        for option in config.options:
            options[option.name] = f"{option.name}:{option.value}" if option.value else option.name
        resolver.options = list(options.values())
    return resolver


def read_host(path: Path) -> Resolver:
    """The node's own configuration; an empty one if the file is not there."""
    try:
        return parse(path.read_text(errors="replace"))
    except (FileNotFoundError, IsADirectoryError):
        return Resolver()


def problems_of(pod: Pod, wanted: Resolver, servers: Sequence[str]) -> dict[str, str]:
    """What of a Pod's wishes cannot be: reasons of Events and their messages, in upstream's words."""
    found = {}
    policy = pod.spec.dnsPolicy or "ClusterFirst"
    if policy == "ClusterFirst" and pod.spec.hostNetwork:
        policy = "Default"
    if policy.startswith("ClusterFirst") and not servers:
        name = f"{pod.metadata.name}_{pod.metadata.namespace}({pod.metadata.uid})"
        found["MissingClusterDNS"] = (
            f'pod: "{name}". kubelet does not have ClusterDNS IP configured and cannot create Pod using '
            f'"{policy}" policy. Falling back to "Default" policy.'
        )
    applied = limited(wanted)
    if applied.nameservers != wanted.nameservers:
        found["DNSConfigForming"] = (
            "Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver "
            f"line is: {' '.join(applied.nameservers)}"
        )
    elif applied.searches != wanted.searches:
        found["DNSConfigForming"] = (
            "Search Line limits were exceeded, some search paths have been omitted, the applied search "
            f"line is: {' '.join(applied.searches)}"
        )
    return found


def limited(resolver: Resolver) -> Resolver:
    """As much of it as the C library takes."""
    searches: list[str] = []
    for search in resolver.searches[:_MAXIMUM_SEARCHES]:
        if len(" ".join([*searches, search])) > _MAXIMUM_SEARCH_CHARACTERS:
            break
        searches.append(search)
    return Resolver(resolver.nameservers[:_MAXIMUM_NAMESERVERS], searches, resolver.options)


def _unique(values: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(values))
