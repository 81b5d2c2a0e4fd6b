"""The messages of etcd's JSON gateway that the store uses.

Names are those of ``etcdserverpb/rpc.proto``. In JSON, bytes are base64, 64-bit numbers are strings,
and fields with their zero value are left out.
"""

from __future__ import annotations

from typing import Any

import msgspec

from clusterip.storage.store import Change, Compare, Event, KeyValue, Put


class Header(msgspec.Struct):
    revision: int = 0


class KV(msgspec.Struct):
    key: bytes = b""
    value: bytes = b""
    create_revision: int = 0
    mod_revision: int = 0

    def plain(self) -> KeyValue:
        return KeyValue(self.key.decode(), self.value, self.create_revision, self.mod_revision)


class RangeResponse(msgspec.Struct):
    header: Header
    kvs: list[KV] = []
    more: bool = False
    count: int = 0


class OpResponse(msgspec.Struct):
    response_range: RangeResponse | None = None


class TxnResponse(msgspec.Struct):
    header: Header
    succeeded: bool = False
    responses: list[OpResponse] = []


class CompactionResponse(msgspec.Struct):
    header: Header


class AuthenticateResponse(msgspec.Struct):
    token: str


class WatchEvent(msgspec.Struct):
    kv: KV
    type: str = "PUT"
    prev_kv: KV | None = None

    def plain(self) -> Event:
        """As the store tells it; a deletion must have come with ``prev_kv``."""
        previous = self.prev_kv.plain() if self.prev_kv else None
        key, revision = self.kv.key.decode(), self.kv.mod_revision
        if self.type == "DELETE" and previous:
            return Event("DELETE", key, previous.value, revision, previous)
        return Event("PUT", key, self.kv.value, revision, previous)

    @property
    def lacks_previous(self) -> bool:
        """Whether what the event replaced was compacted away before etcd could tell it."""
        return self.prev_kv is None and (
            self.type == "DELETE" or self.kv.create_revision != self.kv.mod_revision
        )


class WatchResponse(msgspec.Struct):
    header: Header = msgspec.field(default_factory=Header)
    created: bool = False
    canceled: bool = False
    compact_revision: int = 0
    cancel_reason: str = ""
    fragment: bool = False
    events: list[WatchEvent] = []


class StreamError(msgspec.Struct):
    message: str = ""
    grpc_code: int = 0


class Streamed(msgspec.Struct):
    """One line of a stream's answer."""

    result: WatchResponse | None = None
    error: StreamError | None = None


class Failure(msgspec.Struct):
    """The answer to a call that failed. ``code`` is gRPC's."""

    message: str = ""
    code: int = 0


def bounds(prefix: str, start_after: str = "") -> dict[str, bytes]:
    """The range of the keys that begin with ``prefix`` and sort after ``start_after``."""
    first = prefix.encode()
    end = _successor(first)
    if start_after and start_after >= prefix:
        first = start_after.encode() + b"\0"
    return {"key": first or b"\0", "range_end": end}


def _successor(prefix: bytes) -> bytes:
    """What sorts after every key with this prefix; etcd reads a single zero byte as no end."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes((stripped[-1] + 1,)) if stripped else b"\0"


def transaction(compares: list[Compare], changes: list[Change]) -> dict[str, Any]:
    """All changes if every compare holds, else the keys compared, as they are."""
    return {
        "compare": [
            {"target": "MOD", "key": each.key.encode(), "mod_revision": each.mod_revision}
            for each in compares
        ],
        "success": [
            {"request_put": {"key": each.key.encode(), "value": each.value}}
            if isinstance(each, Put)
            else {"request_delete_range": {"key": each.key.encode()}}
            for each in changes
        ],
        "failure": [{"request_range": {"key": each.key.encode()}} for each in compares],
    }


def watch_from(prefix: str, revision: int) -> dict[str, Any]:
    return {
        "create_request": {
            **bounds(prefix),
            "start_revision": revision,
            "prev_kv": True,
            "progress_notify": True,
            "fragment": True,
        }
    }
