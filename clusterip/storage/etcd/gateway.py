"""Calls of etcd's JSON gateway, at whichever endpoint answers.

The gateway is part of every etcd since 3.0 and on by default, so a client of it needs nothing but HTTP.
Measured against one etcd 3.4 with 32 transactions under way (1 kB each, two cores for everything):
2,000 to 3,600/s and 2.5 MB of memory; grpcio 6,400/s and 19 MB; grpclib 2,800/s and 3 MB. What an API server
asks stays far below any of them, so memory and one dependency less decide.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from ssl import SSLContext
from typing import Any, TypeVar

import aiohttp
import msgspec

from clusterip.storage.etcd.failures import EtcdError, LoginExpired, Untrusted, failure, unreachable
from clusterip.storage.etcd.login import Login, User
from clusterip.storage.store import Closed, Unavailable

T = TypeVar("T")

CONNECT_SECONDS = 3.0
CALL_SECONDS = 10.0
"""How long one endpoint may take; etcd itself gives up on a request after 7 seconds."""
PATIENCE_SECONDS = 30.0
"""How long a call goes on trying: enough for an election, or for a member to be started again."""
FIRST_PAUSE = 0.05
LONGEST_PAUSE = 1.0
CLOSING_SECONDS = 5.0
LOGINS = 3
"""How often one call logs in anew, when others keep changing etcd's users at the same time."""

PROBED_KEY = b"/registry/"
"""Asked for when only the answer's header is of interest; nobody writes it, and reading it is allowed."""

_encode = msgspec.json.encode


class Gateway:
    """A connection pool to one etcd cluster. All calls go to one endpoint until it fails.

    ``trouble`` says why no endpoint answers, from the moment that every one of them has failed.
    """

    def __init__(self, endpoints: Sequence[str], context: SSLContext | None, user: User) -> None:
        self._endpoints = list(endpoints)
        self._current = 0
        connector = aiohttp.TCPConnector(limit=0, ssl=context or True)
        self.session = aiohttp.ClientSession(
            connector=connector, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()
        )
        self.login = Login(user)
        self.trouble = ""
        self._failures = 0
        self._down_since = 0.0
        self._under_way: dict[str, set[asyncio.Timeout]] = {endpoint: set() for endpoint in endpoints}
        self._calls = 0
        self._idle = asyncio.Event()
        self.closed = asyncio.Event()
        self._why_closed = "the store is closed"

    @property
    def endpoint(self) -> str:
        """The base URL of the endpoint that is used at the moment."""
        return self._endpoints[self._current]

    def check_open(self) -> None:
        """Raises Closed if the store was closed."""
        if self.closed.is_set():
            raise Closed(self._why_closed)

    async def call(self, path: str, request: Any, reply: type[T]) -> tuple[T, bool]:
        """Call until some endpoint answers; the answer, and whether an earlier attempt may have worked.

        Raises:
            EtcdError: etcd refused it.
            Unavailable: no endpoint answered for a long time.
            Closed: the store was closed.
        """
        self.check_open()
        body = _encode(request)
        loop = asyncio.get_running_loop()
        began = loop.time()
        pause = FIRST_PAUSE
        repeated = False
        self._calls += 1
        try:
            while True:
                endpoint = self.endpoint
                try:
                    return await self._call(endpoint, path, body, reply), repeated
                except Unavailable as error:
                    self.check_open()
                    self.failed(endpoint, error)
                    if isinstance(error, Untrusted) and self.trouble:
                        raise
                    # In an outage that lasts, callers are told so at once instead of after a wait each.
                    if loop.time() > min(began, self._down_since or began) + PATIENCE_SECONDS:
                        raise
                    # A connection that was never made cannot have carried anything.
                    repeated |= not isinstance(error.__cause__, aiohttp.ClientConnectorError)
                    await self.sleep(pause)
                    pause = min(2 * pause, LONGEST_PAUSE)
        finally:
            self._calls -= 1
            if not self._calls:
                self._idle.set()

    async def _call(self, endpoint: str, path: str, body: bytes, reply: type[T]) -> T:
        for attempt in range(LOGINS):
            headers = await self.token(endpoint)
            try:
                return await self._ask(endpoint, path, body, reply, headers)
            except LoginExpired:
                if not self.login.forget(headers) or attempt == LOGINS - 1:
                    raise
        raise AssertionError("the last attempt returns or raises")

    async def token(self, endpoint: str) -> dict[str, str]:
        """The headers that say who is calling; raises as ``Login.headers``."""
        return await self.login.headers(
            lambda path, request, reply: self._ask(endpoint, path, _encode(request), reply, {})
        )

    async def _ask(self, endpoint: str, path: str, body: bytes, reply: type[T], headers: dict[str, str]) -> T:
        try:
            with self._abandonable(endpoint) as limit:
                async with (
                    limit,
                    self.session.post(endpoint + path, data=body, headers=headers, timeout=NO_TIMEOUT) as got,
                ):
                    answer = await got.read()
        except TimeoutError as error:
            self.silent(endpoint)
            raise Unavailable(f"etcd at {endpoint} does not answer") from error
        except (aiohttp.ClientError, OSError) as error:
            raise unreachable(endpoint, error) from error
        if got.status != 200:
            raise failure(endpoint, got.status, answer)
        self.answered()
        return msgspec.json.decode(answer, type=reply, strict=False)

    @contextlib.contextmanager
    def _abandonable(self, endpoint: str) -> Iterator[asyncio.Timeout]:
        limit = asyncio.timeout(CALL_SECONDS)
        self._under_way[endpoint].add(limit)
        try:
            yield limit
        finally:
            self._under_way[endpoint].discard(limit)

    async def lives(self, endpoint: str, seconds: float) -> bool:
        """Whether an endpoint answers within so many seconds as one that is part of its cluster does."""
        request = _encode({"key": PROBED_KEY, "keys_only": True})
        try:
            async with asyncio.timeout(seconds):
                await self._call(endpoint, "/v3/kv/range", request, msgspec.Raw)
        except TimeoutError:
            self.silent(endpoint)
            return False
        except Unavailable:
            return False
        except EtcdError:
            return True  # it says no, but it says something
        return True

    def answered(self) -> None:
        self._failures = 0
        self._down_since = 0.0
        self.trouble = ""

    def failed(self, endpoint: str, error: Unavailable) -> None:
        """Use another endpoint from now on, unless that was already decided."""
        self._failures += 1
        if self._failures >= len(self._endpoints):
            self.trouble = str(error)
            self._down_since = self._down_since or asyncio.get_running_loop().time()
        if self.endpoint == endpoint:
            self._current = (self._current + 1) % len(self._endpoints)

    def silent(self, endpoint: str) -> None:
        """Ask others what was asked of an endpoint that no longer says anything, if there are others."""
        if len(self._endpoints) == 1:
            return
        if self.endpoint == endpoint:
            self._current = (self._current + 1) % len(self._endpoints)
        now = asyncio.get_running_loop().time()
        for limit in self._under_way[endpoint]:
            if not limit.expired():
                limit.reschedule(now)

    def fail(self, why: str) -> None:
        """From now on everything that is asked, and every watch, is answered with ``Closed``."""
        self._why_closed = why
        self.closed.set()

    async def sleep(self, seconds: float) -> None:
        """Raises Closed if the store is closed before the time is over."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.closed.wait(), seconds)
        self.check_open()

    async def close(self) -> None:
        """Let calls that were begun finish, and end watches."""
        if self.session.closed:
            return
        self.closed.set()
        if self._calls:
            self._idle.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._idle.wait(), CLOSING_SECONDS)
        await self.session.close()


NO_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
"""But for connecting: how long an answer may take is limited elsewhere, so that it can be cut short."""
