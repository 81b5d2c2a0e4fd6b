"""The downward API: what a Pod may learn of itself, in variables and files."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from clusterip.objects import quantity
from clusterip.objects.base import Quantity
from clusterip.objects.core.containers import Container
from clusterip.objects.core.pod import Pod
from clusterip.objects.core.references import ResourceFieldSelector

_SUBSCRIPT = re.compile(r"(metadata\.(?:annotations|labels))\['(.*)'\]")
_KNOWN = ("cpu", "memory", "ephemeral-storage")


class UnknownField(ValueError):
    """A field path that the downward API does not have."""


@dataclass(frozen=True)
class PodFacts:
    """A Pod with what only its node knows of it."""

    pod: Pod
    pod_ips: Sequence[str] = ()
    host_ips: Sequence[str] = ()
    node_name: str = ""
    allocatable: Mapping[str, Quantity] = field(default_factory=dict)


def field_value(facts: PodFacts, path: str) -> str:
    """The value of a ``fieldPath``.

    Raises:
        UnknownField: there is none of that name.
    """
    pod = facts.pod
    meta = pod.metadata
    if match := _SUBSCRIPT.fullmatch(path):
        values = meta.labels if match.group(1).endswith("labels") else meta.annotations
        return values.get(match.group(2), "")
    simple = {
        "metadata.name": meta.name,
        "metadata.namespace": meta.namespace,
        "metadata.uid": meta.uid,
        "spec.nodeName": facts.node_name or pod.spec.nodeName,
        "spec.serviceAccountName": pod.spec.serviceAccountName,
        "status.hostIP": facts.host_ips[0] if facts.host_ips else "",
        "status.hostIPs": ",".join(facts.host_ips),
        "status.podIP": facts.pod_ips[0] if facts.pod_ips else "",
        "status.podIPs": ",".join(facts.pod_ips),
    }
    if path in simple:
        return simple[path]
    if path == "metadata.labels":
        return _as_lines(meta.labels)
    if path == "metadata.annotations":
        return _as_lines(meta.annotations)
    raise UnknownField(f"unsupported fieldPath: {path}")


def resource_value(facts: PodFacts, container: Container, selector: ResourceFieldSelector) -> str:
    """The value of a ``resourceFieldRef``, rounded up to whole divisors.

    A limit that is not set is all that the node gives to Pods.

    Raises:
        UnknownField: there is no such resource or container.
    """
    if selector.containerName and selector.containerName != container.name:
        pod = facts.pod
        everything = [*pod.spec.initContainers, *pod.spec.containers]
        found = next((c for c in everything if c.name == selector.containerName), None)
        if found is None:
            raise UnknownField(f"container {selector.containerName} not found")
        container = found
    kind, _, resource = selector.resource.partition(".")
    if kind not in ("limits", "requests") or not resource:
        raise UnknownField(f"unsupported container resource : {selector.resource}")
    declared = container.resources.limits if kind == "limits" else container.resources.requests
    divisor = selector.divisor if selector.divisor not in (None, "", "0", 0) else "1"
    amount = declared.get(resource)
    if amount is None:
        if resource not in _KNOWN and not resource.startswith("hugepages-"):
            raise UnknownField(f"unsupported container resource : {selector.resource}")
        amount = facts.allocatable.get(resource, 0) if kind == "limits" else 0
    value, unit = quantity.milli(amount), quantity.milli(divisor or "1")
    return str(-(-value // unit))


def _as_lines(values: Mapping[str, str]) -> str:
    return "\n".join(
        f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in sorted(values.items())
    )
