"""``KubeProxyConfiguration``, ``kubeproxy.config.k8s.io/v1alpha1``, field by field.

Upstream: ``staging/src/k8s.io/kube-proxy/config/v1alpha1/types.go``. Attributes carry the file's names; the
values here are what Go starts with, :mod:`.defaults` says what an absent field then means. None is a field
that was not given, where that differs from its zero.
"""

from __future__ import annotations

from typing import Any

import msgspec

from clusterip.proxy.config.durations import Duration

API_VERSION = "kubeproxy.config.k8s.io/v1alpha1"
KIND = "KubeProxyConfiguration"

ZERO = Duration(0)

PROXY_MODES = ("iptables", "ipvs", "nftables")
LOCAL_MODES = ("ClusterCIDR", "NodeCIDR", "BridgeInterface", "InterfaceNamePrefix")
PRIMARY = "primary"


class IPTables(msgspec.Struct):
    """Settings of kube-proxy's iptables mode."""

    masqueradeBit: int | None = None
    masqueradeAll: bool = False
    localhostNodePorts: bool | None = None
    syncPeriod: Duration = ZERO
    minSyncPeriod: Duration = ZERO


class IPVS(msgspec.Struct):
    """Settings of kube-proxy's ipvs mode."""

    syncPeriod: Duration = ZERO
    minSyncPeriod: Duration = ZERO
    scheduler: str = ""
    excludeCIDRs: list[str] | None = None
    strictARP: bool = False
    tcpTimeout: Duration = ZERO
    tcpFinTimeout: Duration = ZERO
    udpTimeout: Duration = ZERO


class NFTables(msgspec.Struct):
    """Settings of the nftables mode."""

    masqueradeBit: int | None = None
    masqueradeAll: bool = False
    syncPeriod: Duration = ZERO
    """Half of how long a change may wait for the kernel before the proxy counts as unhealthy."""
    minSyncPeriod: Duration = ZERO
    """The least time between two writes to the kernel; 0: write at once."""


class Conntrack(msgspec.Struct):
    """The kernel's connection tracking; 0 leaves a value as it is."""

    maxPerCore: int | None = None
    min: int | None = None
    tcpEstablishedTimeout: Duration | None = None
    tcpCloseWaitTimeout: Duration | None = None
    tcpBeLiberal: bool = False
    udpTimeout: Duration = ZERO
    udpStreamTimeout: Duration = ZERO


class Winkernel(msgspec.Struct):
    """Settings of Windows nodes."""

    networkName: str = ""
    sourceVip: str = ""
    enableDSR: bool = False
    rootHnsEndpointName: str = ""
    forwardHealthCheckVip: bool = False


class DetectLocal(msgspec.Struct):
    """Where Pods' packets come in, for the modes that tell them by interface."""

    bridgeInterface: str = ""
    interfaceNamePrefix: str = ""


class ClientConnection(msgspec.Struct):
    """How to talk to the API server."""

    kubeconfig: str = ""
    acceptContentTypes: str = ""
    contentType: str = ""
    qps: float = 0
    burst: int = 0


class OutputRouting(msgspec.Struct, omit_defaults=True):
    splitStream: bool = False
    infoBufferSize: str | int = ""


class LogOptions(msgspec.Struct, omit_defaults=True):
    text: OutputRouting = msgspec.field(default_factory=OutputRouting)
    json: OutputRouting = msgspec.field(default_factory=OutputRouting)


class VModule(msgspec.Struct):
    filePattern: str = ""
    verbosity: int = 0


class Logging(msgspec.Struct, omit_defaults=True):
    """``k8s.io/component-base/logs/api/v1``."""

    format: str = ""
    flushFrequency: Duration = ZERO
    verbosity: int = 0
    vmodule: list[VModule] = []
    options: LogOptions = msgspec.field(default_factory=LogOptions)


class KubeProxyConfiguration(msgspec.Struct):
    """All that kube-proxy's configuration file can say."""

    kind: str = KIND
    apiVersion: str = API_VERSION
    featureGates: dict[str, bool] = {}
    clientConnection: ClientConnection = msgspec.field(default_factory=ClientConnection)
    logging: Logging = msgspec.field(default_factory=Logging)
    hostnameOverride: str = ""
    bindAddress: str = ""
    healthzBindAddress: str = ""
    metricsBindAddress: str = ""
    bindAddressHardFail: bool = False
    enableProfiling: bool = False
    showHiddenMetricsForVersion: str = ""
    mode: str = ""
    iptables: IPTables = msgspec.field(default_factory=IPTables)
    ipvs: IPVS = msgspec.field(default_factory=IPVS)
    nftables: NFTables = msgspec.field(default_factory=NFTables)
    winkernel: Winkernel = msgspec.field(default_factory=Winkernel)
    detectLocalMode: str = ""
    detectLocal: DetectLocal = msgspec.field(default_factory=DetectLocal)
    clusterCIDR: str = ""
    nodePortAddresses: list[str] | None = None
    oomScoreAdj: int | None = None
    conntrack: Conntrack = msgspec.field(default_factory=Conntrack)
    configSyncPeriod: Duration = ZERO
    portRange: str = ""
    windowsRunAsService: bool = False

    @property
    def section(self) -> IPTables | IPVS | NFTables:
        """The settings of the mode; nftables' as long as there is none."""
        if self.mode == "iptables":
            return self.iptables
        return self.ipvs if self.mode == "ipvs" else self.nftables

    @property
    def cluster_cidrs(self) -> list[str]:
        """``clusterCIDR`` split at its commas."""
        return [part.strip() for part in self.clusterCIDR.split(",")] if self.clusterCIDR else []


def tree_of(config: KubeProxyConfiguration) -> dict[str, Any]:
    """The configuration as the file would say it, for YAML and JSON."""

    def plain(value: Any) -> Any:
        if isinstance(value, Duration):
            return str(value)
        raise NotImplementedError(type(value))

    tree: dict[str, Any] = msgspec.to_builtins(config, enc_hook=plain)
    for name in ("featureGates", "windowsRunAsService"):  # Go leaves these out when empty
        if not tree[name]:
            del tree[name]
    # These Go writes although they are zero.
    tree["logging"].setdefault("verbosity", 0)
    return tree
