"""What a configuration must not say. Upstream: ``pkg/proxy/apis/config/validation/validation.go``."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Collection, Iterator

from clusterip.proxy.config.durations import Duration
from clusterip.proxy.config.errors import ConfigurationError
from clusterip.proxy.config.types import (
    LOCAL_MODES,
    PRIMARY,
    PROXY_MODES,
    Conntrack,
    KubeProxyConfiguration,
    Logging,
)

_MAX_INT32 = (1 << 31) - 1
_NOT_NEGATIVE = "must be greater than or equal to 0"


def validate(config: KubeProxyConfiguration, modes: Collection[str] = PROXY_MODES) -> None:
    """Check a configuration that has its defaults; ``modes`` are the data planes there are.

    Raises:
        ConfigurationError: naming every field that cannot be used, and why.
    """
    problems = [
        f"{field}: Invalid value: {_shown(value)}: {why}" for field, value, why in _problems(config, modes)
    ]
    if problems:
        raise ConfigurationError("; ".join(problems))


Problem = tuple[str, object, str]
"""The field, what it says, and what is wrong with that."""


def _problems(config: KubeProxyConfiguration, modes: Collection[str]) -> Iterator[Problem]:
    for name, section in (("iptables", config.iptables), ("nftables", config.nftables)):
        bit = section.masqueradeBit
        if bit is not None and not 0 <= bit <= 31:
            yield f"{name}.masqueradeBit", bit, "must be within the range [0, 31]"
    yield from _mode(config, modes)
    yield from _conntrack(config.conntrack)
    if config.oomScoreAdj is not None and not -1000 <= config.oomScoreAdj <= 1000:
        yield "oomScoreAdj", config.oomScoreAdj, "must be within the range [-1000, 1000]"
    if config.clientConnection.burst < 0:
        yield "clientConnection.burst", config.clientConnection.burst, _NOT_NEGATIVE
    if config.configSyncPeriod.nanoseconds <= 0:
        yield "configSyncPeriod", config.configSyncPeriod, "must be greater than 0"
    if _parsed(ipaddress.ip_address, config.bindAddress) is None:
        yield "bindAddress", config.bindAddress, "not a valid textual representation of an IP address"
    for field in ("healthzBindAddress", "metricsBindAddress"):
        address = getattr(config, field)
        if address and (why := _host_port(address)):
            yield field, address, why
    yield from _node_port_addresses(config.nodePortAddresses or [])
    version = config.showHiddenMetricsForVersion
    if version and not _is_minor_version(version):
        yield "showHiddenMetricsForVersion", version, "must be the previous minor version, such as 1.35"
    yield from _detect_local(config)
    yield from _logging(config.logging)


def _mode(config: KubeProxyConfiguration, modes: Collection[str]) -> Iterator[Problem]:
    if config.mode not in modes:
        known = ", ".join(modes)
        why = (
            f"there is no such data plane here; use {known}"
            if config.mode in PROXY_MODES
            else f"must be {known} or blank (blank means {next(iter(modes))})"
        )
        yield "mode", config.mode, why
        return
    sync, least = config.section.syncPeriod, config.section.minSyncPeriod
    if sync.nanoseconds <= 0:
        yield f"{config.mode}.syncPeriod", sync, "must be greater than 0"
    if least.nanoseconds < 0:
        yield f"{config.mode}.minSyncPeriod", least, _NOT_NEGATIVE
    if least.nanoseconds > sync.nanoseconds:
        yield (
            f"{config.mode}.syncPeriod",
            sync,
            f"must be greater than or equal to {config.mode}.minSyncPeriod",
        )
    if config.mode == "ipvs":
        yield from _not_negative("ipvs", config.ipvs, ("tcpTimeout", "tcpFinTimeout", "udpTimeout"))
        for index, text in enumerate(config.ipvs.excludeCIDRs or ()):
            if not _is_cidr(text):
                yield f"ipvs.excludeCIDRs[{index}]", text, "must be a valid CIDR"


def _conntrack(conntrack: Conntrack) -> Iterator[Problem]:
    for field in ("maxPerCore", "min"):
        number = getattr(conntrack, field)
        if number is not None and number < 0:
            yield f"conntrack.{field}", number, _NOT_NEGATIVE
    timeouts = ("tcpEstablishedTimeout", "tcpCloseWaitTimeout", "udpTimeout", "udpStreamTimeout")
    yield from _not_negative("conntrack", conntrack, timeouts)


def _not_negative(name: str, section: object, fields: tuple[str, ...]) -> Iterator[Problem]:
    for field in fields:
        value = getattr(section, field)
        if isinstance(value, Duration) and value.nanoseconds < 0:
            yield f"{name}.{field}", value, _NOT_NEGATIVE


def _node_port_addresses(addresses: list[str]) -> Iterator[Problem]:
    for index, text in enumerate(addresses):
        if text == PRIMARY:
            if len(addresses) != 1:
                yield f"nodePortAddresses[{index}]", text, "can't use both 'primary' and CIDRs"
            return
        if not _is_cidr(text):
            yield f"nodePortAddresses[{index}]", text, "must be a valid CIDR"


def _detect_local(config: KubeProxyConfiguration) -> Iterator[Problem]:
    mode = config.detectLocalMode
    if mode not in LOCAL_MODES:
        yield "detectLocalMode", mode, f"must be one of {', '.join(LOCAL_MODES)}"
    needed = {"BridgeInterface": "bridgeInterface", "InterfaceNamePrefix": "interfaceNamePrefix"}.get(mode)
    if needed is not None:
        name = getattr(config.detectLocal, needed)
        if not name:
            yield f"detectLocal.{needed}", name, f"must not be empty with detectLocalMode {mode}"
        elif len(name.encode()) > 15:
            yield f"detectLocal.{needed}", name, "must be no longer than 15 bytes, as interface names are"
    cidrs = config.cluster_cidrs
    if mode != "ClusterCIDR" or not cidrs:
        return
    bad = [text for text in cidrs if not _is_cidr(text)]
    for text in bad:
        yield "clusterCIDR", text, "must be a valid CIDR block (e.g. 10.100.0.0/16 or fde4:8dba:82e1::/48)"
    if not bad and (
        len(cidrs) > 2 or len({ipaddress.ip_network(c, strict=False).version for c in cidrs}) < len(cidrs)
    ):
        yield "clusterCIDR", config.clusterCIDR, "must be a single CIDR or a dual-stack pair of CIDRs"


def _logging(logging: Logging) -> Iterator[Problem]:
    if logging.flushFrequency.nanoseconds <= 0:
        yield "logging.flushFrequency", logging.flushFrequency, "Must be greater than zero"
    if logging.format not in ("text", "json"):
        yield "logging.format", logging.format, "Unsupported log format"
    if not 0 <= logging.verbosity <= _MAX_INT32:
        yield "logging.verbosity", logging.verbosity, f"Must be within 0 and {_MAX_INT32}"
    for index, item in enumerate(logging.vmodule):
        if not item.filePattern or set("=,") & set(item.filePattern):
            why = "File pattern must not be empty, nor contain equal sign or comma"
            yield f"logging.vmodule[{index}]", item.filePattern, why


def _host_port(address: str) -> str:
    host, colon, port = address.rpartition(":")
    if not colon or (":" in host and not (host.startswith("[") and host.endswith("]"))):
        return "must be IP:port"
    if _parsed(ipaddress.ip_address, host.strip("[]")) is None:
        return "must be a valid IP"
    if not (port.isascii() and port.isdecimal() and 1 <= int(port) <= 65535):
        return "must be a valid port"
    return ""


def _is_minor_version(text: str) -> bool:
    major, dot, minor = text.partition(".")
    return bool(dot) and major.isdecimal() and minor.isdecimal()


def _is_cidr(text: str) -> bool:
    return "/" in text and _parsed(lambda value: ipaddress.ip_network(value, strict=False), text) is not None


def _parsed(parse: Callable[[str], object], text: str) -> object | None:
    try:
        return parse(text)
    except ValueError:
        return None


def _shown(value: object) -> str:
    return f'"{value}"' if isinstance(value, str | Duration) else str(value)
