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
    """The cluster domain, which PTR records point to."""
    more_domains: tuple[str, ...] = ()
    """Other domains under which the same names are."""
    multicluster: tuple[str, ...] = ()
    """Domains of Services imported from other clusters (KEP-1645)."""
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
    zonal: bool = False
    """Headless Services also answer under names that ask for the endpoints of one topology zone."""
    ignore_empty_service: bool = False
    startup_timeout: float = 5.0
    """How long questions wait at the start for everything to be known."""
    kubeconfig: str | None = None
    context: str | None = None
    endpoint: str | None = None
    tls: tuple[str, str, str] | None = None
    """Files of a certificate, its key and the authority's certificate, for ``endpoint``."""


@dataclass(frozen=True)
class Target:
    """One upstream of ``forward``."""

    address: str
    """``ADDRESS``, ``ADDRESS:PORT``, ``HOST``, ``HOST:PORT`` or a file like /etc/resolv.conf."""
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
    read_timeout: float = 2.0
    """Seconds that one upstream gets for an answer."""
    max_connect_attempts: int | None = None
    """How often upstreams are asked for one question; None: each twice, 0: as long as there is time."""
    next_codes: frozenset[int] = frozenset()
    """Answers with these response codes are left to the next ``forward``."""
    next_on_nodata: bool = False
    failover: frozenset[int] = frozenset()
    """After an answer with these codes the next upstream is asked, as after none."""
    failfast: bool = False
    """SERVFAIL at once if no upstream is up, rather than trying one."""
    source_address: str = ""
    resolver: tuple[str, ...] = ()
    """Whom to ask at the start for the addresses of upstreams that are given by name; empty: the system."""
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
    verify_timeout: float = 0.0
    """Seconds to wait for upstreams before a stale answer is given; 0: for as long as they may take."""
    stale_ttl: int = 0
    failure_recheck: float = 0.0
    """Seconds for which upstreams that failed are not asked again about a stale answer."""
    prefer_positive: bool = False
    """A stale positive answer goes before a fresh denial."""
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
    fallthrough_unsupported: bool = False
    """Also types other than A, AAAA and PTR of names that are in the table fall through."""


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

    field: Literal["name", "type", "class", "ttl", "rcode", "cname", "edns0"]
    where: Where
    go_on: bool = False
    match: Match = Match("exact", "")
    to: str = ""
    auto: bool = False
    answers: tuple[AnswerRule, ...] = ()
    numbers: tuple[int, int] = (0, 0)
    """From and to: types, classes or codes; of ``ttl`` the least and the greatest."""
    edns: EdnsRule | None = None


@dataclass(frozen=True)
class EdnsRule:
    """``rewrite edns0``: an option of the query is added, changed or removed."""

    kind: Literal["local", "nsid", "subnet"]
    action: Literal["set", "append", "replace", "unset"]
    code: int = 0
    data: bytes = b""
    variable: str = ""
    """What the data is of each query, such as ``client_ip``; "": ``data``."""
    prefixes: tuple[int, int] = (0, 0)
    """Bits of an IPv4 and of an IPv6 client's address that ``subnet`` tells."""
    revert: bool = False
    """The answer does not carry the option."""


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
    extended_error: int | None = None
    extra_reason: str = ""
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
class Consolidation:
    """``errors { consolidate }``: failures that are counted together, and logged as a number."""

    seconds: float
    pattern: re.Pattern[str]
    level: Literal["debug", "info", "warning", "error"] = "error"
    show_first: bool = False


@dataclass(frozen=True)
class Chaos:
    """``chaos``: what the names of class CHAOS say."""

    version: str = ""
    """"": that of this program."""
    authors: tuple[str, ...] = ()


@dataclass(frozen=True)
class HeaderRule:
    """One line of ``header``."""

    response: bool
    """It is for answers, else for questions."""
    on: bool
    flags: int
    """Header flags, as in a message."""


@dataclass(frozen=True)
class LoadbalanceOptions:
    """``loadbalance``: which of several addresses comes first."""

    prefer: tuple[Network, ...] = ()
    weights: str = ""
    """A file of weights; "": all addresses take turns."""
    reload: float = 30.0


@dataclass(frozen=True)
class TransferOptions:
    """``transfer``: who may have a whole zone (RFC 5936)."""

    zones: tuple[bytes, ...]
    to: tuple[Network, ...] = ()
    anyone: bool = False


@dataclass(frozen=True)
class TlsOptions:
    """``tls``: files of the server's certificate and key, and what is asked of clients."""

    certificate: str
    key: str
    authority: str = ""
    """For clients' certificates; "": the system's."""
    client_auth: Literal["nocert", "request", "require", "verify_if_given", "require_and_verify"] = "nocert"
    keylog: str = ""


@dataclass(frozen=True)
class TcpLimits:
    """``timeouts``: how long a TCP or TLS connection may be idle, and how many questions it may ask."""

    idle: float = 10.0
    queries: int = 0
    """0: any number."""


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
    errors: tuple[Consolidation, ...] | None = None
    """None: failures are not logged."""
    any: bool = False
    """Questions of type ANY get the short answer of RFC 8482."""
    minimal: bool = False
    whoami: bool = False
    local: Literal["off", "names", "prefixes"] = "off"
    """Whether names of this machine are answered here; with ``prefixes`` also ``localhost.ANY.DOMAIN``."""
    nsid: str | None = None
    chaos: Chaos | None = None
    bufsize: int = 0
    """The largest answer over UDP, whatever a client allows; 0: no limit of its own."""
    headers: tuple[HeaderRule, ...] = ()
    loadbalance: LoadbalanceOptions | None = None
    transfers: tuple[TransferOptions, ...] = ()
    metadata: tuple[bytes, ...] = ()
    """Zones of which what is known of a query can be put into texts."""
    tls: TlsOptions | None = None
    tcp: TcpLimits = TcpLimits()
    plugins: Mapping[str, Where] = field(default_factory=dict)
    """All plugins named, and where."""


@dataclass(frozen=True)
class Config:
    """A whole configuration."""

    servers: tuple[ServerOptions, ...]
    files: tuple[str, ...] = ()
    """What it was read from, imported files included."""
    health: tuple[str, ...] = ()
    """``HOST:PORT`` each."""
    lameduck: float = 0.0
    """Seconds to go on answering after being told to stop."""
    ready: tuple[str, ...] = ()
    ready_continuously: bool = False
    prometheus: tuple[str, ...] = ()
    reload: bool = False
    """Follow changes of the files."""
