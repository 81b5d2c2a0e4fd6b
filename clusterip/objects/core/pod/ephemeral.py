"""Containers added to a running Pod (``pods/NAME/ephemeralcontainers``): nothing else changes there.

As upstream's ``podEphemeralContainersStrategy`` and ``ValidatePodEphemeralContainersUpdate``.
"""

from __future__ import annotations

from clusterip.objects.codec import copy
from clusterip.objects.core.pod.references import MIRROR_ANNOTATION
from clusterip.objects.core.pod.types import Pod
from clusterip.objects.core.pod.validation import validate_pod_spec
from clusterip.objects.errors import ErrorList, Path, forbidden
from clusterip.objects.metadata import validate_object_meta_update
from clusterip.objects.strategy import bump_generation

_WHERE = Path("spec").child("ephemeralContainers")


def prepare_ephemeral_update(new: Pod, old: Pod) -> None:
    """Leave of an update only its ephemeral containers."""
    containers, given = new.spec.ephemeralContainers, new.metadata
    new.spec, new.status, new.metadata = copy(old.spec), copy(old.status), copy(old.metadata)
    new.metadata.uid, new.metadata.resourceVersion = given.uid, given.resourceVersion
    new.metadata.managedFields = given.managedFields
    new.spec.ephemeralContainers = containers
    bump_generation(new, old)


def validate_ephemeral_update(new: Pod, old: Pod) -> ErrorList:
    """Errors of a Pod with more ephemeral containers than before: those there were stay as they are."""
    if MIRROR_ANNOTATION in old.metadata.annotations:
        return [forbidden(Path(""), "static pods do not support ephemeral containers")]
    errors = validate_object_meta_update(new.metadata, old.metadata) + validate_pod_spec(new)
    wanted = {container.name: container for container in new.spec.ephemeralContainers}
    for container in old.spec.ephemeralContainers:
        called = f'existing ephemeral containers "{container.name}"'
        if container.name not in wanted:
            errors.append(forbidden(_WHERE, f"{called} may not be removed\n"))
        elif (other := wanted[container.name]) != container:
            names = [f for f in container.__struct_fields__ if getattr(container, f) != getattr(other, f)]
            changed = "\n".join(f"  {name} differs" for name in names)
            errors.append(forbidden(_WHERE, f"{called} may not be changed\n{changed}"))
    return errors
