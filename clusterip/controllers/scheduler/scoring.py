"""Which of the nodes that can take a Pod is the best."""

from __future__ import annotations

from collections.abc import Iterable

from clusterip.controllers.scheduler import nodeaffinity
from clusterip.controllers.scheduler.nodestate import NodeState
from clusterip.controllers.scheduler.requests import Request
from clusterip.controllers.scheduler.topologyspread import TopologySpread
from clusterip.controllers.taints import untolerated
from clusterip.objects.core.node import Node


def best(request: Request, candidates: Iterable[tuple[NodeState, Node]], spread: TopologySpread) -> Node:
    """What the Pod prefers, then where the fewest Pods of the same owner are, then where most is free.

    A spread by owner is what keeps a Service reachable when a node goes; upstream gets about the same
    from its default topology constraints. Names decide last, so the choice can be foreseen.

    Raises:
        ValueError: there is no candidate.
    """

    def cost(candidate: tuple[NodeState, Node]) -> tuple[object, ...]:
        state, node = candidate
        spec = request.pod.spec
        return (
            len(untolerated(node.spec.taints, spec.tolerations, ("PreferNoSchedule",))),
            -nodeaffinity.preference(spec, node),
            spread.cost(node.metadata.labels),
            state.owners[request.owner] if request.owner else 0,
            _fullness(request, state),
            len(state.requests),
            node.metadata.name,
        )

    return min(candidates, key=cost)[1]


def _fullness(request: Request, state: NodeState) -> float:
    """The mean share of CPU and memory in use if the Pod came here, in steps of a hundredth."""
    shares = [
        (state.used[name] + request.amounts[name]) / state.allocatable[name]
        for name in ("cpu", "memory")
        if state.allocatable[name]
    ]
    return round(sum(shares) / len(shares), 2) if shares else 0.0
