"""``autopath``: walk a Pod's search path for it.

A Pod whose resolv.conf says ``ndots:5`` asks for ``www.example.com.NAMESPACE.svc.cluster.local`` first and
for what it means only after three or more denials. Knowing whose Pod asks, the first question can be
answered with the last one's answer, below a CNAME that says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from clusterip.dns import message, names
from clusterip.dns.lookup import Found
from clusterip.dns.message import CNAME, Query, Record
from clusterip.dns.plugins.chain import Handler, Outcome, is_in, renamed, settled, then

_ROOT = b"\0"
_REFERRED = (message.SERVFAIL, message.REFUSED, message.FORMERR, message.NOTIMP)

Search = Callable[[Query], Sequence[bytes]]
"""The search path of who asks; empty: not known."""


def autopath(zones: Sequence[bytes], search_of: Search, next_: Handler) -> Handler:
    """Answer questions below the first domain of the asker's search path for all of the path."""

    def handle(query: Query) -> Outcome:
        if not is_in(query.name, zones):
            return next_(query)
        return then(next_(query), lambda found: denied(query, found))

    def denied(query: Query, found: Found) -> Outcome:
        if found.reply.rcode != message.NXDOMAIN:
            return found
        # Another asker has another search path: this is never kept.
        found = replace(found, keep=False, lasting=False)
        search = search_of(query)
        if not search or query.name == search[0] or not names.is_below(query.name, search[0]):
            return found
        base = query.name[: len(query.name) - len(search[0])]
        return walk(query, base, [*search[1:], _ROOT], found)

    async def walk(query: Query, base: bytes, search: Sequence[bytes], first: Found) -> Found:
        for domain in search:
            name = base + domain
            if len(name) > names.MAX_NAME:
                continue
            found = await settled(next_(renamed(query, name)))
            if found.reply.rcode == message.NXDOMAIN or found.reply.rcode in _REFERRED:
                continue
            return replace(found, reply=_aliased(query, found), keep=False, lasting=False)
        return first

    return handle


def _aliased(query: Query, found: Found) -> message.Reply:
    """The answer under the name that was asked for."""
    answer = found.reply.answer
    if not answer or answer[0].owner.lower() == query.name:
        return found.reply
    alias = Record(query.name, CNAME, answer[0].ttl, answer[0].owner)
    return replace(found.reply, answer=[alias, *answer])
