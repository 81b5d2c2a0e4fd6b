"""Pods made from a workload's template."""

from __future__ import annotations

from clusterip.controllers.copying import deep_copy
from clusterip.controllers.owners import controller_reference
from clusterip.objects import names
from clusterip.objects.core.pod import Pod
from clusterip.objects.core.pod_spec import PodTemplateSpec
from clusterip.objects.meta import Object, ObjectMeta


def pod_from(template: PodTemplateSpec, owner: Object) -> Pod:
    """A Pod as ``template`` describes it, managed by ``owner`` and named after it."""
    prefix = f"{owner.metadata.name}-"
    if names.dns_subdomain(names.as_prefix(prefix)):
        prefix = owner.metadata.name
    meta = template.metadata
    return Pod(
        metadata=ObjectMeta(
            generateName=prefix,
            namespace=owner.metadata.namespace,
            labels=dict(meta.labels),
            annotations=dict(meta.annotations),
            finalizers=list(meta.finalizers),
            ownerReferences=[controller_reference(owner)],
        ),
        spec=deep_copy(template.spec),
    )
