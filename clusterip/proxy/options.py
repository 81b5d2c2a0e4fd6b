"""What the proxy was asked to do."""

from __future__ import annotations

from dataclasses import dataclass

from clusterip.proxy.config.types import KubeProxyConfiguration


@dataclass(frozen=True)
class Options:
    """The configuration, complete and checked (:func:`clusterip.proxy.config.load.load`), and what to do."""

    config: KubeProxyConfiguration
    config_file: str = ""
    """Where the configuration came from: when it changes there, the proxy ends to be started with the new."""
    master: str = ""
    """The API server's URL, instead of the kubeconfig's."""
    ebpf_cgroup: str = ""
    """Where programs at sockets are attached; empty: at the root of all cgroups."""
    cleanup: bool = False
    """Remove the rules and end: those of ``cleanup_modes``."""
    cleanup_modes: tuple[str, ...] = ()
    cleanup_kube_proxy: bool = False
    """Remove what kube-proxy left behind, once our rules are in place."""
    init_only: bool = False
    """Only do what takes full root privileges, and end."""
    write_config_to: str = ""
    """Write the configuration to this file, and end."""
    warnings: tuple[str, ...] = ()
    """What somebody should hear about the settings."""
