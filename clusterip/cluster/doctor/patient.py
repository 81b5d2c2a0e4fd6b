"""What is examined: this machine, the cluster on it if there is one, and an API server if one is known."""

from __future__ import annotations

from dataclasses import dataclass

from clusterip.client.config import Config, ConfigError, load
from clusterip.client.rest import Client
from clusterip.cluster import config as configs
from clusterip.cluster import plan as plans
from clusterip.cluster import processes
from clusterip.cluster.config import ClusterConfig
from clusterip.cluster.paths import Paths
from clusterip.cluster.plan import Plan
from clusterip.kernel import namespaces


@dataclass(frozen=True)
class Patient:
    """``config`` and ``plan``: of the cluster on this machine, None if there is none.

    ``api``: how the API server is reached, None if nobody says; ``client`` is connected to it.
    """

    name: str
    paths: Paths
    config: ClusterConfig | None
    plan: Plan | None
    api: Config | None
    client: Client | None = None

    @property
    def is_running(self) -> bool:
        """Whether processes of the cluster on this machine run."""
        return bool(processes.read(self.paths.processes).alive)

    @property
    def node_namespaces(self) -> dict[str, str]:
        """The network namespaces of the nodes on this machine, by the nodes' names."""
        if self.config is None:
            return {}
        found = {node: self.config.namespace_of(node) for node in self.config.node_names}
        return {node: name for node, name in found.items() if namespaces.path_of(name).exists()}


def read(name: str, paths: Paths, kubeconfig: str | None) -> Patient:
    """What there is. ``kubeconfig``: another API server than that of the cluster on this machine."""
    try:
        config: ClusterConfig | None = configs.decode(paths.config.read_bytes())
    except (FileNotFoundError, PermissionError):
        config = None
    try:
        plan: Plan | None = plans.read(paths.plan)
    except (FileNotFoundError, PermissionError):
        plan = None
    try:
        api: Config | None = load(kubeconfig)
    except ConfigError:
        api = None
    return Patient(name, paths, config, plan, api)
