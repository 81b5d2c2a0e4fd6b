"""Nodes write only what is theirs: their own Node, its Pods' status, its lease, tokens for its Pods.

As ``plugin/pkg/admission/noderestriction``. Authorization has let a node do these things in general;
here it is told from the object whether it is its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clusterip.apiserver import status
from clusterip.apiserver.admission.attributes import Attributes
from clusterip.apiserver.admission.plugin import Plugin
from clusterip.apiserver.authz.decision import Authorizer
from clusterip.apiserver.authz.node import LEASE_NAMESPACE, is_node, node_of
from clusterip.apiserver.cache import WatchCache
from clusterip.apiserver.router import RequestInfo
from clusterip.objects.coordination.lease import LEASES
from clusterip.objects.core.node import NODES, Node
from clusterip.objects.core.pod import PODS, Pod
from clusterip.objects.core.pod.references import MIRROR_ANNOTATION, needed_api
from clusterip.objects.core.serviceaccount import SERVICEACCOUNTS
from clusterip.objects.meta import StatusDetails
from clusterip.objects.registry import Resource

_NODE_RESTRICTION = "node-restriction.kubernetes.io"
_KUBELET_LABELS = frozenset(
    (
        "beta.kubernetes.io/arch",
        "beta.kubernetes.io/instance-type",
        "beta.kubernetes.io/os",
        "failure-domain.beta.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone",
        "kubernetes.io/arch",
        "kubernetes.io/hostname",
        "kubernetes.io/os",
        "node.kubernetes.io/instance-type",
        "topology.kubernetes.io/region",
        "topology.kubernetes.io/zone",
    )
)
_KUBELET_NAMESPACES = ("kubelet.kubernetes.io", "node.kubernetes.io")


class NodeRestriction(Plugin):
    name = "NodeRestriction"
    operations = frozenset(("CREATE", "UPDATE", "DELETE"))
    resources = frozenset((PODS, NODES, SERVICEACCOUNTS, LEASES))

    def __init__(self, cache: WatchCache, authorizer: Authorizer) -> None:
        super().__init__(cache)
        self._authorizer = authorizer

    async def admit(self, attributes: Attributes) -> None:
        user = attributes.user
        if not is_node(user):
            return
        node = node_of(user)
        if not node:
            raise attributes.forbidden(f'could not determine node from user "{user.name}"')
        if attributes.resource is PODS:
            self._pod(node, attributes)
        elif attributes.resource is NODES:
            _node(node, attributes)
        elif attributes.resource is SERVICEACCOUNTS:
            self._token(node, attributes)
        elif attributes.resource is LEASES:
            _lease(node, attributes)

    def _pod(self, node: str, attributes: Attributes) -> None:
        match attributes.subresource, attributes.operation:
            case "", "CREATE":
                self._mirror_pod(node, attributes)
            case "", "DELETE":
                if self._existing_pod(attributes.namespace, attributes.name).spec.nodeName != node:
                    raise attributes.forbidden(
                        f'node "{node}" can only delete pods with spec.nodeName set to itself'
                    )
            case "", operation:
                raise attributes.forbidden(
                    f'unexpected operation "{operation}", node "{node}" can only create and delete mirror '
                    "pods"
                )
            case "status", "UPDATE":
                _pod_status(node, attributes)
            case "eviction", "CREATE":
                if self._existing_pod(attributes.namespace, attributes.name).spec.nodeName != node:
                    raise attributes.forbidden(
                        f"node {node} can only evict pods with spec.nodeName set to itself"
                    )
            case subresource, _:
                raise attributes.forbidden(
                    f"unexpected pod subresource \"{subresource}\", only 'status' and 'eviction' are allowed"
                )

    def _mirror_pod(self, node: str, attributes: Attributes) -> None:
        pod: Pod = attributes.obj
        if MIRROR_ANNOTATION not in pod.metadata.annotations:
            raise attributes.forbidden(
                f'pod does not have "{MIRROR_ANNOTATION}" annotation, node "{node}" can only create '
                "mirror pods"
            )
        if pod.spec.nodeName != node:
            raise attributes.forbidden(f'node "{node}" can only create pods with spec.nodeName set to itself')
        owners = pod.metadata.ownerReferences
        only = f'node "{node}" can only create pods with'
        if len(owners) > 1:
            raise attributes.forbidden(f"{only} a single owner reference set to itself")
        if not owners or (owners[0].apiVersion, owners[0].kind, owners[0].name) != ("v1", "Node", node):
            raise attributes.forbidden(f"{only} an owner reference set to itself")
        if not owners[0].controller:
            raise attributes.forbidden(f"{only} a controller owner reference set to itself")
        if owners[0].blockOwnerDeletion:
            raise attributes.forbidden(f'node "{node}" must not set blockOwnerDeletion on an owner reference')
        uid = self._existing(NODES, "", node).metadata.uid
        if owners[0].uid != uid:
            raise attributes.forbidden(f"node {node} UID mismatch: expected {owners[0].uid} got {uid}")
        needed = needed_api(pod.spec)
        if needed:
            raise attributes.forbidden(f'node "{node}" can not create pods that reference {needed}')

    def _token(self, node: str, attributes: Attributes) -> None:
        if attributes.operation != "CREATE" or attributes.subresource != "token":
            return
        spec = attributes.obj.spec
        bound = spec.boundObjectRef
        if bound is None or (bound.apiVersion, bound.kind) != ("v1", "Pod") or not bound.name:
            raise attributes.forbidden("node requested token not bound to a pod")
        if not bound.uid:
            raise attributes.forbidden("node requested token with a pod binding without a uid")
        pod = self._existing_pod(attributes.namespace, bound.name)
        if pod.metadata.uid != bound.uid:
            raise attributes.forbidden(
                f"the UID in the bound object reference ({bound.uid}) does not match the UID in record. "
                "The object might have been deleted and then recreated"
            )
        if pod.spec.nodeName != node:
            raise attributes.forbidden("node requested token bound to a pod scheduled on a different node")
        self._audience(pod, spec.audiences, attributes)

    def _audience(self, pod: Pod, audiences: list[str], attributes: Attributes) -> None:
        """A node gets tokens for the audiences that its Pod's volumes name, or for which it has a right."""
        if len(audiences) > 1:
            raise attributes.forbidden("node may only request 0 or 1 audiences")
        audience = audiences[0] if audiences else ""
        for volume in pod.spec.volumes:
            for source in volume.projected.sources if volume.projected is not None else ():
                if source.serviceAccountToken is not None and source.serviceAccountToken.audience == audience:
                    return
        wanted = RequestInfo("request-serviceaccounts-token-audience", "", {})
        wanted.version, wanted.plural = "v1", audience
        wanted.namespace, wanted.name = attributes.namespace, attributes.name
        if not self._authorizer.decide(attributes.user, wanted).allowed:
            raise attributes.forbidden(
                f'audience "{audience}" not found in pod spec volume, {attributes.user.name} is not '
                "authorized to request tokens for this audience"
            )

    def _existing_pod(self, namespace: str, name: str) -> Pod:
        pod: Pod = self._existing(PODS, namespace, name)
        return pod

    def _existing(self, resource: Resource[Any], namespace: str, name: str) -> Any:
        entry = self.cache.of(resource).get(namespace, name)
        if entry is None:
            # As upstream's caches say it, which name the resource in the singular.
            details = StatusDetails(name=name, kind=resource.singular)
            raise status.failure(404, "NotFound", f'{resource.singular} "{name}" not found', details)
        return entry.decode()


def _pod_status(node: str, attributes: Attributes) -> None:
    old: Pod = attributes.old
    new: Pod = attributes.obj
    if old.spec.nodeName != node:
        raise attributes.forbidden(
            f'node "{node}" can only update pod status for pods with spec.nodeName set to itself'
        )
    if old.metadata.labels != new.metadata.labels:
        raise attributes.forbidden(f'node "{node}" cannot update labels through pod status')
    if old.status.resourceClaimStatuses != new.status.resourceClaimStatuses:
        raise attributes.forbidden(f'node "{node}" cannot update resource claim statues')
    if old.status.extendedResourceClaimStatus != new.status.extendedResourceClaimStatus:
        raise attributes.forbidden(f'node "{node}" cannot update extended resource claim status')


def _node(node: str, attributes: Attributes) -> None:
    if attributes.name != node:
        raise attributes.forbidden(f'node "{node}" is not allowed to modify node "{attributes.name}"')
    new: Node = attributes.obj
    if attributes.operation == "CREATE":
        if new.spec.configSource is not None:
            raise attributes.forbidden(
                f'node "{node}" is not allowed to create pods with a non-nil configSource'
            )
        labels = _forbidden_labels(new.metadata.labels, {})
        if labels:
            raise attributes.forbidden(f'node "{node}" is not allowed to set the following labels: {labels}')
    elif attributes.operation == "UPDATE":
        old: Node = attributes.old
        may_not = f'node "{node}" is not allowed to'
        if new.spec.configSource is not None and new.spec.configSource != old.spec.configSource:
            raise attributes.forbidden(f"{may_not} update configSource to a new non-nil configSource")
        if new.spec.taints != old.spec.taints:
            raise attributes.forbidden(f"{may_not} modify taints")
        if new.metadata.ownerReferences != old.metadata.ownerReferences:
            raise attributes.forbidden(f"{may_not} modify ownerReferences")
        labels = _forbidden_labels(new.metadata.labels, old.metadata.labels)
        if labels:
            raise attributes.forbidden(f"is not allowed to modify labels: {labels}")


def _lease(node: str, attributes: Attributes) -> None:
    if attributes.namespace != LEASE_NAMESPACE:
        raise attributes.forbidden(f'can only access leases in the "{LEASE_NAMESPACE}" system namespace')
    if attributes.name != node:
        raise attributes.forbidden("can only access node lease with the same name as the requesting node")


def _forbidden_labels(new: Mapping[str, str], old: Mapping[str, str]) -> str:
    """Labels that differ and that a node may not set, by which it could draw Pods to itself."""
    changed = {key for key, _ in new.items() ^ old.items()}
    return ", ".join(sorted(filter(_is_forbidden_label, changed)))


def _is_forbidden_label(key: str) -> bool:
    namespace = key.partition("/")[0] if "/" in key else ""
    if _is_below(namespace, _NODE_RESTRICTION):
        return True
    if not (_is_below(namespace, "kubernetes.io") or _is_below(namespace, "k8s.io")):
        return False
    return key not in _KUBELET_LABELS and not any(_is_below(namespace, each) for each in _KUBELET_NAMESPACES)


def _is_below(namespace: str, domain: str) -> bool:
    return namespace == domain or namespace.endswith(f".{domain}")
