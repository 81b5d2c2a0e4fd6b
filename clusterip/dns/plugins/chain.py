"""What handlers are, and how they are put together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace

from clusterip.dns import message, names
from clusterip.dns.lookup import Found
from clusterip.dns.message import Query, Record, Reply

Outcome = Found | Awaitable[Found]
"""An answer at hand, or one that has to be waited for."""
Handler = Callable[[Query], Outcome]


def then(outcome: Outcome, go_on: Callable[[Found], Outcome]) -> Outcome:
    """Go on with an answer: at once if it is there, else when it comes."""
    return go_on(outcome) if isinstance(outcome, Found) else _later(outcome, go_on)


async def _later(outcome: Awaitable[Found], go_on: Callable[[Found], Outcome]) -> Found:
    return await settled(go_on(await outcome))


async def settled(outcome: Outcome) -> Found:
    """The answer, waited for if need be."""
    return outcome if isinstance(outcome, Found) else await outcome


def refuse(query: Query) -> Found:
    """The end of every chain: nobody is there for this name."""
    why = "no plugin answers for this name"
    return Found(Reply(message.REFUSED, extended_error=message.EDE_PROHIBITED, why=why))


def unkept(found: Found) -> Found:
    """The answer, not to be kept for others."""
    return replace(found, keep=False, lasting=False)


def failure(why: str) -> Found:
    return Found(Reply(message.SERVFAIL, why=why))


def renamed(query: Query, name: bytes) -> Query:
    """The same query about another name (lower case)."""
    return replace(query, question=name + query.question[-4:], name=name)


def is_in(name: bytes, zones: Iterable[bytes]) -> bool:
    """Whether a name is one of the zones or below one."""
    return any(names.is_below(name, zone) for zone in zones)


def with_records(reply: Reply, change: Callable[[Record], Record]) -> Reply:
    """The reply with every record changed."""
    return replace(
        reply,
        answer=[change(record) for record in reply.answer],
        authority=[change(record) for record in reply.authority],
        additional=[change(record) for record in reply.additional],
    )
