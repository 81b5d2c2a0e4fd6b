"""New nodes take no Pods before they are known to be ready.

As ``plugin/pkg/admission/nodetaint``; the node lifecycle controller takes the taint away.
"""

from __future__ import annotations

from clusterip.apiserver.admission.attributes import Attributes
from clusterip.apiserver.admission.plugin import Plugin
from clusterip.objects.core.node import NODES, Taint

TAINT = Taint(key="node.kubernetes.io/not-ready", effect="NoSchedule")


class TaintNodesByCondition(Plugin):
    name = "TaintNodesByCondition"
    resources = frozenset((NODES,))

    async def admit(self, attributes: Attributes) -> None:
        spec = attributes.obj.spec
        if not attributes.subresource and not any(
            (taint.key, taint.effect) == (TAINT.key, TAINT.effect) for taint in spec.taints
        ):
            spec.taints = [*spec.taints, Taint(key=TAINT.key, effect=TAINT.effect)]
