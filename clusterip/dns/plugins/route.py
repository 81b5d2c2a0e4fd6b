"""Which server block a question is for: the one with the longest zone that the name is in."""

from __future__ import annotations

from collections.abc import Mapping

from clusterip.dns import names
from clusterip.dns.message import Query
from clusterip.dns.plugins.chain import Handler, Outcome, refuse


def route(table: Mapping[bytes, Handler]) -> Handler:
    """``table``: zones and who answers for them."""

    def handle(query: Query) -> Outcome:
        name = query.name
        while True:
            handler = table.get(name)
            if handler is not None:
                return handler(query)
            if name == b"\0":
                return refuse(query)
            name = names.parent(name)

    return handle
