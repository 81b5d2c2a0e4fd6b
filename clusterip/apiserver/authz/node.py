"""What nodes may do: read what their own Pods need, and keep their own lease.

As ``plugin/pkg/auth/authorizer/node``; the rest of what a kubelet needs is the role ``system:node``.
"""

from __future__ import annotations

from collections.abc import Iterator

from clusterip.apiserver.authn import User
from clusterip.apiserver.authz.decision import Decision
from clusterip.apiserver.authz.matching import any_covers
from clusterip.apiserver.authz.policy.components import NODE_RULES
from clusterip.apiserver.cache import WatchCache
from clusterip.apiserver.router import RequestInfo
from clusterip.objects.core.pod import PODS, Pod
from clusterip.objects.rbac.rules import PolicyRule

NODES_GROUP = "system:nodes"
NODE_PREFIX = "system:node:"
LEASE_NAMESPACE = "kube-node-lease"

_READ = ("get", "list", "watch")
_UNRELATED = "no relationship found between node '{node}' and this object"


class NodeAuthorizer:
    """Answers for users who are nodes; knows nothing of others."""

    def __init__(self, cache: WatchCache) -> None:
        self._cache = cache

    def decide(self, user: User, info: RequestInfo) -> Decision:
        node = node_of(user)
        if not node:
            return Decision(False)
        match info.group, info.plural:
            case "", ("secrets" | "configmaps") as plural:
                if info.verb not in _READ or info.subresource or not info.name:
                    return Decision(False, "can only read resources of this type by name")
                return self._related(node, info, plural)
            case "", "serviceaccounts" if info.subresource:
                if info.subresource != "token" or info.verb != "create" or not info.name:
                    return Decision(False, "can only create tokens for individual service accounts")
                return self._related(node, info, "serviceaccounts")
            case "coordination.k8s.io", "leases":
                return _lease(node, info)
        return Decision(any_covers(NODE_RULES, info))

    def rules(self, user: User, namespace: str) -> list[PolicyRule]:
        return NODE_RULES if node_of(user) else []

    def _related(self, node: str, info: RequestInfo, plural: str) -> Decision:
        for entry in self._cache.of(PODS).entries(info.namespace):
            if entry.field("spec.nodeName") == node and (plural, info.name) in set(_needs(entry.decode())):
                return Decision(True)
        return Decision(False, _UNRELATED.format(node=node))


def node_of(user: User) -> str:
    """The name of the node that a user is; empty for others."""
    if NODES_GROUP in user.groups and user.name.startswith(NODE_PREFIX):
        return user.name.removeprefix(NODE_PREFIX)
    return ""


def _lease(node: str, info: RequestInfo) -> Decision:
    if info.namespace != LEASE_NAMESPACE:
        return Decision(False, f'can only access leases in the "{LEASE_NAMESPACE}" system namespace')
    if info.verb not in ("get", "create", "update", "patch", "delete"):
        return Decision(False, "can only get, create, update, patch, or delete a node lease")
    if info.verb != "create" and info.name != node:
        return Decision(False, "can only access node lease with the same name as the requesting node")
    return Decision(True)


def _needs(pod: Pod) -> Iterator[tuple[str, str]]:
    """The objects a Pod cannot run without, as resource and name."""
    spec = pod.spec
    yield "serviceaccounts", spec.serviceAccountName
    for reference in spec.imagePullSecrets:
        yield "secrets", reference.name
    for volume in spec.volumes:
        if volume.secret is not None:
            yield "secrets", volume.secret.secretName
        if volume.configMap is not None:
            yield "configmaps", volume.configMap.name
        for source in volume.projected.sources if volume.projected is not None else ():
            if source.secret is not None:
                yield "secrets", source.secret.name
            if source.configMap is not None:
                yield "configmaps", source.configMap.name
    for container in (*spec.initContainers, *spec.containers):
        for whole in container.envFrom:
            if whole.secretRef is not None:
                yield "secrets", whole.secretRef.name
            if whole.configMapRef is not None:
                yield "configmaps", whole.configMapRef.name
        for variable in container.env:
            value = variable.valueFrom
            if value is not None and value.secretKeyRef is not None:
                yield "secrets", value.secretKeyRef.name
            if value is not None and value.configMapKeyRef is not None:
                yield "configmaps", value.configMapKeyRef.name
