"""Requests of the page, sent to the API server as whom a kubeconfig names."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import aiohttp

from clusterip.client.rest import Client

_SECONDS = 60.0
_CONNECT_SECONDS = 5.0


class Upstream(Client):
    """A client that also passes requests on as they are."""

    async def __aenter__(self) -> Upstream:
        await super().__aenter__()
        return self

    @asynccontextmanager
    async def pass_on(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer to a request, whatever its code. ``target``: path and query, as they came.

        Raises:
            Unreachable: no answer came.
            CredentialsError: there is no token to send.
        """
        limits = aiohttp.ClientTimeout(total=_SECONDS, sock_connect=_CONNECT_SECONDS)
        async with self._send(
            self._for_requests, method, target, None, dict(headers), body, limits
        ) as response:
            yield response
