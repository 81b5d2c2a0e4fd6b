"""SPDY frames as kubectl's port forwarding uses them."""

from __future__ import annotations

import json
import struct
import zlib

import pytest

from clusterip.node.server.channels import RESIZE, STDERR, STDIN, STDOUT, exit_status
from clusterip.node.server.spdy.channels import PROTOCOLS, SpdyChannels
from clusterip.node.server.spdy.dictionary import DICTIONARY
from clusterip.node.server.spdy.frames import (
    PING,
    RST_STREAM,
    SYN_REPLY,
    SYN_STREAM,
    Decoder,
    Encoder,
    Frame,
    ProtocolError,
)
from clusterip.node.server.spdy.session import Session


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


def test_headers_that_grow_without_end_are_refused() -> None:
    with pytest.raises(ProtocolError, match="too large"):
        list(Decoder().feed(syn_stream(1, zlib.compressobj(9, zdict=DICTIONARY), bomb="x" * (4 << 20))))


class Pipe:
    """The client's side of a session: what it has sent, and what it got."""

    def __init__(self, sent: bytes) -> None:
        self._sent = [sent]
        self.decoder = Decoder()
        self.got: list[Frame] = []

    async def receive(self) -> bytes:
        return self._sent.pop(0) if self._sent else b""

    async def send(self, data: bytes) -> None:
        self.got += self.decoder.feed(data)


async def test_a_command_s_streams() -> None:
    compressor, encoder = zlib.compressobj(zdict=DICTIONARY), Encoder()
    sent = syn_stream(1, compressor, streamtype="error")
    sent += syn_stream(3, compressor, streamtype="stdin")
    sent += syn_stream(5, compressor, streamtype="nonsense")
    sent += encoder.ping(b"\0\0\0\1") + encoder.data(3, b"early")
    sent += syn_stream(7, compressor, streamtype="stdout")
    sent += syn_stream(9, compressor, streamtype="resize")
    sent += encoder.data(9, b'{"Width":100,"Height":30}') + encoder.data(9, b"{") + encoder.data(3, b"typed")
    sent += encoder.data(3, b"", fin=True)
    pipe = Pipe(sent)
    channels = await SpdyChannels.open(Session(pipe), PROTOCOLS[0], {STDIN, STDOUT, RESIZE})
    sizes: list[tuple[int, int]] = []
    received = [data async for data in channels.receive(resize=lambda *size: sizes.append(size))]
    assert (received, sizes) == ([b"early", b"typed", b""], [(100, 30)])
    await channels.send(STDOUT, b"out")
    await channels.send(STDERR, b"not wanted")
    await channels.finish(exit_status(3))
    assert [(frame.type, frame.stream) for frame in pipe.got[:6]] == [
        (SYN_REPLY, 1),
        (SYN_REPLY, 3),
        (RST_STREAM, 5),
        (PING, 1),
        (SYN_REPLY, 7),
        (SYN_REPLY, 9),
    ]
    output, status, *ends = pipe.got[6:]
    assert (output.stream, output.data) == (7, b"out")
    assert (status.stream, json.loads(status.data)["reason"]) == (1, "NonZeroExitCode")
    assert [(frame.stream, frame.data, frame.fin) for frame in ends] == [(7, b"", True), (1, b"", True)]


async def test_older_clients_get_a_text_instead_of_a_status() -> None:
    pipe = Pipe(syn_stream(1, zlib.compressobj(zdict=DICTIONARY), streamtype="error"))
    channels = await SpdyChannels.open(Session(pipe), PROTOCOLS[1], set())
    await channels.finish(exit_status(3))
    assert pipe.got[1].data == b"command terminated with non-zero exit code: exit status 3"


async def test_a_client_that_leaves_before_its_streams_stand() -> None:
    with pytest.raises(ConnectionResetError):
        await SpdyChannels.open(Session(Pipe(b"")), PROTOCOLS[0], {STDOUT})
