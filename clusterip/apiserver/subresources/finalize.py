"""``namespaces/NAME/finalize``: how the namespace controller says that a namespace is empty."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from clusterip.apiserver import status
from clusterip.apiserver.call import Call
from clusterip.apiserver.decoding import read_object, to_json
from clusterip.apiserver.encoding import encode_entry
from clusterip.objects.core.namespace import Namespace
from clusterip.objects.registry import Resource


async def serve(call: Call, resource: Resource[Any]) -> web.Response:
    if call.info.verb != "update":
        raise status.method_not_allowed()
    body = to_json(await call.body(), call.content_type, resource.type)
    given: Namespace
    given, call.warnings = read_object(body, resource, call.info.query)

    def change(current: Namespace | None) -> Any:
        if current is None:
            raise status.not_found(resource, call.info.name)
        current.spec.finalizers = given.spec.finalizers
        current.metadata.finalizers = given.metadata.finalizers
        current.metadata.resourceVersion = given.metadata.resourceVersion
        return current

    entry, _ = await call.server.objects.update(
        resource,
        "",
        call.info.name,
        change,
        user=call.user,
        subresource="finalize",
        dry_run=call.info.dry_run,
    )
    return call.reply(encode_entry(entry, call.form))
