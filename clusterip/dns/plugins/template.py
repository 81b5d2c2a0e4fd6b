"""``template``: answers written as texts with places for parts of the question.

Of Go's template language it understands the fields that CoreDNS documents (``{{ .Name }}``,
``{{ .Group.x }}``, ``{{ index .Match 1 }}``), not its control structures: those are refused when the
configuration is read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from clusterip.dns import message, names
from clusterip.dns.config.model import TemplateOptions
from clusterip.dns.config.source import BadConfig
from clusterip.dns.config.values import CLASSES, TYPES
from clusterip.dns.lookup import Found
from clusterip.dns.message import ANY, Query, Record, Reply
from clusterip.dns.plugins.chain import Handler, Outcome, failure, is_in
from clusterip.dns.plugins.text import BadRecord, parse_record

_PLACE = re.compile(r"\{\{-?\s*(.*?)\s*-?\}\}")
_EXPRESSION = re.compile(r"\.(Name|Zone|Class|Type|Remote)|\.Group\.(\w+)|index \.Match (\d+)")
_types = {number: name for name, number in TYPES.items()}
_classes = {number: name for name, number in CLASSES.items()}


def template(options: TemplateOptions, next_: Handler) -> Handler:
    """Answer questions of a class, a type and a zone whose name matches. Raises BadConfig."""
    for text in (*options.answer, *options.authority, *options.additional):
        for expression in _PLACE.findall(text):
            if not _EXPRESSION.fullmatch(expression):
                raise BadConfig(options.where, f"template: {{{{ {expression} }}}} is not understood here")

    def handle(query: Query) -> Outcome:
        zone = next((zone for zone in options.zones if is_in(query.name, (zone,))), None)
        if zone is None or options.type not in (ANY, query.type) or options.class_ not in (255, query.class_):
            return next_(query)
        name = names.to_text(query.name)
        patterns = options.matches or (re.compile(""),)
        found = next((found for pattern in patterns if (found := pattern.search(name))), None)
        if found is None:
            if is_in(query.name, options.fallthrough):
                return next_(query)
            return failure("no template matches this name")
        fields = {
            "Name": name,
            "Zone": names.to_text(zone),
            "Class": _classes.get(query.class_, str(query.class_)),
            "Type": _types.get(query.type, f"TYPE{query.type}"),
            "Remote": query.client,
        }
        try:
            sections = [
                _records(texts, fields, found)
                for texts in (options.answer, options.authority, options.additional)
            ]
        except BadRecord as error:
            return failure(f"template at {options.where}: {error}")
        answer, authority, additional = sections
        reply = Reply(
            options.rcode, authoritative=True, answer=answer, authority=authority, additional=additional
        )
        shared = not any(".Remote" in text for text in options.answer)
        return Found(reply, keep=shared and options.rcode in (message.NOERROR, message.NXDOMAIN))

    return handle


def _records(texts: Sequence[str], fields: dict[str, str], found: re.Match[str]) -> list[Record]:
    def value(place: re.Match[str]) -> str:
        parts = _EXPRESSION.fullmatch(place[1])
        assert parts is not None  # checked when the configuration was read
        if parts[1]:
            return fields[parts[1]]
        if parts[2]:
            return found.groupdict("").get(parts[2], "")
        groups = (found.group(), *found.groups(""))
        number = int(parts[3])
        if number >= len(groups):
            raise BadRecord(f"there is no match {number}")
        return groups[number]

    return [parse_record(_PLACE.sub(value, text)) for text in texts]
