"""An object as the server keeps it in memory: JSON that is served as it is, and little else."""

from __future__ import annotations

from typing import Any

import msgspec

from clusterip.objects.codec import decode, encode
from clusterip.objects.registry import Resource

_META = b'"metadata":{'


class _Labelled(msgspec.Struct):
    labels: dict[str, str] = {}


class _OnlyLabels(msgspec.Struct):
    metadata: _Labelled = msgspec.field(default_factory=_Labelled)


class Entry:
    """One object at one resource version.

    ``body`` is the object's JSON from ``"metadata"`` on, with the resource version in it and without
    the opening brace: ``{`` + body is an item of a list, ``header(resource)`` + body the object.
    Labels and the fields that selectors may ask for are decoded when first asked for.
    """

    __slots__ = ("_fields", "_labels", "body", "name", "namespace", "resource", "revision")

    def __init__(
        self, resource: Resource[Any], namespace: str, name: str, revision: int, stored: bytes
    ) -> None:
        self.resource = resource
        self.namespace = namespace
        self.name = name
        self.revision = revision
        if resource.view is not None:
            stored = encode(resource.view.read(decode(stored, resource.view.of.type)))
        # The stored form always begins {"kind":K,"apiVersion":V,"metadata":{ in exactly this way.
        start = len(header(resource)) + len(_META)
        version = b'"resourceVersion":"%d",' % revision if revision else b""  # none of a dry run
        self.body = b"%b%b%b" % (_META, version, stored[start:])
        self._labels: dict[str, str] | None = None
        self._fields: dict[str, str] | None = None

    @property
    def json(self) -> bytes:
        """The object as a client gets it."""
        return header(self.resource) + self.body

    @property
    def item(self) -> bytes:
        """The object as an item of a list, where it does not say again what kind it is."""
        return b"{" + self.body

    @property
    def stored(self) -> bytes:
        """The object as the store holds it, without a resource version."""
        if self.resource.view is not None:
            obj = self.decode()
            obj.metadata.resourceVersion = ""
            return stored_form(self.resource, obj)
        return header(self.resource) + _META + self.body[len(_META) + len(str(self.revision)) + 21 :]

    def at(self, revision: int) -> Entry:
        """The same object, said to be of another revision."""
        return Entry(self.resource, self.namespace, self.name, revision, self.stored)

    @property
    def labels(self) -> dict[str, str]:
        if self._labels is None:
            self._labels = decode(self.item, _OnlyLabels).metadata.labels
        return self._labels

    def field(self, path: str) -> str:
        """The value of a field selector's field; an unknown field is empty."""
        if path == "metadata.name":
            return self.name
        if path == "metadata.namespace":
            return self.namespace
        if self._fields is None:
            obj = self.decode()
            self._fields = {name: value(obj) for name, value in self.resource.fields.items()}
        return self._fields.get(path, "")

    def decode(self) -> Any:
        """The object itself, a new one each time, so that callers may change it."""
        return decode(self.json, self.resource.type)


def stored_form(resource: Resource[Any], obj: Any) -> bytes:
    """An object as the store holds it."""
    return encode(obj if resource.view is None else resource.view.write(obj))


_headers: dict[Resource[Any], bytes] = {}


def header(resource: Resource[Any]) -> bytes:
    """What every object of a kind begins with, up to its metadata."""
    known = _headers.get(resource)
    if known is None:
        known = _headers[resource] = b'{"kind":"%b","apiVersion":"%b",' % (
            resource.kind.encode(),
            resource.api_version.encode(),
        )
    return known
