"""Lists as a server answers them: their version, and the objects one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import msgspec

from clusterip.objects import codec
from clusterip.objects.meta import ListMeta

T = TypeVar("T")

NotUnderstood = Callable[[bytes, msgspec.ValidationError], None]
"""Told of an object that is not of the type it should be, and why; it is left out."""

_PROTOBUF = b"k8s\0"


class _RawList(msgspec.Struct):
    metadata: ListMeta = msgspec.field(default_factory=ListMeta)
    items: list[msgspec.Raw] | None = None


def read_list(body: bytes, type_: type[T], not_understood: NotUnderstood) -> tuple[str, Iterator[T]]:
    """The resource version and the objects of a list in JSON or protobuf.

    Raises:
        msgspec.DecodeError: it is no list.
    """
    if body.startswith(_PROTOBUF):
        from clusterip.client import protobuf  # not what anybody usually gets

        return protobuf.read_list(body, type_, not_understood)
    listed = msgspec.json.decode(body, type=_RawList)

    def objects() -> Iterator[T]:
        for raw in listed.items or ():
            try:
                yield codec.decode(raw, type_)
            except msgspec.ValidationError as error:
                not_understood(bytes(raw), error)

    return listed.metadata.resourceVersion, objects()
