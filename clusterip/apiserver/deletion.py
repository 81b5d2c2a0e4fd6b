"""How objects are deleted: at once, gracefully, or once their finalizers are done.

As ``k8s.io/apiserver/pkg/registry/rest/delete.go`` and ``.../generic/registry/store.go``.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

from clusterip.apiserver import status
from clusterip.apiserver.write_options import dry_run_errors
from clusterip.objects import times
from clusterip.objects.core.namespace import Namespace
from clusterip.objects.core.pod import Pod
from clusterip.objects.errors import FieldError, invalid, not_supported
from clusterip.objects.meta import DeleteOptions
from clusterip.objects.registry import Resource

ORPHAN = "orphan"
FOREGROUND = "foregroundDeletion"
_POLICIES = ("Foreground", "Background", "Orphan")


class Outcome(Enum):
    """What a request to delete an object comes to."""

    DELETE = "delete"
    UPDATE = "update"
    NOTHING = "nothing"


def check_options(options: DeleteOptions) -> None:
    """Raises StatusError (422) if the options contradict each other."""
    errors: list[FieldError] = []
    if options.orphanDependents is not None and options.propagationPolicy is not None:
        errors.append(
            invalid(
                "propagationPolicy",
                options.propagationPolicy,
                "orphanDependents and deletionPropagation cannot be both set",
            )
        )
    policy = options.propagationPolicy
    if policy is not None and policy not in _POLICIES:
        errors.append(not_supported("propagationPolicy", policy, (*_POLICIES, "nil")))
    errors += dry_run_errors(options.dryRun)
    if errors:
        raise status.invalid_options("DeleteOptions", errors)


def check_preconditions(resource: Resource[Any], obj: Any, options: DeleteOptions) -> None:
    """Raises StatusError (409) if the object is not the one the client means."""
    wanted = options.preconditions
    if wanted is None:
        return
    meta = obj.metadata
    if wanted.uid is not None and wanted.uid != meta.uid:
        raise _not_the_one(
            resource,
            meta.name,
            f"the UID in the precondition ({wanted.uid}) does not match the UID in record ({meta.uid}). "
            "The object might have been deleted and then recreated",
        )
    if wanted.resourceVersion is not None and wanted.resourceVersion != meta.resourceVersion:
        raise _not_the_one(
            resource,
            meta.name,
            f"the ResourceVersion in the precondition ({wanted.resourceVersion}) does not match the "
            f"ResourceVersion in record ({meta.resourceVersion}). The object might have been modified",
        )


def _not_the_one(resource: Resource[Any], name: str, why: str) -> status.StatusError:
    """409, which names the kind here where it names the resource everywhere else."""
    error = status.conflict(resource, name, why)
    shown = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    error.status.message = f'Operation cannot be fulfilled on {shown} "{name}": {why}'
    if error.status.details is not None:
        error.status.details.kind = resource.kind
    return error


def mark(obj: Any, options: DeleteOptions) -> Outcome:
    """Note on ``obj`` that it is to go, and say what is to be done with it."""
    if isinstance(obj, Namespace):
        return _mark_namespace(obj, options)
    finalizers = _set_finalizers(obj, options)
    if isinstance(obj, Pod):
        meta = obj.metadata
        ended = meta.deletionTimestamp is not None and meta.deletionGracePeriodSeconds == 0
        outcome = _mark_pod(obj, options)
        if outcome is not Outcome.DELETE:
            return Outcome.UPDATE if finalizers else outcome
        _mark_now(obj)
        if not meta.finalizers:
            return Outcome.DELETE
        return Outcome.NOTHING if ended and not finalizers else Outcome.UPDATE
    if not obj.metadata.finalizers:
        return Outcome.DELETE
    return Outcome.UPDATE if _mark_now(obj) or finalizers else Outcome.NOTHING


def may_go(obj: Any) -> bool:
    """Whether an object that was marked has nothing left to wait for after an update."""
    meta = obj.metadata
    if meta.deletionTimestamp is None or meta.finalizers or (meta.deletionGracePeriodSeconds or 0) != 0:
        return False
    return not (isinstance(obj, Namespace) and obj.spec.finalizers)


def _mark_now(obj: Any) -> bool:
    meta = obj.metadata
    if meta.deletionTimestamp is not None and meta.deletionGracePeriodSeconds == 0:
        return False
    if meta.deletionTimestamp is None:
        if meta.generation > 0:
            meta.generation += 1
        meta.deletionTimestamp = times.now()
    meta.deletionGracePeriodSeconds = 0
    return True


def _mark_namespace(namespace: Any, options: DeleteOptions) -> Outcome:
    if namespace.metadata.deletionTimestamp is None:
        _set_finalizers(namespace, options)
        namespace.metadata.deletionTimestamp = times.now()
        namespace.status.phase = "Terminating"
        return Outcome.UPDATE
    if namespace.spec.finalizers or namespace.metadata.finalizers:
        return Outcome.NOTHING
    return Outcome.DELETE


def _mark_pod(pod: Pod, options: DeleteOptions) -> Outcome:
    """A Pod on a node stays until its kubelet, having stopped it, deletes it with no grace."""
    meta = pod.metadata
    wanted = options.gracePeriodSeconds
    if wanted is not None and wanted < 0:
        wanted = 1
    if meta.deletionTimestamp is not None:
        held = meta.deletionGracePeriodSeconds
        if not held:
            return Outcome.DELETE
        if wanted is None or wanted >= held:
            return Outcome.NOTHING
        # The period may only get shorter, counted from when the deletion was asked for.
        began = times.parse(meta.deletionTimestamp) - timedelta(seconds=held)
        ends, now = began + timedelta(seconds=wanted), datetime.now(UTC)
        if ends < now:
            ends, wanted = now, min(wanted, 1)
        meta.deletionTimestamp = times.format_time(ends)
        meta.deletionGracePeriodSeconds = wanted
        return Outcome.DELETE if wanted == 0 else Outcome.UPDATE
    period = wanted if wanted is not None else (pod.spec.terminationGracePeriodSeconds or 0)
    if not pod.spec.nodeName or pod.status.phase in ("Failed", "Succeeded"):
        period = 0
    if period == 0:
        return Outcome.DELETE
    if meta.generation > 0:
        meta.generation += 1
    meta.deletionTimestamp = times.format_time(datetime.now(UTC) + timedelta(seconds=period))
    meta.deletionGracePeriodSeconds = period
    return Outcome.UPDATE


def _set_finalizers(obj: Any, options: DeleteOptions) -> bool:
    """Have the garbage collector orphan the dependents, or delete them first; whether this changed it."""
    policy = options.propagationPolicy
    if policy is None and options.orphanDependents is not None:
        policy = "Orphan" if options.orphanDependents else "Background"
    if policy is None:
        return False  # what an earlier request asked for stays
    wanted = {ORPHAN: policy == "Orphan", FOREGROUND: policy == "Foreground"}
    kept = [f for f in obj.metadata.finalizers if wanted.get(f, True)]
    kept += [f for f, needed in wanted.items() if needed and f not in kept]
    changed: bool = kept != obj.metadata.finalizers
    obj.metadata.finalizers = kept
    return changed
