"""HTTP sessions that are given up while they are in use."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from yarl import URL


class Session:
    """One aiohttp session, and what goes on in it.

    aiohttp's own ``close`` leaves those alone who read an answer over TLS: they would wait for ever. And
    those who wait for a connection it cancels, which looks to them as if they themselves had been.

    Args:
        session: what it is about.
        endless: whether its answers need not end by themselves, as those of watches.
    """

    def __init__(self, session: aiohttp.ClientSession, *, endless: bool) -> None:
        self._session = session
        self._endless = endless
        self._answers: set[aiohttp.ClientResponse] = set()
        self._users = 0
        self._retired = False

    @asynccontextmanager
    async def request(self, method: str, url: URL, **options: Any) -> AsyncIterator[aiohttp.ClientResponse]:
        """As ``aiohttp.ClientSession.request``. Reading the answer may raise ClientConnectionError."""
        async with self.use() as session, session.request(method, url, **options) as answer:
            self._answers.add(answer)
            try:
                if self._retired and self._endless:
                    answer.close()
                yield answer
            finally:
                self._answers.discard(answer)

    @asynccontextmanager
    async def use(self) -> AsyncIterator[aiohttp.ClientSession]:
        """For as long as it is needed; nothing breaks that when the session is retired."""
        self._users += 1
        try:
            yield self._session
        finally:
            self._users -= 1
            if self._retired and not self._users:
                await self._session.close()

    async def retire(self) -> None:
        """Break answers that need not end, and close once all others have."""
        self._retired = True
        if self._endless:
            self._break()
        if not self._users:
            await self._session.close()

    async def close(self) -> None:
        """Break off all that goes on."""
        self._break()
        await self._session.close()

    def _break(self) -> None:
        for answer in self._answers:
            answer.close()
