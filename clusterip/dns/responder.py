"""From a packet to the packet that answers it, as fast as it can be said.

Most questions are asked over and over in the very same bytes but for the ID. So finished answers are kept
by the bytes of the query after its ID: answering one again is a dictionary lookup and a concatenation.
Two such dictionaries exist:

* ``lasting``: answers about names that have records. The zone tells when a name changes, and only that
  name's answers are dropped.
* ``fleeting``: everything else (names that do not exist, forwarded names, chains across names). Dropped
  each second, so no TTL is ever off by more, and at every change of the zone.

Letter case at random does not matter (``recased``). Queries that vary otherwise each time, such as by EDNS
cookies, are answered, but not kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from dataclasses import replace
from itertools import cycle
from typing import Any, Protocol

from clusterip.dns import message
from clusterip.dns.cookies import CLIENT_SIZE
from clusterip.dns.forward import Forwarder
from clusterip.dns.identity import Identity
from clusterip.dns.lookup import Found, joined, look_up
from clusterip.dns.loop import LoopProbe
from clusterip.dns.message import (
    AAAA,
    HEADER,
    OPT,
    A,
    Malformed,
    Query,
    Reply,
    encode,
    encode_without_question,
)
from clusterip.dns.plugins.chain import Handler
from clusterip.dns.question import parse_query
from clusterip.dns.ratelimit import Limiter
from clusterip.dns.zone import Zone
from clusterip.process import log

Answer = bytes | Iterator[bytes]
"""An answer without its ID, or one after the other of its rotations for ever."""


class Send(Protocol):
    """Takes an answer; one that is not ``final`` is part of a longer one (a zone transfer)."""

    def __call__(self, answer: bytes, *, final: bool = True) -> None: ...


_LASTING_SIZE = 65_536
_FLEETING_SIZE = 16_384
_MAX_ROTATIONS = 16
_FLEETING_SECONDS = 1.0
_TCP_LIMIT = 65_535
_TC = message.TC >> 8

_log = log.get("dns")


class Responder:
    """Answers packets from a zone and, for other names, a forwarder."""

    def __init__(
        self, zone: Zone, forwarder: Forwarder, *, max_udp_size: int = 1232, identity: Identity | None = None
    ) -> None:
        self.zone = zone
        self.forwarder = forwarder
        self.max_udp_size = max_udp_size
        self.identity = identity or Identity()
        self.limiter: Limiter | None = None
        """To be set before a server for UDP starts."""
        self.probe: LoopProbe | None = None
        self.on_failure: Callable[[Query, Reply], None] | None = None
        """Called with what gets SERVFAIL, before it is sent."""
        self.handler: Handler | None = None
        """What answers instead of zone and forwarder, if plugins are configured."""
        self.lasting: dict[bytes, Answer] = {}
        self.fleeting: dict[bytes, Answer] = {}
        self.malformed = 0
        """Packets that were no query."""
        self.errors = 0
        """Queries that met a bug here, and got SERVFAIL."""
        self._changes = 0
        self._keys: dict[bytes, list[bytes]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._expiry: asyncio.TimerHandle | None = None
        zone.changed = self.forget

    def configure(self, zone: Zone, forwarder: Forwarder, handler: Handler | None) -> None:
        """Answer from now on by another configuration; what is under way ends by the old one."""
        self.zone, self.forwarder, self.handler = zone, forwarder, handler
        self._changes += 1
        self._keys.clear()
        self.lasting.clear()
        self.fleeting.clear()

    def forget(self, changed: Iterable[bytes]) -> None:
        """Drop the answers that a change of the zone may have made wrong."""
        self._changes += 1
        self.fleeting.clear()
        for name in changed:
            for key in self._keys.pop(name, ()):
                self.lasting.pop(key, None)

    def recased(self, packet: bytes) -> tuple[bytes, bytes] | None:
        """The answer to a query that differs from a known one only in the name's letter case.

        First as it was kept, then as it is to be sent. The case must come back as it was sent: some
        resolvers take it as a secret (DNS 0x20).
        """
        end = packet.find(b"\0", HEADER)
        key = packet[2:HEADER] + packet[HEADER:end].lower() + packet[end:]
        answer = self.lasting.get(key) or self.fleeting.get(key)
        if answer is None or end < 0:
            return None
        if not isinstance(answer, bytes):
            answer = next(answer)
        return answer, packet[:2] + answer[: HEADER - 2] + packet[HEADER:end] + answer[end - 2 :]

    def kept(self, packet: bytes, *, truncated: bool = False) -> bytes | None:
        """The kept answer to a query, without the ID.

        Over TCP what was made for UDP will do, unless it is truncated.
        """
        key = packet[2:]
        answer = self.lasting.get(key) or self.fleeting.get(key)
        if answer is None:
            return None
        if not isinstance(answer, bytes):
            answer = next(answer)
        return answer if truncated or not answer[0] & _TC else None

    def respond(
        self,
        packet: bytes,
        send: Send,
        *,
        tcp: bool = False,
        client: tuple[str, int] = ("", 0),
        local: tuple[str, int] = ("", 0),
    ) -> bool:
        """Answer ``packet`` by calling ``send``, now or later; False if it deserves no answer.

        ``client`` is the IP address and port that asks, ``local`` those that were asked.

        Never raises: a packet must not be able to stop the server.
        """
        try:
            query = parse_query(packet)
        except Malformed as error:
            self.malformed += 1
            if error.answer is not None:
                send(error.answer)
            return error.answer is not None
        except Exception:  # noqa: BLE001 - see above
            self.errors += 1
            _log.exception("query could not be read", packet=packet.hex())
            return False
        query.client, query.port = client
        query.local, query.local_port = local
        query.tcp = tcp
        try:
            if query.cookie or query.nsid:
                self.identity.sign(query)
            if self.limiter is not None and not tcp and not query.proven:
                send = self._limited(self.limiter, send, client[0])
            if not query.question:
                bad = not query.proven and len(query.cookie) > CLIENT_SIZE
                send(encode_without_question(query, message.BADCOOKIE if bad else message.NOERROR))
                return True
            if self.probe is not None and self.probe.saw(query):
                query.plain = False
                reply = Reply(message.SERVFAIL, why="forwarding goes in circles")
                self._finish(packet, query, Found(reply), send)
                return True
            self._respond(packet, query, send)
        except Exception:  # noqa: BLE001 - see above
            self._failed(query, send)
        return True

    @staticmethod
    def _limited(limiter: Limiter, send: Send, client: str) -> Send:
        def limited(answer: bytes, *, final: bool = True) -> None:
            left = limiter.limit(answer, client)
            if left is not None:
                send(left)

        return limited

    async def close(self) -> None:
        """Give up what waits for upstreams."""
        if self._expiry is not None:
            self._expiry.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.forwarder.close()

    def _respond(self, packet: bytes, query: Query, send: Send) -> None:
        chaos = query.class_ == message.CH and self.identity.knows(query.name)
        if self.handler is not None and not chaos and query.type != OPT:
            outcome = self.handler(query)
            if isinstance(outcome, Found):
                self._finish(packet, query, outcome, send)
            else:
                self._start(self._handle(outcome, packet, query, send))
            return
        chaos = chaos or query.class_ == message.CH
        found = Found(self.identity.chaos(query)) if chaos else look_up(self.zone, query)
        if found.elsewhere is not None:
            known = self.forwarder.cached(found.elsewhere, query)
            if known is None:
                self._start(self._forward(packet, query, found, send))
                return
            found.reply = joined(found.reply, known, query)
        self._finish(packet, query, found, send)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _handle(self, outcome: Awaitable[Found], packet: bytes, query: Query, send: Send) -> None:
        try:
            changes = self._changes
            found = await outcome
            if changes != self._changes:
                query.plain = False  # as in _forward
            self._finish(packet, query, found, send)
        except Exception:  # noqa: BLE001 - see respond
            self._failed(query, send)

    async def _forward(self, packet: bytes, query: Query, found: Found, send: Send) -> None:
        try:
            assert found.elsewhere is not None
            changes = self._changes
            found.reply = joined(found.reply, await self.forwarder.resolve(found.elsewhere, query), query)
            if changes != self._changes:
                query.plain = False  # right when it was asked, but not to be kept
            self._finish(packet, query, found, send)
        except Exception:  # noqa: BLE001 - see respond
            self._failed(query, send)

    async def _transfer(self, query: Query, found: Found, send: Send) -> None:
        """Send the messages of a zone transfer, other questions in between."""
        try:
            assert found.parts is not None
            for part in found.parts:
                found.reply.answer = part
                send(encode(query, found.reply, _TCP_LIMIT), final=False)
                await asyncio.sleep(0)
            send(b"")
        except Exception:  # noqa: BLE001 - see respond
            self._failed(query, send)

    def _finish(self, packet: bytes, query: Query, found: Found, send: Send) -> None:
        if found.silent:
            send(b"")  # whoever counts what is under way must know
            return
        if found.parts is not None:
            self._start(self._transfer(query, found, send))
            return
        if self.on_failure is not None and found.reply.rcode == message.SERVFAIL:
            self.on_failure(query, found.reply)
        limit = _TCP_LIMIT if query.tcp else min(query.udp_size, self.max_udp_size)
        query.options += found.options
        question = query.question
        query.question = query.name + question[-4:]
        answer = _answer(query, found, max(limit, message.PLAIN_UDP_SIZE))
        ready = answer if isinstance(answer, bytes) else next(answer)
        if query.plain and found.keep and (not query.tcp or len(ready) < message.PLAIN_UDP_SIZE):
            self._keep(_key(packet, query), query.name, answer, found)
        # Answers are kept with the name in lower case; here it gets the query's.
        end = HEADER + len(question)
        send(query.id + ready[: HEADER - 2] + question + ready[end - 2 :])

    def _keep(self, key: bytes, name: bytes, answer: Answer, found: Found) -> None:
        if found.lasting:
            if len(self.lasting) >= _LASTING_SIZE:
                self.lasting.clear()
                self._keys.clear()
            self.lasting[key] = answer
            self._keys.setdefault(name, []).append(key)
            return
        if found.reply.rcode not in (message.NOERROR, message.NXDOMAIN):
            return
        if len(self.fleeting) >= _FLEETING_SIZE:
            self.fleeting.clear()
        self.fleeting[key] = answer
        if self._expiry is None:
            loop = asyncio.get_running_loop()
            self._expiry = loop.call_later(_FLEETING_SECONDS, self._expire)

    def _expire(self) -> None:
        self._expiry = None
        self.fleeting.clear()

    def _failed(self, query: Query, send: Send) -> None:
        self.errors += 1
        _log.exception("query could not be answered", question=query.question.hex())
        send(encode(query, Reply(message.SERVFAIL), message.PLAIN_UDP_SIZE))


def _key(packet: bytes, query: Query) -> bytes:
    end = HEADER + len(query.name)
    return packet[2:HEADER] + query.name + packet[end:]


def _answer(query: Query, found: Found, limit: int) -> Answer:
    """A reply without its ID; several addresses for everybody are in one order after the other."""
    reply = found.reply
    records = reply.answer
    count = len(records)
    if count < 2 or not found.keep or query.type not in (A, AAAA) or records[0].type != query.type:
        return encode(query, reply, limit)[2:]
    starts = range(0, count, -(-count // _MAX_ROTATIONS))
    return cycle(
        encode(query, replace(reply, answer=[*records[start:], *records[:start]]), limit)[2:]
        for start in starts
    )
