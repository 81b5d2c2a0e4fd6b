"""Whether a question about permissions makes sense, as ``pkg/apis/authorization/validation``."""

from __future__ import annotations

from clusterip.objects import names
from clusterip.objects.authorization.reviews import (
    FieldSelectorAttributes,
    FieldSelectorRequirement,
    LabelSelectorAttributes,
    LocalSubjectAccessReview,
    NonResourceAttributes,
    ResourceAttributes,
    SelfSubjectAccessReview,
    SubjectAccessReview,
    SubjectAccessReviewSpec,
)
from clusterip.objects.errors import ErrorList, Path, forbidden, go_struct, invalid, invalid_each, required
from clusterip.objects.meta import LabelSelectorRequirement, ObjectMeta

_SPEC = Path("spec")
_RESOURCE = _SPEC.child("resourceAttributes")
_OTHER = _SPEC.child("nonResourceAttributes")


def validate_self_review(review: SelfSubjectAccessReview) -> ErrorList:
    errors = _one_of(review.spec.resourceAttributes, review.spec.nonResourceAttributes)
    errors += _validate_selectors(review.spec.resourceAttributes)
    return errors + _validate_metadata(review.metadata, "must be empty")


def validate_review(review: SubjectAccessReview) -> ErrorList:
    return _validate_spec(review.spec) + _validate_metadata(review.metadata, "must be empty")


def validate_local_review(review: LocalSubjectAccessReview) -> ErrorList:
    errors = _validate_spec(review.spec)
    errors += _validate_metadata(review.metadata, "must be empty except for namespace", namespaced=True)
    resource = review.spec.resourceAttributes
    if resource is not None and resource.namespace != review.metadata.namespace:
        where = _RESOURCE.child("namespace")
        errors.append(invalid(where, resource.namespace, "must match metadata.namespace"))
    if review.spec.nonResourceAttributes is not None:
        message = "disallowed on this kind of request"
        errors.append(invalid(_OTHER, _shown(review.spec.nonResourceAttributes), message))
    return errors


def _validate_spec(spec: SubjectAccessReviewSpec) -> ErrorList:
    errors = _one_of(spec.resourceAttributes, spec.nonResourceAttributes)
    if not spec.user and not spec.groups:
        errors.append(invalid(_SPEC.child("user"), "", "at least one of user or group must be specified"))
    return errors + _validate_selectors(spec.resourceAttributes)


def _validate_metadata(meta: ObjectMeta, message: str, *, namespaced: bool = False) -> ErrorList:
    empty = ObjectMeta(namespace=meta.namespace if namespaced else "", managedFields=meta.managedFields)
    return [] if meta == empty else [invalid("metadata", meta, message)]


def _one_of(resource: ResourceAttributes | None, other: NonResourceAttributes | None) -> ErrorList:
    if resource is not None and other is not None:
        return [invalid(_OTHER, _shown(other), "cannot be specified in combination with resourceAttributes")]
    if resource is None and other is None:
        message = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        return [invalid(_RESOURCE, None, message)]
    return []


def _shown(other: NonResourceAttributes) -> object:
    return go_struct(Path=other.path, Verb=other.verb)


def _validate_selectors(resource: ResourceAttributes | None) -> ErrorList:
    errors: ErrorList = []
    if resource is not None and resource.fieldSelector is not None:
        path = _RESOURCE.child("fieldSelector")
        errors += _raw_or_parsed(resource.fieldSelector, path)
        for i, field in enumerate(resource.fieldSelector.requirements):
            errors += _validate_field(field, path.child("requirements").item(i))
    if resource is not None and resource.labelSelector is not None:
        path = _RESOURCE.child("labelSelector")
        errors += _raw_or_parsed(resource.labelSelector, path)
        for i, label in enumerate(resource.labelSelector.requirements):
            errors += _validate_label(label, path.child("requirements").item(i))
    return errors


def _raw_or_parsed(selector: FieldSelectorAttributes | LabelSelectorAttributes, path: Path) -> ErrorList:
    if selector.rawSelector and selector.requirements:
        message = "may not specified at the same time as requirements"
        return [invalid(path.child("rawSelector"), selector.rawSelector, message)]
    if not selector.rawSelector and not selector.requirements:
        message = f"when {path} is specified, requirements or rawSelector is required"
        return [required(path.child("requirements"), message)]
    return []


def _validate_field(requirement: FieldSelectorRequirement, path: Path) -> ErrorList:
    errors: ErrorList = [] if requirement.key else [required(path.child("key"), "must be specified")]
    return errors + _validate_values(requirement, path)


def _validate_label(requirement: LabelSelectorRequirement, path: Path) -> ErrorList:
    errors = _validate_values(requirement, path)
    errors += invalid_each(path.child("key"), requirement.key, names.label_key(requirement.key))
    for i, value in enumerate(requirement.values):
        errors += invalid_each(path.child("values").item(i), value, names.label_value(value))
    return errors


def _validate_values(
    requirement: FieldSelectorRequirement | LabelSelectorRequirement, path: Path
) -> ErrorList:
    # Operators that are not known here may be those of a newer client, and are let through.
    if requirement.operator in ("In", "NotIn") and not requirement.values:
        message = "must be specified when `operator` is 'In' or 'NotIn'"
        return [required(path.child("values"), message)]
    if requirement.operator in ("Exists", "DoesNotExist") and requirement.values:
        message = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
        return [forbidden(path.child("values"), message)]
    return []
