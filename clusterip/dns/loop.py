"""Forwarding that leads back here, found at the start as CoreDNS's ``loop`` does it.

A question about a random name, of type HINFO that nobody asks for, goes to the upstreams. Nobody else knows
the name: if it is asked here, questions go in circles, each one multiplied until the memory is full.
"""

from __future__ import annotations

import asyncio
import secrets

from clusterip.dns import message, names
from clusterip.dns.forward import Forwarder
from clusterip.dns.message import HINFO, Query
from clusterip.process import Fatal

_SECONDS = 30.0
_RETRY_SECONDS = 1.0


class LoopProbe:
    """The question, and whether it came back."""

    def __init__(self) -> None:
        first, second = (str(secrets.randbits(63)) for _ in range(2))
        self.name = names.to_wire(f"{first}.{second}")
        self._found = asyncio.Event()

    def saw(self, query: Query) -> bool:
        """Whether ``query`` is the probe, come back; to be called for every query."""
        if query.name != self.name or query.type != HINFO:
            return False
        self._found.set()
        return True

    async def run(self, forwarder: Forwarder) -> None:
        """Ask until an upstream answers, half a minute long.

        Raises:
            Fatal: the question came back.
        """
        try:
            async with asyncio.timeout(_SECONDS), asyncio.TaskGroup() as group:
                asking = group.create_task(self._ask(forwarder))
                found = group.create_task(self._found.wait())
                await asyncio.wait((asking, found), return_when=asyncio.FIRST_COMPLETED)
                asking.cancel()
                found.cancel()
        except TimeoutError:
            pass  # upstreams that answer nothing do not lead back here
        if self._found.is_set():
            upstreams = ", ".join(map(str, forwarder.upstreams()))
            raise Fatal(
                f"forwarding goes in circles: a question sent to {upstreams} came back to this server; "
                "name upstreams that do not forward to it (--forward)"
            )

    async def _ask(self, forwarder: Forwarder) -> None:
        question = self.name + HINFO.to_bytes(2, "big") + b"\0\1"
        query = Query(b"\0\0", message.RD, question, self.name, HINFO, message.IN)
        for _ in range(int(_SECONDS / _RETRY_SECONDS)):
            if (await forwarder.resolve(self.name, query)).rcode != message.SERVFAIL:
                return
            await asyncio.sleep(_RETRY_SECONDS)
