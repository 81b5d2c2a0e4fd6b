"""kubeconfigs that name files, which are renewed in place."""

from __future__ import annotations

import base64
from pathlib import Path

from clusterip.cluster.certificates import Pair
from clusterip.member.files import write

_HEAD = """\
apiVersion: v1
kind: Config
clusters:
- name: clusterip
  cluster:
    {authority}
    server: {server}
users:
- name: {user}
  user:
    {credentials}
contexts:
- name: clusterip
  context:
    cluster: clusterip
    user: {user}
current-context: clusterip
"""


def with_files(path: Path, server: str, user: str, authority: Path, pair: Pair) -> None:
    """Write a kubeconfig for a part of this machine."""
    credentials = f"client-certificate: {pair.certificate}\n    client-key: {pair.key}"
    text = _HEAD.format(
        authority=f"certificate-authority: {authority}", server=server, user=user, credentials=credentials
    )
    write(path, text.encode(), 0o600)


def complete(path: Path, server: str, user: str, authority: Path, pair: Pair) -> None:
    """Write a kubeconfig that a person may take elsewhere."""
    credentials = (
        f"client-certificate-data: {_data(pair.certificate)}\n    client-key-data: {_data(pair.key)}"
    )
    text = _HEAD.format(
        authority=f"certificate-authority-data: {_data(authority)}",
        server=server,
        user=user,
        credentials=credentials,
    )
    write(path, text.encode(), 0o600)


def _data(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
