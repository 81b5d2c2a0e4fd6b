"""Telling Pod templates apart: equality, and the short hash that names ReplicaSets."""

from __future__ import annotations

from clusterip.controllers.copying import deep_copy
from clusterip.controllers.shorthash import short_hash
from clusterip.objects.core.pod_spec import PodTemplateSpec

HASH_LABEL = "pod-template-hash"


def same_template(a: PodTemplateSpec, b: PodTemplateSpec) -> bool:
    """Whether two templates make the same Pods; the hash label does not count."""
    return _without_hash(a) == _without_hash(b)


def template_hash(template: PodTemplateSpec, collisions: int | None) -> str:
    """A name for the template; ``collisions`` gives another one if that is taken by something else."""
    return short_hash(_without_hash(template), collisions)


def _without_hash(template: PodTemplateSpec) -> PodTemplateSpec:
    if HASH_LABEL not in template.metadata.labels:
        return template
    meta = deep_copy(template.metadata)
    del meta.labels[HASH_LABEL]
    return PodTemplateSpec(metadata=meta, spec=template.spec)
