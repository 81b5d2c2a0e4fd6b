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

    def __init__(self, *, shared: bool = False) -> None:
        """``shared``: several processes ask with it, and it may come back to another one."""
        self._shared = shared
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
        asking = asyncio.create_task(self._ask(forwarder))
        found = asyncio.create_task(self._found.wait())
        try:
            # If others ask too, theirs may come back here when our own has been answered.
            awaited = (found,) if self._shared else (found, asking)
            await asyncio.wait(awaited, timeout=_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (asking, found):
                task.cancel()
            await asyncio.gather(asking, found, return_exceptions=True)
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
