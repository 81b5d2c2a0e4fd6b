"""The way to the kernel's nftables: commit a batch, read what is there."""

from __future__ import annotations

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
    views = [element for _, element in netlink.iterate_attributes(listed)]
    if not views:
        return
    # Nearly always all elements of a message are alike but for what they hold: the first shows where that
    # is. Millions of them would take many times as long to read attribute by attribute.
    form = _Form.of(views[0])
    for view in views:
        yield form.read(view) if form is not None and form.fits(view) else _parse_element(view)


class _Form(NamedTuple):
    """Elements of a key and at most a plain value, as bytes: constant headers and what is between them."""

    size: int
    key: slice
    data: slice
    headers: tuple[tuple[slice, bytes], ...]

    @classmethod
    def of(cls, view: memoryview) -> _Form | None:
        """The form of one element; None if it has more than key and value."""
        parsed = _parse_element(view)
        if isinstance(parsed.data, Verdict) or parsed.key_end or parsed.flags:
            return None
        key = slice(8, 8 + len(parsed.key))
        start = (key.stop + 3) & ~3
        data = slice(start + 8, start + 8 + len(parsed.data)) if parsed.data else slice(0, 0)
        end = (data.stop + 3) & ~3 if parsed.data else start
        if end != len(view):
            return None
        between = slice(start, start + 8) if parsed.data else slice(0, 0)
        headers = tuple((part, bytes(view[part])) for part in (slice(0, 8), between))
        form = cls(len(view), key, data, headers)
        return form if form.read(view) == parsed else None

    def fits(self, view: memoryview) -> bool:
        return len(view) == self.size and all(view[part] == held for part, held in self.headers)

    def read(self, view: memoryview) -> Element:
        return Element(bytes(view[self.key]), bytes(view[self.data]))


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
