"""The node agent's options, named and meant as kubelet's."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from clusterip.node.network.vxlan import DEFAULT_PORT, DEFAULT_VNI
from clusterip.node.network.ways import Mode
from clusterip.node.pressure import thresholds
from clusterip.node.pressure.policy import ImagePolicy
from clusterip.node.pressure.thresholds import Threshold
from clusterip.node.runtime.logs import LogLimits

DEFAULT_STATE = Path("/var/lib/clusterip")


@dataclass(frozen=True)
class Options:
    """How a node agent runs. Empty ``hostname_override`` and ``node_ip`` are found out.

    ``network_kubeconfig`` is the identity that may read all nodes, for the routes between them, where
    ``kubeconfig`` is that of a node, which may not.
    """

    kubeconfig: str = ""
    network_kubeconfig: str = ""
    hostname_override: str = ""
    node_ip: tuple[str, ...] = ()
    root_dir: Path = DEFAULT_STATE / "node"
    image_dir: Path = DEFAULT_STATE / "images"
    cluster_dns: tuple[str, ...] = ()
    cluster_domain: str = "cluster.local"
    resolv_conf: Path = Path("/etc/resolv.conf")
    address: str = "0.0.0.0"
    port: int = 10250
    client_ca_file: str = ""
    tls_cert_file: str = ""
    tls_private_key_file: str = ""
    healthz_bind_address: str = ""
    node_labels: dict[str, str] = field(default_factory=dict)
    register_node: bool = True
    max_pods: int = 110
    mtu: int = 0
    pod_network_mode: Mode = "auto"
    ip_masq: bool = True
    vxlan_vni: int = DEFAULT_VNI
    vxlan_port: int = DEFAULT_PORT
    pod_manifest_path: Path | None = None
    cgroups_per_qos: bool = True
    cgroup_root: str = ""
    pod_max_pids: int = -1
    allowed_unsafe_sysctls: tuple[str, ...] = ()
    log_limits: LogLimits = field(default_factory=LogLimits)
    images: ImagePolicy = field(default_factory=ImagePolicy)
    eviction_hard: tuple[Threshold, ...] = thresholds.parse(thresholds.DEFAULT)
    eviction_soft: tuple[Threshold, ...] = ()
    eviction_max_pod_grace_seconds: int = 0
    pressure_seconds: float = 300.0
    housekeeping_seconds: float = 10.0

    @property
    def runtime_root(self) -> Path:
        """Where crun keeps what it knows of running containers."""
        return self.root_dir / "crun"

    @property
    def hidden_dirs(self) -> list[Path]:
        """What no view of the host's files shows: the cluster's store and keys, and other Pods' files."""
        found = {DEFAULT_STATE, self.root_dir, self.image_dir}
        secrets = (
            self.kubeconfig,
            self.network_kubeconfig,
            self.client_ca_file,
            self.tls_cert_file,
            self.tls_private_key_file,
        )
        keys = {Path(name).absolute().parent for name in secrets if name}
        # Not /etc or a home directory itself, should somebody keep keys there.
        found |= {path for path in keys if len(path.parts) > 2}
        state = self.image_dir.parent  # as `clusterip up` lays it out
        if any(path.is_relative_to(state) for path in keys):
            found.add(state)
        return sorted(found)
