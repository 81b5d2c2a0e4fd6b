"""Which versions go together: a node may be older than the servers, but never newer.

As https://kubernetes.io/releases/version-skew-policy/ for kubelets, with one release instead of three.
"""

from __future__ import annotations

import re

from clusterip.member.errors import JoinError

_VERSION = re.compile(r"v(\d+)\.(\d+)\b")
MOST = 1
"""How many minor releases a node may be older."""


def check(server: str, own: str) -> None:
    """Whether a node of version ``own`` (``v1.37.0+…``) can be one of a cluster of version ``server``.

    Raises:
        JoinError: it cannot.
    """
    theirs, ours = _parse(server), _parse(own)
    if theirs is None or ours is None:
        raise JoinError(f"{server if theirs is None else own!r} is no version")
    if ours > theirs:
        raise JoinError(
            f"this machine's clusterip is of Kubernetes {own}, which is newer than the servers' {server}: "
            "upgrade the servers first, or install the servers' version here"
        )
    if theirs[0] != ours[0] or theirs[1] - ours[1] > MOST:
        raise JoinError(
            f"this machine's clusterip is of Kubernetes {own}, more than {MOST} minor release older than the "
            f"servers' {server}: upgrade it"
        )


def _parse(text: str) -> tuple[int, int] | None:
    found = _VERSION.match(text)
    return (int(found[1]), int(found[2])) if found else None
