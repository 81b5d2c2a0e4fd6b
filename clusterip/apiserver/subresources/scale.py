"""The ``scale`` subresource: how many replicas a workload wants and has (``autoscaling/v1``)."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from clusterip.apiserver import status, table
from clusterip.apiserver.call import Call
from clusterip.apiserver.decoding import APPLY, read_options, read_patch
from clusterip.apiserver.encoding import finish
from clusterip.apiserver.entry import Entry
from clusterip.apiserver.field_managers import manager_of
from clusterip.apiserver.patch import PatchError, apply_patch
from clusterip.apiserver.patch.dispatch import MERGE
from clusterip.apiserver.table import CREATED, NAME
from clusterip.objects import times
from clusterip.objects.base import Struct, always
from clusterip.objects.codec import convert, encode, to_tree
from clusterip.objects.errors import invalid
from clusterip.objects.meta import Object, ObjectMeta
from clusterip.objects.registry import Column, Resource


class ScaleSpec(Struct):
    replicas: int = 0


class ScaleStatus(Struct):
    replicas: int = always(0)
    selector: str = ""


class Scale(Object):
    spec: ScaleSpec = msgspec.field(default_factory=ScaleSpec)
    status: ScaleStatus = msgspec.field(default_factory=ScaleStatus)


def _row(scale: Scale) -> list[Any]:
    age = times.age(scale.metadata.creationTimestamp)
    return [scale.metadata.name, scale.spec.replicas, scale.status.replicas, age]


_SCALES: Resource[Any] = Resource(
    type=Scale,
    group="autoscaling",
    version="v1",
    plural="scales",
    namespaced=True,
    columns=(
        Column("Name", "string", "", NAME),
        Column(
            "Desired", "integer", "", "replicas is the desired number of instances for the scaled object."
        ),
        Column(
            "Available",
            "integer",
            "",
            "replicas is the actual number of observed instances of the scaled object.",
        ),
        Column("Age", "string", "", CREATED),
    ),
    row=_row,
)


async def serve(call: Call, resource: Resource[Any]) -> web.Response:
    info = call.info
    if info.verb == "get":
        entry = await call.server.objects.get(resource, info.namespace, info.name)
        return _reply(call, resource, entry)
    if info.verb == "update":
        given = read_options(await call.body(), call.content_type, Scale)
        entry = await _update(call, resource, lambda _current: given)
    elif info.verb == "patch":
        content_type = call.content_type.partition(";")[0].strip().lower()
        document, _ = read_patch(await call.body(), content_type)
        if content_type == APPLY:  # there is one field to own, so applying comes to merging
            content_type = MERGE

        def patched(current: Scale) -> Scale:
            try:
                return convert(apply_patch(content_type, to_tree(current), document, Scale), Scale)
            except PatchError as error:
                raise status.failure(error.code, error.reason, error.message) from None
            except msgspec.ValidationError as error:
                raise status.bad_request(str(error)) from None

        entry = await _update(call, resource, patched)
    else:
        raise status.method_not_allowed()
    return _reply(call, resource, entry)


async def _update(call: Call, resource: Resource[Any], scale_from: Any) -> Entry:
    info = call.info
    how = resource.scale
    assert how is not None

    def change(current: Any) -> Any:
        if current is None:
            raise status.not_found(resource, info.name)
        wanted: Scale = scale_from(_scale_of(resource, current))
        if wanted.metadata.name and wanted.metadata.name != info.name:
            raise status.bad_request(
                f"the name of the object ({wanted.metadata.name}) does not match the name on the URL "
                f"({info.name})"
            )
        if wanted.spec.replicas < 0:
            problem = invalid("spec.replicas", wanted.spec.replicas, "must be greater than or equal to 0")
            raise status.invalid(_SCALES, info.name, [problem])
        how.set_replicas(current, wanted.spec.replicas)
        current.metadata.resourceVersion = wanted.metadata.resourceVersion
        return current

    entry, _ = await call.server.objects.update(
        resource,
        info.namespace,
        info.name,
        change,
        user=call.user,
        subresource="scale",
        manager=manager_of(call.request, info),
        dry_run=info.dry_run,
    )
    return entry


def _scale_of(resource: Resource[Any], obj: Any) -> Scale:
    how = resource.scale
    assert how is not None
    meta = obj.metadata
    return Scale(
        kind="Scale",
        apiVersion="autoscaling/v1",
        metadata=ObjectMeta(
            name=meta.name,
            namespace=meta.namespace,
            uid=meta.uid,
            resourceVersion=meta.resourceVersion,
            creationTimestamp=meta.creationTimestamp,
        ),
        spec=ScaleSpec(replicas=how.replicas(obj)),
        status=ScaleStatus(replicas=how.current(obj), selector=how.selector(obj)),
    )


def _reply(call: Call, resource: Resource[Any], entry: Entry) -> web.Response:
    scale = _scale_of(resource, entry.decode())
    form = call.form
    body = encode(scale)
    if form.shape == "metadata":
        body = table.partial_of(body)
    elif form.shape == "table":
        metadata = b'{"resourceVersion":"%d"}' % entry.revision
        body = table.table_of(_SCALES, scale, body, metadata, form.include_object)
    return call.reply(finish(body, form))
