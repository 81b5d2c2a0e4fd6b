"""Who makes a request: client certificates, static tokens and service account tokens."""

from __future__ import annotations

import base64
import binascii
import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import msgspec
from aiohttp import web

AUTHENTICATED = "system:authenticated"
UNAUTHENTICATED = "system:unauthenticated"


class User(msgspec.Struct, frozen=True):
    """Who makes a request, as authorization sees it."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: dict[str, list[str]] = {}


ANONYMOUS = User("system:anonymous", groups=(UNAUTHENTICATED,))
SERVER = User("system:apiserver", groups=("system:masters", AUTHENTICATED))
"""The API server itself, when it writes what belongs to every cluster."""


class Tokens(Protocol):
    """Something that knows bearer tokens."""

    def user(self, token: str) -> User | None:
        """Who holds this token; None if it is not one of these."""
        ...


class TokenFile:
    """A static token file: ``token,user,uid[,"group1,group2"]``, read once at start."""

    def __init__(self, users: Mapping[str, User]) -> None:
        self._users = dict(users)

    @classmethod
    def read(cls, path: str) -> TokenFile:
        """Read the file.

        Raises:
            OSError: it cannot be read.
            ValueError: a line has not at least token, user and uid; says which.
        """
        users: dict[str, User] = {}
        with Path(path).open(newline="", encoding="utf-8") as file:
            for number, row in enumerate(csv.reader(file, skipinitialspace=True), 1):
                if not row or row[0].startswith("#"):
                    continue
                if len(row) < 3 or not row[0]:
                    raise ValueError(f'{path}, line {number}: expected token,user,uid,"group1,group2"')
                groups = row[3].split(",") if len(row) > 3 and row[3] else []
                users[row[0]] = User(row[1], row[2], (*groups, AUTHENTICATED))
        return cls(users)

    def user(self, token: str) -> User | None:
        return self._users.get(token)


class Authenticator:
    """Finds out who makes a request."""

    def __init__(self, tokens: list[Tokens], *, certificates: bool) -> None:
        self._tokens = tokens
        self._certificates = certificates
        self._by_connection: WeakKeyDictionary[Any, User] = WeakKeyDictionary()

    def authenticate(self, request: web.BaseRequest) -> User | None:
        """The user; ANONYMOUS if no credentials are shown, None if those shown are no good."""
        header = request.headers.get("Authorization")
        token = ""
        if header is not None:
            scheme, _, token = header.partition(" ")
            token = token.strip() if scheme.lower() == "bearer" else ""
        elif "Sec-WebSocket-Protocol" in request.headers:
            token = _websocket_token(request.headers["Sec-WebSocket-Protocol"])
        if token:
            return self.user_of_token(token)
        return self._of_connection(request) if self._certificates else ANONYMOUS

    def user_of_token(self, token: str) -> User | None:
        """Who holds a bearer token; None if it is not known or no longer valid."""
        found = (source.user(token) for source in self._tokens)
        return next((user for user in found if user is not None), None)

    def _of_connection(self, request: web.BaseRequest) -> User:
        """The user of the connection's client certificate, which TLS has verified already."""
        transport = request.transport
        tls = transport.get_extra_info("ssl_object") if transport is not None else None
        if tls is None:
            return ANONYMOUS
        user = self._by_connection.get(tls)
        if user is None:
            user = self._by_connection[tls] = _of_certificate(tls.getpeercert()) or ANONYMOUS
        return user


def _websocket_token(protocols: str) -> str:
    """Browsers cannot set headers on WebSockets, so the token may be among the subprotocols."""
    prefix = "base64url.bearer.authorization.k8s.io."
    for protocol in protocols.split(","):
        if protocol.strip().startswith(prefix):
            encoded = protocol.strip()[len(prefix) :]
            try:
                return base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
            except (binascii.Error, UnicodeDecodeError):
                return ""
    return ""


def _of_certificate(certificate: Mapping[str, Any] | None) -> User | None:
    """The user whom a certificate names: its common name, in groups that are its organizations."""
    if not certificate:
        return None
    names = [pair for attributes in certificate.get("subject", ()) for pair in attributes]
    common = next((value for key, value in names if key == "commonName"), "")
    if not common:
        return None
    groups = tuple(value for key, value in names if key == "organizationName")
    return User(common, groups=(*groups, AUTHENTICATED))
