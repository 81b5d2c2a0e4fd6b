"""The node's podCIDRs as they were last, for a start without an API server."""

from __future__ import annotations

from pathlib import Path

import msgspec

from clusterip.node.files import write_atomic

_FILE = "podcidrs.json"


def remember(root: Path, cidrs: list[str]) -> None:
    """Keep them in the node's directory."""
    if remembered(root) != cidrs:
        write_atomic(root / _FILE, msgspec.json.encode(cidrs))


def remembered(root: Path) -> list[str]:
    """Those that were kept; none if there never were any."""
    try:
        return msgspec.json.decode((root / _FILE).read_bytes(), type=list[str])
    except (FileNotFoundError, msgspec.DecodeError):
        return []
