"""Leaving a server that takes connections but cannot serve.

One that is cut off from its etcd answers 503 to everything; one that hangs answers nothing, though its
machine takes connections. Neither breaks anything, so it has to be asked.
"""

from __future__ import annotations

import asyncio
import dataclasses

from clusterip.client.config import Config
from clusterip.client.errors import ApiError, Unreachable
from clusterip.client.rest import Client
from clusterip.member.balancer import Address, Balancer, shown
from clusterip.process import log

_SECONDS = 10.0
_AGAIN_SECONDS = 2.0
_ANSWER_SECONDS = 5.0

_log = log.get("member")


class Checks:
    """Asks the servers that connections lead to whether they are ready, and breaks the connections of those
    that twice are not while another is.

    Args:
        balancer: whose servers.
        config: a way to the API, by whatever server; its name for certificates is used for each.
    """

    def __init__(self, balancer: Balancer, config: Config) -> None:
        self._balancer = balancer
        self._config = config
        self._clients: dict[Address, Client] = {}

    async def run(self) -> None:
        try:
            while True:
                await asyncio.sleep(_SECONDS)
                await self.once()
        finally:
            await self.close()

    async def once(self) -> None:
        """One round."""
        for server in self._balancer.used:
            if await self._is_ready(server):
                continue
            await asyncio.sleep(_AGAIN_SECONDS)
            if await self._is_ready(server):
                continue
            other = await self._another(server)
            if other is not None:
                _log.warning("leaving a server that is not ready", server=shown(server), other=shown(other))
                self._balancer.leave(server, other)

    async def _another(self, server: Address) -> Address | None:
        for other in self._balancer.servers:
            if other != server and await self._is_ready(other):
                return other
        return None

    async def _is_ready(self, server: Address) -> bool:
        client = self._clients.get(server)
        if client is None:
            # Named as its other clients here name it, whatever the address is by which it is reached.
            name = self._config.server_hostname or "127.0.0.1"
            config = dataclasses.replace(
                self._config, server=f"https://{shown(server)}", server_hostname=name, proxy=None
            )
            client = self._clients[server] = Client(config)
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                await client.request("GET", "/readyz")
        except (ApiError, Unreachable, TimeoutError) as error:
            _log.debug("server is not ready", server=shown(server), error=str(error))
            return False
        return True

    async def close(self) -> None:
        for client in self._clients.values():
            await client.close()
