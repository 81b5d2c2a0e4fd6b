"""``template``: answers written as texts with places for parts of the question."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from clusterip.dns import message, names
from clusterip.dns.config.model import TemplateOptions
from clusterip.dns.config.source import BadConfig
from clusterip.dns.config.values import CLASSES, TYPES
from clusterip.dns.gotemplate import BadTemplate, Template
from clusterip.dns.lookup import Found
from clusterip.dns.message import ANY, CNAME, Query, Record, Reply
from clusterip.dns.plugins.chain import Handler, Outcome, failure, is_in, renamed, settled
from clusterip.dns.plugins.text import BadRecord, parse_record

_types = {number: name for name, number in TYPES.items()}
_classes = {number: name for name, number in CLASSES.items()}
_EVERYTHING = re.compile("")
_NOT_EVERYBODYS = (".Remote", ".Meta", ".Message")
"""What a text with these says is not the same for each asker."""


def template(options: TemplateOptions, root: Handler, next_: Handler) -> Handler:
    """Answer questions of a class, a type and a zone whose name matches.

    ``root`` is asked about the end of a chain that a CNAME of the answer begins.

    Raises:
        BadConfig: a text is no template.
    """
    try:
        answers, authorities, additionals = (
            [Template(text) for text in texts]
            for texts in (options.answer, options.authority, options.additional)
        )
    except BadTemplate as error:
        raise BadConfig(options.where, f"template: {error}") from None
    texts = (*options.answer, *options.authority, *options.additional)
    shared = not any(each in text for text in texts for each in _NOT_EVERYBODYS)

    def handle(query: Query) -> Outcome:
        zone = next((zone for zone in options.zones if is_in(query.name, (zone,))), None)
        if zone is None or options.type not in (ANY, query.type) or options.class_ not in (255, query.class_):
            return next_(query)
        name = names.to_text(query.name)
        patterns = options.matches or (_EVERYTHING,)
        found = next((found for pattern in patterns if (found := pattern.search(name))), None)
        if found is None:
            if is_in(query.name, options.fallthrough):
                return next_(query)
            return failure("no template matches this name")
        values = _values(query, name, zone, found)
        try:
            reply = Reply(
                options.rcode,
                authoritative=True,
                answer=_records(answers, values),
                authority=_records(authorities, values),
                additional=_records(additionals, values),
                extended_error=options.extended_error,
                why=options.extra_reason,
            )
        except (BadRecord, BadTemplate) as error:
            return failure(f"template at {options.where}: {error}")
        keep = shared and options.rcode in (message.NOERROR, message.NXDOMAIN)
        target = _dangling(reply.answer, query)
        if target is None:
            return Found(reply, keep=keep)
        return followed(reply, renamed(query, target), keep)

    async def followed(reply: Reply, query: Query, keep: bool) -> Found:
        rest = await settled(root(query))
        reply.answer = [*reply.answer, *rest.reply.answer]
        return Found(reply, keep=keep and rest.keep)

    return handle


def _dangling(answer: Sequence[Record], query: Query) -> bytes | None:
    """The name that a CNAME points to without anything about it in the answer."""
    if query.type == CNAME or not answer or answer[-1].type != CNAME:
        return None
    target = answer[-1].rdata
    return None if any(record.owner == target for record in answer) else target


def _values(query: Query, name: str, zone: bytes, found: re.Match[str]) -> dict[str, Any]:
    question = {"Name": name, "Qtype": query.type, "Qclass": query.class_}
    return {
        "Name": name,
        "Zone": names.to_text(zone),
        "Class": _classes.get(query.class_, str(query.class_)),
        "Type": _types.get(query.type, f"TYPE{query.type}"),
        "Match": [found.group(), *found.groups("")],
        "Group": found.groupdict(""),
        "Remote": query.client,
        "Question": question,
        "Message": {
            "Id": int.from_bytes(query.id, "big"),
            "RecursionDesired": bool(query.flags & message.RD),
            "CheckingDisabled": bool(query.flags & message.CD),
            "Question": [question],
        },
        "Meta": lambda label: query.meta(label) if query.meta is not None else "",
    }


def _records(texts: Sequence[Template], values: dict[str, Any]) -> list[Record]:
    return [parse_record(text.fill(values)) for text in texts]
