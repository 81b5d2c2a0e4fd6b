"""The node agent's options, named and meant as kubelet's."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

DEFAULT_STATE = Path("/var/lib/clusterip")


@dataclass(frozen=True)
class Options:
    """How a node agent runs. Empty ``hostname_override`` and ``node_ip`` are found out."""

    kubeconfig: str = ""
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
    configure_routes: bool = True

    @property
    def runtime_root(self) -> Path:
        """Where crun keeps what it knows of running containers."""
        return self.root_dir / "crun"

    @property
    def hidden_dirs(self) -> list[Path]:
        """What no view of the host's files shows: the cluster's keys, and other Pods' files."""
        return sorted({DEFAULT_STATE, Path("/etc/clusterip"), self.root_dir, self.image_dir})
