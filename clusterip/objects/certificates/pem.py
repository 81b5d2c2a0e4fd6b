"""PEM blocks as Go's ``encoding/pem`` finds them (RFC 7468, with the headers of RFC 1421)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from typing import NamedTuple

_BLOCK = re.compile(
    rb"(?:\A|(?<=\n))-----BEGIN ([^-\n]*)-----[ \t]*\r?\n(.*?)-----END \1-----[ \t]*(?:\r?\n|\Z)", re.DOTALL
)


class Block(NamedTuple):
    """What stands between a BEGIN and its END."""

    label: str
    headers: bool
    der: bytes


def blocks(text: bytes) -> Iterator[Block]:
    """The blocks of a text in their order; what is none is passed over."""
    for found in _BLOCK.finditer(text):
        head, body = b"", found[2]
        if b":" in body:
            head, _, body = body.replace(b"\r\n", b"\n").partition(b"\n\n")
        try:
            der = base64.b64decode(b"".join(body.split()), validate=True)
        except binascii.Error:
            continue
        yield Block(found[1].decode("utf-8", "replace"), bool(head), der)
