"""Objects, lists and watch events in the form a client asked for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec
import yaml

from clusterip.apiserver import status, table
from clusterip.apiserver.entry import Entry, header
from clusterip.apiserver.negotiation import YAML, Form
from clusterip.apiserver.yaml_text import is_special
from clusterip.objects.codec import encode
from clusterip.objects.registry import Resource

INITIAL_EVENTS_END = "k8s.io/initial-events-end"


def encode_entry(entry: Entry, form: Form) -> bytes:
    """One object. Raises StatusError (406) if the client wants it as a list."""
    if form.shape == "metadata-list":
        wanted = "PartialObjectMetadataList, but the requested object is not a list"
        raise status.failure(406, "NotAcceptable", f"you requested {wanted} ({go_type(entry.resource)})")
    if form.shape == "object":
        body = entry.json
    elif form.shape == "metadata":
        body = table.partial(entry)
    else:
        metadata = b'{"resourceVersion":"%d"}' % entry.revision
        body = table.table(entry.resource, [entry], metadata, form.include_object)
    return finish(body, form)


async def encode_list(
    resource: Resource[Any],
    entries: Sequence[Entry],
    revision: int,
    form: Form,
    *,
    continue_: str = "",
    remaining: int = 0,
) -> bytes:
    """Many objects, taken at ``revision``. Raises StatusError (406) if the client wants them as one."""
    if form.shape == "metadata":
        wanted = "PartialObjectMetadata, but the requested object is a list"
        raise status.failure(406, "NotAcceptable", f"you requested {wanted} ({go_type(resource)}List)")
    metadata = b'{"resourceVersion":"%d"' % revision
    if continue_:
        metadata += b',"continue":"%b"' % continue_.encode()
        if remaining:
            metadata += b',"remainingItemCount":%d' % remaining
    metadata += b"}"
    if form.shape == "table":
        return finish(await table.long_table(resource, entries, metadata, form.include_object), form)
    if form.shape == "object":
        kind, api_version = resource.kind, resource.api_version
        # Every body ends its object, so joining them is one copy of each.
        items = b"{%b" % b",{".join([entry.body for entry in entries]) if entries else b""
    else:
        kind, api_version = "PartialObjectMetadata", "meta.k8s.io/v1"
        items = b",".join([table.partial_item(entry) for entry in entries])
    body = b'{"kind":"%bList","apiVersion":"%b","metadata":%b,"items":[%b]}' % (
        kind.encode(),
        api_version.encode(),
        metadata,
        items,
    )
    return finish(body, form)


def go_type(resource: Resource[Any]) -> str:
    """Upstream's internal type of a kind, which a message names."""
    resource = resource.stored
    return f"*{(resource.group or 'core').partition('.')[0]}.{resource.kind}"


def encode_any(value: Any, form: Form) -> bytes:
    """Anything else the server says: a Status, discovery documents."""
    return finish(encode(value), form)


def finish(body: bytes, form: Form) -> bytes:
    """JSON in the form's media type and layout."""
    if form.media_type == YAML:
        return to_yaml(body)
    if form.pretty:
        return msgspec.json.format(body, indent=2) + b"\n"
    return body + b"\n"


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Quotes doubly what would be something else without quotes, as Go programs do."""


def _text(dumper: Any, text: str) -> Any:
    style = None
    if "\n" in text:
        style = "|"
    elif is_special(text) or _TIME.match(text):
        style = '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_TIME = re.compile(r"\d{4}-\d{1,2}-\d{1,2}([Tt ].*)?$")
_Dumper.add_representer(str, _text)


def to_yaml(body: bytes) -> bytes:
    text: bytes = yaml.dump(
        msgspec.json.decode(body), Dumper=_Dumper, allow_unicode=True, encoding="utf-8", sort_keys=True
    )
    return text


class ObjectEncoder:
    """Watch events that carry whole objects: the same bytes for every watcher."""

    key: object = "object"

    def __init__(self, resource: Resource[Any]) -> None:
        self.resource = resource

    def event(self, kind: str, entry: Entry) -> bytes:
        return b'{"type":"%b","object":%b}\n' % (kind.encode(), entry.json)

    def bookmark(self, entry_revision: int, *, initial_events_end: bool) -> bytes:
        return b'{"type":"BOOKMARK","object":%b%b}\n' % (
            header(self.resource),
            _bookmark_metadata(entry_revision, initial_events_end),
        )


class MetadataEncoder(ObjectEncoder):
    """Watch events that carry ``PartialObjectMetadata``."""

    key = "metadata"

    def event(self, kind: str, entry: Entry) -> bytes:
        return b'{"type":"%b","object":%b}\n' % (kind.encode(), table.partial(entry))

    def bookmark(self, entry_revision: int, *, initial_events_end: bool) -> bytes:
        return (
            b'{"type":"BOOKMARK","object":{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1",%b}\n'
            % _bookmark_metadata(entry_revision, initial_events_end)
        )


class TableEncoder(ObjectEncoder):
    """Watch events that carry tables of one row. Only a watcher's first says what the columns are."""

    def __init__(self, resource: Resource[Any], include_object: str) -> None:
        super().__init__(resource)
        self.include_object = include_object
        self.key: object = self  # the first event differs, so nothing is shared
        self.first = True

    def event(self, kind: str, entry: Entry) -> bytes:
        metadata = b'{"resourceVersion":"%d"}' % entry.revision
        shown = table.table(self.resource, [entry], metadata, self.include_object, with_columns=self.first)
        self._begun()
        return b'{"type":"%b","object":%b}\n' % (kind.encode(), shown)

    def bookmark(self, entry_revision: int, *, initial_events_end: bool) -> bytes:
        metadata = b'{"resourceVersion":"%d"}' % entry_revision
        shown = table.table(self.resource, [], metadata, with_columns=self.first)
        self._begun()
        return b'{"type":"BOOKMARK","object":%b}\n' % shown

    def _begun(self) -> None:
        self.first = False
        self.key = ("table", self.include_object)


class YamlEncoder(ObjectEncoder):
    """Watch events as YAML documents."""

    key = "yaml"

    def event(self, kind: str, entry: Entry) -> bytes:
        return b"---\n" + to_yaml(super().event(kind, entry))

    def bookmark(self, entry_revision: int, *, initial_events_end: bool) -> bytes:
        return b"---\n" + to_yaml(super().bookmark(entry_revision, initial_events_end=initial_events_end))


def encoder_for(resource: Resource[Any], form: Form) -> ObjectEncoder:
    """The encoder of a watch."""
    if form.shape == "table":
        return TableEncoder(resource, form.include_object)
    if form.shape in ("metadata", "metadata-list"):
        return MetadataEncoder(resource)
    return YamlEncoder(resource) if form.media_type == YAML else ObjectEncoder(resource)


def _bookmark_metadata(revision: int, initial_events_end: bool) -> bytes:
    annotation = b""
    if initial_events_end:
        annotation = b',"annotations":{"%b":"true"}' % INITIAL_EVENTS_END.encode()
    return b'"metadata":{"resourceVersion":"%d","creationTimestamp":null%b}}' % (revision, annotation)
