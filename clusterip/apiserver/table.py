"""Tables: what ``kubectl get`` prints, and objects cut down to their metadata.

``application/json;as=Table;v=v1;g=meta.k8s.io`` and ``as=PartialObjectMetadata``, as
``k8s.io/apiserver/pkg/endpoints/handlers/response.go`` answers them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec

from clusterip.apiserver.entry import Entry
from clusterip.objects.codec import encode
from clusterip.objects.registry import Column, Resource

NAME = (
    "Name must be unique within a namespace. Is required when creating resources, although some "
    "resources may allow a client to request the generation of an appropriate name automatically. Name "
    "is primarily intended for creation idempotence and configuration definition. Cannot be updated. "
    "More info: https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names"
)
CREATED = (
    "CreationTimestamp is a timestamp representing the server time when this object was created. "
    "It is not guaranteed to be set in happens-before order across separate operations. Clients may not "
    "set this value. It is represented in RFC3339 form and is in UTC."
)
_DEFAULT_COLUMNS = (
    Column("Name", "string", "name", NAME),
    Column("Created At", "date", "", CREATED),
)
_ROWS_AT_ONCE = 200


class _Metadata(msgspec.Struct):
    metadata: msgspec.Raw


def _metadata(entry: Entry) -> bytes:
    return bytes(msgspec.json.decode(entry.item, type=_Metadata).metadata)


def partial(entry: Entry) -> bytes:
    """A ``PartialObjectMetadata``: the object's metadata and nothing else."""
    return _partial(_metadata(entry))


def partial_of(body: bytes) -> bytes:
    """The ``PartialObjectMetadata`` of an object that is not stored."""
    return _partial(bytes(msgspec.json.decode(body, type=_Metadata).metadata))


def _partial(metadata: bytes) -> bytes:
    return b'{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":%b}' % metadata


def partial_item(entry: Entry) -> bytes:
    return partial(entry)


def columns(resource: Resource[Any]) -> bytes:
    """The column definitions of a resource, as JSON."""
    known = _columns.get(resource)
    if known is None:
        chosen = resource.columns if resource.row is not None else _DEFAULT_COLUMNS
        known = _columns[resource] = encode(
            [
                {
                    "name": column.name,
                    "type": column.type,
                    "format": column.format,
                    "description": column.description,
                    "priority": column.priority,
                }
                for column in chosen
            ]
        )
    return known


_columns: dict[Resource[Any], bytes] = {}


def row(entry: Entry, include_object: str) -> bytes:
    """An object's row; ``include_object`` is None, Metadata or Object."""
    resource, obj = entry.resource, entry.decode()
    if resource.row is None:
        cells: list[Any] = [entry.name, obj.metadata.creationTimestamp]
    else:
        cells = resource.row(obj)
    if include_object == "None":
        return b'{"cells":%b,"object":null}' % encode(cells)
    shown = entry.json if include_object == "Object" else partial(entry)
    return b'{"cells":%b,"object":%b}' % (encode(cells), shown)


def table(
    resource: Resource[Any],
    entries: Sequence[Entry],
    list_metadata: bytes,
    include_object: str = "Metadata",
    *,
    with_columns: bool = True,
) -> bytes:
    """A table of objects; a watch leaves the column definitions out after its first event."""
    rows = [row(entry, include_object) for entry in entries]
    return _table(list_metadata, columns(resource) if with_columns else b"null", rows)


def table_of(resource: Resource[Any], obj: Any, body: bytes, metadata: bytes, include_object: str) -> bytes:
    """The table of an object that is not stored; ``body`` is its JSON."""
    assert resource.row is not None
    shown = {"None": b"null", "Object": body}.get(include_object) or partial_of(body)
    row = b'{"cells":%b,"object":%b}' % (encode(resource.row(obj)), shown)
    return _table(metadata, columns(resource), [row])


async def long_table(
    resource: Resource[Any], entries: Sequence[Entry], list_metadata: bytes, include_object: str
) -> bytes:
    """As ``table``, but other requests get their turn while many rows are made."""
    rows: list[bytes] = []
    for start in range(0, len(entries), _ROWS_AT_ONCE):
        if start:
            await asyncio.sleep(0)
        rows += [row(entry, include_object) for entry in entries[start : start + _ROWS_AT_ONCE]]
    return _table(list_metadata, columns(resource), rows)


def _table(metadata: bytes, column_definitions: bytes, rows: list[bytes]) -> bytes:
    return (
        b'{"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":%b,"columnDefinitions":%b,"rows":[%b]}'
        % (metadata, column_definitions, b",".join(rows))
    )
