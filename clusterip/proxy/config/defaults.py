"""What absent settings mean. Upstream: ``pkg/proxy/apis/config/v1alpha1/defaults.go``.

One differs: ``minSyncPeriod`` stays 0, because a change here costs no more than itself.
"""

from __future__ import annotations

import ipaddress

from clusterip.proxy.config.durations import Duration
from clusterip.proxy.config.types import KubeProxyConfiguration

HEALTHZ_PORT = 10256
METRICS_PORT = 10249
MASQUERADE_BIT = 14
_OOM_SCORE_ADJUSTMENT = -999
_SYNC_PERIOD = Duration.of(30)


def set_defaults(config: KubeProxyConfiguration) -> None:
    """Fill in what the file or the flags do not say."""
    config.bindAddress = config.bindAddress or "0.0.0.0"
    healthz, metrics = _default_hosts(config.bindAddress)
    config.healthzBindAddress = with_port(config.healthzBindAddress or healthz, HEALTHZ_PORT)
    config.metricsBindAddress = with_port(config.metricsBindAddress or metrics, METRICS_PORT)
    if config.oomScoreAdj is None:
        config.oomScoreAdj = _OOM_SCORE_ADJUSTMENT
    _set_mode_defaults(config)
    _set_conntrack_defaults(config)
    if not config.configSyncPeriod.nanoseconds:
        config.configSyncPeriod = Duration.of(15 * 60)
    client = config.clientConnection
    # kube-proxy asks for protobuf. Here JSON is decoded in C straight into what is kept, and wins by far.
    client.contentType = client.contentType or "application/json"
    client.qps = client.qps or 5.0
    client.burst = client.burst or 10
    logging = config.logging
    logging.format = logging.format or "text"
    if not logging.flushFrequency.nanoseconds:
        logging.flushFrequency = Duration.of(5)
    for routing in (logging.options.text, logging.options.json):
        routing.infoBufferSize = routing.infoBufferSize or "0"


def _set_mode_defaults(config: KubeProxyConfiguration) -> None:
    iptables, ipvs, nftables = config.iptables, config.ipvs, config.nftables
    for section in (iptables, ipvs, nftables):
        if not section.syncPeriod.nanoseconds:
            section.syncPeriod = _SYNC_PERIOD
    if iptables.localhostNodePorts is None:
        iptables.localhostNodePorts = True
    if not config.mode:
        # Somebody who let kube-proxy choose had its iptables mode: what that section says still counts.
        nftables.masqueradeAll = nftables.masqueradeAll or iptables.masqueradeAll
        if nftables.masqueradeBit is None:
            nftables.masqueradeBit = iptables.masqueradeBit
    if iptables.masqueradeBit is None:
        iptables.masqueradeBit = MASQUERADE_BIT
    if nftables.masqueradeBit is None:
        nftables.masqueradeBit = MASQUERADE_BIT


def _set_conntrack_defaults(config: KubeProxyConfiguration) -> None:
    conntrack = config.conntrack
    if conntrack.maxPerCore is None:
        conntrack.maxPerCore = 32 * 1024
    if conntrack.min is None:
        conntrack.min = 128 * 1024
    if conntrack.tcpEstablishedTimeout is None:
        conntrack.tcpEstablishedTimeout = Duration.of(24 * 3600)
    if conntrack.tcpCloseWaitTimeout is None:
        # As long as servers keep half-closed connections: kubernetes/kubernetes issue 32551.
        conntrack.tcpCloseWaitTimeout = Duration.of(3600)


def _default_hosts(bind_address: str) -> tuple[str, str]:
    """Where health and metrics are served if nothing is said: all addresses, and loopback."""
    try:
        version = ipaddress.ip_address(bind_address).version
    except ValueError:
        version = 6  # as upstream; validation refuses it later
    return ("0.0.0.0", "127.0.0.1") if version == 4 else ("::", "::1")


def with_port(address: str, port: int) -> str:
    """An IP address with a port; whatever has one, or is no address, stays as it is."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    return f"[{parsed}]:{port}" if parsed.version == 6 else f"{address}:{port}"
