"""Authorizers that need to know nothing."""

from __future__ import annotations

from clusterip.apiserver.authn import User
from clusterip.apiserver.authz.decision import Decision, Rules
from clusterip.apiserver.router import RequestInfo
from clusterip.objects.rbac.rules import PolicyRule

MASTERS = "system:masters"

_EVERYTHING = Rules(
    [
        PolicyRule(verbs=["*"], apiGroups=["*"], resources=["*"]),
        PolicyRule(verbs=["*"], nonResourceURLs=["*"]),
    ]
)
_NOTHING = Rules()


class AlwaysAllow:
    """Whoever is authenticated may do everything."""

    def decide(self, user: User, info: RequestInfo) -> Decision:
        return Decision(True)

    def rules(self, user: User, namespace: str) -> Rules:
        return _EVERYTHING


class AlwaysDeny:
    """Nobody may do anything."""

    def decide(self, user: User, info: RequestInfo) -> Decision:
        return Decision(False, "Everything is forbidden.")

    def rules(self, user: User, namespace: str) -> Rules:
        return _NOTHING


class Masters:
    """Members of ``system:masters`` may do everything, even if no role says so (any more)."""

    def decide(self, user: User, info: RequestInfo) -> Decision:
        return Decision(MASTERS in user.groups)

    def rules(self, user: User, namespace: str) -> Rules:
        return _NOTHING  # as upstream, where only the binding of cluster-admin tells
