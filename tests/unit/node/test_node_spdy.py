"""SPDY frames as kubectl's port forwarding uses them."""

from __future__ import annotations

import struct
import zlib

import pytest

from clusterip.node.server.spdy.dictionary import DICTIONARY
from clusterip.node.server.spdy.frames import (
    PING,
    SYN_REPLY,
    SYN_STREAM,
    Decoder,
    Encoder,
    Frame,
    ProtocolError,
)


def syn_stream(stream: int, compressor: object, **headers: str) -> bytes:
    block = struct.pack("!I", len(headers))
    for name, value in headers.items():
        for text in (name, value):
            block += struct.pack("!I", len(text)) + text.encode()
    packed = compressor.compress(block) + compressor.flush(zlib.Z_SYNC_FLUSH)  # type: ignore[attr-defined]
    content = struct.pack("!IIBB", stream, 0, 0, 0) + packed
    return struct.pack("!HHI", 0x8003, SYN_STREAM, len(content)) + content


def test_the_dictionary_is_the_specifications() -> None:
    assert (len(DICTIONARY), zlib.adler32(DICTIONARY)) == (1423, 0xE3C6A7C2)


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_frames_arrive_in_any_pieces(size: int) -> None:
    compressor = zlib.compressobj(zdict=DICTIONARY)
    data = syn_stream(1, compressor, streamtype="error", port="80")
    data += syn_stream(3, compressor, streamtype="data", port="80")
    data += Encoder().data(3, b"GET /", fin=True) + Encoder().ping(struct.pack("!I", 7))
    decoder = Decoder()
    frames = [f for i in range(0, len(data), size) for f in decoder.feed(data[i : i + size])]
    assert frames == [
        Frame(SYN_STREAM, 1, headers={"streamtype": "error", "port": "80"}),
        Frame(SYN_STREAM, 3, headers={"streamtype": "data", "port": "80"}),
        Frame(0, 3, 1, b"GET /"),
        Frame(PING, 7, 0, struct.pack("!I", 7)),
    ]
    assert frames[2].fin


def test_replies_share_one_compression() -> None:
    encoder, decoder = Encoder(), Decoder()
    frames = list(decoder.feed(encoder.reply(1) + encoder.reply(3)))
    assert [(frame.type, frame.stream, frame.headers) for frame in frames] == [
        (SYN_REPLY, 1, {}),
        (SYN_REPLY, 3, {}),
    ]


def test_another_version_is_refused() -> None:
    with pytest.raises(ProtocolError, match="version 2"):
        list(Decoder().feed(struct.pack("!HHI", 0x8002, PING, 0)))


def test_garbage_headers_are_refused() -> None:
    frame = struct.pack("!HHI", 0x8003, SYN_STREAM, 20) + b"\x00\x00\x00\x01" + b"\xff" * 16
    with pytest.raises(ProtocolError, match="malformed"):
        list(Decoder().feed(frame))
