"""Pods stay on a node that is not ready for five minutes, unless they say otherwise.

As ``plugin/pkg/admission/defaulttolerationseconds``.
"""

from __future__ import annotations

from clusterip.apiserver.admission.attributes import Attributes
from clusterip.apiserver.admission.plugin import Plugin
from clusterip.objects.core.pod import PODS
from clusterip.objects.core.scheduling import Toleration

TAINTS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
SECONDS = 300


class DefaultTolerationSeconds(Plugin):
    name = "DefaultTolerationSeconds"
    operations = frozenset(("CREATE", "UPDATE"))
    resources = frozenset((PODS,))

    async def admit(self, attributes: Attributes) -> None:
        if attributes.subresource:
            return
        tolerations = attributes.obj.spec.tolerations
        missing = [taint for taint in TAINTS if not any(_tolerates(each, taint) for each in tolerations)]
        if missing:
            attributes.obj.spec.tolerations = [
                *tolerations,
                *(
                    Toleration(key=taint, operator="Exists", effect="NoExecute", tolerationSeconds=SECONDS)
                    for taint in missing
                ),
            ]


def _tolerates(toleration: Toleration, taint: str) -> bool:
    return toleration.key in (taint, "") and toleration.effect in ("NoExecute", "")
