"""Discovery: what the API has, told to clients in the two forms they ask for.

The old form is a document per group and version (``/api/v1``, ``/apis/apps/v1``), the aggregated one
(``apidiscovery.k8s.io/v2``) has everything of ``/api`` or ``/apis`` at once. Both follow from the registry
of kinds. The functions make JSON-able documents; whoever serves them keeps them encoded.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from clusterip.objects import kinds as _kinds  # noqa: F401  (registers them)
from clusterip.objects.registry import Resource, find_virtual, resources, virtual_resources

Document = dict[str, Any]

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
_PART_VERBS = ("get", "patch", "update")


@dataclass(frozen=True)
class Subresource:
    """A part of a resource: ``kind`` is what is read from or sent to it."""

    name: str
    kind: str
    verbs: tuple[str, ...] = _PART_VERBS
    group: str = ""
    version: str = ""


_OTHERS: dict[tuple[str, str], tuple[Subresource, ...]] = {
    ("", "namespaces"): (Subresource("finalize", "Namespace", ("update",)),),
    ("", "pods"): (
        Subresource("attach", "PodAttachOptions", ("create", "get")),
        Subresource("binding", "Binding", ("create",)),
        Subresource("eviction", "Eviction", ("create",), "policy", "v1"),
        Subresource("exec", "PodExecOptions", ("create", "get")),
        Subresource("log", "Pod", ("get",)),
        Subresource("portforward", "PodPortForwardOptions", ("create", "get")),
    ),
    ("", "serviceaccounts"): (
        Subresource("token", "TokenRequest", ("create",), "authentication.k8s.io", "v1"),
    ),
}
"""Subresources beside status, scale and parts, which the registry knows of."""


def subresources(resource: Resource[Any]) -> list[Subresource]:
    """The parts of a resource that can be asked for on their own, sorted by name."""
    found = list(_OTHERS.get((resource.group, resource.plural), ()))
    if resource.status:
        found.append(Subresource("status", resource.kind))
    found += [Subresource(name, resource.kind) for name in resource.parts]
    if resource.scale is not None:
        found.append(Subresource("scale", "Scale", group="autoscaling", version="v1"))
    return sorted(found, key=lambda part: part.name)


def verbs(resource: Resource[Any]) -> list[str]:
    """What can be done with the resource itself. Namespaces are not deleted all at once."""
    if find_virtual(resource.group, resource.version, resource.plural) is resource:
        return ["create"]
    left_out = "deletecollection" if resource.plural == "namespaces" else ""
    return [verb for verb in ALL_VERBS if verb != left_out]


def api_versions(server_address: str = "") -> Document:
    """``/api``: the versions of the core group."""
    return {
        "kind": "APIVersions",
        "versions": _versions(""),
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": server_address}],
    }


def api_groups() -> Document:
    """``/apis``: every group but core."""
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(name) for name in groups()]}


def group(name: str) -> Document | None:
    """``/apis/GROUP``; None if there is no such group."""
    return {"kind": "APIGroup", "apiVersion": "v1"} | _group(name) if name in groups() else None


def group_version(group: str, version: str) -> Document | None:
    """``/api/VERSION`` or ``/apis/GROUP/VERSION``: its resources; None if there is no such version."""
    found = _resources(group, version)
    if not found:
        return None
    document: Document = {"kind": "APIResourceList"}
    if group:
        document["apiVersion"] = "v1"
    document["groupVersion"] = f"{group}/{version}" if group else version
    document["resources"] = [entry for resource in found for entry in _entries(resource)]
    return document


def aggregated(legacy: bool) -> Document:
    """Everything of ``/api`` (``legacy``) or of ``/apis``, as an ``APIGroupDiscoveryList``."""
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": [_aggregated_group(name) for name in ([""] if legacy else groups())],
    }


def groups() -> list[str]:
    """The names of the groups but core, in order of registration."""
    return list(dict.fromkeys(resource.group for resource in _all() if resource.group))


def _all() -> Iterator[Resource[Any]]:
    yield from resources()
    yield from virtual_resources()


def _versions(group: str) -> list[str]:
    """A group's versions, the preferred one first."""
    return list(dict.fromkeys(resource.version for resource in _all() if resource.group == group))


def _resources(group: str, version: str) -> list[Resource[Any]]:
    found = (r for r in _all() if (r.group, r.version) == (group, version))
    return sorted(found, key=lambda resource: resource.plural)


def _group(name: str) -> Document:
    versions = [{"groupVersion": f"{name}/{version}", "version": version} for version in _versions(name)]
    return {"name": name, "versions": versions, "preferredVersion": versions[0]}


def _entries(resource: Resource[Any]) -> Iterator[Document]:
    """The resource and its parts as an ``APIResourceList`` has them."""
    entry: Document = {
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": verbs(resource),
    }
    yield entry | _names(resource) | {"storageVersionHash": _storage_version_hash(resource)}
    for part in subresources(resource):
        entry = {
            "name": f"{resource.plural}/{part.name}",
            "singularName": "",
            "namespaced": resource.namespaced,
            "kind": part.kind,
            "verbs": list(part.verbs),
        }
        if part.version:
            entry |= {"group": part.group, "version": part.version}
        yield entry


def _names(resource: Resource[Any]) -> Document:
    names: Document = {}
    if resource.short_names:
        names["shortNames"] = list(resource.short_names)
    if resource.categories:
        names["categories"] = list(resource.categories)
    return names


def _storage_version_hash(resource: Resource[Any]) -> str:
    """Changes with the form in which objects are stored (upstream's discovery.StorageVersionHash)."""
    text = f"{resource.group}/{resource.version}/{resource.kind}"
    return base64.b64encode(hashlib.sha256(text.encode()).digest()[:8]).decode()


def _aggregated_group(name: str) -> Document:
    return {
        "metadata": {"name": name} if name else {},
        "versions": [
            {
                "version": version,
                "resources": [_aggregated_resource(resource) for resource in _resources(name, version)],
                "freshness": "Current",
            }
            for version in _versions(name)
        ],
    }


def _aggregated_resource(resource: Resource[Any]) -> Document:
    document: Document = {
        "resource": resource.plural,
        "responseKind": _response_kind(resource.kind),
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular,
        "verbs": verbs(resource),
    }
    document |= _names(resource)
    parts = [
        {
            "subresource": part.name,
            "responseKind": _response_kind(part.kind, part.group, part.version),
            "verbs": list(part.verbs),
        }
        for part in subresources(resource)
    ]
    return document | {"subresources": parts} if parts else document


def _response_kind(kind: str, group: str = "", version: str = "") -> Document:
    """Group and version are empty where they are those of the enclosing list, as upstream has it."""
    return {"group": group, "version": version, "kind": kind}
