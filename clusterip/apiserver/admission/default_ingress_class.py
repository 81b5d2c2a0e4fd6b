"""An Ingress that names no class gets the default one.

As ``plugin/pkg/admission/network/defaultingressclass``: of several, the one that was made last, then the
one whose name is first.
"""

from __future__ import annotations

from clusterip.apiserver.admission.attributes import Attributes
from clusterip.apiserver.admission.plugin import Plugin
from clusterip.objects.networking.ingress import INGRESSES
from clusterip.objects.networking.ingress.validation import CLASS_ANNOTATION
from clusterip.objects.networking.ingressclass import DEFAULT_ANNOTATION, INGRESSCLASSES, IngressClass


class DefaultIngressClass(Plugin):
    name = "DefaultIngressClass"
    resources = frozenset((INGRESSES,))

    async def admit(self, attributes: Attributes) -> None:
        ingress = attributes.obj
        if (
            attributes.subresource
            or ingress.spec.ingressClassName is not None
            or CLASS_ANNOTATION in ingress.metadata.annotations
        ):
            return
        await self.cache.current()  # one that was made a moment ago counts
        classes = [
            each for each in self._classes() if each.metadata.annotations.get(DEFAULT_ANNOTATION) == "true"
        ]
        classes.sort(key=lambda each: each.metadata.name)
        classes.sort(key=lambda each: each.metadata.creationTimestamp or "", reverse=True)
        if classes:
            ingress.spec.ingressClassName = classes[0].metadata.name

    def _classes(self) -> list[IngressClass]:
        return [entry.decode() for entry in self.cache.of(INGRESSCLASSES).entries()]
