"""Changes that the kernel does together or not at all."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from clusterip.kernel import netlink
from clusterip.kernel.nftables.expressions import Expression, verdict_data
from clusterip.kernel.nftables.model import Chain, DataType, Set, Table

SUBSYSTEM = 10 << 8
NEW_TABLE, GET_TABLE, DEL_TABLE = 0, 1, 2
NEW_CHAIN, GET_CHAIN, DEL_CHAIN = 3, 4, 5
NEW_RULE, GET_RULE, DEL_RULE = 6, 7, 8
NEW_SET, GET_SET, DEL_SET = 9, 10, 11
NEW_ELEMENT, GET_ELEMENT, DEL_ELEMENT = 12, 13, 14

_HEADER = struct.Struct("!BBH")
_ELEMENTS_BYTES = 60_000  # a netlink attribute holds less than 64 KiB
_UDATA_COMMENT = 0
_TABLE_OWNER = 2


class Verdict(NamedTuple):
    """The value of an element of a verdict map."""

    code: int
    chain: str = ""


class Element(NamedTuple):
    """An element: its key, its value (``b""`` in a set), the key's inclusive end (concatenated
    ranges) and flags (1 marks the exclusive end of a range in an interval set)."""

    key: bytes
    data: bytes | Verdict = b""
    key_end: bytes = b""
    flags: int = 0


class Subject(NamedTuple):
    """What a message of a batch is about, to explain the kernel's refusal of it."""

    action: str
    table: Table
    name: str
    set: Set | None = None
    keys: Sequence[bytes] = ()


def header(family: int, resource: int = 0) -> bytes:
    """``struct nfgenmsg``, before the attributes of every nfnetlink message."""
    return _HEADER.pack(family, 0, resource)


class Batch:
    """A list of changes. Build it with the methods below, then give it to ``Nftables.commit``."""

    def __init__(self) -> None:
        self.requests: list[netlink.Request] = []
        self.subjects: list[Subject] = []

    def __len__(self) -> int:
        return len(self.requests)

    def _add(self, kind: int, flags: int, subject: Subject, *attributes: bytes) -> None:
        payload = header(subject.table.family) + b"".join(attributes)
        self.requests.append(netlink.Request(SUBSYSTEM | kind, flags, payload))
        self.subjects.append(subject)

    def add_table(self, table: Table, *, owned: bool = False) -> None:
        """Add a table. ``owned``: only the socket that the batch is committed by may change it, and the
        kernel removes it with that socket, however its process ends (Linux 5.12 and later)."""
        attributes = [netlink.string(1, table.name), netlink.be32(2, _TABLE_OWNER if owned else 0)]
        if table.comment:
            comment = table.comment.encode() + b"\0"
            attributes.append(netlink.attribute(6, bytes((_UDATA_COMMENT, len(comment))) + comment))
        subject = Subject("add table", table, table.name)
        self._add(NEW_TABLE, netlink.NLM_F_CREATE | netlink.NLM_F_EXCL, subject, *attributes)

    def delete_table(self, table: Table) -> None:
        self._add(DEL_TABLE, 0, Subject("delete table", table, table.name), netlink.string(1, table.name))

    def add_chain(self, table: Table, chain: Chain) -> None:
        attributes = [netlink.string(1, table.name), netlink.string(3, chain.name)]
        if chain.hook is not None:
            priority = netlink.attribute(2, struct.pack("!i", chain.priority))
            attributes.append(netlink.nested(4, netlink.be32(1, chain.hook), priority))
            attributes.append(netlink.be32(5, 1))  # policy accept
            attributes.append(netlink.string(7, chain.type))
        self._add(NEW_CHAIN, netlink.NLM_F_CREATE, Subject("add chain", table, chain.name), *attributes)

    def delete_chain(self, table: Table, chain: str) -> None:
        subject = Subject("delete chain", table, chain)
        self._add(DEL_CHAIN, 0, subject, netlink.string(1, table.name), netlink.string(3, chain))

    def flush_rules(self, table: Table) -> None:
        """Delete all rules of all chains of a table."""
        subject = Subject("delete the rules of", table, table.name)
        self._add(DEL_RULE, 0, subject, netlink.string(1, table.name))

    def add_rule(
        self, table: Table, chain: str, expressions: Iterable[Expression], comment: str = ""
    ) -> None:
        attributes = [
            netlink.string(1, table.name),
            netlink.string(2, chain),
            netlink.nested(4, *expressions),
        ]
        if comment:
            text = comment.encode() + b"\0"
            attributes.append(netlink.attribute(7, bytes((_UDATA_COMMENT, len(text))) + text))
        flags = netlink.NLM_F_CREATE | netlink.NLM_F_APPEND
        self._add(NEW_RULE, flags, Subject("add a rule to chain", table, chain), *attributes)

    def add_set(self, table: Table, set_: Set) -> None:
        attributes = [
            netlink.string(1, table.name),
            netlink.string(2, set_.name),
            netlink.be32(3, set_.all_flags),
            netlink.be32(4, _type_number(set_.key)),
            netlink.be32(5, set_.key_length),
            # An identifier within the batch: the kernel asks for one. Names are what we refer to.
            netlink.be32(10, len(self.requests) + 1),
        ]
        if set_.data:
            attributes.append(netlink.be32(6, _type_number(set_.data)))
            attributes.append(netlink.be32(7, set_.data_length))
        description = []
        if set_.size:
            description.append(netlink.be32(1, set_.size))
        if set_.all_flags & 0x80:
            fields = (netlink.nested(1, netlink.be32(1, field.length)) for field in set_.key)
            description.append(netlink.nested(2, *fields))
        if description:
            attributes.append(netlink.nested(9, *description))
        attributes.append(netlink.attribute(13, _byte_order(0, set_.key) + _byte_order(1, set_.data)))
        self._add(NEW_SET, netlink.NLM_F_CREATE, Subject("add set", table, set_.name, set_), *attributes)

    def flush_set(self, table: Table, set_: Set) -> None:
        """Delete all elements of a set."""
        subject = Subject("delete all elements of", table, set_.name, set_)
        attributes = (netlink.string(1, table.name), netlink.string(2, set_.name))
        self._add(DEL_ELEMENT, 0, subject, *attributes)

    def add_elements(
        self, table: Table, set_: Set, elements: Iterable[tuple[bytes, bytes]], *, singly: bool = False
    ) -> None:
        """Add elements of a set (value ``b""``) or of a map of plain values. Fast: the hot path.

        ``singly``: each in a message of its own, because the kernel tells only the first that it refuses
        of each message.
        """
        head, middle = element_frame(set_)
        size = len(head) + len(middle) + set_.key_length + set_.data_length
        self._add_chunks(
            NEW_ELEMENT,
            netlink.NLM_F_CREATE,
            table,
            set_,
            [(key, b"".join((head, key, middle, data))) for key, data in elements],
            1 if singly else _ELEMENTS_BYTES // size,
        )

    def delete_elements(
        self, table: Table, set_: Set, keys: Iterable[bytes], *, singly: bool = False
    ) -> None:
        head = _key_frame(set_)
        chunk = 1 if singly else _ELEMENTS_BYTES // (len(head) + set_.key_length)
        self._add_chunks(DEL_ELEMENT, 0, table, set_, [(key, head + key) for key in keys], chunk)

    def add_ranges(
        self, table: Table, set_: Set, elements: Iterable[Element], *, singly: bool = False
    ) -> None:
        """Add elements of any form: ranges, verdicts. They are known by ``key + key_end``."""
        built = [(element.key + element.key_end, _element(element)) for element in elements]
        self._add_chunks(NEW_ELEMENT, netlink.NLM_F_CREATE, table, set_, built, 1 if singly else 200)

    def delete_ranges(
        self, table: Table, set_: Set, elements: Iterable[Element], *, singly: bool = False
    ) -> None:
        """Delete elements of any form."""
        built = [
            (element.key + element.key_end, _element(element._replace(data=b""))) for element in elements
        ]
        self._add_chunks(DEL_ELEMENT, 0, table, set_, built, 1 if singly else 200)

    def _add_chunks(
        self,
        kind: int,
        flags: int,
        table: Table,
        set_: Set,
        elements: list[tuple[bytes, bytes]],
        chunk: int,
    ) -> None:
        action = "add" if kind == NEW_ELEMENT else "delete"
        for start in range(0, len(elements), chunk):
            part = elements[start : start + chunk]
            self._add(
                kind,
                flags,
                Subject(action, table, set_.name, set_, [key for key, _ in part]),
                netlink.string(1, table.name),
                netlink.string(2, set_.name),
                netlink.nested(3, *(element for _, element in part)),
            )


def _type_number(types: Sequence[DataType]) -> int:
    number = 0
    for field in types:
        number = number << 6 | field.number
    return number


def _byte_order(kind: int, types: Sequence[DataType]) -> bytes:
    """The note by which `nft list` knows the byte order of a key (0) or value (1) of one field."""
    if len(types) != 1:
        return b""
    return struct.pack("=BBI", kind, 4, 1 if types[0].host_order else 2)


_NEST = netlink.NLA_F_NESTED
_ATTRIBUTE = struct.Struct("=HH")


def _key_frame(set_: Set) -> bytes:
    """The constant bytes before the key of an element that consists of a key only."""
    key = set_.key_length
    return (
        _ATTRIBUTE.pack(12 + key, 1 | _NEST)
        + _ATTRIBUTE.pack(8 + key, 1 | _NEST)
        + _ATTRIBUTE.pack(4 + key, 1)
    )


def element_frame(set_: Set) -> tuple[bytes, bytes]:
    """The constant bytes before an element's key and between its key and its value."""
    if not set_.data:
        return _key_frame(set_), b""
    key, data = set_.key_length, set_.data_length
    head = (
        _ATTRIBUTE.pack(20 + key + data, 1 | _NEST)
        + _ATTRIBUTE.pack(8 + key, 1 | _NEST)
        + _ATTRIBUTE.pack(4 + key, 1)
    )
    return head, _ATTRIBUTE.pack(8 + data, 2 | _NEST) + _ATTRIBUTE.pack(4 + data, 1)


def _element(element: Element) -> bytes:
    parts = [netlink.nested(1, netlink.attribute(1, element.key))]
    if isinstance(element.data, Verdict):
        parts.append(verdict_data(2, element.data.code, element.data.chain))
    elif element.data:
        parts.append(netlink.nested(2, netlink.attribute(1, element.data)))
    if element.flags:
        parts.append(netlink.be32(3, element.flags))
    if element.key_end:
        parts.append(netlink.nested(10, netlink.attribute(1, element.key_end)))
    return netlink.nested(1, *parts)
