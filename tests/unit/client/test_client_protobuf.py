"""Lists and watches in protobuf, put together here field by field, as a kube-apiserver sends them."""

from __future__ import annotations

import asyncio
import struct
from typing import Any

import msgspec
import pytest

from clusterip.client.errors import ApiError, error_of
from clusterip.client.informer import Informer
from clusterip.client.protobuf import ProtobufEventReader, read_list
from clusterip.client.rest import Client
from clusterip.client.watching import Bookmark, WatchEvent
from clusterip.objects.core.service import SERVICES

CONTENT_TYPE = "application/vnd.kubernetes.protobuf"


class Meta(msgspec.Struct):
    name: str
    namespace: str = ""
    resourceVersion: str = ""
    uid: str = ""
    labels: dict[str, str] = {}


class Port(msgspec.Struct):
    port: int
    protocol: str


class Spec(msgspec.Struct):
    clusterIP: str = ""
    ports: tuple[Port, ...] = ()
    healthCheckNodePort: int = 0


class Thing(msgspec.Struct):
    metadata: Meta
    spec: Spec = msgspec.field(default_factory=Spec)


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1  # negative ones take ten bytes
    encoded = b""
    while value >= 0x80:
        encoded += bytes((value & 0x7F | 0x80,))
        value >>= 7
    return encoded + bytes((value,))


def message(*fields: tuple[int, int | str | bytes]) -> bytes:
    encoded = b""
    for number, value in fields:
        if isinstance(value, int):
            encoded += varint(number << 3) + varint(value)
        else:
            data = value.encode() if isinstance(value, str) else value
            encoded += varint(number << 3 | 2) + varint(len(data)) + data
    return encoded


def envelope(kind: str, content: bytes) -> bytes:
    type_meta = message((1, "v1"), (2, kind))
    return b"k8s\0" + message((1, type_meta), (2, content), (3, ""), (4, ""))


def service(name: str, version: int, ip: str = "10.96.0.1") -> bytes:
    label = message((1, "app"), (2, name))
    meta = message((1, name), (3, "ns"), (5, f"uid-{name}"), (6, str(version)), (11, label))
    port = message((1, ""), (2, "TCP"), (3, 80), (5, 0))
    spec = message((1, port), (3, ip), (4, "ClusterIP"), (12, -1))
    return message((1, meta), (2, spec), (3, message((1, b""))))


def event(kind: str, obj: bytes, of: str = "Service") -> bytes:
    frame = message((1, kind), (2, message((1, envelope(of, obj)))))
    return struct.pack("!I", len(frame)) + frame


def listing(version: int, *items: bytes) -> bytes:
    meta = message((1, ""), (2, str(version)), (3, ""))
    return envelope("ServiceList", message((1, meta), *((2, item) for item in items)))


def status(code: int, text: str, reason: str) -> bytes:
    return message((1, message((1, ""))), (2, "Failure"), (3, text), (4, reason), (6, code))


END = message((1, message((1, ""), (6, "9"), (12, message((1, "k8s.io/initial-events-end"), (2, "true"))))))


def refuse(_: bytes, error: msgspec.ValidationError) -> None:
    raise AssertionError(error)


def test_a_list() -> None:
    version, found = read_list(listing(7, service("a", 3), service("b", 5, "10.96.0.2")), Thing, refuse)
    first, second = found
    assert version == "7"
    assert first == Thing(
        Meta("a", "ns", "3", "uid-a", {"app": "a"}), Spec("10.96.0.1", (Port(80, "TCP"),), -1)
    )
    assert second.spec.clusterIP == "10.96.0.2"


def test_an_empty_list() -> None:
    version, found = read_list(listing(7), Thing, refuse)
    assert (version, list(found)) == ("7", [])


def test_events_cut_anywhere() -> None:
    data = event("ADDED", service("a", 3)) + event("BOOKMARK", END) + event("DELETED", service("a", 10))
    for size in (1, 7, 50, len(data)):
        reader = ProtobufEventReader(Thing, refuse)
        found: list[WatchEvent[Thing] | Bookmark] = []
        for start in range(0, len(data), size):
            found += reader.feed(data[start : start + size])
        added, bookmark, deleted = found
        assert isinstance(added, WatchEvent)
        assert isinstance(deleted, WatchEvent)
        assert isinstance(bookmark, Bookmark)
        assert (added.type, added.object.metadata.name, deleted.type) == ("ADDED", "a", "DELETED")
        assert bookmark.metadata.resourceVersion == "9"
        assert bookmark.ends_initial_events


def test_an_error_comes_after_what_was_before_it() -> None:
    data = event("ADDED", service("a", 3)) + event("ERROR", status(410, "too old", "Expired"), "Status")
    found = ProtobufEventReader(Thing, refuse).feed(data)
    assert isinstance(next(found), WatchEvent)
    with pytest.raises(ApiError, match="too old") as caught:
        next(found)
    assert caught.value.is_gone


def test_what_is_not_understood_is_left_out() -> None:
    complaints: list[str] = []
    nameless = message((1, message((6, "4"))), (2, message((1, message((3, 80))))))
    _, found = read_list(
        listing(7, nameless, service("b", 5)), Thing, lambda _, error: complaints.append(str(error))
    )
    assert [thing.metadata.name for thing in found] == ["b"]
    assert len(complaints) == 1


@pytest.mark.parametrize("data", [b"", b"{}", b"k8s\0", b"k8s\0\xff\xff", b"k8s\0\x12\x05ab"])
def test_what_is_no_list(data: bytes) -> None:
    with pytest.raises(msgspec.DecodeError, match="not a list in protobuf"):
        read_list(data, Thing, refuse)


@pytest.mark.parametrize("data", [b'{"type":"ADDED"}\n' * 4, struct.pack("!I", 3) + b"\xff\xff\xff"])
def test_what_is_no_watch(data: bytes) -> None:
    with pytest.raises(msgspec.DecodeError, match="not a watch in protobuf"):
        list(ProtobufEventReader(Thing, refuse).feed(data))


def test_a_refusal() -> None:
    error = error_of(403, envelope("Status", status(403, "you may not", "Forbidden")))
    assert (error.code, error.reason, str(error)) == (403, "Forbidden", "you may not")


async def test_an_informer_takes_what_the_server_sends(server: Any, client: Client) -> None:
    """JSON was asked for first; one that only has protobuf is understood too."""
    informer = Informer(client, SERVICES, Thing)
    task = asyncio.create_task(informer.run())
    first = await server.next()
    assert first.headers["accept"] == f"application/json, {CONTENT_TYPE};q=0.5"
    await first.answer_bytes(
        envelope("Status", status(422, "sendInitialEvents is forbidden", "Invalid")), CONTENT_TYPE, 422
    )
    await (await server.next()).answer_bytes(listing(7, service("a", 3)), CONTENT_TYPE)
    watch = await server.next()
    assert watch.query["resourceVersion"] == "7"
    await watch.begin(f"{CONTENT_TYPE};stream=watch")
    changed = asyncio.Event()
    informer.on_batch(changed.set)
    await watch.chunk(event("MODIFIED", service("a", 8, "10.96.0.8")))
    async with asyncio.timeout(5):
        await changed.wait()
    assert informer.objects["ns", "a"].spec.clusterIP == "10.96.0.8"
    task.cancel()


async def test_an_informer_takes_a_list_as_the_beginning_of_a_watch(server: Any, client: Client) -> None:
    informer = Informer(client, SERVICES, Thing)
    task = asyncio.create_task(informer.run())
    stream = await server.next()
    await stream.begin(f"{CONTENT_TYPE};stream=watch")
    await stream.chunk(event("ADDED", service("a", 3)) + event("BOOKMARK", END))
    async with asyncio.timeout(5):
        await informer.synced.wait()
    assert set(informer.objects) == {("ns", "a")}
    task.cancel()
