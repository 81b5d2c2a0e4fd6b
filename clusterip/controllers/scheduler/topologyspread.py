"""``topologySpreadConstraints``: Pods evenly over zones, nodes or other domains
(``plugins/podtopologyspread/filtering.go``)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from clusterip.controllers.scheduler import nodeaffinity
from clusterip.controllers.scheduler.nodestate import NodeState
from clusterip.controllers.taints import untolerated
from clusterip.objects.core.node import Node
from clusterip.objects.core.pod import Pod
from clusterip.objects.core.scheduling import TopologySpreadConstraint
from clusterip.objects.meta import LabelSelectorRequirement
from clusterip.objects.selectors import Selector, from_label_selector, from_map

UNEVEN = "node(s) didn't match pod topology spread constraints"
NO_LABEL = f"{UNEVEN} (missing required label)"


@dataclass
class _Spread:
    """A constraint, and how many Pods it speaks of are in each domain."""

    constraint: TopologySpreadConstraint
    selector: Selector
    counts_itself: bool
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def least(self) -> int:
        if self.constraint.minDomains and len(self.counts) < self.constraint.minDomains:
            return 0
        return min(self.counts.values(), default=0)


class TopologySpread:
    """One Pod's constraints, worked out for all nodes at once."""

    def __init__(self, pod: Pod, nodes: Iterable[NodeState]) -> None:
        spreads = [_spread(pod, each) for each in pod.spec.topologySpreadConstraints]
        self._hard = [each for each in spreads if each.constraint.whenUnsatisfiable == "DoNotSchedule"]
        self._soft = [each for each in spreads if each.constraint.whenUnsatisfiable != "DoNotSchedule"]
        if not spreads:
            return
        for state in nodes:
            if state.node is not None:
                self._take(pod, state, state.node)

    def reason_against(self, labels: Mapping[str, str]) -> str | None:
        """Why the Pod may not run on a node with these labels, or None if it may."""
        for each in self._hard:
            domain = labels.get(each.constraint.topologyKey)
            if domain is None:
                return NO_LABEL
            skew = each.counts[domain] + each.counts_itself - each.least
            if skew > each.constraint.maxSkew:
                return UNEVEN
        return None

    def cost(self, labels: Mapping[str, str]) -> int:
        """How full the node's domains are already, for the constraints that are only wishes."""
        total = 0
        for each in self._soft:
            domain = labels.get(each.constraint.topologyKey)
            # Outside of all domains is the worst that a wish can get.
            total += each.counts[domain] if domain is not None else sum(each.counts.values()) + 1
        return total

    def _take(self, pod: Pod, state: NodeState, node: Node) -> None:
        labels = node.metadata.labels
        if any(each.constraint.topologyKey not in labels for each in self._hard):
            return
        for each in (*self._hard, *self._soft):
            domain = labels.get(each.constraint.topologyKey)
            if domain is None or not _counts(each.constraint, pod, node):
                continue
            each.counts[domain] += sum(
                request.pod.metadata.namespace == pod.metadata.namespace
                and request.pod.metadata.deletionTimestamp is None
                and each.selector.matches(request.pod.metadata.labels)
                for request in state.requests.values()
            )


def _spread(pod: Pod, constraint: TopologySpreadConstraint) -> _Spread:
    selector = from_label_selector(constraint.labelSelector)
    labels = pod.metadata.labels
    same = {key: labels[key] for key in constraint.matchLabelKeys if key in labels}
    if same and constraint.labelSelector is not None:
        wanted = [*constraint.labelSelector.matchExpressions]
        wanted += [LabelSelectorRequirement(key=k, operator="In", values=[v]) for k, v in same.items()]
        narrowed = type(constraint.labelSelector)(
            matchLabels=dict(constraint.labelSelector.matchLabels), matchExpressions=wanted
        )
        selector = from_label_selector(narrowed)
    elif same:
        selector = from_map(same)
    return _Spread(constraint, selector, selector.matches(labels))


def _counts(constraint: TopologySpreadConstraint, pod: Pod, node: Node) -> bool:
    """Whether a node makes a domain: by default where the Pod's own affinity lets it run, tainted or not."""
    if constraint.nodeAffinityPolicy != "Ignore" and not nodeaffinity.allows(pod.spec, node):
        return False
    effects = ("NoSchedule", "NoExecute")
    honour = constraint.nodeTaintsPolicy == "Honor"
    return not honour or not untolerated(node.spec.taints, pod.spec.tolerations, effects)
