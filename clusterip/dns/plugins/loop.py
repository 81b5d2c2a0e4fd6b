"""``loop``: find out at the start whether questions that are forwarded come back here.

A question that nobody else can have asked goes to the upstreams; if it arrives as a query, an upstream
forwards to us, and every question would go in circles until something gives in.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

from clusterip.dns import names
from clusterip.dns.forward import Forwarder
from clusterip.dns.message import HINFO, IN, RD, Query
from clusterip.dns.plugins.chain import Handler, Outcome, failure


class Probe:
    """One such question."""

    def __init__(self) -> None:
        self.name = names.to_wire(f"{secrets.randbits(62)}.{secrets.randbits(62)}")
        self.returned = False

    async def ask(self, forwarder: Forwarder) -> None:
        """Ask, and wait for the answer, whatever it is. Never raises."""
        question = self.name + HINFO.to_bytes(2, "big") + IN.to_bytes(2, "big")
        await forwarder.resolve(self.name, Query(b"\0\0", RD, question, self.name, HINFO, IN))

    def guard(self, next_: Handler, found: Callable[[], None]) -> Handler:
        """A handler that calls ``found`` when the question arrives here."""

        def handle(query: Query) -> Outcome:
            if query.name != self.name:
                return next_(query)
            self.returned = True
            found()
            return failure("forwarded to where it came from")

        return handle
