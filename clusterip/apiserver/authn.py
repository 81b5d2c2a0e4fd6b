"""Who makes a request: client certificates and bearer tokens.

As upstream's ``pkg/kubeapiserver/authenticator``: a client certificate counts before a token, and of
several kinds of tokens the first that knows one.
"""

from __future__ import annotations

import base64
import binascii
import csv
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import msgspec
from aiohttp import web

AUTHENTICATED = "system:authenticated"
UNAUTHENTICATED = "system:unauthenticated"
CREDENTIAL_ID = "authentication.kubernetes.io/credential-id"

_UID_ATTRIBUTE = "1.3.6.1.4.1.57683.2"  # of a subject: upstream's own, for the UID of a user
_INVALID = "invalid bearer token"
WEBSOCKET_PREFIX = "base64url.bearer.authorization.k8s.io."
"""How the WebSocket subprotocol begins that is a bearer token."""


class User(msgspec.Struct, frozen=True):
    """Who makes a request, as authorization sees it."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: dict[str, list[str]] = {}


ANONYMOUS = User("system:anonymous", groups=(UNAUTHENTICATED,))
SERVER = User("system:apiserver", groups=("system:masters", AUTHENTICATED))
"""The API server itself, when it writes what belongs to every cluster."""


class Rejected(Exception):
    """A token that is known for what it is, but not good (any more); the text says why."""


class Identity(msgspec.Struct, frozen=True):
    """Whose a token is, and for which of the audiences asked about."""

    user: User
    audiences: list[str]


class Tokens(Protocol):
    """Something that knows bearer tokens of one kind."""

    def identify(self, token: str, audiences: Sequence[str]) -> Identity | None:
        """Who holds this token, if it is for one of the ``audiences``; None if it is not of this kind.

        Raises:
            Rejected: it is of this kind and not good.
        """
        ...


class TokenFile:
    """A static token file: ``token,user,uid[,"group1,group2"]``, read once at start.

    Its tokens are meant for the API server and nobody else.
    """

    def __init__(self, users: Mapping[str, User], audiences: Sequence[str] = ()) -> None:
        self._users = dict(users)
        self._audiences = audiences

    @classmethod
    def read(cls, path: str, audiences: Sequence[str] = ()) -> TokenFile:
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
                users[row[0]] = User(row[1], row[2], tuple(groups))
        return cls(users, audiences)

    def identify(self, token: str, audiences: Sequence[str]) -> Identity | None:
        user = self._users.get(token)
        common = shared(self._audiences, audiences)
        return Identity(user, common) if user is not None and common else None


class Review(msgspec.Struct, frozen=True):
    """What is known of a token: whose it is, or why it is nobody's."""

    identity: Identity | None = None
    error: str = ""


class Authenticator:
    """Finds out who makes a request.

    ``audiences`` are the server's own names: a token must be for one of them to be good here.
    """

    def __init__(
        self,
        tokens: list[Tokens],
        *,
        certificates: bool,
        audiences: Sequence[str],
        anonymous: bool = False,
    ) -> None:
        self.audiences = list(audiences)
        self.anonymous = anonymous
        self._tokens = tokens
        self._certificates = certificates
        self._by_connection: WeakKeyDictionary[Any, User] = WeakKeyDictionary()

    def authenticate(self, request: web.BaseRequest) -> User | None:
        """The user; ANONYMOUS if no credentials are shown, None if those shown are no good."""
        if self._certificates:
            user = self._of_connection(request)
            if user is not ANONYMOUS:
                return user
        header = request.headers.get("Authorization")
        token = ""
        if header is not None:
            scheme, _, token = header.partition(" ")
            token = token.strip() if scheme.lower() == "bearer" else ""
        elif "Sec-WebSocket-Protocol" in request.headers:
            token = _websocket_token(request.headers["Sec-WebSocket-Protocol"])
        if not token:
            return ANONYMOUS
        identity = self.review(token, self.audiences).identity
        return identity.user if identity is not None else None

    def review(self, token: str, audiences: Sequence[str]) -> Review:
        """What is known of a bearer token, for one of these audiences."""
        errors: list[str] = []
        for source in self._tokens:
            try:
                identity = source.identify(token, audiences)
            except Rejected as error:
                errors.append(str(error))
            else:
                if identity is not None:
                    return Review(Identity(_authenticated(identity.user), identity.audiences))
        return Review(error=f"[{', '.join((_INVALID, *errors))}]" if errors else _INVALID)

    def _of_connection(self, request: web.BaseRequest) -> User:
        """The user of the connection's client certificate, which TLS has verified already."""
        transport = request.transport
        tls = transport.get_extra_info("ssl_object") if transport is not None else None
        if tls is None:
            return ANONYMOUS
        user = self._by_connection.get(tls)
        if user is None:
            user = self._by_connection[tls] = _of_certificate(tls) or ANONYMOUS
        return user


def shared(ours: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """The audiences in both, in the order of ``wanted``."""
    return [audience for audience in wanted if audience in ours]


def _authenticated(user: User) -> User:
    if AUTHENTICATED in user.groups or UNAUTHENTICATED in user.groups:
        return user
    return msgspec.structs.replace(user, groups=(*user.groups, AUTHENTICATED))


def _websocket_token(protocols: str) -> str:
    """Browsers cannot set headers on WebSockets, so the token may be among the subprotocols."""
    for protocol in protocols.split(","):
        if protocol.strip().startswith(WEBSOCKET_PREFIX):
            encoded = protocol.strip()[len(WEBSOCKET_PREFIX) :]
            try:
                return base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
            except (binascii.Error, UnicodeDecodeError):
                return ""
    return ""


def _of_certificate(tls: Any) -> User | None:
    """The user whom a certificate names: its common name, in groups that are its organizations."""
    certificate = tls.getpeercert()
    if not certificate:
        return None
    names = [pair for attributes in certificate.get("subject", ()) for pair in attributes]
    common = next((value for key, value in names if key == "commonName"), "")
    if not common:
        return None
    groups = tuple(value for key, value in names if key == "organizationName")
    uid = next((value for key, value in names if key == _UID_ATTRIBUTE), "")
    fingerprint = hashlib.sha256(tls.getpeercert(binary_form=True)).hexdigest()
    extra = {CREDENTIAL_ID: [f"X509SHA256={fingerprint}"]}
    return _authenticated(User(common, uid, groups, extra))
