"""From the command line and the file to one configuration, with upstream's precedence."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from clusterip.proxy.config import defaults, file, flags, gates
from clusterip.proxy.config.errors import ConfigurationError
from clusterip.proxy.config.types import PRIMARY, KubeProxyConfiguration
from clusterip.proxy.config.validation import validate
from clusterip.proxy.options import Options


def load(
    given: Mapping[str, str], modes: Collection[str], on_primary: Collection[str] = ("nftables",)
) -> Options:
    """What flags (as the command line has them) and the file they name come to.

    With ``--config`` the file says everything but how to log, the node's name, and what to do at all; what
    other flags say beside it does not count, and a warning says so. ``modes`` are the data planes there
    are, the first the default; with those ``on_primary`` node ports by default answer on the Node's own
    addresses.

    Raises:
        ConfigurationError: a flag or the file cannot be used; says which field and why.
    """
    config_file = given.get("config", "")
    if config_file:
        config, warnings = _from_file(config_file, given)
    else:
        config, warnings = _from_flags(given), []
    _set_node_name(config, given)
    if not config.mode:
        config.mode = next(iter(modes))
    if config.mode in on_primary and not config.nodePortAddresses:
        config.nodePortAddresses = [PRIMARY]
    config.detectLocalMode = config.detectLocalMode or "ClusterCIDR"
    without_effect = list(gates.check(config.featureGates))
    if without_effect:
        warnings.append(f"feature gates that change nothing in this proxy: {', '.join(without_effect)}")
    if config.enableProfiling:
        warnings.append(
            "enableProfiling: there are no profiles to fetch; py-spy looks into a running process"
        )
    validate(config, modes)
    options = Options(
        config,
        config_file=config_file,
        master=given.get("master", ""),
        ebpf_cgroup=given.get("ebpf-cgroup", ""),
        write_config_to=given.get("write-config-to", ""),
        cleanup_modes=(config.mode,) if "proxy-mode" in given else tuple(modes),
        warnings=tuple(warnings),
    )
    switches = {
        name.replace("-", "_"): flags.parse(name, given[name])
        for name in ("cleanup", "cleanup-kube-proxy", "init-only")
        if name in given
    }
    return replace(options, **switches)


def _from_file(path: str, given: Mapping[str, str]) -> tuple[KubeProxyConfiguration, list[str]]:
    config, complaints = file.read(path)
    warnings = []
    if complaints:
        warnings.append(f"{path} is not quite a KubeProxyConfiguration: {'; '.join(complaints)}")
    defaults.set_defaults(config)
    flags.apply(config, given, flags.LOGGING)
    ignored = [f"--{flag.name}" for flag in flags.SETTINGS if flag.name in given]
    for flag in flags.SETTINGS:  # a typing mistake is one even where it does not count
        if flag.name in given:
            flags.parse(flag.name, given[flag.name])
    if ignored:
        warnings.append(f"flags that do not count beside --config: {', '.join(ignored)}")
    return config, warnings


def _from_flags(given: Mapping[str, str]) -> KubeProxyConfiguration:
    config = KubeProxyConfiguration()
    defaults.set_defaults(config)
    flags.apply(config, given, (*flags.LOGGING, *flags.SETTINGS))
    for name, field, port in (
        ("healthz", "healthzBindAddress", defaults.HEALTHZ_PORT),
        ("metrics", "metricsBindAddress", defaults.METRICS_PORT),
    ):
        port = flags.parse(f"{name}-port", given.get(f"{name}-port", str(port)))
        address = getattr(config, field)
        # These two wanted a bare address from --healthz-bind-address, or gave the default one a port.
        if f"{name}-port" in given and f"{name}-bind-address" not in given:
            address = address.rpartition(":")[0].strip("[]")
        setattr(config, field, defaults.with_port(address, port) if port else "")
    section = config.section
    if config.mode != "ipvs":
        if "iptables-sync-period" in given:
            section.syncPeriod = flags.parse("iptables-sync-period", given["iptables-sync-period"])
        if "iptables-min-sync-period" in given:
            section.minSyncPeriod = flags.parse("iptables-min-sync-period", given["iptables-min-sync-period"])
    if "masquerade-all" in given:
        everywhere = flags.parse("masquerade-all", given["masquerade-all"])
        config.iptables.masqueradeAll = everywhere and config.mode in ("iptables", "ipvs")
        config.nftables.masqueradeAll = everywhere and config.mode not in ("iptables", "ipvs")
    if not config.mode and "iptables-masquerade-bit" in given:
        config.nftables.masqueradeBit = config.iptables.masqueradeBit
    return config


def _set_node_name(config: KubeProxyConfiguration, given: Mapping[str, str]) -> None:
    override = given.get("hostname-override", "")
    if not override:
        return
    name = override.strip()
    if not name:
        raise ConfigurationError("empty hostname-override is invalid")
    config.hostnameOverride = name.lower()
