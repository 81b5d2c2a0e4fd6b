"""Logging in to an etcd that has users (``etcdctl auth enable``)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from clusterip.storage.etcd.failures import FAILED_PRECONDITION, EtcdError
from clusterip.storage.etcd.messages import AuthenticateResponse
from clusterip.storage.store import StoreError


@dataclass(frozen=True)
class User:
    """Who the store logs in as. The password appears in no ``repr``."""

    name: str = ""
    password: str = field(default="", repr=False)

    def __bool__(self) -> bool:
        return bool(self.name)


def read_user(name: str, password_file: str) -> User:
    """The user whose password is the first line of a file; none without a name.

    Raises:
        StoreError: there is no password, or the file cannot be read.
    """
    if not name:
        return User()
    if not password_file:
        raise StoreError(f"etcd's user {name!r} needs a file with the password")
    try:
        with open(password_file, encoding="utf-8") as file:
            password = file.readline().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"cannot read the password of etcd's user {name!r}: {error}") from error
    return User(name, password)


Ask = Callable[[str, object, type[AuthenticateResponse]], Awaitable[AuthenticateResponse]]


class Login:
    """The token that calls carry. etcd forgets it after some idle minutes, a restart or a change of users."""

    def __init__(self, user: User) -> None:
        self._user = user
        self._headers: dict[str, str] | None = None if user else {}
        self._one_at_a_time = asyncio.Lock()

    async def headers(self, ask: Ask) -> dict[str, str]:
        """What a call has to carry; logs in with ``ask(path, request, reply)`` if that is needed.

        Raises:
            EtcdError: etcd knows no such user, or the password is another.
            Unavailable: etcd does not answer.
        """
        if self._headers is not None:
            return self._headers
        async with self._one_at_a_time:
            if self._headers is None:
                self._headers = await self._login(ask)
            return self._headers

    async def _login(self, ask: Ask) -> dict[str, str]:
        request = {"name": self._user.name, "password": self._user.password}
        try:
            reply = await ask("/v3/auth/authenticate", request, AuthenticateResponse)
        except EtcdError as error:
            if error.code == FAILED_PRECONDITION and "not enabled" in str(error):
                return {}  # as etcd's own clients: a user is of no use yet
            raise
        return {"Authorization": reply.token}

    def forget(self, headers: dict[str, str] | None = None) -> bool:
        """Log in anew the next time, unless ``headers`` were replaced already; whether that is possible."""
        if self._user and (headers is None or self._headers is headers):
            self._headers = None
        return bool(self._user)
