"""The envelope that Kubernetes puts protobuf into (``k8s.io/apimachinery/pkg/runtime.Unknown``)."""

from __future__ import annotations

from typing import Any, NamedTuple

from clusterip.objects.codec import encode
from clusterip.objects.protobuf import messages, wire
from clusterip.objects.protobuf.wire import NotProtobuf

MAGIC = b"k8s\x00"


class Envelope(NamedTuple):
    """What is in the envelope: a message, and of which kind it is."""

    api_version: str
    kind: str
    message: bytes


def opened(body: bytes) -> Envelope:
    """Raises NotProtobuf: the body is not in Kubernetes' form."""
    if not body:
        raise NotProtobuf("empty data")
    if not body.startswith(MAGIC):
        raise NotProtobuf(
            "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]"
        )
    if len(body) == len(MAGIC):
        raise NotProtobuf("empty body")
    api_version = kind = ""
    raw = b""
    for number, value in wire.fields(body[len(MAGIC) :]):
        if number == 1 and isinstance(value, bytes):
            names = dict(wire.fields(value))
            api_version, kind = _text(names.get(1, b"")), _text(names.get(2, b""))
        elif number == 2 and isinstance(value, bytes):
            raw = value
    return Envelope(api_version, kind, raw)


def to_json(body: bytes, type_: Any) -> bytes:
    """A protobuf body as the JSON of the object it stands for. ``type_`` is what it should become.

    Raises:
        NotProtobuf: it is not in Kubernetes' form, or of a kind that is not known.
    """
    api_version, kind, raw = opened(body)
    message = message_of(api_version, kind)
    if not messages.is_known(message):
        raise NotProtobuf(f'no kind "{kind}" is registered for version "{api_version}"')
    tree = messages.decode(message, raw, type_)
    return encode({"kind": kind, "apiVersion": api_version, **tree})


def message_of(api_version: str, kind: str) -> str:
    """``networking.k8s.io/v1``, ``IPAddress`` -> ``networking.v1.IPAddress``."""
    if kind == "DeleteOptions":
        return "meta.v1.DeleteOptions"
    group, slash, version = api_version.rpartition("/")
    name = group.removesuffix(".k8s.io").partition(".")[0] if slash else "core"
    return f"{name}.{version}.{kind}"


def _text(value: int | bytes) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else ""
