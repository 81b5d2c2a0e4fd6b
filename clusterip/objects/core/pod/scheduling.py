"""Validation of where a Pod may run: affinity, tolerations, spreading."""

from __future__ import annotations

from clusterip.objects import names
from clusterip.objects.core.scheduling import (
    Affinity,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    PodAffinity,
    PodAffinityTerm,
    PodAntiAffinity,
    Toleration,
    TopologySpreadConstraint,
)
from clusterip.objects.errors import (
    ErrorList,
    Path,
    duplicate,
    forbidden,
    invalid,
    invalid_each,
    not_supported,
    required,
)
from clusterip.objects.metadata import validate_label_selector

TAINT_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def validate_tolerations(tolerations: list[Toleration], path: Path) -> ErrorList:
    errors: ErrorList = []
    for i, toleration in enumerate(tolerations):
        errors += _validate_toleration(toleration, path.item(i))
    return errors


def _validate_toleration(toleration: Toleration, path: Path) -> ErrorList:
    errors: ErrorList = []
    operator, where = toleration.operator, path.child("operator")
    if toleration.key:
        errors += invalid_each(path.child("key"), toleration.key, names.label_key(toleration.key))
    elif operator != "Exists":
        message = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
        errors.append(invalid(where, operator, message))
    if toleration.tolerationSeconds is not None and toleration.effect != "NoExecute":
        message = "effect must be 'NoExecute' when `tolerationSeconds` is set"
        errors.append(invalid(path.child("effect"), toleration.effect, message))
    if operator in ("", "Equal"):
        if problems := names.label_value(toleration.value):
            errors.append(invalid(where, toleration.value, ";".join(problems)))
    elif operator == "Exists":
        if toleration.value:
            message = "value must be empty when `operator` is 'Exists'"
            errors.append(invalid(where, toleration.value, message))
    else:
        errors.append(not_supported(where, operator, ["Equal", "Exists"]))
    if toleration.effect and toleration.effect not in TAINT_EFFECTS:
        errors.append(not_supported(path.child("effect"), toleration.effect, TAINT_EFFECTS))
    return errors


def validate_affinity(affinity: Affinity | None, path: Path) -> ErrorList:
    if affinity is None:
        return []
    errors: ErrorList = []
    if affinity.nodeAffinity is not None:
        where = path.child("nodeAffinity")
        selector = affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution
        if selector is not None:
            terms = where.child(_REQUIRED, "nodeSelectorTerms")
            if not selector.nodeSelectorTerms:
                errors.append(required(terms, "must have at least one node selector term"))
            for i, term in enumerate(selector.nodeSelectorTerms):
                errors += _validate_term(term, terms.item(i), values=True)
        preferred = affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution
        for i, preference in enumerate(preferred):
            item = where.child(_PREFERRED).item(i)
            errors += _validate_weight(preference.weight, item)
            errors += _validate_term(preference.preference, item.child("preference"), values=False)
    for name in ("podAffinity", "podAntiAffinity"):
        errors += _validate_pod_affinity(getattr(affinity, name), path.child(name))
    return errors


def _validate_term(term: NodeSelectorTerm, path: Path, *, values: bool) -> ErrorList:
    errors: ErrorList = []
    for i, requirement in enumerate(term.matchExpressions):
        errors += _validate_requirement(requirement, path.child("matchExpressions").item(i), values)
    for i, requirement in enumerate(term.matchFields):
        errors += _validate_field(requirement, path.child("matchFields").item(i))
    return errors


def _validate_requirement(requirement: NodeSelectorRequirement, path: Path, values: bool) -> ErrorList:
    errors: ErrorList = []
    where = path.child("values")
    match requirement.operator:
        case "In" | "NotIn":
            if not requirement.values:
                errors.append(required(where, "must be specified when `operator` is 'In' or 'NotIn'"))
        case "Exists" | "DoesNotExist":
            if requirement.values:
                message = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
                errors.append(forbidden(where, message))
        case "Gt" | "Lt":
            if len(requirement.values) != 1:
                message = "must be specified single value when `operator` is 'Lt' or 'Gt'"
                errors.append(required(where, message))
        case operator:
            errors.append(invalid(path.child("operator"), operator, "not a valid selector operator"))
    errors += invalid_each(path.child("key"), requirement.key, names.label_key(requirement.key))
    for i, value in enumerate(requirement.values if values else ()):
        errors += invalid_each(where.item(i), value, names.label_value(value))
    return errors


def _validate_field(requirement: NodeSelectorRequirement, path: Path) -> ErrorList:
    errors: ErrorList = []
    if requirement.operator not in ("In", "NotIn"):
        where = path.child("operator")
        errors.append(invalid(where, requirement.operator, "not a valid selector operator"))
    elif len(requirement.values) != 1:
        message = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
        errors.append(required(path.child("values"), message))
    if requirement.key != "metadata.name":
        errors.append(invalid(path.child("key"), requirement.key, "not a valid field selector key"))
        return errors
    for i, value in enumerate(requirement.values):
        errors += invalid_each(path.child("values").item(i), value, names.dns_subdomain(value))
    return errors


def _validate_pod_affinity(affinity: PodAffinity | PodAntiAffinity | None, path: Path) -> ErrorList:
    if affinity is None:
        return []
    errors: ErrorList = []
    for i, term in enumerate(affinity.requiredDuringSchedulingIgnoredDuringExecution):
        errors += _validate_pod_term(term, path.child(_REQUIRED).item(i))
    for i, weighted in enumerate(affinity.preferredDuringSchedulingIgnoredDuringExecution):
        where = path.child(_PREFERRED).item(i)
        errors += _validate_weight(weighted.weight, where)
        errors += _validate_pod_term(weighted.podAffinityTerm, where.child("podAffinityTerm"))
    return errors


def _validate_weight(weight: int, path: Path) -> ErrorList:
    return [] if 0 < weight <= 100 else [invalid(path.child("weight"), weight, "must be in the range 1-100")]


def _validate_pod_term(term: PodAffinityTerm, path: Path) -> ErrorList:
    errors = validate_label_selector(term.labelSelector, path.child("labelSelector"))
    errors += validate_label_selector(term.namespaceSelector, path.child("namespaceSelector"))
    for namespace in term.namespaces:
        errors += invalid_each(path.child("namespace"), namespace, names.dns_label(namespace))
    where = path.child("topologyKey")
    if not term.topologyKey:
        errors.append(required(where, "can not be empty"))
    return errors + invalid_each(where, term.topologyKey, names.label_key(term.topologyKey))


def validate_spreading(constraints: list[TopologySpreadConstraint], path: Path) -> ErrorList:
    errors: ErrorList = []
    for i, constraint in enumerate(constraints):
        where = path.item(i)
        if constraint.maxSkew <= 0:
            errors.append(invalid(where.child("maxSkew"), constraint.maxSkew, "must be greater than zero"))
        if not constraint.topologyKey:
            errors.append(required(where.child("topologyKey"), "can not be empty"))
        action = constraint.whenUnsatisfiable
        if action not in ("DoNotSchedule", "ScheduleAnyway"):
            actions = ["DoNotSchedule", "ScheduleAnyway"]
            errors.append(not_supported(where.child("whenUnsatisfiable"), action, actions))
        key = (constraint.topologyKey, action)
        if any((c.topologyKey, c.whenUnsatisfiable) == key for c in constraints[i + 1 :]):
            shown = f"{{{constraint.topologyKey}, {action}}}"
            errors.append(duplicate(where.child("{topologyKey, whenUnsatisfiable}"), shown))
        errors += _validate_min_domains(constraint, where.child("minDomains"))
        for name in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
            policy = getattr(constraint, name)
            if policy not in (None, "Honor", "Ignore"):
                errors.append(not_supported(where.child(name), policy, ["Honor", "Ignore"]))
        errors += validate_label_selector(constraint.labelSelector, where.child("labelSelector"))
    return errors


def _validate_min_domains(constraint: TopologySpreadConstraint, path: Path) -> ErrorList:
    least, action = constraint.minDomains, constraint.whenUnsatisfiable
    if least is None:
        return []
    errors: ErrorList = []
    if least <= 0:
        errors.append(invalid(path, least, "must be greater than 0"))
    if action != "DoNotSchedule":
        message = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}"
        errors.append(invalid(path, least, message))
    return errors
