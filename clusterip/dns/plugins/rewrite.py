"""``rewrite``: another question is answered than was asked, and the answer made to fit."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

from clusterip.dns import message, names
from clusterip.dns.config.model import AnswerRule, Match, RewriteRule
from clusterip.dns.lookup import Found
from clusterip.dns.message import CNAME, Query, Record, Reply
from clusterip.dns.plugins import edns
from clusterip.dns.plugins.chain import Handler, Outcome, failure, renamed, settled, then, with_records
from clusterip.dns.plugins.edns import echoed
from clusterip.dns.rdata import split_names

_PLACE = re.compile(r"\{(\d+)\}")

Change = Callable[[Reply], Reply | Awaitable[Reply]]


@dataclass
class _Applied:
    """What the rules have made of a query so far."""

    query: Query
    changes: list[Change] = field(default_factory=list)
    """What is to be done to the answer, the last first."""
    keep: bool = True
    reverted: set[int] = field(default_factory=set)


def rewrite(rules: Sequence[RewriteRule], root: Handler, next_: Handler) -> Handler:
    """Apply the rules in order up to the first that matches and does not say ``continue``.

    ``root`` is asked about targets of CNAMEs that a rule has changed.
    """

    def handle(query: Query) -> Outcome:
        applied = _Applied(query)
        try:
            for rule in rules:
                if _apply(rule, applied, root) and not rule.go_on:
                    break
        except names.BadName as error:
            return failure(f"rewritten to what is no name: {error}")
        if applied.query is query and not applied.changes:
            return next_(query)
        options = echoed(query, applied.query, reverted=frozenset(applied.reverted))
        keep = applied.keep and query.edns_options == applied.query.edns_options
        if keep:
            options = b""
        return then(next_(applied.query), lambda found: _answered(found, applied.changes, options, keep))

    return handle


def _answered(found: Found, changes: Sequence[Change], options: bytes, keep: bool) -> Outcome:
    """The answer with all changes undone, the last first; not kept beyond the moment: names differ."""
    found = replace(found, lasting=False, keep=found.keep and keep, options=found.options + options)
    left = list(changes)
    while left:
        changed = left.pop()(found.reply)
        if not isinstance(changed, Reply):
            return _answered_later(found, changed, left)
        found = replace(found, reply=changed)
    return found


async def _answered_later(found: Found, changed: Awaitable[Reply], left: list[Change]) -> Found:
    return await settled(_answered(replace(found, reply=await changed), left, b"", True))


def _apply(rule: RewriteRule, applied: _Applied, root: Handler) -> bool:
    """Apply a rule; whether it is for this query."""
    query = applied.query
    before, after = rule.numbers
    match rule.field:
        case "type" if query.type == before:
            applied.query = _retyped(query, after, query.class_)
            applied.changes.append(lambda reply: reply)
            return True
        case "class" if query.class_ == before:
            applied.query = _retyped(query, query.type, after)
            applied.changes.append(lambda reply: reply)
            return True
        case "type" | "class":
            return False
        case "edns0":
            assert rule.edns is not None
            changed = edns.apply(rule.edns, query)
            if changed is None:
                return False
            applied.query, applied.keep = changed, False
            if rule.edns.revert:
                applied.reverted.add(rule.edns.code)
            return True
        case "cname":
            applied.changes.append(lambda reply: _retargeted(rule, query, reply, root))
            applied.keep = False
            return True
    new = _matched(rule.match, names.to_text(query.name), rule.to)
    if new is None:
        return False
    match rule.field:
        case "ttl":
            applied.changes.append(
                lambda reply: with_records(reply, lambda record: _within(record, before, after))
            )
        case "rcode":
            applied.changes.append(
                lambda reply: replace(reply, rcode=after) if reply.rcode == before else reply
            )
        case "name":
            name = names.to_wire(new)
            if rule.auto:
                applied.changes.append(_way_back(rule, query.name, name))
            applied.changes += map(_answer_change, rule.answers)
            applied.query = renamed(query, name)
    return True


def _retargeted(rule: RewriteRule, query: Query, reply: Reply, root: Handler) -> Reply | Awaitable[Reply]:
    """Another target for a CNAME of the answer, and what is there instead of what follows it."""
    for at, record in enumerate(reply.answer):
        if record.type != CNAME:
            continue
        new = _matched(rule.match, names.to_text(record.rdata.lower()), rule.to)
        if new is not None:
            target = names.to_wire(new)
            kept = [*reply.answer[:at], record._replace(rdata=target)]
            return _followed(kept, renamed(query, target), reply, root)
    return reply


async def _followed(kept: list[Record], query: Query, reply: Reply, root: Handler) -> Reply:
    rest = (await settled(root(query))).reply
    if rest.rcode not in (message.NOERROR, message.NXDOMAIN):
        return reply
    return replace(reply, answer=[*kept, *rest.answer])


def _matched(match: Match, text: str, to: str) -> str | None:
    """What ``text`` becomes, None if it does not match."""
    match match.kind:
        case "exact":
            return to if text == match.text else None
        case "prefix":
            return to + text[len(match.text) :] if text.startswith(match.text) else None
        case "suffix":
            return text[: -len(match.text)] + to if text.endswith(match.text) else None
        case "substring":
            return text.replace(match.text, to) if match.text in text else None
        case "regex":
            assert match.pattern is not None
            return _filled(match.pattern.search(text), to)


def _filled(found: re.Match[str] | None, to: str) -> str | None:
    """``to`` with ``{1}`` and so on replaced by the groups."""
    if found is None:
        return None
    groups = (found.group(), *found.groups(""))
    return _PLACE.sub(lambda place: groups[int(place[1])] if int(place[1]) < len(groups) else "", to)


def _retyped(query: Query, type_: int, class_: int) -> Query:
    question = query.name + type_.to_bytes(2, "big") + class_.to_bytes(2, "big")
    return replace(query, question=question, type=type_, class_=class_)


def _within(record: Record, least: int, most: int) -> Record:
    return record._replace(ttl=min(max(record.ttl, least), most))


def _way_back(rule: RewriteRule, asked: bytes, name: bytes) -> Change:
    """The names in an answer, owners and within data, as they were before the rule.

    After a suffix the suffixes are exchanged back; after any other rule the name that was made and what
    is below it become the name that was asked for.
    """
    made, original = names.to_text(name), names.to_text(asked)
    reverse = Match("suffix", rule.to)

    def back(text: str) -> str | None:
        if rule.match.kind == "suffix":
            return _matched(reverse, text, rule.match.text)
        if text == made:
            return original
        return text[: -len(made)] + original if text.endswith("." + made) else None

    return _both(lambda owner: _or_same(owner, back))


def _both(change: Callable[[bytes], bytes]) -> Change:
    """A change of owners and of names within data."""

    def change_record(record: Record) -> Record:
        return record._replace(owner=change(record.owner), rdata=_data_changed(record, change))

    return lambda reply: with_records(reply, change_record)


def _or_same(name: bytes, change: Callable[[str], str | None]) -> bytes:
    """A name after a change, or as it was if it does not match or would be no name."""
    text = change(names.to_text(name.lower()))
    if text is None:
        return name
    try:
        return names.to_wire(text)
    except names.BadName:
        return name


def _answer_change(rule: AnswerRule) -> Change:
    def change_name(name: bytes) -> bytes:
        return _or_same(name, lambda text: _filled(rule.pattern.search(text), rule.to))

    def change_record(record: Record) -> Record:
        if rule.kind == "name":
            return record._replace(owner=change_name(record.owner))
        return record._replace(rdata=_data_changed(record, change_name))

    return lambda reply: with_records(reply, change_record)


def _data_changed(record: Record, change: Callable[[bytes], bytes]) -> bytes:
    """Record data with the names in it changed."""
    return b"".join(
        change(part) if is_name else part for part, is_name in split_names(record.type, record.rdata)
    )
