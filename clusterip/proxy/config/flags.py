"""kube-proxy's flags, each with the field it sets. Upstream: ``cmd/kube-proxy/app/options.go``.

The help texts say what a flag does here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from clusterip.proxy.config import gates
from clusterip.proxy.config.durations import Duration
from clusterip.proxy.config.errors import ConfigurationError
from clusterip.proxy.config.types import KubeProxyConfiguration, VModule


class Flag(NamedTuple):
    """A flag. ``field`` is the path of what it sets, empty if that depends: :mod:`.load` knows."""

    name: str
    kind: str
    field: str
    help: str
    metavar: str = ""

    @property
    def is_switch(self) -> bool:
        """Whether it may stand alone, as in ``--masquerade-all``."""
        return self.kind == "bool"


def _int(text: str) -> int:
    return int(text, 0)


def _list(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _vmodule(text: str) -> list[VModule]:
    items = []
    for part in _list(text):
        pattern, equals, level = part.partition("=")
        if not equals:
            raise ValueError(f"{part!r} is not pattern=N")
        items.append(VModule(pattern, int(level)))
    return items


_PARSERS: dict[str, Callable[[str], Any]] = {
    "bool": gates.parse_bool,
    "string": str,
    "int": _int,
    "float": float,
    "duration": Duration.parse,
    "list": _list,
    "gates": gates.parse,
    "vmodule": _vmodule,
}

LOGGING = (
    Flag("v", "int", "logging.verbosity", "Log verbosity; 4 shows debug lines.", "N"),
    Flag(
        "vmodule",
        "vmodule",
        "logging.vmodule",
        "Accepted; verbosity is one for all files here.",
        "PATTERN=N,...",
    ),
    Flag("logging-format", "string", "logging.format", "text (logfmt lines) or json.", "FORMAT"),
    Flag("log-flush-frequency", "duration", "logging.flushFrequency", "Accepted; lines are never held back."),
    Flag("log-text-split-stream", "bool", "logging.options.text.splitStream", "Accepted; logs go to stderr."),
    Flag("log-text-info-buffer-size", "string", "logging.options.text.infoBufferSize", "Accepted."),
    Flag("log-json-split-stream", "bool", "logging.options.json.splitStream", "Accepted; logs go to stderr."),
    Flag("log-json-info-buffer-size", "string", "logging.options.json.infoBufferSize", "Accepted."),
)
"""Flags that count beside a configuration file too."""

ACTIONS = (
    Flag("config", "string", "", "The KubeProxyConfiguration to use; most flags then count no more.", "FILE"),
    Flag("write-config-to", "string", "", "Write the configuration to this file and end.", "FILE"),
    Flag(
        "cleanup",
        "bool",
        "",
        "Remove the proxy's rules (with --proxy-mode: that mode's alone) and end. With --cleanup-kube-proxy:"
        " kube-proxy's too.",
    ),
    Flag(
        "cleanup-kube-proxy",
        "bool",
        "",
        "Once the rules are in place, remove what kube-proxy has left behind.",
    ),
    Flag("init-only", "bool", "", "Do only what takes full root privileges (sysctls), and end."),
    Flag(
        "ebpf-cgroup",
        "string",
        "",
        "For --proxy-mode=ebpf: translate for the programs in this cgroup. Default: for all of the machine.",
        "DIR",
    ),
    Flag("master", "string", "", "The API server's URL, instead of the kubeconfig's.", "URL"),
    Flag(
        "hostname-override",
        "string",
        "hostnameOverride",
        "The name of this node's Node object. Default: the host's name. Counts beside --config too.",
        "NAME",
    ),
)
"""Flags that are no part of the configuration, and the one that wins over it."""

SETTINGS = (
    Flag(
        "kubeconfig",
        "string",
        "clientConnection.kubeconfig",
        "How to reach the API server. Default: $KUBECONFIG, ~/.kube/config, the Pod's service account.",
        "FILE",
    ),
    Flag("proxy-mode", "string", "mode", "How to program the kernel. Default: nftables.", "MODE"),
    Flag("feature-gates", "gates", "featureGates", "Accepted; none changes anything here.", "NAME=BOOL,..."),
    Flag(
        "kube-api-content-type",
        "string",
        "clientConnection.contentType",
        "How objects are asked for.",
        "TYPE",
    ),
    Flag(
        "kube-api-burst", "int", "clientConnection.burst", "Accepted; the proxy asks a handful of questions."
    ),
    Flag("kube-api-qps", "float", "clientConnection.qps", "Accepted; the proxy asks a handful of questions."),
    Flag(
        "bind-address",
        "string",
        "bindAddress",
        "This node's primary address, instead of the Node object's. Nothing is bound to it.",
        "IP",
    ),
    Flag(
        "healthz-bind-address",
        "string",
        "healthzBindAddress",
        'Where to serve /healthz and /livez. Default: 0.0.0.0:10256. "": nowhere.',
        "IP:PORT",
    ),
    Flag(
        "metrics-bind-address",
        "string",
        "metricsBindAddress",
        'Where to serve /metrics, /configz and /proxyMode. Default: 127.0.0.1:10249. "": nowhere.',
        "IP:PORT",
    ),
    Flag(
        "bind-address-hard-fail",
        "bool",
        "bindAddressHardFail",
        "End if an address above cannot be bound, instead of trying again.",
    ),
    Flag("profiling", "bool", "enableProfiling", "Accepted; there are no profiles to fetch."),
    Flag(
        "show-hidden-metrics-for-version",
        "string",
        "showHiddenMetricsForVersion",
        "Accepted; no metrics are hidden.",
        "VERSION",
    ),
    Flag("masquerade-all", "bool", "", "Masquerade all connections to ClusterIPs."),
    Flag(
        "detect-local-mode",
        "string",
        "detectLocalMode",
        "How to tell Pods' connections from others: ClusterCIDR (default), NodeCIDR, BridgeInterface or"
        " InterfaceNamePrefix.",
        "MODE",
    ),
    Flag(
        "cluster-cidr",
        "string",
        "clusterCIDR",
        "The Pods' addresses. Connections to ClusterIPs from elsewhere are masqueraded.",
        "CIDR[,CIDR]",
    ),
    Flag(
        "pod-bridge-interface",
        "string",
        "detectLocal.bridgeInterface",
        "With BridgeInterface: the bridge.",
        "NAME",
    ),
    Flag(
        "pod-interface-name-prefix",
        "string",
        "detectLocal.interfaceNamePrefix",
        "With InterfaceNamePrefix: what the names of the Pods' interfaces begin with.",
        "PREFIX",
    ),
    Flag(
        "nodeport-addresses",
        "list",
        "nodePortAddresses",
        "On which of the node's addresses node ports answer. Default with nftables: primary, the Node's own.",
        "CIDR[,CIDR]|primary",
    ),
    Flag("oom-score-adj", "int", "oomScoreAdj", "How unlikely the kernel ends the proxy for memory.", "N"),
    Flag("config-sync-period", "duration", "configSyncPeriod", "Accepted; watches need no refreshing."),
    Flag(
        "conntrack-max-per-core",
        "int",
        "conntrack.maxPerCore",
        "Connections to track per CPU; 0: as it is.",
        "N",
    ),
    Flag("conntrack-min", "int", "conntrack.min", "Connections to track at least.", "N"),
    Flag(
        "conntrack-tcp-timeout-established",
        "duration",
        "conntrack.tcpEstablishedTimeout",
        "How long an idle TCP connection is tracked; 0: as it is.",
    ),
    Flag(
        "conntrack-tcp-timeout-close-wait",
        "duration",
        "conntrack.tcpCloseWaitTimeout",
        "How long a TCP connection in CLOSE_WAIT is tracked.",
    ),
    Flag(
        "conntrack-tcp-be-liberal",
        "bool",
        "conntrack.tcpBeLiberal",
        "Never call a TCP packet invalid for its window.",
    ),
    Flag(
        "conntrack-udp-timeout",
        "duration",
        "conntrack.udpTimeout",
        "How long an unanswered UDP flow is tracked.",
    ),
    Flag(
        "conntrack-udp-timeout-stream",
        "duration",
        "conntrack.udpStreamTimeout",
        "How long a UDP flow is tracked.",
    ),
    Flag(
        "iptables-masquerade-bit",
        "int",
        "iptables.masqueradeBit",
        "The mark's bit in iptables and ipvs mode.",
        "N",
    ),
    Flag(
        "iptables-localhost-nodeports",
        "bool",
        "iptables.localhostNodePorts",
        "Node ports on loopback addresses.",
    ),
    Flag("iptables-sync-period", "duration", "", "Half of what a change may wait before /healthz fails."),
    Flag("iptables-min-sync-period", "duration", "", "The least time between two writes; 0: none."),
    Flag("ipvs-sync-period", "duration", "ipvs.syncPeriod", "The same for ipvs mode."),
    Flag("ipvs-min-sync-period", "duration", "ipvs.minSyncPeriod", "The same for ipvs mode."),
    Flag("ipvs-scheduler", "string", "ipvs.scheduler", "How IPVS chooses.", "NAME"),
    Flag(
        "ipvs-exclude-cidrs",
        "list",
        "ipvs.excludeCIDRs",
        "Addresses whose IPVS rules are not ours.",
        "CIDR,...",
    ),
    Flag("ipvs-strict-arp", "bool", "ipvs.strictARP", "Do not answer ARP for virtual addresses."),
    Flag("ipvs-tcp-timeout", "duration", "ipvs.tcpTimeout", "IPVS's timeout of idle TCP connections."),
    Flag("ipvs-tcpfin-timeout", "duration", "ipvs.tcpFinTimeout", "IPVS's timeout after a FIN."),
    Flag("ipvs-udp-timeout", "duration", "ipvs.udpTimeout", "IPVS's timeout of UDP flows."),
    Flag("healthz-port", "int", "", "Deprecated: the port alone of --healthz-bind-address; 0: nowhere."),
    Flag("metrics-port", "int", "", "Deprecated: the port alone of --metrics-bind-address; 0: nowhere."),
)
"""Flags that only count without a configuration file."""

_BY_NAME = {flag.name: flag for flag in (*LOGGING, *ACTIONS, *SETTINGS)}


def parse(name: str, text: str) -> Any:
    """A flag's value.

    Raises:
        ConfigurationError: the text is none.
    """
    try:
        return _PARSERS[_BY_NAME[name].kind](text)
    except ValueError as error:
        raise ConfigurationError(f'invalid argument "{text}" for "--{name}" flag: {error}') from None


def apply(config: KubeProxyConfiguration, given: Mapping[str, str], flags: tuple[Flag, ...]) -> None:
    """Set the fields of those of ``flags`` that were given. Raises ConfigurationError."""
    for flag in flags:
        if flag.name in given and flag.field:
            _set(config, flag.field, parse(flag.name, given[flag.name]))


def _set(config: KubeProxyConfiguration, path: str, value: Any) -> None:
    *sections, field = path.split(".")
    target: Any = config
    for section in sections:
        target = getattr(target, section)
    setattr(target, field, value)
