"""The cluster's names, as part of a chain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from clusterip.dns import message
from clusterip.dns.config.model import KubernetesOptions
from clusterip.dns.lookup import Found, joined, look_up
from clusterip.dns.message import Query, Reply
from clusterip.dns.plugins.chain import Handler, Outcome, is_in, renamed, then
from clusterip.dns.zone import Zone


@dataclass(slots=True)
class _Target(Query):
    """A question about what an ExternalName points to: its answer is not followed from the top again."""


def kubernetes(zones: Sequence[Zone], options: KubernetesOptions, root: Handler, next_: Handler) -> Handler:
    """Answer from ``zones``, of which the first one also answers for addresses.

    ``root`` answers for the targets of ExternalNames, as if they had been asked.
    """

    def handle(query: Query) -> Outcome:
        zone = next((zone for zone in zones if zone.covers(query.name)), None)
        reverse = next((tree for tree in options.reverse_zones if is_in(query.name, (tree,))), None)
        if zone is None and reverse is None:
            return next_(query)
        found = look_up(zones[0] if zone is None else zone, query)  # an empty zone is not true
        if found.elsewhere == query.name:  # an address that is not the cluster's
            assert reverse is not None
            soa = zones[0].soa()._replace(owner=reverse)
            found = Found(Reply(message.NXDOMAIN, authoritative=True, authority=[soa]))
        if found.reply.rcode == message.NXDOMAIN and is_in(query.name, options.fallthrough):
            return next_(query)
        if found.elsewhere is None:
            return found
        first = found.reply
        target = renamed(query, found.elsewhere)
        follow = next_ if isinstance(query, _Target) else root
        return then(follow(_as_target(target)), lambda rest: Found(joined(first, rest.reply, query)))

    return handle


def _as_target(query: Query) -> _Target:
    return _Target(**{name: getattr(query, name) for name in Query.__slots__})
