"""What the part ``member`` is told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Options:
    """``state_file`` says which node this is and of which cluster, ``servers_file`` keeps the servers as they
    were last, ``certificate_dir`` the certificates. ``kubeconfig`` is the node's, ``servers_kubeconfig`` one
    that may read EndpointSlices."""

    state_file: Path
    servers_file: Path
    certificate_dir: Path
    kubeconfig: str
    servers_kubeconfig: str
    bind_address: str = "127.0.0.1:6444"
    healthz_bind_address: str = ""
