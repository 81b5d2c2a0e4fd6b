"""kubeconfig files: how each part, and the administrator, reaches the API server and proves who it is."""

from __future__ import annotations

import base64
import os
from pathlib import Path

from clusterip.cluster.certificates import Certificates
from clusterip.cluster.config import ClusterConfig
from clusterip.cluster.paths import Paths

_ADMIN = "admin"

_TEMPLATE = """\
apiVersion: v1
kind: Config
clusters:
- name: {cluster}
  cluster:
    certificate-authority-data: {authority}
    server: {server}
users:
- name: {user}
  user:
    client-certificate-data: {certificate}
    client-key-data: {key}
contexts:
- name: {cluster}
  context:
    cluster: {cluster}
    user: {user}
current-context: {cluster}
"""


def write_all(config: ClusterConfig, paths: Paths, certificates: Certificates) -> None:
    """Write a kubeconfig for the administrator and for each part."""
    for user in (_ADMIN, "controllers", "proxy", "dns", "network", *config.node_names):
        _write(paths.kubeconfig(user), kubeconfig(config, certificates, user))


def kubeconfig(config: ClusterConfig, certificates: Certificates, user: str) -> str:
    """The kubeconfig of the owner of the certificate called ``user``."""
    pair = certificates.pair(user)
    return _TEMPLATE.format(
        cluster=config.name,
        # An isolated cluster's own network is nothing that the administrator can reach.
        server=config.outer_api_url if user == _ADMIN else config.api_url,
        user=user,
        authority=_encoded(certificates.authority.certificate),
        certificate=_encoded(pair.certificate),
        key=_encoded(pair.key),
    )


def _encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def _write(path: Path, text: str) -> None:
    if path.exists() and path.read_text() == text:
        return
    temporary = path.with_name(path.name + ".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(descriptor, "w") as file:
        file.write(text)
    temporary.replace(path)
