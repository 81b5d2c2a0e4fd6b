"""Required affinity and anti-affinity between Pods (``plugins/interpodaffinity/filtering.go``)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from clusterip.controllers.scheduler.nodestate import NodeState
from clusterip.objects.core.pod import Pod
from clusterip.objects.core.scheduling import PodAffinityTerm
from clusterip.objects.selectors import from_label_selector

NamespaceLabels = Mapping[str, Mapping[str, str]]

EXISTING_RULES = "node(s) didn't satisfy existing pods anti-affinity rules"
AFFINITY = "node(s) didn't match pod affinity rules"
ANTI_AFFINITY = "node(s) didn't match pod anti-affinity rules"


class PodAffinity:
    """One Pod's rules, and those of the Pods that run already, worked out for all nodes at once.

    A rule speaks of *topologies*: all nodes with the same value of one label.
    """

    def __init__(self, pod: Pod, nodes: Iterable[NodeState], namespaces: NamespaceLabels) -> None:
        affinity = pod.spec.affinity
        together = affinity.podAffinity if affinity is not None else None
        apart = affinity.podAntiAffinity if affinity is not None else None
        self._wanted = list(together.requiredDuringSchedulingIgnoredDuringExecution) if together else []
        self._unwanted = list(apart.requiredDuringSchedulingIgnoredDuringExecution) if apart else []
        self._self_matches = all(_matches(term, pod, pod, namespaces) for term in self._wanted)
        self._friends: list[set[str]] = [set() for _ in self._wanted]
        self._foes: list[set[str]] = [set() for _ in self._unwanted]
        self._closed: set[tuple[str, str]] = set()
        for state in nodes:
            if state.node is None:
                continue
            labels = state.node.metadata.labels
            for request in state.requests.values():
                self._take(pod, request.pod, labels, namespaces)

    def reason_against(self, labels: Mapping[str, str]) -> str | None:
        """Why the Pod may not run on a node with these labels, or None if it may."""
        if any(labels.get(key) == value for key, value in self._closed):
            return EXISTING_RULES
        for term, found in zip(self._wanted, self._friends, strict=True):
            value = labels.get(term.topologyKey)
            if value is None:
                return AFFINITY
            # The first Pod of a group that wants to be together has nobody to join.
            first = self._self_matches and not any(self._friends)
            if value not in found and not first:
                return AFFINITY
        for term, found in zip(self._unwanted, self._foes, strict=True):
            if labels.get(term.topologyKey) in found:
                return ANTI_AFFINITY
        return None

    def _take(self, pod: Pod, other: Pod, labels: Mapping[str, str], namespaces: NamespaceLabels) -> None:
        if other.metadata.deletionTimestamp is None:
            for term, found in zip(self._wanted, self._friends, strict=True):
                if term.topologyKey in labels and _matches(term, pod, other, namespaces):
                    found.add(labels[term.topologyKey])
        for term, found in zip(self._unwanted, self._foes, strict=True):
            if term.topologyKey in labels and _matches(term, pod, other, namespaces):
                found.add(labels[term.topologyKey])
        for term in _anti_affinity(other):
            if term.topologyKey in labels and _matches(term, other, pod, namespaces):
                self._closed.add((term.topologyKey, labels[term.topologyKey]))


def _anti_affinity(pod: Pod) -> Iterator[PodAffinityTerm]:
    affinity = pod.spec.affinity
    if affinity is not None and affinity.podAntiAffinity is not None:
        yield from affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution


def _matches(term: PodAffinityTerm, of: Pod, candidate: Pod, namespaces: NamespaceLabels) -> bool:
    """Whether ``candidate`` is one of the Pods that a term of the Pod ``of`` speaks of."""
    namespace = candidate.metadata.namespace
    if term.namespaces or term.namespaceSelector is not None:
        named = namespace in term.namespaces
        selected = term.namespaceSelector is not None and from_label_selector(term.namespaceSelector).matches(
            namespaces.get(namespace, {})
        )
        if not named and not selected:
            return False
    elif namespace != of.metadata.namespace:
        return False
    return from_label_selector(term.labelSelector).matches(candidate.metadata.labels)
