"""ControllerRevision: what a DaemonSet's or StatefulSet's template was at some time."""

from __future__ import annotations

from typing import Annotated, Any

from clusterip.objects import names, times
from clusterip.objects.base import Atomic, always
from clusterip.objects.errors import ErrorList, Path, required
from clusterip.objects.meta import Object
from clusterip.objects.metadata import immutable, validate_object_meta, validate_object_meta_update
from clusterip.objects.registry import Column, Resource, register
from clusterip.objects.rules import not_negative
from clusterip.objects.scalars import Int64
from clusterip.objects.tables import AGE_COLUMN, NAME_COLUMN, NONE


class ControllerRevision(Object):
    data: Annotated[Any, Atomic()] = None
    revision: Int64 = always(0)


_DATA = Path("data")
_REVISION = Path("revision")


def _validate_any(revision: ControllerRevision) -> ErrorList:
    errors = validate_object_meta(revision.metadata, namespaced=True, name_rule=names.dns_subdomain)
    return errors + not_negative(_REVISION, revision.revision)


def _validate(revision: ControllerRevision) -> ErrorList:
    errors = _validate_any(revision)
    if revision.data is None:
        errors.append(required("data", "data is mandatory"))
    elif not isinstance(revision.data, dict):
        errors.append(required("data", "data must be a valid JSON object"))
    return errors


def _validate_update(new: ControllerRevision, old: ControllerRevision) -> ErrorList:
    return (
        validate_object_meta_update(new.metadata, old.metadata)
        + _validate_any(new)
        + immutable(new.data, old.data, _DATA)
    )


def _row(revision: ControllerRevision) -> list[Any]:
    meta = revision.metadata
    return [meta.name, _controller(revision), revision.revision, times.age(meta.creationTimestamp)]


def _controller(revision: ControllerRevision) -> str:
    for owner in revision.metadata.ownerReferences:
        if owner.controller:
            group = owner.apiVersion.rpartition("/")[0]
            kind = f"{owner.kind}.{group}" if group else owner.kind
            return f"{kind.lower()}/{owner.name}"
    return NONE


CONTROLLERREVISIONS = register(
    Resource(
        type=ControllerRevision,
        group="apps",
        version="v1",
        plural="controllerrevisions",
        namespaced=True,
        singular="controllerrevision",
        validate=_validate,
        validate_update=_validate_update,
        columns=(
            NAME_COLUMN,
            Column("Controller", description="Whose template it was."),
            Column("Revision", description="The how manieth it was."),
            AGE_COLUMN,
        ),
        row=_row,
    )
)
