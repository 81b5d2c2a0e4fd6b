"""What ``clusterip trace`` knows of the cluster on this machine."""

from __future__ import annotations

import os
from pathlib import Path

from clusterip.cli.connection import local_kubeconfig
from clusterip.cluster import config as configs
from clusterip.cluster.paths import Paths
from clusterip.kernel import namespaces


def node_namespaces() -> dict[str, Path]:
    """Where the nodes of the cluster on this machine are, if it is the one that is asked; else nothing.

    Other clusters on the machine may use the same addresses.
    """
    paths = Paths.of(os.environ.get("CLUSTERIP_NAME", "clusterip"))
    asked = os.environ.get("KUBECONFIG") or local_kubeconfig()
    if asked is None or not paths.config.exists() or Path(asked) != paths.admin_kubeconfig:
        return {}
    config = configs.decode(paths.config.read_bytes())
    return {name: namespaces.path_of(config.namespace_of(name)) for name in config.node_names}
