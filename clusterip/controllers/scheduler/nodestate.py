"""What the scheduler knows of each node: what it offers, and the Pods that are there or on their way."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from clusterip.controllers.scheduler.requests import Amounts, Request, amounts
from clusterip.objects.core.node import Node
from clusterip.objects.core.pod import Pod


class NodeState:
    """One node. Sums are kept as Pods come and go, so a decision does not count them again."""

    def __init__(self, node: Node | None = None) -> None:
        self.node = node
        self.requests: dict[str, Request] = {}
        self.used: Amounts = Counter()
        self.owners: Counter[str] = Counter()
        self.allocatable: Amounts = Counter()
        if node is not None:
            self.set_node(node)

    def set_node(self, node: Node | None) -> None:
        self.node = node
        self.allocatable = amounts(node.status.allocatable) if node is not None else Counter()

    def add(self, request: Request) -> None:
        uid = request.pod.metadata.uid
        self.remove(uid)
        self.requests[uid] = request
        self.used.update(request.amounts)
        self.owners[request.owner] += 1

    def remove(self, uid: str) -> bool:
        """Forget a Pod; whether it was there."""
        request = self.requests.pop(uid, None)
        if request is None:
            return False
        self.used.subtract(request.amounts)
        self.owners[request.owner] -= 1
        return True

    def refresh(self, pod: Pod) -> bool:
        """Take a newer version of a Pod whose spec is as before; whether the Pod was known."""
        known = self.requests.get(pod.metadata.uid)
        if known is None:
            return False
        self.requests[pod.metadata.uid] = replace(known, pod=pod)
        return True

    @property
    def empty(self) -> bool:
        return self.node is None and not self.requests
