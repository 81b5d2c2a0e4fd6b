"""SPDY/3.1 frames, as much as Kubernetes' clients need (draft-mbelshe-httpbis-spdy-00, section 2)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from clusterip.node.server.spdy.dictionary import DICTIONARY

SYN_STREAM, SYN_REPLY, RST_STREAM, SETTINGS, PING, GOAWAY = 1, 2, 3, 4, 6, 7
FLAG_FIN = 0x01
REFUSED_STREAM, CANCEL = 3, 5

_VERSION = 3
_HEADER = struct.Struct("!II")
_U32 = struct.Struct("!I")
_MAXIMUM_FRAME = 16 << 20
_MAXIMUM_HEADERS = 1 << 20


class ProtocolError(Exception):
    """What was received is not SPDY/3."""


@dataclass(frozen=True)
class Frame:
    """A control frame (``type`` above 0) or data of a stream (``type`` 0)."""

    type: int
    stream: int = 0
    flags: int = 0
    data: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def fin(self) -> bool:
        """Whether this is the last of its stream in this direction."""
        return bool(self.flags & FLAG_FIN)


class Decoder:
    """Frames out of bytes as they arrive."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Take in bytes; the frames that are complete now. Raises ProtocolError."""
        self._buffer += data
        while len(self._buffer) >= 8:
            first, second = _HEADER.unpack_from(self._buffer)
            flags, size = second >> 24, second & 0xFFFFFF
            if size > _MAXIMUM_FRAME:
                raise ProtocolError(f"a frame of {size} bytes is too large")
            if len(self._buffer) < 8 + size:
                return
            content = bytes(self._buffer[8 : 8 + size])
            del self._buffer[: 8 + size]
            if first & 0x80000000:
                yield self._control(first, flags, content)
            else:
                yield Frame(0, first, flags, content)

    def _control(self, first: int, flags: int, content: bytes) -> Frame:
        version, kind = first >> 16 & 0x7FFF, first & 0xFFFF
        if version != _VERSION:
            raise ProtocolError(f"SPDY version {version} is not supported")
        try:
            stream = _U32.unpack_from(content)[0] & 0x7FFFFFFF if content else 0
            if kind == SYN_STREAM:
                return Frame(kind, stream, flags, headers=self._headers(content[10:]))
            if kind == SYN_REPLY:
                return Frame(kind, stream, flags, headers=self._headers(content[4:]))
        except (struct.error, zlib.error, UnicodeDecodeError) as error:
            raise ProtocolError(f"malformed frame of type {kind}: {error}") from error
        return Frame(kind, stream, flags, content)

    def _headers(self, compressed: bytes) -> dict[str, str]:
        block = self._inflate.decompress(compressed, _MAXIMUM_HEADERS)
        if self._inflate.unconsumed_tail:
            raise ProtocolError(f"headers of more than {_MAXIMUM_HEADERS} bytes are too large")
        (count,) = _U32.unpack_from(block)
        offset = 4
        texts: list[str] = []
        for _ in range(2 * count):
            (size,) = _U32.unpack_from(block, offset)
            texts.append(block[offset + 4 : offset + 4 + size].decode())
            offset += 4 + size
        return dict(zip(texts[::2], texts[1::2], strict=True))


class Encoder:
    """Bytes out of frames."""

    def __init__(self) -> None:
        self._deflate = zlib.compressobj(
            9, zlib.DEFLATED, zlib.MAX_WBITS, 8, zlib.Z_DEFAULT_STRATEGY, DICTIONARY
        )

    def reply(self, stream: int) -> bytes:
        """Accept a stream."""
        block = self._deflate.compress(_U32.pack(0)) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        return _control(SYN_REPLY, 0, _U32.pack(stream) + block)

    def data(self, stream: int, data: bytes, *, fin: bool = False) -> bytes:
        return _HEADER.pack(stream, (FLAG_FIN if fin else 0) << 24 | len(data)) + data

    def reset(self, stream: int, status: int) -> bytes:
        """Give a stream up."""
        return _control(RST_STREAM, 0, _HEADER.pack(stream, status))

    def ping(self, content: bytes) -> bytes:
        """Answer a ping."""
        return _control(PING, 0, content)


def _control(kind: int, flags: int, content: bytes) -> bytes:
    return _HEADER.pack(0x80000000 | _VERSION << 16 | kind, flags << 24 | len(content)) + content
