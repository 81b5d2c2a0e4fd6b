"""A Pod has the zone and the region of its node as labels of its own, from when it is assigned to it.

As ``plugin/pkg/admission/podtopologylabels``.
"""

from __future__ import annotations

from clusterip.apiserver.admission.attributes import Attributes
from clusterip.apiserver.admission.plugin import Plugin
from clusterip.objects.core.node import NODES, Node
from clusterip.objects.core.pod import PODS

LABELS = ("topology.kubernetes.io/zone", "topology.kubernetes.io/region")


class PodTopologyLabels(Plugin):
    name = "PodTopologyLabels"
    resources = frozenset((PODS,))

    async def admit(self, attributes: Attributes) -> None:
        obj = attributes.obj
        if attributes.subresource == "binding":
            node_name = obj.target.name if obj.target.kind == "Node" else ""
        else:
            node_name = obj.spec.nodeName if not attributes.subresource else ""
        entry = self.cache.of(NODES).get("", node_name) if node_name else None
        if entry is None:
            return
        node: Node = entry.decode()
        found = {name: value for name, value in node.metadata.labels.items() if name in LABELS}
        if found:
            # What a binding has goes to its Pod.
            obj.metadata.labels = {**obj.metadata.labels, **found}
