"""Telling Pod templates apart: equality, and the short hash that names ReplicaSets."""

from __future__ import annotations

import hashlib

import msgspec

from clusterip.controllers.copying import deep_copy
from clusterip.objects.core.pod_spec import PodTemplateSpec

HASH_LABEL = "pod-template-hash"

# Upstream's alphabet (apimachinery/pkg/util/rand): no vowels and no look-alikes, so no words.
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_LENGTH = 10
_encoder = msgspec.json.Encoder(order="deterministic")


def same_template(a: PodTemplateSpec, b: PodTemplateSpec) -> bool:
    """Whether two templates make the same Pods; the hash label does not count."""
    return _without_hash(a) == _without_hash(b)


def template_hash(template: PodTemplateSpec, collisions: int | None) -> str:
    """A name for the template; ``collisions`` gives another one if that is taken by something else."""
    data = _encoder.encode(_without_hash(template)) + str(collisions or 0).encode()
    digest = hashlib.blake2b(data, digest_size=_LENGTH).digest()
    return "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in digest)


def _without_hash(template: PodTemplateSpec) -> PodTemplateSpec:
    if HASH_LABEL not in template.metadata.labels:
        return template
    meta = deep_copy(template.metadata)
    del meta.labels[HASH_LABEL]
    return PodTemplateSpec(metadata=meta, spec=template.spec)
