"""The numbers of a StatefulSet's Pods, and what each Pod is by its number. Pure.

As ``pkg/controller/statefulset/stateful_set_utils.go``.
"""

from __future__ import annotations

import re

from clusterip.controllers.history import HASH_LABEL
from clusterip.controllers.podtemplate import pod_from
from clusterip.objects.apps.statefulset import StatefulSet
from clusterip.objects.core.pod import Pod
from clusterip.objects.core.pod_spec import PodTemplateSpec
from clusterip.objects.core.volumes import PersistentVolumeClaimVolumeSource, Volume

POD_NAME_LABEL = "statefulset.kubernetes.io/pod-name"
POD_INDEX_LABEL = "apps.kubernetes.io/pod-index"

_NUMBERED = re.compile(r"(.*)-([0-9]+)")


def ordinals(stateful_set: StatefulSet) -> range:
    """The numbers that its Pods should have."""
    spec = stateful_set.spec
    start = spec.ordinals.start if spec.ordinals is not None else 0
    return range(start, start + (spec.replicas if spec.replicas is not None else 1))


def ordinal_of(stateful_set: StatefulSet, pod: Pod) -> int | None:
    """The Pod's number; None if its name is not one of this StatefulSet's."""
    match = _NUMBERED.fullmatch(pod.metadata.name)
    if match is None or match[1] != stateful_set.metadata.name:
        return None
    return int(match[2])


def pod_name(stateful_set: StatefulSet, ordinal: int) -> str:
    return f"{stateful_set.metadata.name}-{ordinal}"


def revision_of(pod: Pod) -> str:
    return pod.metadata.labels.get(HASH_LABEL, "")


def has_identity(stateful_set: StatefulSet, pod: Pod) -> bool:
    """Whether the labels tell the Pod's name, as Services for single Pods need it."""
    return pod.metadata.labels.get(POD_NAME_LABEL) == pod.metadata.name


def numbered_pod(stateful_set: StatefulSet, ordinal: int, template: PodTemplateSpec, revision: str) -> Pod:
    """The Pod of a number, of the template's ``revision`` (its name)."""
    pod = pod_from(template, stateful_set)
    name = pod_name(stateful_set, ordinal)
    pod.metadata.generateName = ""
    pod.metadata.name = name
    pod.metadata.labels |= {POD_NAME_LABEL: name, POD_INDEX_LABEL: str(ordinal), HASH_LABEL: revision}
    pod.spec.hostname = name
    pod.spec.subdomain = stateful_set.spec.serviceName
    claims = claimed_volumes(stateful_set, ordinal)
    pod.spec.volumes = [*claims.values(), *(v for v in pod.spec.volumes if v.name not in claims)]
    return pod


def claimed_volumes(stateful_set: StatefulSet, ordinal: int) -> dict[str, Volume]:
    """The volumes that the Pod's own claims stand for, by name."""
    volumes = {}
    for claim in stateful_set.spec.volumeClaimTemplates:
        name = f"{claim.metadata.name}-{pod_name(stateful_set, ordinal)}"
        source = PersistentVolumeClaimVolumeSource(claimName=name)
        volumes[claim.metadata.name] = Volume(name=claim.metadata.name, persistentVolumeClaim=source)
    return volumes
