"""``transfer``: a zone as a whole, for those who may have it (RFC 5936; IXFR of RFC 1995 as an AXFR)."""

from __future__ import annotations

from collections.abc import Sequence

from clusterip.dns import message
from clusterip.dns.config.model import TransferOptions
from clusterip.dns.lookup import Found
from clusterip.dns.message import AXFR, IXFR, Query, Reply
from clusterip.dns.plugins.chain import Handler, Outcome
from clusterip.dns.plugins.small import is_from
from clusterip.dns.zone import Zone


def transfer(rules: Sequence[TransferOptions], zones: Sequence[Zone], next_: Handler) -> Handler:
    """Answer AXFR and IXFR over TCP about ``zones`` to the clients that a rule names.

    An IXFR gets the whole zone, or only its SOA record if the client has this version already.
    """

    def handle(query: Query) -> Outcome:
        if query.type not in (AXFR, IXFR):
            return next_(query)
        zone = next((zone for zone in zones if zone.domain == query.name), None)
        if zone is None or not any(_allows(rule, query) for rule in rules):
            return _refused("no transfer of this zone to this client")
        if not query.tcp:
            return _refused("transfers are over TCP")
        if not zone.synced:
            return Found(Reply(message.SERVFAIL, why="the cluster's Services are not known yet"), keep=False)
        if query.type == IXFR and query.serial == zone.serial:
            return Found(Reply(authoritative=True, answer=[zone.soa()]), keep=False)
        return Found(Reply(authoritative=True), keep=False, parts=zone.transfer())

    return handle


def _allows(rule: TransferOptions, query: Query) -> bool:
    return query.name in rule.zones and (rule.anyone or is_from(query.client, rule.to))


def _refused(why: str) -> Found:
    return Found(Reply(message.REFUSED, extended_error=message.EDE_PROHIBITED, why=why), keep=False)
