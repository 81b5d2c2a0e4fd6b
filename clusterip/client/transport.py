"""HTTP to one API server: connections, credentials, retries the server asks for, errors for people."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any

import aiohttp
from aiohttp.connector import Connection
from yarl import URL

from clusterip.client.config import Config
from clusterip.client.errors import ApiError, Unreachable, error_of
from clusterip.client.sessions import Session

Query = Mapping[str, str | list[str]]

_JSON = "application/json"
_REQUEST_SECONDS = 60.0
_CONNECT_SECONDS = 5.0
_CONNECTIONS = 16
_DEAD_PEER_SECONDS = 30
_MAX_RETRIES = 10  # as client-go


class _Response(aiohttp.ClientResponse):
    """A response that keeps what a server says when it refuses a WebSocket; aiohttp drops it unread."""

    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        await super().start(connection)
        if self.status != 101 and "Upgrade" in self.request_info.headers:
            raise error_of(self.status, await self.read())
        return self


class Transport:
    """An async context manager around HTTP sessions; connections are kept and reused."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self._requests: Session | None = None
        self._streams: Session | None = None
        self._context = config.ssl_context
        self.answered: Callable[[str, str], None] = lambda method, code: None
        """Called with each request's method and the code of its answer, ``<error>`` if there was none."""

    async def __aenter__(self) -> Transport:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        for session in self._give_up():
            await session.close()

    def _give_up(self) -> list[Session]:
        """The sessions there are. Whoever asks from now on gets new ones."""
        given_up = [session for session in (self._requests, self._streams) if session is not None]
        self._requests = self._streams = None
        return given_up

    def _for_requests(self) -> Session:
        # A handshake costs more than a request: many requests at once share a few connections.
        if self._requests is None:
            self._requests = self._session(_CONNECTIONS)
        return self._requests

    def _for_streams(self) -> Session:
        # Every watch holds a connection, so there is no limit to them.
        if self._streams is None:
            self._streams = self._session(0)
        return self._streams

    def _session(self, limit: int) -> Session:
        connector = aiohttp.TCPConnector(
            limit=limit, ssl=self._context or True, socket_factory=_socket, keepalive_timeout=60
        )
        headers = {"User-Agent": self.config.user_agent}
        if not self.config.compress:
            headers["Accept-Encoding"] = "identity"
        session = aiohttp.ClientSession(connector=connector, headers=headers, response_class=_Response)
        return Session(session, endless=not limit)

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: bytes | None = None,
        content_type: str = _JSON,
        accept: str = _JSON,
        seconds: float = _REQUEST_SECONDS,
    ) -> bytes:
        """Send one request and read the whole answer.

        Raises:
            ApiError: the server refused; it is asked again as often as it says ``Retry-After``.
            Unreachable: no answer came within ``seconds``.
            CredentialsError: there is no token to send.
        """
        headers = {"Accept": accept}
        if body is not None:
            headers["Content-Type"] = content_type
        timeout = aiohttp.ClientTimeout(total=seconds, sock_connect=_CONNECT_SECONDS)
        for attempt in range(_MAX_RETRIES + 1):
            async with self._send(
                self._for_requests, method, path, query, headers, body, timeout
            ) as response:
                answer = await response.read()
                if response.status < 400:
                    return answer
                delay = _retry_after(response)
                if delay is None or attempt == _MAX_RETRIES:
                    raise error_of(response.status, answer)
            await asyncio.sleep(delay)
        raise AssertionError("unreachable: the last attempt returns or raises")

    @asynccontextmanager
    async def stream(
        self, path: str, *, query: Query | None = None, accept: str = _JSON
    ) -> AsyncIterator[aiohttp.StreamReader]:
        """A GET whose answer never has to end, such as a watch or a followed log. Raises as ``request``."""
        async with self.response(path, query=query, accept=accept) as response:
            yield response.content

    @asynccontextmanager
    async def response(
        self, path: str, *, query: Query | None = None, accept: str = _JSON
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The same with its headers, which say in which form it is."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS, sock_read=None)
        async with self._send(
            self._for_streams, "GET", path, query, {"Accept": accept}, None, timeout
        ) as response:
            if response.status >= 400:
                raise error_of(response.status, await response.read())
            yield response

    @asynccontextmanager
    async def websocket(
        self, path: str, *, query: Query | None = None, protocols: tuple[str, ...] = ()
    ) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """A WebSocket, as ``exec``, ``attach`` and ``portforward`` want it. Raises as ``request``."""
        headers = await self._identify({})
        try:
            async with (
                self._for_streams().use() as session,
                session.ws_connect(
                    self._url(path, query),
                    protocols=protocols,
                    headers=headers,
                    max_msg_size=0,
                    autoping=True,
                ) as connection,
            ):
                yield connection
        except ApiError as error:
            self._note_refusal(error.code)
            raise
        except aiohttp.WSServerHandshakeError as error:  # a 101, but not to what was asked for
            raise error_of(error.status, error.message.encode()) from error
        except aiohttp.ClientConnectionError as error:
            raise self._unreachable(error) from error

    @asynccontextmanager
    async def _send(
        self,
        session: Callable[[], Session],
        method: str,
        path: str,
        query: Query | None,
        headers: dict[str, str],
        body: bytes | None,
        limits: aiohttp.ClientTimeout,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        options: dict[str, Any] = {}
        if self.config.server_hostname:
            options["server_hostname"] = self.config.server_hostname
        if self.config.proxy:
            options["proxy"] = self.config.proxy
        headers = await self._identify(headers)
        answered = False
        try:
            async with session().request(
                method,
                self._url(path, query),
                headers=headers,
                data=body,
                timeout=limits,
                allow_redirects=False,
                **options,
            ) as response:
                self._note_refusal(response.status)
                self.answered(method, str(response.status))
                answered = True
                yield response
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, TimeoutError) as error:
            if not answered:
                self.answered(method, "<error>")
            raise self._unreachable(error) from error

    async def _identify(self, headers: dict[str, str]) -> dict[str, str]:
        """Add who we are to the headers of a request that is to be sent; take over new certificates."""
        credentials = self.config.credentials
        authorization = await credentials.authorization()
        if self.config.tls is not None:
            context = self.config.tls.context(credentials.certificate)
            if context is not self._context:
                # As client-go: who we are has changed, so no watch shall go on as who we were.
                self._context = context
                for session in self._give_up():
                    await session.retire()
        return {**headers, "Authorization": authorization} if authorization else headers

    def _note_refusal(self, code: int) -> None:
        if code == 401:
            self.config.credentials.refused()

    def _url(self, path: str, query: Query | None) -> URL:
        url = URL(self.config.server + path, encoded=True)
        return url.with_query(query) if query else url

    def _unreachable(self, error: Exception) -> Unreachable:
        if isinstance(error, aiohttp.ClientPayloadError):
            cause = error.__cause__ or error.__context__
            silent = isinstance(cause, TimeoutError)
            why = "the connection is dead" if silent else "the connection broke in the middle of an answer"
        elif isinstance(error, TimeoutError):
            why = "it did not answer in time"
        else:
            why = str(error) or repr(error)
        return Unreachable(f"cannot reach the API server at {self.config.server}: {why}")


def _socket(address: tuple[Any, ...]) -> socket.socket:
    """A socket that notices a peer that is gone without a word, which a silent watch never would."""
    family, kind, protocol = address[0], address[1], address[2]
    connection = socket.socket(family, kind, protocol)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _DEAD_PEER_SECONDS // 2)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _DEAD_PEER_SECONDS // 6)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _DEAD_PEER_SECONDS * 1000)
    return connection


def _retry_after(response: aiohttp.ClientResponse) -> float | None:
    """Seconds to wait before asking again, if the server wants to be asked again."""
    text = response.headers.get("Retry-After", "")
    if text.isdecimal() and (response.status == 429 or response.status >= 500):
        return float(text)
    return None


__all__ = ["ApiError", "Query", "Transport", "Unreachable"]
