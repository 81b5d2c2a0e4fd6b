"""Validation of the templates that workloads make Pods from."""

from __future__ import annotations

from clusterip.objects.core.pod.spec import validate_spec
from clusterip.objects.core.pod_spec import PodTemplateSpec
from clusterip.objects.errors import ErrorList, Path, forbidden
from clusterip.objects.metadata import validate_annotations, validate_labels


def validate_template(template: PodTemplateSpec, path: Path) -> ErrorList:
    """Errors of a template; its metadata is only labels and annotations."""
    spec = path.child("spec")
    errors = validate_labels(template.metadata.labels, path.child("labels"))
    errors += validate_annotations(template.metadata.annotations, path.child("annotations"))
    errors += validate_spec(template.spec, spec, in_pod=False)
    if template.spec.ephemeralContainers:
        message = "ephemeral containers not allowed in pod template"
        errors.append(forbidden(spec.child("ephemeralContainers"), message))
    return errors
