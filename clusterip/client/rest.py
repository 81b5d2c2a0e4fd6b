"""Typed verbs on the API server's objects: get, list, create, update, patch, delete, watch."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Generic, Literal, TypeVar

import msgspec

from clusterip.client.errors import ApiError, Unreachable
from clusterip.client.transport import Query, Transport
from clusterip.client.watching import Bookmark, LineSplitter, WatchEvent, parse_event
from clusterip.objects import codec
from clusterip.objects.meta import DeleteOptions, ListMeta, Object, Preconditions
from clusterip.objects.registry import Resource, resource_of

O = TypeVar("O", bound=Object)  # noqa: E741
T = TypeVar("T")

PatchKind = Literal["merge", "strategic", "json", "apply"]

PATCH_TYPES: dict[PatchKind, str] = {
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "json": "application/json-patch+json",
    "apply": "application/apply-patch+yaml",
}


class ObjectList(msgspec.Struct, Generic[T]):
    """A collection as the server gave it; ``metadata.resourceVersion`` is where a watch goes on."""

    metadata: ListMeta = msgspec.field(default_factory=ListMeta)
    items: list[T] = []


class Client(Transport):
    """The API server, typed. An async context manager; every method may raise ApiError or Unreachable.

    Objects need no ``kind`` and ``apiVersion``; what is written gets them from its type.
    """

    async def __aenter__(self) -> Client:
        await super().__aenter__()
        return self

    async def get(self, type_: type[O], name: str, namespace: str = "") -> O:
        return codec.decode(await self.request("GET", resource_of(type_).path(namespace, name)), type_)

    async def list(
        self,
        type_: type[O],
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 0,
        resource_version: str = "",
    ) -> ObjectList[O]:
        """All objects of a kind, or those the selectors pick; ``limit`` above 0 asks in such pages."""
        query = selection(label_selector, field_selector)
        if resource_version:
            query["resourceVersion"] = resource_version
        if limit:
            query["limit"] = str(limit)
        path = resource_of(type_).path(namespace)
        wanted: Any = ObjectList[type_]  # type: ignore[valid-type]
        page: ObjectList[O] = codec.decode(await self.request("GET", path, query=query), wanted)
        found = page
        while page.metadata.continue_:
            # The token says from which version; naming one beside it is an error.
            query.pop("resourceVersion", None)
            query["continue"] = page.metadata.continue_
            page = codec.decode(await self.request("GET", path, query=query), wanted)
            found.items += page.items
            found.metadata = page.metadata
        return found

    async def create(self, obj: O) -> O:
        resource, namespace, _name = _place(obj)
        return await self._write("POST", resource.path(namespace), obj)

    async def update(self, obj: O) -> O:
        """Replace the object. With ``metadata.resourceVersion``: only if nobody changed it meanwhile."""
        resource, namespace, name = _place(obj)
        return await self._write("PUT", resource.path(namespace, name), obj)

    async def update_status(self, obj: O) -> O:
        return await self.update_subresource(obj, "status")

    async def update_subresource(self, obj: O, subresource: str) -> O:
        """Replace one part of the object, such as its ``status`` or a Namespace's ``finalize``."""
        resource, namespace, name = _place(obj)
        return await self._write("PUT", resource.path(namespace, name, subresource), obj)

    async def create_subresource(
        self, type_: type[O], name: str, namespace: str, subresource: str, body: Any
    ) -> bytes:
        """POST to a part of an object, such as a Pod's ``binding`` or ``eviction``."""
        path = resource_of(type_).path(namespace, name, subresource)
        return await self.request("POST", path, body=codec.encode(body))

    async def patch(
        self,
        type_: type[O],
        name: str,
        namespace: str,
        body: Any,
        *,
        kind: PatchKind = "merge",
        subresource: str = "",
        field_manager: str = "",
        force: bool = False,
    ) -> O:
        """Change part of an object. ``force`` takes fields from other managers (``apply`` only)."""
        query: dict[str, str | list[str]] = {}
        if field_manager:
            query["fieldManager"] = field_manager
        if force:
            query["force"] = "true"
        answer = await self.request(
            "PATCH",
            resource_of(type_).path(namespace, name, subresource),
            query=query,
            body=codec.encode(body),
            content_type=PATCH_TYPES[kind],
        )
        return codec.decode(answer, type_)

    async def delete(
        self,
        type_: type[O],
        name: str,
        namespace: str = "",
        *,
        grace_period_seconds: int | None = None,
        propagation_policy: str | None = None,
        uid: str | None = None,
    ) -> None:
        """Delete an object; with ``uid`` only that one, not another that took its name (409 then)."""
        options = DeleteOptions(
            gracePeriodSeconds=grace_period_seconds,
            propagationPolicy=propagation_policy,
            preconditions=Preconditions(uid=uid) if uid else None,
        )
        body = codec.encode({"kind": "DeleteOptions", "apiVersion": "v1", **codec.to_tree(options)})
        await self.request("DELETE", resource_of(type_).path(namespace, name), body=body)

    async def watch(
        self,
        type_: type[O],
        namespace: str = "",
        *,
        resource_version: str = "",
        label_selector: str = "",
        field_selector: str = "",
    ) -> AsyncIterator[WatchEvent[O]]:
        """Changes after ``resource_version`` until the server ends the watch; ``informer`` goes on for ever.

        Bookmarks come as events of type ``BOOKMARK`` with only a resource version.
        """
        query = watch_query(resource_version, label_selector, field_selector)
        async with self.stream(resource_of(type_).path(namespace), query=query) as content:
            lines = LineSplitter()
            while chunk := await content.readany():
                for line in lines.feed(chunk):
                    event = parse_event(line)
                    if event.type == "BOOKMARK":
                        mark = codec.decode(event.object, Bookmark)
                        obj = type_()
                        obj.metadata.resourceVersion = mark.metadata.resourceVersion
                    else:
                        obj = codec.decode(event.object, type_)
                    yield WatchEvent(event.type, obj)

    async def _write(self, method: str, path: str, obj: O) -> O:
        type_ = type(obj)
        resource = resource_of(type_)
        whole = msgspec.structs.replace(obj, kind=resource.kind, apiVersion=resource.api_version)
        return codec.decode(await self.request(method, path, body=codec.encode(whole)), type_)


def selection(label_selector: str, field_selector: str) -> dict[str, str | list[str]]:
    """The query of a list or watch that is not about everything."""
    query: dict[str, str | list[str]] = {}
    if label_selector:
        query["labelSelector"] = label_selector
    if field_selector:
        query["fieldSelector"] = field_selector
    return query


def watch_query(
    resource_version: str, label_selector: str = "", field_selector: str = "", seconds: int = 0
) -> dict[str, str | list[str]]:
    """The query of a watch that the server should end after ``seconds`` (0: when it likes)."""
    query = selection(label_selector, field_selector)
    query |= {"watch": "true", "allowWatchBookmarks": "true"}
    if resource_version:
        query["resourceVersion"] = resource_version
    if seconds:
        query["timeoutSeconds"] = str(seconds)
    return query


def _place(obj: O) -> tuple[Resource[O], str, str]:
    return resource_of(type(obj)), obj.metadata.namespace, obj.metadata.name


__all__ = ["ApiError", "Client", "ObjectList", "Query", "Unreachable", "WatchEvent"]
