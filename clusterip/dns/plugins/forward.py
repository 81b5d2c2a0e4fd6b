"""Names that others know."""

from __future__ import annotations

from clusterip.dns import message
from clusterip.dns.config.model import ForwardOptions
from clusterip.dns.forward import Forwarder
from clusterip.dns.lookup import Found, joined
from clusterip.dns.message import AXFR, IXFR, Query, Reply
from clusterip.dns.plugins.chain import Handler, Outcome, is_in, then

_NOTHING = Reply()


def forward(forwarder: Forwarder, options: ForwardOptions, next_: Handler, *, last: bool = True) -> Handler:
    """Ask the upstreams about names in the zone of ``options``, but those excepted.

    ``last``: no other ``forward`` follows, to which an answer could be left (``next``).
    """
    origin = (options.origin,)

    def handle(query: Query) -> Outcome:
        if not is_in(query.name, origin) or is_in(query.name, options.excepted):
            return next_(query)
        if query.type in (AXFR, IXFR):
            return Found(
                Reply(message.REFUSED, extended_error=message.EDE_PROHIBITED, why="no zone transfers")
            )
        known = forwarder.cached(query.name, query)
        outcome = resolve(query) if known is None else Found(joined(_NOTHING, known, query))
        if last or not (options.next_codes or options.next_on_nodata):
            return outcome
        return then(outcome, lambda found: next_(query) if unwanted(found.reply) else found)

    def unwanted(reply: Reply) -> bool:
        empty = options.next_on_nodata and reply.rcode == message.NOERROR and not reply.answer
        return empty or reply.rcode in options.next_codes

    async def resolve(query: Query) -> Found:
        return Found(joined(_NOTHING, await forwarder.resolve(query.name, query), query))

    return handle
