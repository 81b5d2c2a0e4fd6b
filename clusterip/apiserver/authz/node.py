"""What nodes may do: what their own Pods need, and what they report of these Pods and of themselves.

As ``plugin/pkg/auth/authorizer/node``; the rest of what a kubelet needs is the role ``system:node``.
Whether an object that is written is the node's own is for admission to say (``NodeRestriction``).
"""

from __future__ import annotations

from collections.abc import Iterator

from clusterip.apiserver.authn import User
from clusterip.apiserver.authz.decision import Decision, Rules
from clusterip.apiserver.authz.matching import any_covers, object_name, selected_value
from clusterip.apiserver.authz.policy.components import NODE_RULES
from clusterip.apiserver.cache import WatchCache
from clusterip.apiserver.entry import Entry
from clusterip.apiserver.router import RequestInfo
from clusterip.objects.core.pod import PODS, Pod
from clusterip.objects.core.pod.references import (
    MIRROR_ANNOTATION,
    claim_names,
    config_map_names,
    secret_names,
)

NODES_GROUP = "system:nodes"
NODE_PREFIX = "system:node:"
LEASE_NAMESPACE = "kube-node-lease"

Needed = tuple[str, str]
"""The plural and name of something that a Pod needs."""

_ALLOWED = Decision(True)
_NO_OPINION = Decision(False)
_LEASE_VERBS = ("get", "create", "update", "patch", "delete")
_READ = ("get", "list", "watch")


class NodeAuthorizer:
    """Answers for users who are nodes; has no opinion on others."""

    def __init__(self, cache: WatchCache) -> None:
        self._cache = cache
        self._needs: dict[str, _Needs] = {}

    def decide(self, user: User, info: RequestInfo) -> Decision:
        if not is_node(user):
            return _NO_OPINION
        node = node_of(user)
        if not node:
            return Decision(False, f'unknown node for user "{user.name}"')
        match info.group, info.plural:
            case "", ("secrets" | "configmaps"):
                return self._read_needed(node, info)
            case "", "persistentvolumeclaims" if info.subresource == "status":
                return self._claim_status(node, info)
            case "", "persistentvolumeclaims":
                return self._get_needed(node, info)
            case "", "serviceaccounts":
                return self._service_account(node, info)
            case "coordination.k8s.io", "leases":
                return _lease(node, info)
            case "", "nodes":
                return _node(node, info)
            case "", "pods":
                return self._pod(node, info)
        return _ALLOWED if any_covers(NODE_RULES, info) else _NO_OPINION

    def rules(self, user: User, namespace: str) -> Rules:
        if not is_node(user):
            return Rules()
        return Rules(incomplete=True, errors=["node authorizer does not support user rule resolution"])

    def _read_needed(self, node: str, info: RequestInfo) -> Decision:
        if info.verb not in _READ:
            return Decision(False, "can only read resources of this type")
        if info.subresource:
            return Decision(False, "cannot read subresource")
        if not info.namespace:
            return Decision(False, "can only read namespaced object of this type")
        return self._if_needed(node, info)

    def _get_needed(self, node: str, info: RequestInfo) -> Decision:
        if info.verb != "get":
            return Decision(False, "can only get individual resources of this type")
        if info.subresource:
            return Decision(False, "cannot get subresource")
        return self._if_needed(node, info)

    def _claim_status(self, node: str, info: RequestInfo) -> Decision:
        if info.verb not in ("update", "patch"):
            return Decision(False, "can only get/update/patch this type")
        return self._if_needed(node, info)

    def _service_account(self, node: str, info: RequestInfo) -> Decision:
        if info.verb == "get" and not info.subresource:
            return self._read_needed(node, info)
        if info.verb != "create" or not info.name:
            return Decision(False, "can only create tokens for individual service accounts")
        if info.subresource != "token":
            return Decision(False, "can only create token subresource of serviceaccount")
        return self._if_needed(node, info)

    def _pod(self, node: str, info: RequestInfo) -> Decision:
        match info.subresource, info.verb:
            case "", "get":
                return self._if_own_pod(node, info)
            case "", "list" | "watch":
                if selected_value(info, "spec.nodeName") == node:
                    return _ALLOWED
                if object_name(info):
                    return self._if_own_pod(node, info)
                return Decision(False, "can only list/watch pods with spec.nodeName field selector")
            case ("", "create" | "delete") | ("status", "update" | "patch") | ("eviction", "create"):
                return _ALLOWED
        return _NO_OPINION

    def _if_own_pod(self, node: str, info: RequestInfo) -> Decision:
        name = object_name(info)
        if not name:
            return Decision(False, "No Object name found")
        entry = self._cache.of(PODS).get(info.namespace, name)
        if entry is not None and entry.field("spec.nodeName") == node:
            return _ALLOWED
        return _unrelated(node)

    def _if_needed(self, node: str, info: RequestInfo) -> Decision:
        name = object_name(info)
        if not name:
            return Decision(False, "No Object name found")
        needs = self._needs.setdefault(info.namespace, _Needs())
        needs.update(self._cache.of(PODS).entries(info.namespace))
        return _ALLOWED if (info.plural, name) in needs.of_node.get(node, ()) else _unrelated(node)


class _Needs:
    """What the Pods of one namespace need, by node. Only Pods that changed are looked at again."""

    def __init__(self) -> None:
        self.of_node: dict[str, set[Needed]] = {}
        self._entries: list[Entry] | None = None
        self._known: dict[str, tuple[Entry, str, tuple[Needed, ...]]] = {}

    def update(self, entries: list[Entry]) -> None:
        if entries is self._entries:  # the cache makes a new list when a Pod changes
            return
        before, self._known, self.of_node = self._known, {}, {}
        for entry in entries:
            known = before.get(entry.name)
            if known is None or known[0] is not entry:
                pod = entry.decode()
                known = entry, pod.spec.nodeName, tuple(_needs(pod))
            self._known[entry.name] = known
            if known[1]:
                self.of_node.setdefault(known[1], set()).update(known[2])
        self._entries = entries


def is_node(user: User) -> bool:
    return NODES_GROUP in user.groups and user.name.startswith(NODE_PREFIX)


def node_of(user: User) -> str:
    """The name of the node that a user is; empty for others."""
    return user.name.removeprefix(NODE_PREFIX) if is_node(user) else ""


def _unrelated(node: str) -> Decision:
    return Decision(False, f"no relationship found between node '{node}' and this object")


def _lease(node: str, info: RequestInfo) -> Decision:
    if info.verb not in _LEASE_VERBS:
        return Decision(False, "can only get, create, update, patch, or delete a node lease")
    if info.namespace != LEASE_NAMESPACE:
        return Decision(False, f'can only access leases in the "{LEASE_NAMESPACE}" system namespace')
    if info.verb != "create" and info.name != node:
        return Decision(False, "can only access node lease with the same name as the requesting node")
    return _ALLOWED


def _node(node: str, info: RequestInfo) -> Decision:
    match info.subresource, info.verb:
        case ("", "create" | "update" | "patch") | ("status", "update" | "patch"):
            return _ALLOWED
        case "", ("get" | "list" | "watch"):
            name = object_name(info)
            if name == node:
                return _ALLOWED
            what = f"'{name}'" if name else "all nodes"
            return Decision(False, f"node '{node}' cannot read {what}, only its own Node object")
    return _NO_OPINION


def _needs(pod: Pod) -> Iterator[Needed]:
    if MIRROR_ANNOTATION in pod.metadata.annotations:
        return  # nodes make these themselves, and must not give themselves rights by it
    spec = pod.spec
    if spec.serviceAccountName:
        yield "serviceaccounts", spec.serviceAccountName
    for name in secret_names(spec):
        yield "secrets", name
    for name in config_map_names(spec):
        yield "configmaps", name
    for name in claim_names(pod.metadata.name, spec):
        yield "persistentvolumeclaims", name
