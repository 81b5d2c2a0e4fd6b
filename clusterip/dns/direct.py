"""The shortest chain of handlers: the zone, and upstreams for all other names."""

from __future__ import annotations

from clusterip.dns.forward import Forwarder
from clusterip.dns.lookup import Found, joined, look_up
from clusterip.dns.message import Query
from clusterip.dns.plugins.chain import Handler, Outcome
from clusterip.dns.zone import Zone


def direct(zone: Zone, forwarder: Forwarder) -> Handler:
    """What a responder without a handler does, as a handler: something to put others before."""

    def handle(query: Query) -> Outcome:
        found = look_up(zone, query)
        if found.elsewhere is None:
            return found
        known = forwarder.cached(found.elsewhere, query)
        if known is None:
            return resolve(query, found, found.elsewhere)
        found.reply = joined(found.reply, known, query)
        return found

    async def resolve(query: Query, found: Found, name: bytes) -> Found:
        found.reply = joined(found.reply, await forwarder.resolve(name, query), query)
        return found

    return handle
