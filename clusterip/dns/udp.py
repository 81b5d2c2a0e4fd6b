"""Datagrams in, datagrams out."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

from clusterip.dns.counters import MAX_TALLY, Counters
from clusterip.dns.responder import Responder

_BATCH = 64
"""Datagrams read in one go, before others (TCP, the API's watches) get their turn."""
_MAX_QUERY = 4096
_RECEIVE_BUFFER = 4 << 20
_SO_RCVBUFFORCE = 33
_IP_PKTINFO = 8

Source = Sequence[tuple[int, int, bytes]]
"""Ancillary data that says from which of our addresses to send."""


class UdpServer:
    """Answers datagrams on one socket.

    The loop in ``_read`` is the program's hottest: for a query seen before it is two system calls, a
    slice, a lookup and a concatenation.
    """

    def __init__(self, sock: socket.socket, responder: Responder, counters: Counters) -> None:
        self._socket = sock
        self._responder = responder
        self._counters = counters
        self._own: tuple[str, int] = sock.getsockname()[:2]
        self._four, self._six = counters.tally("udp", 1), counters.tally("udp", 2)
        with contextlib.suppress(PermissionError):
            sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(sock.fileno(), self._reader())

    def close(self) -> None:
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()

    def _reader(self) -> Callable[[], None]:
        """A wildcard socket must answer from the address it was asked at, which costs a little more."""
        if self._own[0] not in ("0.0.0.0", "::"):
            return self._read if self._responder.limiter is None else self._read_limited
        if self._socket.family == socket.AF_INET6:
            self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        else:
            self._socket.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        return self._read_wildcard if self._responder.limiter is None else self._read_limited

    def _read(self) -> None:
        receive, send = self._socket.recvfrom, self._socket.sendto
        responder = self._responder
        lasting, fleeting = responder.lasting.get, responder.fleeting.get
        tally = self._four if self._socket.family == socket.AF_INET else self._six
        tallied = tally.get
        count = 0
        started = perf_counter()
        try:
            while count < _BATCH:
                packet, peer = receive(_MAX_QUERY)
                count += 1
                key = packet[2:]
                answer = lasting(key) or fleeting(key)
                if answer is None:
                    self._slowly(packet, peer, ())
                    continue
                if not isinstance(answer, bytes):
                    answer = next(answer)
                tally[answer] = tallied(answer, 0) + 1
                send(packet[:2] + answer, peer)
        except BlockingIOError:
            pass  # nothing more to read, or no room to send: then that answer is lost, as UDP may
        except OSError:
            self._counters.unsent += 1
        self._counters.seconds += perf_counter() - started
        if len(tally) > MAX_TALLY:
            self._counters.fold()

    def _read_wildcard(self) -> None:
        receive, send = self._socket.recvmsg, self._socket.sendmsg
        responder = self._responder
        lasting, fleeting = responder.lasting.get, responder.fleeting.get
        four, six = self._four, self._six
        count = 0
        started = perf_counter()
        try:
            while count < _BATCH:
                packet, ancillary, _, peer = receive(_MAX_QUERY, 64)
                count += 1
                source = _source(ancillary)
                key = packet[2:]
                answer = lasting(key) or fleeting(key)
                if answer is None:
                    self._slowly(packet, peer, source)
                    continue
                if not isinstance(answer, bytes):
                    answer = next(answer)
                tally = four if "." in peer[0] else six
                tally[answer] = tally.get(answer, 0) + 1
                send((packet[:2], answer), source, 0, peer)
        except BlockingIOError:
            pass
        except OSError:
            self._counters.unsent += 1
        self._counters.seconds += perf_counter() - started
        if len(four) > MAX_TALLY or len(six) > MAX_TALLY:
            self._counters.fold()

    def _read_limited(self) -> None:
        """Like the others, but each answer has to pass the limiter."""
        responder, limiter = self._responder, self._responder.limiter
        assert limiter is not None
        count = 0
        try:
            while count < _BATCH:
                packet, ancillary, _, peer = self._socket.recvmsg(_MAX_QUERY, 64)
                count += 1
                source = _source(ancillary)
                answer = responder.kept(packet, truncated=True)
                if answer is None:
                    self._slowly(packet, peer, source)
                    continue
                limited = limiter.limit(packet[:2] + answer, peer[0])
                if limited is not None:
                    self._send(limited, peer, source, len(packet), perf_counter())
        except BlockingIOError:
            pass
        except OSError:
            self._counters.unsent += 1

    def _slowly(self, packet: bytes, peer: tuple[Any, ...], source: Source) -> None:
        """Answer a query that has not been asked in these very bytes before."""
        if self._responder.limiter is None:
            recased = self._responder.recased(packet)
            if recased is not None:
                kept, answer = recased
                tally = self._four if "." in peer[0] else self._six
                tally[kept] = tally.get(kept, 0) + 1
                self._put(answer, peer, source)
                return
        started = perf_counter()

        def send(answer: bytes, *, final: bool = True) -> None:
            self._send(answer, peer, source, len(packet), started)

        self._responder.respond(packet, send, client=peer[:2], local=self._local(source))

    def _local(self, source: Source) -> tuple[str, int]:
        """The address that was asked."""
        for level, _, data in source:
            family = socket.AF_INET if level == socket.IPPROTO_IP else socket.AF_INET6
            packed = data[4:8] if family == socket.AF_INET else data[:16]
            return socket.inet_ntop(family, packed), self._own[1]
        return self._own

    def _send(self, answer: bytes, peer: tuple[Any, ...], source: Source, size: int, started: float) -> None:
        if not answer:
            return  # an access list silences this client
        family = 1 if "." in peer[0] else 2
        self._counters.answered(answer, "udp", family, size, perf_counter() - started)
        self._put(answer, peer, source)

    def _put(self, answer: bytes, peer: tuple[Any, ...], source: Source) -> None:
        try:
            self._socket.sendmsg((answer,), source, 0, peer)
        except OSError:
            self._counters.unsent += 1  # gone, unreachable, no room: the client asks again


def _source(ancillary: list[tuple[int, int, bytes]]) -> list[tuple[int, int, bytes]]:
    """What makes an answer leave from the address that was asked (ip(7), ipv6(7))."""
    for level, kind, data in ancillary:
        if level == socket.IPPROTO_IP and kind == _IP_PKTINFO:
            # struct in_pktinfo: interface, local address, destination address of the header
            return [(level, kind, bytes(4) + data[4:8] + bytes(4))]
        if level == socket.IPPROTO_IPV6 and kind == socket.IPV6_PKTINFO:
            # The interface matters only for link-local addresses; for others routing decides.
            link_local = data[0] == 0xFE and data[1] & 0xC0 == 0x80
            return [(level, kind, data if link_local else data[:16] + bytes(4))]
    return []
