"""Whether an object says it is what the URL says (its ``kind`` and ``apiVersion``)."""

from __future__ import annotations

from typing import Any

from clusterip.apiserver import status
from clusterip.objects.registry import Resource, resources, virtual_resources

_V1BETA1_APPS = ("apps/v1beta1", "apps/v1beta2")
_V1BETA1_RBAC = ("rbac.authorization.k8s.io/v1beta1", "rbac.authorization.k8s.io/v1alpha1")
_FORMER: dict[str, tuple[str, ...]] = {
    "CertificateSigningRequest": ("certificates.k8s.io/v1beta1",),
    "ClusterRole": _V1BETA1_RBAC,
    "ClusterRoleBinding": _V1BETA1_RBAC,
    "ControllerRevision": _V1BETA1_APPS,
    "DaemonSet": ("extensions/v1beta1", "apps/v1beta2"),
    "Deployment": ("extensions/v1beta1", *_V1BETA1_APPS),
    "EndpointSlice": ("discovery.k8s.io/v1beta1",),
    "Event": ("events.k8s.io/v1", "events.k8s.io/v1beta1", "v1"),
    "IPAddress": ("networking.k8s.io/v1beta1",),
    "Ingress": ("extensions/v1beta1", "networking.k8s.io/v1beta1"),
    "IngressClass": ("networking.k8s.io/v1beta1",),
    "Lease": ("coordination.k8s.io/v1beta1",),
    "NetworkPolicy": ("extensions/v1beta1",),
    "PodDisruptionBudget": ("policy/v1beta1",),
    "ReplicaSet": ("extensions/v1beta1", "apps/v1beta2"),
    "Role": _V1BETA1_RBAC,
    "RoleBinding": _V1BETA1_RBAC,
    "ServiceCIDR": ("networking.k8s.io/v1beta1",),
    "StatefulSet": _V1BETA1_APPS,
}
"""Other versions that upstream can still read: they are told apart from those it has never heard of."""

_EVERYWHERE = frozenset(
    ("Status", "DeleteOptions", "CreateOptions", "UpdateOptions", "PatchOptions", "ListOptions")
)


def cannot_handle(resource: Resource[Any], kind: str, version: str, why: str) -> status.StatusError:
    return status.bad_request(f'{kind} in version "{version}" cannot be handled as a {resource.kind}: {why}')


def check_type(kind: str, api_version: str, resource: Resource[Any]) -> None:
    """That an object says it is what the URL says, or says nothing.

    Raises:
        StatusError: 400, it is something else.
    """
    kind, api_version = kind or resource.kind, api_version or resource.api_version
    if kind == resource.kind and api_version == resource.api_version:
        return
    version = api_version.rpartition("/")[2]
    if kind == resource.kind and api_version in _FORMER.get(kind, ()):
        raise status.bad_request(
            f"the API version in the data ({api_version}) does not match the expected API version "
            f"({resource.api_version})"
        )
    if not _is_known(kind, api_version):
        why = (
            f'no kind "{kind}" is registered for version "{api_version}" in scheme '
            '"k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30"'
        )
        raise cannot_handle(resource, kind, version, why)
    package = "core" if resource.kind == "Event" else (resource.group or "core").partition(".")[0]
    why = f"converting ({version}.{kind}) to ({package}.{resource.kind}): unknown conversion"
    raise cannot_handle(resource, kind, version, why)


def _is_known(kind: str, api_version: str) -> bool:
    if kind in _EVERYWHERE:
        return True
    single = kind.removesuffix("List")
    return any(
        each.kind in (kind, single) and api_version in (each.api_version, *_FORMER.get(each.kind, ()))
        for each in (*resources(), *virtual_resources())
    )
