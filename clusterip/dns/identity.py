"""Who answers: NSID (RFC 5001), cookies, and the names of class CHAOS that name servers tell it by."""

from __future__ import annotations

import socket
from importlib import metadata

from clusterip.dns import message, names
from clusterip.dns.config.model import Chaos
from clusterip.dns.cookies import Cookies
from clusterip.dns.message import TXT, Query, Record, Reply

_VERSION_NAMES = (names.to_wire("version.bind"), names.to_wire("version.server"))
_AUTHORS_NAME = names.to_wire("authors.bind")
_HOST_NAMES = (names.to_wire("hostname.bind"), names.to_wire("id.server"))  # RFC 4892
_NAMES = frozenset((*_VERSION_NAMES, *_HOST_NAMES, _AUTHORS_NAME))


class Identity:
    """What tells this server from others. ``server_id`` is the machine's name unless given."""

    def __init__(self, server_id: str = "", cookie_secret: bytes = b"", chaos: Chaos | None = None) -> None:
        """Raises ValueError if the secret is not of 16 bytes."""
        self.server_id = server_id or socket.gethostname()
        self.version = (chaos and chaos.version) or f"clusterip {metadata.version('clusterip')}"
        self.authors = chaos.authors if chaos is not None else ()
        self.cookies = Cookies(cookie_secret)

    def sign(self, query: Query) -> None:
        """Put into ``query`` the EDNS options that its answer has to carry."""
        if query.cookie:
            cookie, query.proven = self.cookies.answer(query.cookie, query.client)
            query.options += message.OPTION.pack(message.COOKIE, len(cookie)) + cookie
        if query.nsid:
            text = self.server_id.encode()[:128]
            query.options += message.OPTION.pack(message.NSID, len(text)) + text

    def knows(self, name: bytes) -> bool:
        """Whether a name of class CHAOS is one of those here."""
        return name in _NAMES

    def chaos(self, query: Query) -> Reply:
        """The answer to a question of class CHAOS."""
        if query.name in _VERSION_NAMES:
            texts = [self.version]
        elif query.name in _HOST_NAMES:
            texts = [self.server_id]
        elif query.name == _AUTHORS_NAME:
            texts = list(self.authors)
        else:
            return Reply(message.REFUSED)
        if query.type not in (TXT, message.ANY):
            return Reply(authoritative=True)
        strings = [text.encode()[:255] for text in texts]
        answer = [Record(query.name, TXT, 0, bytes((len(each),)) + each) for each in strings]
        return Reply(authoritative=True, answer=answer)
