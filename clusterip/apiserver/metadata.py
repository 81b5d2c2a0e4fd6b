"""What of an object's metadata the server decides, and what a request must agree with.

As ``BeforeCreate`` and ``BeforeUpdate`` in ``k8s.io/apiserver/pkg/registry/rest``.
"""

from __future__ import annotations

from typing import Any

from clusterip.apiserver import status
from clusterip.apiserver.uids import new_uid
from clusterip.objects import times
from clusterip.objects.errors import invalid
from clusterip.objects.registry import Resource

ELSEWHERE = "the namespace of the provided object does not match the namespace sent on the request"

_WRITTEN_WITH_STATUS = ("kind", "apiVersion", "metadata", "status")


_STORED_AS = {"services": "services/specs", "endpoints": "services/endpoints", "nodes": "minions"}
"""Where upstream keeps those kinds that it does not keep under their own names."""


def begin(resource: Resource[Any], obj: Any, namespace: str) -> None:
    """Make a new object's metadata.

    Raises:
        StatusError: 400, it says that it belongs elsewhere.
    """
    meta = obj.metadata
    if not resource.namespaced:
        meta.namespace = ""
    elif meta.namespace not in ("", namespace):
        raise status.bad_request(ELSEWHERE)
    else:
        meta.namespace = namespace
    meta.uid = new_uid()
    meta.creationTimestamp = times.now()
    meta.deletionTimestamp = meta.deletionGracePeriodSeconds = None
    meta.selfLink = ""


def check_never_stored(obj: Any) -> None:
    """Drop the resource version that a new object came with; raises StatusError (500) if it is one indeed."""
    asked, obj.metadata.resourceVersion = obj.metadata.resourceVersion, ""
    if asked.isascii() and asked.isdecimal() and 0 < int(asked) < 1 << 64:
        raise status.failure(500, "", "resourceVersion should not be set on objects to be created")


def check_identity(resource: Resource[Any], obj: Any, namespace: str, name: str) -> None:
    """Raises StatusError (400) if a changed object is not the one that the URL names."""
    meta = obj.metadata
    if not meta.name:
        raise status.bad_request(
            f"the name of the object ({name} based on URL) was undeterminable: name must be provided"
        )
    if meta.name != name:
        raise status.bad_request(
            f"the name of the object ({meta.name}) does not match the name on the URL ({name})"
        )
    if resource.namespaced and meta.namespace not in ("", namespace):
        raise status.bad_request(ELSEWHERE)


def single_owners(obj: Any, *, late: bool = False) -> list[str]:
    """Drop owner references that are there twice; a warning if there were any.

    ``late`` if it is the result of a patch, which upstream looks at only after admission.
    """
    owners = obj.metadata.ownerReferences
    if len(owners) < 2:
        return []
    single: list[Any] = []
    again: list[str] = []
    for owner in owners:
        if owner in single:
            again.append(owner.uid)
        else:
            single.append(owner)
    if not again:
        return []
    obj.metadata.ownerReferences = single
    when = " after mutating admission happens" if late else ""
    return [
        f".metadata.ownerReferences contains duplicate entries{when}; API server dedups owner references in "
        "1.20+, and may reject such requests as early as 1.24; please fix your requests; "
        f"duplicate UID(s) observed: {', '.join(again)}"
    ]


def carry_over(resource: Resource[Any], new: Any, old: Any, subresource: str) -> None:
    """Keep what a request to this subresource cannot change."""
    meta, before = new.metadata, old.metadata
    meta.uid = meta.uid or before.uid
    meta.namespace = before.namespace
    meta.generateName = before.generateName
    meta.generation = before.generation
    meta.selfLink = ""
    meta.creationTimestamp = before.creationTimestamp
    meta.deletionTimestamp = _same_time(meta.deletionTimestamp, before.deletionTimestamp)
    if meta.deletionGracePeriodSeconds is None:
        meta.deletionGracePeriodSeconds = before.deletionGracePeriodSeconds
    if subresource == "status":
        for field in resource.type.__struct_fields__:
            if field not in _WRITTEN_WITH_STATUS:
                setattr(new, field, getattr(old, field))
    elif not subresource and resource.status:
        new.status = old.status


def check_uid(resource: Resource[Any], obj: Any, namespace: str, uid: str) -> None:
    """Raises StatusError (409) if an object that replaces the one with ``uid`` is meant for another one."""
    meta = obj.metadata
    if meta.uid not in ("", uid):
        key = f"/registry/{_STORED_AS.get(resource.group_resource, resource.plural)}/"
        key += f"{namespace}/{meta.name}" if resource.namespaced else meta.name
        why = (
            f"StorageError: invalid object, Code: 4, Key: {key}, ResourceVersion: 0, AdditionalErrorMsg: "
            f"Precondition failed: UID in precondition: {meta.uid}, UID in object meta: {uid}"
        )
        raise status.conflict(resource, meta.name, why)


def check_version(resource: Resource[Any], new: Any, old: Any, *, insist: bool) -> None:
    """That a changed object was made from the current one, if it says from which; ``insist`` that it does.

    Raises:
        StatusError: 409, it was made from an older one; 422, it does not say.
    """
    asked = new.metadata.resourceVersion
    if asked and not (asked.isascii() and asked.isdigit()):
        raise status.failure(500, "", f'strconv.ParseUint: parsing "{asked}": invalid syntax')
    if asked and asked != old.metadata.resourceVersion:
        raise status.conflict(resource, old.metadata.name)
    if not asked and insist:
        problem = invalid("metadata.resourceVersion", 0, "must be specified for an update")
        error = status.invalid(resource, old.metadata.name, [problem])
        # Upstream names the resource here where it names the kind everywhere else.
        error.status.message = f'{resource.group_resource} "{old.metadata.name}" is invalid: {problem}'
        if error.status.details is not None:
            error.status.details.kind = resource.plural
        raise error
    new.metadata.resourceVersion = old.metadata.resourceVersion


def _same_time(new: str | None, old: str | None) -> str | None:
    """``new``, or ``old`` if it means the same moment in other words or nothing at all."""
    if new is None or new == old or old is None:
        return new if old is None else old
    try:
        return old if times.parse(new) == times.parse(old) else new
    except ValueError:
        return new
