"""One upstream name server: asking it over UDP and TCP, and remembering whether it answers.

A query leaves from a fresh socket, so its source port is as random as its ID, and only the upstream's
own address can answer it (the socket is connected). RFC 5452 explains what that is good for. Upstreams
asked over TLS (RFC 7858), or always over TCP, are asked through one connection that is kept.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import ssl
import time
from dataclasses import dataclass

from clusterip.dns import message
from clusterip.dns.channel import Channel
from clusterip.dns.message import Malformed, Record
from clusterip.dns.upstream_metrics import observe_exchange

_RETRY_SECONDS = 0.5
"""How often a query is risked on an upstream that is down."""
_OUR_UDP_SIZE = 1232
_ERRORS = (message.FORMERR, message.SERVFAIL, message.NOTIMP, message.REFUSED)


class Unanswered(Exception):
    """The upstream gave no usable answer; says why."""


class Response:
    """What an upstream answered."""

    __slots__ = ("additional", "answer", "authentic", "authority", "rcode")

    def __init__(self, packet: bytes) -> None:
        """Raises Malformed."""
        flags, self.rcode, sections = message.read_records(packet)
        self.authentic = bool(flags & message.AD)
        self.answer: list[Record] = sections[0]
        self.authority: list[Record] = sections[1]
        self.additional: list[Record] = sections[2]


@dataclass(frozen=True)
class Manner:
    """How upstreams are asked."""

    tls: ssl.SSLContext | None = None
    server_name: str = ""
    """What a certificate must be for; "": the upstream's address."""
    force_tcp: bool = False
    source_address: str = ""
    """Our address that questions leave from; "": as routing decides."""
    idle_seconds: float = 10.0
    """For how long a connection without questions is kept."""
    down_after: int = 3
    """Failures in a row after which an upstream counts as down; 0: never."""


_PLAIN = Manner()


class Upstream:
    """A name server that resolves for us."""

    def __init__(self, host: str, port: int = 53, manner: Manner = _PLAIN) -> None:
        self.host = host
        self.port = port
        self._manner = manner
        self._channel: Channel | None = None
        if manner.tls is not None or manner.force_tcp:
            self._channel = Channel(
                host,
                port,
                tls=manner.tls,
                server_name=manner.server_name,
                idle_seconds=manner.idle_seconds,
                source_address=manner.source_address,
            )
        self._failures = 0
        self._retry_at = 0.0

    def __str__(self) -> str:
        address = f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
        return address if self._manner.tls is None else f"tls://{address}"

    @property
    def up(self) -> bool:
        return not self._manner.down_after or self._failures < self._manner.down_after

    @property
    def failing(self) -> bool:
        """Whether the last attempt failed."""
        return self._failures > 0

    def close(self) -> None:
        """Close what is kept open."""
        if self._channel is not None:
            self._channel.close()

    def may_be_asked(self) -> bool:
        """Whether it is up, or down but due for another try (which this call then claims)."""
        if self.up:
            return True
        now = time.monotonic()
        if now < self._retry_at:
            return False
        self._retry_at = now + _RETRY_SECONDS
        return True

    async def ask(
        self, question: bytes, *, flags: int, dnssec_ok: bool, seconds: float, options: bytes = b""
    ) -> Response:
        """Ask a question (name, type and class in wire format) within so many seconds.

        ``options`` are EDNS options to go with it.

        Raises:
            Unanswered: no answer in time, or none that is one.
        """
        started = time.monotonic()
        try:
            async with asyncio.timeout(seconds):
                response = await self._exchange(question, flags, dnssec_ok, options)
        except TimeoutError:
            self._failed()
            raise Unanswered(f"{self} did not answer within {seconds:.1f} s") from None
        except (OSError, asyncio.IncompleteReadError) as error:
            self._failed()
            raise Unanswered(f"{self}: {error}") from None
        except Malformed as error:
            self._failed()
            raise Unanswered(f"{self} sent an unreadable answer: {error}") from None
        self._failures = 0
        observe_exchange(str(self), response.rcode, time.monotonic() - started)
        return response

    def _failed(self) -> None:
        self._failures += 1
        self._retry_at = time.monotonic() + _RETRY_SECONDS

    async def _exchange(self, question: bytes, flags: int, dnssec_ok: bool, options: bytes) -> Response:
        padding = options
        if self._manner.tls is not None:
            # To a multiple of 128 bytes, so that lengths tell nothing (RFC 8467).
            size = -(message.HEADER + len(question) + 15 + len(options)) % 128
            padding += message.OPTION.pack(message.PADDING, size) + bytes(size)
        flagged = 0x8000 if dnssec_ok else 0
        opt = b"\0" + message.RECORD.pack(message.OPT, _OUR_UDP_SIZE, flagged, len(padding)) + padding
        response = await self._round_trip(question, flags, opt)
        if response.rcode in (message.FORMERR, message.NOTIMP):
            # It may not know EDNS0 (RFC 6891 section 7).
            response = await self._round_trip(question, flags, b"")
        return response

    async def _round_trip(self, question: bytes, flags: int, opt: bytes) -> Response:
        header = message.HEADER_FORMAT.pack(secrets.randbits(16), flags, 1, 0, 0, 1 if opt else 0)
        query = header + question + opt
        if self._channel is not None:
            answer = await self._channel.ask(query)
            if not _answers(answer, query, question):
                raise Malformed("it answers another question")
            return Response(answer)
        answer = await self._over_udp(query, question)
        if int.from_bytes(answer[2:4], "big") & message.TC:
            answer = await self._over_tcp(query, question)
        return Response(answer)

    async def _over_udp(self, query: bytes, question: bytes) -> bytes:
        loop = asyncio.get_running_loop()
        family, _, _, _, address = socket.getaddrinfo(
            self.host, self.port, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST
        )[0]
        with socket.socket(family, socket.SOCK_DGRAM) as own:
            own.setblocking(False)
            if self._manner.source_address:
                own.bind((self._manner.source_address, 0))
            own.connect(address)
            own.send(query)
            while True:
                answer = await loop.sock_recv(own, 65535)
                if _answers(answer, query, question):
                    return answer

    async def _over_tcp(self, query: bytes, question: bytes) -> bytes:
        source = (self._manner.source_address, 0) if self._manner.source_address else None
        reader, writer = await asyncio.open_connection(self.host, self.port, local_addr=source)
        try:
            writer.write(len(query).to_bytes(2, "big") + query)
            length = int.from_bytes(await reader.readexactly(2), "big")
            answer = await reader.readexactly(length)
        finally:
            writer.close()
        if not _answers(answer, query, question):
            raise Malformed("it answers another question")
        return answer


def _answers(answer: bytes, query: bytes, question: bytes) -> bool:
    """Whether ``answer`` is a response to ``query``: the ID, the direction and the question agree."""
    if len(answer) < message.HEADER or answer[:2] != query[:2] or not answer[2] & 0x80:
        return False
    if answer[4:6] == b"\0\0":
        # Some errors may come without the question; nothing but their code is used.
        return answer[3] & 0xF in _ERRORS and answer[6:8] == b"\0\0"
    end = message.HEADER + len(question)
    if answer[4:6] != b"\0\1" or len(answer) < end:
        return False
    asked = answer[message.HEADER : end]
    return asked[-4:] == question[-4:] and asked[:-4].lower() == question[:-4].lower()
