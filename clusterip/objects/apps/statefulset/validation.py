"""What a StatefulSet may say, as ``pkg/apis/apps/validation``."""

from __future__ import annotations

from clusterip.objects import names
from clusterip.objects.apps.counts import validate_counts
from clusterip.objects.apps.statefulset.claims import validate_claims
from clusterip.objects.apps.statefulset.types import (
    StatefulSet,
    StatefulSetPersistentVolumeClaimRetentionPolicy,
    StatefulSetSpec,
    StatefulSetUpdateStrategy,
)
from clusterip.objects.apps.template import must_match, runs_forever
from clusterip.objects.codec import copy
from clusterip.objects.core.pod.template import validate_template
from clusterip.objects.core.pod_spec import PodTemplateSpec
from clusterip.objects.core.volumes import PersistentVolumeClaimVolumeSource, Volume
from clusterip.objects.errors import (
    ErrorList,
    Path,
    forbidden,
    invalid,
    invalid_each,
    not_supported,
    required,
)
from clusterip.objects.metadata import (
    validate_label_selector,
    validate_object_meta,
    validate_object_meta_update,
)
from clusterip.objects.rules import amount, at_most_all, int_or_percent, not_negative, not_negative_fields
from clusterip.objects.selectors import SelectorError, from_label_selector

ON_DELETE, ROLLING_UPDATE = "OnDelete", "RollingUpdate"
ORDERED_READY, PARALLEL = "OrderedReady", "Parallel"
RETAIN, DELETE = "Retain", "Delete"

_SPEC = Path("spec")
_STATUS = Path("status")
_CHANGEABLE = (
    "replicas",
    "template",
    "updateStrategy",
    "minReadySeconds",
    "ordinals",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
)
_ONLY_THOSE = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
    "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)
_COUNTS = ("readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas")


def validate(stateful_set: StatefulSet) -> ErrorList:
    errors = validate_object_meta(stateful_set.metadata, namespaced=True, name_rule=names.dns_label)
    name = stateful_set.spec.serviceName
    if name:
        errors += invalid_each(_SPEC.child("serviceName"), name, names.dns_label(name))
    return errors + _validate_spec(stateful_set.spec)


def validate_update(new: StatefulSet, old: StatefulSet) -> ErrorList:
    errors = validate_object_meta_update(new.metadata, old.metadata) + _validate_spec(new.spec)
    fixed = (name for name in StatefulSetSpec.__struct_fields__ if name not in _CHANGEABLE)
    if any(getattr(new.spec, name) != getattr(old.spec, name) for name in fixed):
        errors.append(forbidden(_SPEC, _ONLY_THOSE))
    return errors


def validate_status_update(new: StatefulSet, old: StatefulSet) -> ErrorList:
    status = new.status
    others = ("observedGeneration", "collisionCount")
    errors = not_negative_fields(_STATUS, status, "replicas", *_COUNTS, *others)
    errors += validate_counts(status, _STATUS, _COUNTS, ready="status.readyReplicas")
    errors += validate_object_meta_update(new.metadata, old.metadata)
    collisions = status.collisionCount or 0
    if collisions < (old.status.collisionCount or 0):
        errors.append(invalid(_STATUS.child("collisionCount"), collisions, "cannot be decremented"))
    return errors


def _validate_spec(spec: StatefulSetSpec) -> ErrorList:
    errors: ErrorList = []
    policy, where = spec.podManagementPolicy, _SPEC.child("podManagementPolicy")
    if not policy:
        errors.append(required(where))
    elif policy not in (ORDERED_READY, PARALLEL):
        errors.append(invalid(where, policy, f"must be '{ORDERED_READY}' or '{PARALLEL}'"))
    errors += _validate_strategy(spec.updateStrategy, _SPEC.child("updateStrategy"))
    errors += _validate_retention(spec.persistentVolumeClaimRetentionPolicy)
    errors += not_negative_fields(_SPEC, spec, "replicas", "minReadySeconds")
    if spec.ordinals is not None:
        errors += not_negative(_SPEC.child("ordinals", "start"), spec.ordinals.start)
    errors += _validate_selector(spec)
    return errors + runs_forever(spec.template, _SPEC.child("template"), "StatefulSet")


def _validate_selector(spec: StatefulSetSpec) -> ErrorList:
    where, template = _SPEC.child("selector"), _SPEC.child("template")
    errors: ErrorList = []
    if spec.selector is None:
        errors.append(required(where))
    else:
        errors += validate_label_selector(spec.selector, where)
        if not spec.selector.matchLabels and not spec.selector.matchExpressions:
            errors.append(invalid(where, spec.selector, "empty selector is invalid for statefulset"))
    try:
        selector = from_label_selector(spec.selector)
    except SelectorError:
        return [*errors, invalid(where, spec.selector, "")]
    if not selector.empty:
        errors += must_match(selector, spec.template, template)
    errors += validate_claims(spec.volumeClaimTemplates, _SPEC.child("volumeClaimTemplates"))
    return errors + validate_template(_as_its_pods_will_be(spec), template)


def _as_its_pods_will_be(spec: StatefulSetSpec) -> PodTemplateSpec:
    """The template with the volumes of the claims, and without what each Pod gets of its own."""
    template = copy(spec.template)
    template.spec.subdomain = template.spec.hostname = ""
    claims = list(dict.fromkeys(claim.metadata.name for claim in spec.volumeClaimTemplates))
    others = [volume for volume in template.spec.volumes if volume.name not in claims]
    template.spec.volumes = [_volume(name) for name in claims] + others
    return template


def _volume(claim: str) -> Volume:
    return Volume(name=claim, persistentVolumeClaim=PersistentVolumeClaimVolumeSource(claimName=claim))


def _validate_strategy(strategy: StatefulSetUpdateStrategy, path: Path) -> ErrorList:
    rolling, where = strategy.rollingUpdate, path.child("rollingUpdate")
    match strategy.type:
        case "":
            return [required(path)]
        case "OnDelete":
            if rolling is None:
                return []
            return [invalid(where, rolling, f"only allowed for updateStrategy '{ROLLING_UPDATE}'")]
        case "RollingUpdate":
            if rolling is None:
                return []
            errors = not_negative(where.child("partition"), rolling.partition)
            if rolling.maxUnavailable is not None:
                at = where.child("maxUnavailable")
                errors += int_or_percent(at, rolling.maxUnavailable)
                if not amount(rolling.maxUnavailable):
                    errors.append(invalid(at, rolling.maxUnavailable, "cannot be 0"))
                errors += at_most_all(at, rolling.maxUnavailable)
            return errors
    return [invalid(path, strategy, f"must be '{ROLLING_UPDATE}' or '{ON_DELETE}'")]


def _validate_retention(policy: StatefulSetPersistentVolumeClaimRetentionPolicy | None) -> ErrorList:
    if policy is None:
        return []
    path = _SPEC.child("persistentVolumeClaimRetentionPolicy")
    return [
        not_supported(path.child(name), getattr(policy, name), (RETAIN, DELETE))
        for name in ("whenDeleted", "whenScaled")
        if getattr(policy, name) not in (RETAIN, DELETE)
    ]
