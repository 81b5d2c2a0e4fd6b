"""``rewrite``: another question is answered than was asked, and the answer made to fit."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from clusterip.dns import names
from clusterip.dns.config.model import AnswerRule, Match, RewriteRule
from clusterip.dns.lookup import Found
from clusterip.dns.message import SRV, Query, Record, Reply
from clusterip.dns.plugins.chain import Handler, Outcome, failure, renamed, then, with_records
from clusterip.dns.rdata import compressible_names

_PLACE = re.compile(r"\{(\d+)\}")

Change = Callable[[Reply], Reply]


def rewrite(rules: Sequence[RewriteRule], next_: Handler) -> Handler:
    """Apply the rules in order up to the first that matches and does not say ``continue``."""

    def handle(query: Query) -> Outcome:
        changes: list[Change] = []
        asked = query
        try:
            for rule in rules:
                rewritten = _apply(rule, query, changes)
                if rewritten is None:
                    continue
                query = rewritten
                if not rule.go_on:
                    break
        except names.BadName as error:
            return failure(f"rewritten to what is no name: {error}")
        if query is asked and not changes:
            return next_(query)
        return then(next_(query), lambda found: _answered(found, changes))

    return handle


def _answered(found: Found, changes: Sequence[Change]) -> Found:
    """The answer with all changes undone, the last first; not kept beyond the moment: names differ."""
    reply = found.reply
    for change in reversed(changes):
        reply = change(reply)
    return replace(found, reply=reply, lasting=False)


def _apply(rule: RewriteRule, query: Query, changes: list[Change]) -> Query | None:
    """The query after a rule, None if the rule is not for it; adds what is to be done to the answer."""
    before, after = rule.numbers
    if rule.field == "type":
        return None if query.type != before else _retyped(query, after, query.class_)
    if rule.field == "class":
        return None if query.class_ != before else _retyped(query, query.type, after)
    text = names.to_text(query.name)
    new = _matched(rule.match, text, rule.to)
    if new is None:
        return None
    if rule.field == "ttl":
        changes.append(lambda reply: with_records(reply, lambda record: _within(record, before, after)))
        return query
    if rule.field == "rcode":
        changes.append(lambda reply: replace(reply, rcode=after) if reply.rcode == before else reply)
        return query
    name = names.to_wire(new)
    if rule.auto:
        back = _way_back(rule, query.name, name)
        changes.append(lambda reply: with_records(reply, lambda r: r._replace(owner=back(r.owner))))
    for each in rule.answers:
        changes.append(_answer_change(each))
    return renamed(query, name)


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


def _way_back(rule: RewriteRule, asked: bytes, name: bytes) -> Callable[[bytes], bytes]:
    """The names in an answer as they were before the rule."""
    reverse = Match(rule.match.kind, rule.to)

    def back(owner: bytes) -> bytes:
        if owner.lower() == name:
            return asked
        if rule.match.kind not in ("prefix", "suffix"):
            return owner
        return _or_same(owner, lambda text: _matched(reverse, text, rule.match.text))

    return back


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
    if record.type == SRV:
        return record.rdata[:6] + change(record.rdata[6:])
    parts = compressible_names(record.type, record.rdata)
    if parts is None:
        return record.rdata
    before, inner, after = parts
    return before + b"".join(change(name) for name in inner) + after
