"""Whether a user may do what a request asks for."""

from __future__ import annotations

from clusterip.apiserver.authz.decision import Authorizer, Decision, Union
from clusterip.apiserver.authz.node import NodeAuthorizer
from clusterip.apiserver.authz.rbac import RBAC
from clusterip.apiserver.authz.simple import AlwaysAllow, AlwaysDeny, Masters
from clusterip.apiserver.cache import WatchCache

__all__ = ["MODES", "PUBLIC", "AlwaysAllow", "Authorizer", "Decision", "authorizer"]

PUBLIC = frozenset(("/healthz", "/livez", "/readyz", "/version"))
"""Paths that anyone may read, known or not, so that health checkers need no credentials."""

MODES = ("AlwaysAllow", "AlwaysDeny", "Node", "RBAC")


def authorizer(modes: str, cache: WatchCache) -> Authorizer:
    """The authorizer of an ``--authorization-mode``: one or more modes, the first to allow decides.

    Raises:
        ValueError: there is no such mode here, or one is named twice.
    """
    names = modes.split(",")
    if len(set(names)) != len(names):
        raise ValueError(f'authorization mode "{modes}" names one mode twice')
    if names == ["AlwaysAllow"]:
        return AlwaysAllow()
    return Union([Masters(), *(_mode(name, cache) for name in names)])


def _mode(name: str, cache: WatchCache) -> Authorizer:
    match name:
        case "AlwaysAllow":
            return AlwaysAllow()
        case "AlwaysDeny":
            return AlwaysDeny()
        case "Node":
            return NodeAuthorizer(cache)
        case "RBAC":
            return RBAC(cache)
    raise ValueError(f'authorization mode "{name}" is not known: use one of {", ".join(MODES)}')
