"""The configuration as the server uses it: one type per plugin, all values checked.

Names, defaults and limits are CoreDNS's, so that a cluster's Corefile means the same here
(coredns/coredns, ``plugin/*/README.md``). Durations are in seconds.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from clusterip.dns.config.source import Where

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
PodMode = Literal["disabled", "insecure", "verified"]
Policy = Literal["random", "round_robin", "sequential"]

_WELL_KNOWN_PREFIX = ipaddress.IPv6Network("64:ff9b::/96")


@dataclass(frozen=True)
class KubernetesOptions:
    """``kubernetes``: the cluster's names. Zones are wire names in lower case."""

    domain: str
    reverse_zones: tuple[bytes, ...] = ()
    """Which of the reverse trees are answered."""
    pods: PodMode = "disabled"
    endpoint_pod_names: bool = False
    ttl: int = 5
    fallthrough: tuple[bytes, ...] = ()
    """Zones in which a name that does not exist is left to the plugins after this one."""
    namespaces: frozenset[str] = frozenset()
    """The only namespaces shown; empty: all."""
    namespace_labels: str = ""
    labels: str = ""
    noendpoints: bool = False
    ignore_empty_service: bool = False
    kubeconfig: str | None = None
    context: str | None = None
    endpoint: str | None = None
    tls: tuple[str, str, str] | None = None
    """Files of a certificate, its key and the authority's certificate, for ``endpoint``."""


@dataclass(frozen=True)
class Target:
    """One upstream of ``forward``."""

    address: str
    """``ADDRESS``, ``ADDRESS:PORT`` or a file like /etc/resolv.conf."""
    tls: bool = False
    server_name: str = ""
    """The name that its certificate must have (``tls://ADDRESS%NAME``)."""


@dataclass(frozen=True)
class ForwardOptions:
    """``forward``: where to ask for other names."""

    origin: bytes
    targets: tuple[Target, ...]
    where: Where
    excepted: tuple[bytes, ...] = ()
    policy: Policy = "random"
    max_fails: int = 2
    """Failed health checks after which an upstream is down; 0: never."""
    health_check: float = 0.5
    """Seconds between health checks of an upstream that failed."""
    health_check_domain: str = "."
    health_check_recursive: bool = True
    max_concurrent: int = 0
    """Questions under way at which more get REFUSED; 0: no limit."""
    force_tcp: bool = False
    prefer_udp: bool = False
    expire: float = 10.0
    """Seconds for which an idle connection is kept."""
    tls: tuple[str, ...] = ()
    """``[CERT KEY [CA]]`` or ``CA``, files."""
    tls_servername: str = ""


@dataclass(frozen=True)
class Capacity:
    """How many answers of a kind are remembered, and for how long."""

    size: int = 9984
    max_ttl: int = 3600
    min_ttl: int = 5


@dataclass(frozen=True)
class Prefetch:
    """Ask again before a popular answer expires: after ``amount`` questions less than ``duration`` apart."""

    amount: int
    duration: float = 60.0
    percentage: int = 10


@dataclass(frozen=True)
class CacheOptions:
    """``cache``: what is remembered of the plugins after it."""

    zones: tuple[bytes, ...]
    success: Capacity = Capacity()
    denial: Capacity = Capacity(max_ttl=1800)
    prefetch: Prefetch | None = None
    serve_stale: float | None = None
    """For how long after its end an answer may still be given if upstreams fail."""
    serve_stale_refresh: Literal["verify", "immediate"] = "immediate"
    servfail: float = 5.0
    disable: tuple[tuple[Literal["success", "denial"], tuple[bytes, ...]], ...] = ()
    keepttl: bool = False


@dataclass(frozen=True)
class HostsOptions:
    """``hosts``: names as in /etc/hosts."""

    file: str
    zones: tuple[bytes, ...]
    lines: tuple[str, ...] = ()
    ttl: int = 3600
    reload: float = 5.0
    """Seconds between looks at the file; 0: never again."""
    no_reverse: bool = False
    fallthrough: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class Match:
    """Which names a rewrite rule is for."""

    kind: Literal["exact", "prefix", "suffix", "substring", "regex"]
    text: str
    pattern: re.Pattern[str] | None = None


@dataclass(frozen=True)
class AnswerRule:
    """What is changed in an answer after a rewritten question."""

    kind: Literal["name", "value"]
    pattern: re.Pattern[str]
    to: str


@dataclass(frozen=True)
class RewriteRule:
    """One ``rewrite``."""

    field: Literal["name", "type", "class", "ttl", "rcode"]
    where: Where
    go_on: bool = False
    match: Match = Match("exact", "")
    to: str = ""
    auto: bool = False
    answers: tuple[AnswerRule, ...] = ()
    numbers: tuple[int, int] = (0, 0)
    """From and to: types, classes or codes; of ``ttl`` the least and the greatest."""


@dataclass(frozen=True)
class TemplateOptions:
    """``template``: answers made of the question. Texts are Go templates."""

    class_: int
    type: int
    """255: any."""
    zones: tuple[bytes, ...]
    where: Where
    matches: tuple[re.Pattern[str], ...] = ()
    answer: tuple[str, ...] = ()
    additional: tuple[str, ...] = ()
    authority: tuple[str, ...] = ()
    rcode: int = 0
    fallthrough: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class AutopathOptions:
    """``autopath``: follow a Pod's search path for it."""

    zones: tuple[bytes, ...]
    search: tuple[bytes, ...]
    """The domains of a resolv.conf, after the cluster's own."""
    kubernetes: bool


@dataclass(frozen=True)
class AclRule:
    """One line of ``acl``."""

    action: Literal["allow", "block", "filter", "drop"]
    zones: tuple[bytes, ...]
    types: frozenset[int] = frozenset()
    """Empty: all."""
    networks: tuple[Network, ...] = ()
    """Empty: all."""


@dataclass(frozen=True)
class LogOptions:
    """``log``: a line for each query."""

    zones: tuple[bytes, ...]
    format: str
    classes: frozenset[str] = frozenset({"all"})


@dataclass(frozen=True)
class Dns64Options:
    """``dns64``: IPv6 addresses for names that have only IPv4 ones (RFC 6147)."""

    prefix: ipaddress.IPv6Network = _WELL_KNOWN_PREFIX
    translate_all: bool = False
    allow_ipv4: bool = False


@dataclass(frozen=True)
class ServerOptions:
    """A server block."""

    zones: tuple[bytes, ...]
    port: int
    where: Where
    scheme: Literal["dns", "tls"] = "dns"
    bind: tuple[str, ...] = ("",)
    """Addresses; "": all."""
    kubernetes: KubernetesOptions | None = None
    forwards: tuple[ForwardOptions, ...] = ()
    cache: CacheOptions | None = None
    hosts: HostsOptions | None = None
    rewrites: tuple[RewriteRule, ...] = ()
    templates: tuple[TemplateOptions, ...] = ()
    autopath: AutopathOptions | None = None
    acl: tuple[AclRule, ...] = ()
    logs: tuple[LogOptions, ...] = ()
    dns64: Dns64Options | None = None
    ttl: tuple[int, int] | None = None
    """Least and greatest TTL of any answer."""
    loop: bool = False
    errors: bool = False
    tls: tuple[str, ...] = ()
    """Of ``tls``: certificate, key and perhaps authorities for clients, files."""
    plugins: Mapping[str, Where] = field(default_factory=dict)
    """All plugins named, and where."""


@dataclass(frozen=True)
class Config:
    """A whole configuration."""

    servers: tuple[ServerOptions, ...]
    files: tuple[str, ...] = ()
    """What it was read from, imported files included."""
    health: str = ""
    """``HOST:PORT``; "": nowhere."""
    lameduck: float = 0.0
    """Seconds to go on answering after being told to stop."""
    ready: str = ""
    prometheus: str = ""
    reload: bool = False
    """Follow changes of the files."""
