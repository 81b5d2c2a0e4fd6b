"""Whether a node is among those a Pod's node selector and node affinity allow."""

from __future__ import annotations

from collections.abc import Mapping

from clusterip.objects.core.node import Node
from clusterip.objects.core.pod_spec import PodSpec
from clusterip.objects.core.scheduling import NodeSelectorRequirement, NodeSelectorTerm


def allows(spec: PodSpec, node: Node) -> bool:
    labels = node.metadata.labels
    if any(labels.get(key) != value for key, value in spec.nodeSelector.items()):
        return False
    affinity = spec.affinity.nodeAffinity if spec.affinity is not None else None
    required = affinity.requiredDuringSchedulingIgnoredDuringExecution if affinity is not None else None
    if required is None:
        return True
    return any(term_matches(term, node) for term in required.nodeSelectorTerms)


def preference(spec: PodSpec, node: Node) -> int:
    """The sum of the weights of the preferences that the node meets."""
    affinity = spec.affinity.nodeAffinity if spec.affinity is not None else None
    if affinity is None:
        return 0
    terms = affinity.preferredDuringSchedulingIgnoredDuringExecution
    return sum(term.weight for term in terms if term_matches(term.preference, node))


def term_matches(term: NodeSelectorTerm, node: Node) -> bool:
    """All of a term's requirements; a term without any matches no node."""
    if not term.matchExpressions and not term.matchFields:
        return False
    fields = {"metadata.name": node.metadata.name}
    return all(_matches(r, node.metadata.labels) for r in term.matchExpressions) and all(
        _matches(r, fields) for r in term.matchFields
    )


def _matches(requirement: NodeSelectorRequirement, labels: Mapping[str, str]) -> bool:
    value = labels.get(requirement.key)
    match requirement.operator:
        case "In":
            return value in requirement.values
        case "NotIn":
            return value not in requirement.values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt" | "Lt":
            try:
                number, limit = int(value or ""), int(requirement.values[0])
            except (ValueError, IndexError):
                return False
            return number > limit if requirement.operator == "Gt" else number < limit
    return False
