"""The way to the kernel's nftables: commit a batch, read what is there."""

from __future__ import annotations

from collections.abc import Iterator

from clusterip.kernel import netlink
from clusterip.kernel.netlink import NETLINK_NETFILTER, NetlinkError, NetlinkSocket
from clusterip.kernel.nftables import batch as messages
from clusterip.kernel.nftables.batch import SUBSYSTEM, Batch, Element, Subject, Verdict
from clusterip.kernel.nftables.model import Family, Set, Table

_BEGIN = netlink.Request(16, 0, messages.header(0, 10))
_END = netlink.Request(17, 0, messages.header(0, 10))
_ENOENT, _EINTR = 2, 4
_LISTING_ATTEMPTS = 100


class NftablesError(Exception):
    """The kernel refused a batch; nothing of it was done.

    ``errno`` is the error number, ``subject`` the change that was refused, ``key`` the element's key
    where it was one element of several.
    """

    def __init__(self, error: NetlinkError, subject: Subject | None, key: bytes = b"") -> None:
        self.errno = error.errno or 0
        self.subject = subject
        self.key = key
        super().__init__(f"the kernel refused to {_describe(subject, key)}: {error.message}")


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
            NftablesError: a change was refused; names the first one.
        """
        if not batch.requests:
            return
        errors = self._socket.transact(batch.requests, begin=_BEGIN, end=_END)
        if not errors:
            return
        first = errors[0]
        if not 0 <= first.index < len(batch.subjects):
            raise NftablesError(first, None)
        subject = batch.subjects[first.index]
        raise NftablesError(first, subject, _refused_key(first, batch.requests[first.index], subject))

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

    def _dump(self, kind: int, payload: bytes) -> list[netlink.Message]:
        return self._socket.dump(SUBSYSTEM | kind, payload)


def _refused_key(error: NetlinkError, request: netlink.Request, subject: Subject) -> bytes:
    """The key of the element at the place in the message that the kernel complains about."""
    if len(subject.keys) == 1:
        return subject.keys[0]
    if not error.offset or not subject.keys:
        return b""
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
    if listed is not None:
        for _, element in netlink.iterate_attributes(listed):
            yield _parse_element(element)


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
    """Whether the kernel has nftables for a family."""
    connection = Nftables()
    try:
        connection.chains(Table(family, "clusterip"))
    except NetlinkError:
        return False
    finally:
        connection.close()
    return True
