"""Netlink: the kernel's message protocol for links, routes, nftables, IPVS and their events.

A message is a 16-byte header, a fixed struct that depends on its type, and attributes (type, length,
value; possibly nested). All integers are in host order unless a subsystem says otherwise (nftables
uses network order). A socket belongs to the network namespace it was *opened* in, wherever it is used
later. See netlink(7) and the kernel's ``include/uapi/linux/netlink.h``.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import NamedTuple

NETLINK_ROUTE = 0
NETLINK_NETFILTER = 12
NETLINK_GENERIC = 16

NLMSG_ERROR = 2
NLMSG_DONE = 3

NLM_F_REQUEST = 0x1
NLM_F_MULTI = 0x2
NLM_F_ACK = 0x4
NLM_F_DUMP_INTR = 0x10
NLM_F_DUMP = 0x300
NLM_F_REPLACE = 0x100  # for requests that make something new
NLM_F_EXCL = 0x200
NLM_F_CREATE = 0x400
NLM_F_APPEND = 0x800
NLM_F_CAPPED = 0x100  # for acknowledgements
NLM_F_ACK_TLVS = 0x200

NLA_F_NESTED = 0x8000
NLA_TYPE_MASK = 0x3FFF

_SOL_NETLINK = 270
_NETLINK_ADD_MEMBERSHIP = 1
_NETLINK_DROP_MEMBERSHIP = 2
_NETLINK_CAP_ACK = 10
_NETLINK_EXT_ACK = 11
_NETLINK_GET_STRICT_CHK = 12
_SO_SNDBUFFORCE = 32
_SO_RCVBUFFORCE = 33

_NLMSGERR_ATTR_MSG = 1
_NLMSGERR_ATTR_OFFS = 2
_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_ERRNO = struct.Struct("=i")
_RECEIVE_BYTES = 256 * 1024  # more than the kernel ever puts in one datagram of a dump
_DUMP_ATTEMPTS = 8


class NetlinkError(OSError):
    """The kernel refused a request.

    ``errno`` is the usual error number; ``message`` the kernel's own explanation where it gave one
    (the "extended acknowledgement"), else the error number's text. ``index`` is the place of the
    refused request in a batch (0 for a single request). ``offset`` is where in the request, counted
    from its header, the attribute stands that the kernel dislikes; 0 if it did not say.
    """

    def __init__(self, errno: int, message: str = "", index: int = 0, offset: int = 0) -> None:
        self.message = message or os.strerror(errno)
        self.index = index
        self.offset = offset
        super().__init__(errno, self.message)


class Message(NamedTuple):
    """One received message; ``payload`` is what follows the header."""

    type: int
    flags: int
    sequence: int
    payload: memoryview


class Request(NamedTuple):
    """One message to send. ``flags`` beside ``NLM_F_REQUEST``, which is always set."""

    type: int
    flags: int
    payload: bytes


def attribute(kind: int, value: bytes = b"") -> bytes:
    """An attribute, padded to a multiple of four bytes."""
    size = len(value)
    return _ATTRIBUTE.pack(size + 4, kind) + value + bytes(-size & 3)


def nested(kind: int, *attributes: bytes) -> bytes:
    """An attribute whose value is attributes."""
    return attribute(kind | NLA_F_NESTED, b"".join(attributes))


def string(kind: int, text: str) -> bytes:
    """An attribute holding a NUL-terminated string."""
    return attribute(kind, text.encode() + b"\0")


def u8(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack("=B", value))


def u16(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack("=H", value))


def u32(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack("=I", value))


def u64(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack("=Q", value))


def be16(kind: int, value: int) -> bytes:
    """A 16-bit integer in network order."""
    return attribute(kind, struct.pack("!H", value))


def be32(kind: int, value: int) -> bytes:
    """A 32-bit integer in network order."""
    return attribute(kind, struct.pack("!I", value))


def be64(kind: int, value: int) -> bytes:
    """A 64-bit integer in network order."""
    return attribute(kind, struct.pack("!Q", value))


def iterate_attributes(data: memoryview | bytes, offset: int = 0) -> Iterator[tuple[int, memoryview]]:
    """(kind, value) of each attribute from ``offset`` on, flags removed from the kind."""
    view = memoryview(data)
    end = len(view)
    while offset + 4 <= end:
        size, kind = _ATTRIBUTE.unpack_from(view, offset)
        if size < 4:
            return
        yield kind & NLA_TYPE_MASK, view[offset + 4 : offset + size]
        offset += (size + 3) & ~3


def parse_attributes(data: memoryview | bytes, offset: int = 0) -> dict[int, memoryview]:
    """The attributes from ``offset`` on, by kind (the last of equal kinds wins)."""
    return dict(iterate_attributes(data, offset))


def text(value: memoryview | bytes) -> str:
    """The text of a string attribute."""
    return bytes(value).split(b"\0", 1)[0].decode(errors="replace")


def number(value: memoryview | bytes) -> int:
    """The integer, of any width, of an attribute in host order."""
    return int.from_bytes(value, "little" if _LITTLE else "big")


def be_number(value: memoryview | bytes) -> int:
    """The integer, of any width, of an attribute in network order."""
    return int.from_bytes(value, "big")


_LITTLE = struct.pack("=H", 1)[0] == 1


def parse_messages(data: bytes) -> Iterator[Message]:
    """The messages of one received datagram."""
    view = memoryview(data)
    offset, end = 0, len(view)
    while offset + 16 <= end:
        size, kind, flags, sequence, _port = _HEADER.unpack_from(view, offset)
        if size < 16:
            return
        yield Message(kind, flags, sequence, view[offset + 16 : offset + size])
        offset += (size + 3) & ~3


def error_of(message: Message, index: int = 0) -> NetlinkError | None:
    """What an ``NLMSG_ERROR`` (or the end of a dump) reports; None for success."""
    (code,) = _ERRNO.unpack_from(message.payload) if len(message.payload) >= 4 else (0,)
    if code == 0:
        return None
    explanation, place = "", 0
    if message.flags & NLM_F_ACK_TLVS:
        offset = 4
        if message.type == NLMSG_ERROR:
            offset += 16
            if not message.flags & NLM_F_CAPPED:
                (echoed,) = struct.unpack_from("=I", message.payload, 4)
                offset += ((echoed + 3) & ~3) - 16
        details = parse_attributes(message.payload, offset)
        explanation = text(details.get(_NLMSGERR_ATTR_MSG, b""))
        place = number(details.get(_NLMSGERR_ATTR_OFFS, b""))
    return NetlinkError(-code, explanation, index, place)


class NetlinkSocket:
    """A netlink socket: requests with acknowledgement, dumps, batches and multicast events.

    Calls block only as long as the kernel works on them. Use one socket for requests and another for
    events: a request on a subscribed socket would throw away events that arrive meanwhile. Not for
    use by several threads at once.
    """

    def __init__(
        self,
        protocol: int,
        *,
        groups: Iterable[int] = (),
        receive_buffer: int = 1 << 20,
        strict: bool = False,
    ) -> None:
        """Open a socket in the calling thread's network namespace.

        Args:
            protocol: ``NETLINK_ROUTE``, ``NETLINK_NETFILTER`` or ``NETLINK_GENERIC``.
            groups: multicast groups to receive events of (numbers, not bits).
            receive_buffer: bytes the kernel may queue before it drops events (``ENOBUFS`` then).
            strict: let the kernel filter dumps by the fields of the request (routes, addresses).
        """
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        self._sequence = 0
        try:
            self._socket.setsockopt(_SOL_NETLINK, _NETLINK_CAP_ACK, 1)
            self._socket.setsockopt(_SOL_NETLINK, _NETLINK_EXT_ACK, 1)
            if strict:
                self._socket.setsockopt(_SOL_NETLINK, _NETLINK_GET_STRICT_CHK, 1)
            self._set_buffer(_SO_RCVBUFFORCE, socket.SO_RCVBUF, receive_buffer)
            self._socket.bind((0, 0))
            for group in groups:
                self.subscribe(group)
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> NetlinkSocket:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def fileno(self) -> int:
        """For ``loop.add_reader`` and ``select``."""
        return self._socket.fileno()

    @property
    def port(self) -> int:
        """The socket's address; events of changes made through it carry it as their sender."""
        address: tuple[int, int] = self._socket.getsockname()
        return address[0]

    def subscribe(self, group: int) -> None:
        """Receive the events of a multicast group (its number). Raises OSError if it does not exist."""
        self._socket.setsockopt(_SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP, group)

    def unsubscribe(self, group: int) -> None:
        self._socket.setsockopt(_SOL_NETLINK, _NETLINK_DROP_MEMBERSHIP, group)

    def receive(self, *, block: bool = True) -> list[Message]:
        """The messages of the next datagram; with ``block=False``, ``[]`` if there is none.

        Raises:
            OSError: ``ENOBUFS`` if events were lost because the buffer was full.
        """
        try:
            data = self._socket.recv(_RECEIVE_BYTES, 0 if block else socket.MSG_DONTWAIT)
        except BlockingIOError:
            return []
        return list(parse_messages(data))

    def request(self, kind: int, payload: bytes, flags: int = 0) -> list[Message]:
        """Send one request, wait until the kernel has done it, and return its answers if it has any.

        Raises:
            NetlinkError: the kernel refused it.
        """
        sequence = self._send(kind, NLM_F_REQUEST | NLM_F_ACK | flags, payload)
        answers: list[Message] = []
        while True:
            for message in self.receive():
                if message.sequence != sequence:
                    continue
                if message.type == NLMSG_ERROR:
                    if error := error_of(message):
                        raise error
                    return answers
                answers.append(message)

    def dump(self, kind: int, payload: bytes, flags: int = 0) -> list[Message]:
        """All objects of a kind, as one consistent listing.

        Raises:
            NetlinkError: the kernel refused it, or changes kept interrupting the listing (``EINTR``).
        """
        for _ in range(_DUMP_ATTEMPTS):
            sequence = self._send(kind, NLM_F_REQUEST | NLM_F_DUMP | flags, payload)
            messages, interrupted = self._receive_dump(sequence)
            if not interrupted:
                return messages
        raise NetlinkError(4, "the listing was interrupted by changes every time it was tried")

    def dump_datagrams(self, kind: int, payload: bytes) -> Iterator[bytes]:
        """All objects of a kind as they come: datagrams of whole messages, for a parser of its own.

        A listing that changes interrupt is not tried again. Answers of an earlier listing that its reader
        left unfinished are skipped.

        Raises:
            NetlinkError: the kernel refused it.
        """
        sequence = self._send(kind, NLM_F_REQUEST | NLM_F_DUMP, payload)
        while True:
            data = self._socket.recv(_RECEIVE_BYTES)
            if _HEADER.unpack_from(data)[3] != sequence:
                continue
            at, end, message = 0, len(data), 0
            while at + 16 <= end and message not in (NLMSG_DONE, NLMSG_ERROR):
                last = at
                size, message, _, _, _ = _HEADER.unpack_from(data, at)
                at += (max(size, 16) + 3) & ~3
            if message in (NLMSG_DONE, NLMSG_ERROR):
                if error := error_of(next(parse_messages(data[last:]))):
                    raise error
                if last:
                    yield data[:last]
                return
            yield data

    def transact(
        self, requests: Sequence[Request], *, begin: Request | None = None, end: Request | None = None
    ) -> list[NetlinkError]:
        """Send requests as one datagram and return the errors, those of one request in order.

        The kernel works on a datagram before ``send`` returns, so all its answers are there then and
        no request needs an acknowledgement. With ``begin`` and ``end`` (nftables' batch markers) the
        kernel does either everything or nothing. An error's ``index`` is its request's place in
        ``requests``; -1 and ``len(requests)`` stand for ``begin`` and ``end``.

        Raises:
            OSError: the datagram could not be sent, e.g. ``EMSGSIZE`` or ``ENOBUFS``.
        """
        first = self._sequence + 1
        framed = [begin] if begin else []
        framed += requests
        framed += [end] if end else []
        pieces: list[bytes] = []
        size = 0
        for sequence, (kind, flags, payload) in enumerate(framed, first):
            length = 16 + len(payload)
            pieces.append(_HEADER.pack(length, kind, NLM_F_REQUEST | flags, sequence, 0))
            pieces.append(payload)
            if padding := -length & 3:
                pieces.append(bytes(padding))
            size += (length + 3) & ~3
        self._sequence += len(framed)
        self._make_room(size)
        self._socket.send(b"".join(pieces))
        errors: list[NetlinkError] = []
        while messages := self.receive(block=False):
            for message in messages:
                place = message.sequence - first
                if message.type == NLMSG_ERROR and 0 <= place < len(framed):
                    error = error_of(message, place - (1 if begin else 0))
                    if error:
                        errors.append(error)
        return errors

    def _send(self, kind: int, flags: int, payload: bytes) -> int:
        self._sequence += 1
        self._socket.send(_HEADER.pack(16 + len(payload), kind, flags, self._sequence, 0) + payload)
        return self._sequence

    def _receive_dump(self, sequence: int) -> tuple[list[Message], bool]:
        found: list[Message] = []
        interrupted = False
        while True:
            for message in self.receive():
                if message.sequence != sequence:
                    continue
                interrupted |= bool(message.flags & NLM_F_DUMP_INTR)
                if message.type in (NLMSG_DONE, NLMSG_ERROR):
                    if error := error_of(message):
                        raise error
                    return found, interrupted
                found.append(message)

    def _make_room(self, size: int) -> None:
        # The kernel counts its own bookkeeping against the buffer too, hence twice the size.
        if size * 2 > self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF):
            self._set_buffer(_SO_SNDBUFFORCE, socket.SO_SNDBUF, size * 2)

    def _set_buffer(self, forced: int, ordinary: int, size: int) -> None:
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, forced, size)
        except PermissionError:  # without CAP_NET_ADMIN the system's limit holds
            with contextlib.suppress(OSError):
                self._socket.setsockopt(socket.SOL_SOCKET, ordinary, size)
