"""Names that others know."""

from __future__ import annotations

from clusterip.dns.config.model import ForwardOptions
from clusterip.dns.forward import Forwarder
from clusterip.dns.lookup import Found, joined
from clusterip.dns.message import Query, Reply
from clusterip.dns.plugins.chain import Handler, Outcome, is_in

_NOTHING = Reply()


def forward(forwarder: Forwarder, options: ForwardOptions, next_: Handler) -> Handler:
    """Ask the upstreams about names in the zone of ``options``, but those excepted."""
    origin = (options.origin,)

    def handle(query: Query) -> Outcome:
        if not is_in(query.name, origin) or is_in(query.name, options.excepted):
            return next_(query)
        known = forwarder.cached(query.name, query)
        return resolve(query) if known is None else Found(joined(_NOTHING, known, query))

    async def resolve(query: Query) -> Found:
        return Found(joined(_NOTHING, await forwarder.resolve(query.name, query), query))

    return handle
