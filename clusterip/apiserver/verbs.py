"""The verbs on resources: from a call to the objects and back."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from clusterip.apiserver import status
from clusterip.apiserver.call import Call
from clusterip.apiserver.decoding import (
    APPLY,
    read_delete_options,
    read_object,
    read_patch,
    read_tree,
    to_json,
)
from clusterip.apiserver.encoding import encode_entry, encode_list
from clusterip.apiserver.entry import Entry
from clusterip.apiserver.field_managers import manager_of
from clusterip.apiserver.generic import CREATED_BY_UPDATE
from clusterip.apiserver.list_options import integer
from clusterip.apiserver.listing import list_entries, parse_version
from clusterip.apiserver.metadata import check_uid, single_owners
from clusterip.apiserver.patching import patcher, unusable
from clusterip.apiserver.router import is_true
from clusterip.apiserver.selection import selection_of
from clusterip.apiserver.write_options import check_write_options
from clusterip.objects.core.namespace import NAMESPACES
from clusterip.objects.core.pod import PODS
from clusterip.objects.core.service import SERVICES
from clusterip.objects.core.serviceaccount import SERVICEACCOUNTS
from clusterip.objects.meta import DeleteOptions, StatusDetails
from clusterip.objects.registry import Resource

RETURNED_WHEN_DELETED = frozenset((NAMESPACES, PODS, SERVICES, SERVICEACCOUNTS))
"""Kinds whose deletion answers with the object rather than with a Status (``ReturnDeletedObject``)."""


async def get(call: Call, resource: Resource[Any]) -> web.Response:
    info = call.info
    version = info.query.get("resourceVersion", "")
    if version == "0":
        entry = call.server.cache.of(resource).get(_namespace(call, resource), info.name)
        if entry is None:
            raise status.not_found(resource, info.name)
    else:
        await call.server.cache.reach(parse_version(version))
        entry = await call.server.objects.get(resource, _namespace(call, resource), info.name)
    return call.reply(encode_entry(entry, call.form))


async def list_(call: Call, resource: Resource[Any]) -> web.Response:
    form = call.form
    listing = await list_entries(call.server.cache, resource, selection_of(call.info), call.info.query)
    body = await encode_list(
        resource,
        listing.entries,
        listing.revision,
        form,
        continue_=listing.continue_,
        remaining=listing.remaining,
    )
    return call.reply(body)


async def create(call: Call, resource: Resource[Any]) -> web.Response:
    form = call.form
    check_write_options(call.info)
    if resource.namespaced and not call.info.namespace:
        raise status.method_not_allowed()
    body = to_json(await call.body(), call.content_type, resource.type)
    obj, call.warnings = read_object(body, resource, call.info.query)
    call.warnings += single_owners(obj)
    entry = await call.server.objects.create(
        resource,
        _namespace(call, resource),
        obj,
        user=call.user,
        manager=manager_of(call.request, call.info),
        dry_run=call.info.dry_run,
    )
    call.warnings += resource.warnings(obj)
    return call.reply(encode_entry(entry, form), 201)


async def update(call: Call, resource: Resource[Any]) -> web.Response:
    form, info = call.form, call.info
    check_write_options(call.info)
    body = to_json(await call.body(), call.content_type, resource.type)
    obj, call.warnings = read_object(body, resource, info.query)
    call.warnings += single_owners(obj)
    attempts = 0

    def replace(current: Any) -> Any:
        nonlocal attempts, obj
        uid = current.metadata.uid if current is not None else ""
        check_uid(resource, obj, info.namespace, uid)
        attempts += 1
        if attempts > 1:  # a failed attempt may have filled things in
            obj, _ = read_object(body, resource, info.query)
            single_owners(obj)
        return obj

    entry, created = await call.server.objects.update(
        resource,
        _namespace(call, resource),
        info.name,
        replace,
        user=call.user,
        subresource=info.subresource,
        manager=manager_of(call.request, info),
        dry_run=info.dry_run,
        may_create=resource in CREATED_BY_UPDATE,
    )
    if not info.subresource:
        call.warnings += resource.warnings(obj)
    return call.reply(encode_entry(entry, form), 201 if created else 200)


async def patch(call: Call, resource: Resource[Any]) -> web.Response:
    form, info = call.form, call.info
    content_type = call.content_type.partition(";")[0].strip()
    check_write_options(info, applies=content_type == APPLY)
    document, duplicates = read_patch(await call.body(), content_type)
    manager = manager_of(call.request, info)
    change = patcher(content_type, document, resource, info, manager)
    warnings: list[str] = []
    result: Any = None

    def apply(current: Any) -> Any:
        nonlocal result
        tree = change(current)
        try:
            result, warnings[:] = read_tree(tree, resource, info.query, duplicates)
        except status.StatusError as error:
            raise error if content_type == APPLY else unusable(tree, error) from None
        warnings.extend(single_owners(result, late=True))
        return result

    entry, created = await call.server.objects.update(
        resource,
        _namespace(call, resource),
        info.name,
        apply,
        user=call.user,
        subresource=info.subresource,
        manager="" if content_type == APPLY else manager,  # applying notes the owners itself
        dry_run=info.dry_run,
        may_create=content_type == APPLY,
    )
    call.warnings = warnings if info.subresource else warnings + resource.warnings(result)
    return call.reply(encode_entry(entry, form), 201 if created else 200)


async def delete(call: Call, resource: Resource[Any]) -> web.Response:
    form, info = call.form, call.info
    options = await _delete_options(call)
    entry, gone = await call.server.objects.delete(
        resource, _namespace(call, resource), info.name, options, user=call.user
    )
    if gone and resource not in RETURNED_WHEN_DELETED:
        return call.reply_status(status.success(_deleted(resource, entry)))
    code = 202 if not gone and options.orphanDependents is False else 200
    return call.reply(encode_entry(entry, form), code)


async def delete_collection(call: Call, resource: Resource[Any]) -> web.Response:
    form, info = call.form, call.info
    options = await _delete_options(call)
    options.preconditions = None
    if resource.namespaced and not info.namespace:
        raise status.method_not_allowed()
    listing = await list_entries(call.server.cache, resource, selection_of(info), info.query)
    deleted: list[Entry] = []
    for entry in listing.entries:
        try:
            last, _ = await call.server.objects.delete(
                resource, entry.namespace, entry.name, msgspec.structs.replace(options), user=call.user
            )
        except status.StatusError as error:
            if error.status.reason != "NotFound":
                raise
        else:
            deleted.append(last)
    body = await encode_list(resource, deleted, call.server.cache.revision, form, continue_=listing.continue_)
    return call.reply(body)


def _deleted(resource: Resource[Any], entry: Entry) -> StatusDetails:
    uid = entry.decode().metadata.uid
    return StatusDetails(name=entry.name, group=resource.group, kind=resource.plural, uid=uid)


async def _delete_options(call: Call) -> DeleteOptions:
    body = await call.body()
    if body:
        return read_delete_options(body, call.content_type)
    query = call.info.query
    options = DeleteOptions()
    if "gracePeriodSeconds" in query:
        options.gracePeriodSeconds = integer(query["gracePeriodSeconds"])
    if "propagationPolicy" in query:
        options.propagationPolicy = query["propagationPolicy"]
    if "orphanDependents" in query:
        options.orphanDependents = is_true(query, "orphanDependents")
    if query.get("dryRun"):
        options.dryRun = [query["dryRun"]]
    return options


def _namespace(call: Call, resource: Resource[Any]) -> str:
    return call.info.namespace if resource.namespaced else ""
