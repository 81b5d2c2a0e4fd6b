"""The way to the kernel's nftables: commit a batch, read what is there."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from clusterip.kernel import netlink
from clusterip.kernel.netlink import NETLINK_NETFILTER, NetlinkError, NetlinkSocket
from clusterip.kernel.nftables import batch as messages
from clusterip.kernel.nftables.batch import SUBSYSTEM, Batch, Element, Subject, Verdict
from clusterip.kernel.nftables.model import Family, Set, Table

_BEGIN = netlink.Request(16, 0, messages.header(0, 10))
_END = netlink.Request(17, 0, messages.header(0, 10))
_ENOENT, _EINTR = 2, 4
_LISTING_ATTEMPTS = 100


class Refused(NamedTuple):
    """One change the kernel refused. ``key`` is the element's where it was one element of several."""

    subject: Subject | None
    key: bytes
    errno: int
    message: str

    def __str__(self) -> str:
        return f"the kernel refused to {_describe(self.subject, self.key)}: {self.message}"


class NftablesError(Exception):
    """The kernel refused a batch; nothing of it was done.

    ``refused`` are the changes it objects to, at least one: of each message the first. ``errno``,
    ``subject`` and ``key`` are those of the first.
    """

    def __init__(self, refused: Sequence[Refused]) -> None:
        self.refused = refused
        self.subject, self.key, self.errno, _ = refused[0]
        super().__init__(str(refused[0]))


def _describe(subject: Subject | None, key: bytes) -> str:
    if subject is None:
        return "begin or end an nftables batch"
    place = f"table {subject.table.family.keyword} {subject.table.name}"
    if subject.set is None or subject.action == "add set":
        return f"{subject.action} {subject.name} ({place})"
    if key:
        return f"{subject.action} element {subject.set.show(key)} of {subject.name} ({place})"
    return f"{subject.action} {len(subject.keys)} elements of {subject.name} ({place})"


class Nftables:
    """A connection to the nftables of the network namespace it was opened in."""

    def __init__(self) -> None:
        self._socket = NetlinkSocket(NETLINK_NETFILTER, receive_buffer=4 << 20)

    def close(self) -> None:
        self._socket.close()

    @property
    def port(self) -> int:
        """The socket's netlink address; events of its own changes carry it."""
        return self._socket.port

    def commit(self, batch: Batch) -> None:
        """Do all changes of a batch, or none. When it returns, packets see the new state.

        Raises:
            NftablesError: changes were refused.
        """
        if not batch.requests:
            return
        errors = self._socket.transact(batch.requests, begin=_BEGIN, end=_END)
        if not errors:
            return
        raise NftablesError([_refused(error, batch) for error in errors])

    def sets(self, table: Table) -> set[str]:
        """The names of a table's sets and maps."""
        request = messages.header(table.family) + netlink.string(1, table.name)
        listed = self._dump(messages.GET_SET, request)
        return {netlink.text(netlink.parse_attributes(message.payload, 4)[2]) for message in listed}

    def table_comment(self, table: Table) -> str | None:
        """The comment of the table of this family and name; None if there is no such table."""
        payload = messages.header(table.family) + netlink.string(1, table.name)
        try:
            answers = self._socket.request(SUBSYSTEM | messages.GET_TABLE, payload)
        except NetlinkError as error:
            if error.errno == _ENOENT:
                return None
            raise
        userdata = netlink.parse_attributes(answers[0].payload, 4).get(6)
        return "" if userdata is None else netlink.text(userdata[2:])

    def chains(self, table: Table) -> list[str]:
        """The names of a table's chains."""
        found = []
        for message in self._dump(messages.GET_CHAIN, messages.header(table.family)):
            attributes = netlink.parse_attributes(message.payload, 4)
            if netlink.text(attributes[1]) == table.name:
                found.append(netlink.text(attributes[3]))
        return found

    def rules_per_chain(self, table: Table) -> dict[str, int]:
        """How many rules each chain of a table has; empty chains are not listed."""
        counts: dict[str, int] = {}
        request = messages.header(table.family) + netlink.string(1, table.name)
        for message in self._dump(messages.GET_RULE, request):
            attributes = netlink.parse_attributes(message.payload, 4)
            if netlink.text(attributes[1]) == table.name:
                chain = netlink.text(attributes[2])
                counts[chain] = counts.get(chain, 0) + 1
        return counts

    def elements(self, table: Table, set_: Set) -> list[Element]:
        """The elements of a set or map, in no order.

        While a large set grows the kernel moves its elements about and a listing may miss some, or have
        some twice, without saying so. So a long listing counts only if it has the length of the one before.
        """
        request = messages.header(table.family) + netlink.string(1, table.name) + netlink.string(2, set_.name)
        length = -1
        for _ in range(_LISTING_ATTEMPTS):
            listed = self._dump(messages.GET_ELEMENT, request)
            before, length = length, sum(len(message.payload) for message in listed)
            if len(listed) > 1 and length != before:
                continue
            found = [element for message in listed for element in _elements_of(message)]
            if len({(element.key, element.flags) for element in found}) == len(found):
                return found
        raise NetlinkError(_EINTR, f"the elements of {set_.name} kept moving while they were listed")

    def plain_elements(self, table: Table, set_: Set) -> dict[bytes, bytes]:
        """The elements of a set, or of a map of plain values, by their keys. As ``elements``, but faster."""
        request = messages.header(table.family) + netlink.string(1, table.name) + netlink.string(2, set_.name)
        length = -1
        for _ in range(_LISTING_ATTEMPTS):
            listed = self._dump(messages.GET_ELEMENT, request)
            before, length = length, sum(len(message.payload) for message in listed)
            if len(listed) > 1 and length != before:
                continue
            found: dict[bytes, bytes] = {}
            count = 0
            for message in listed:
                count += _read_plain(message, set_, found)
            if len(found) == count:
                return found
        raise NetlinkError(_EINTR, f"the elements of {set_.name} kept moving while they were listed")

    def _dump(self, kind: int, payload: bytes) -> list[netlink.Message]:
        return self._socket.dump(SUBSYSTEM | kind, payload)


def _refused(error: NetlinkError, batch: Batch) -> Refused:
    code = error.errno or 0
    if not 0 <= error.index < len(batch.subjects):
        return Refused(None, b"", code, error.message)
    subject = batch.subjects[error.index]
    return Refused(subject, _refused_key(error, batch.requests[error.index], subject), code, error.message)


def _refused_key(error: NetlinkError, request: netlink.Request, subject: Subject) -> bytes:
    """The key of the element at the place in the message that the kernel complains about."""
    if not subject.keys or (not error.offset and len(subject.keys) > 1):
        return b""
    if not error.offset:
        return subject.keys[0]
    position = error.offset - 16  # the kernel counts from the netlink header
    start = (
        request.payload.find(netlink.string(2, subject.name), 4) + len(netlink.string(2, subject.name)) + 4
    )
    for key in subject.keys:
        size = int.from_bytes(request.payload[start : start + 2], "little")
        if start <= position < start + size:
            return key
        start += (size + 3) & ~3
    return b""


def _elements_of(message: netlink.Message) -> Iterator[Element]:
    listed = netlink.parse_attributes(message.payload, 4).get(3)
    if listed is None:
        return
    for _, element in netlink.iterate_attributes(listed):
        yield _parse_element(element)


def _read_plain(message: netlink.Message, set_: Set, into: dict[bytes, bytes]) -> int:
    """Read a message of elements into a dictionary; how many there were."""
    listed = netlink.parse_attributes(message.payload, 4).get(3)
    if listed is None:
        return 0
    head, middle = messages.element_frame(set_)
    key, data = set_.key_length, set_.data_length
    form = struct.Struct(f"={len(head)}s{key}s{-key % 4}x{len(middle)}s{data}s{-data % 4}x")
    count, rest = divmod(len(listed), form.size)
    if count and not rest:
        first, _, second, _ = form.unpack_from(listed)
        if (_headers(first), _headers(second)) == (_headers(head), _headers(middle)):
            # Nearly always all elements are alike but for what they hold. Millions of them would take many
            # times as long to read attribute by attribute.
            read = [
                (found, value)
                for before, found, between, value in form.iter_unpack(listed)
                if before == first and between == second
            ]
            if len(read) == count:
                into.update(read)
                return count
    found_all = list(_elements_of(message))
    for element in found_all:
        assert isinstance(element.data, bytes)
        into[element.key] = element.data
    return len(found_all)


def _headers(data: bytes) -> bytes:
    """Headers of attributes without the flag that they are nested, which some kernels set."""
    return bytes(value & 0x7F if place % 4 == 3 else value for place, value in enumerate(data))


def _parse_element(view: memoryview) -> Element:
    key = data = key_end = b""
    verdict: Verdict | None = None
    flags = 0
    for kind, value in netlink.iterate_attributes(view):
        if kind == 1:
            key = bytes(value[4:])
        elif kind == 2:
            inner_kind, inner = next(netlink.iterate_attributes(value))
            if inner_kind == 1:
                data = bytes(inner)
            else:
                fields = netlink.parse_attributes(inner)
                code = int.from_bytes(fields[1], "big", signed=True)
                verdict = Verdict(code, netlink.text(fields[2]) if 2 in fields else "")
        elif kind == 3:
            flags = netlink.be_number(value)
        elif kind == 10:
            key_end = bytes(value[4:])
    return Element(key, verdict or data, key_end, flags)


def supported(family: Family) -> bool:
    """Whether the kernel has nftables for a family.

    Only making something tells: questions about a family that the kernel does not have are answered with
    nothing. A table that is made and removed within one batch is never seen by anybody.
    """
    connection = Nftables()
    probe = Table(family, "clusterip-probe")
    batch = Batch()
    batch.add_table(probe)
    batch.delete_table(probe)
    try:
        connection.commit(batch)
    except (NetlinkError, NftablesError):
        return False
    finally:
        connection.close()
    return True
