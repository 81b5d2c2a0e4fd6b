"""``rewrite``: rules for questions, and for the answers to them."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Literal

from clusterip.dns import names
from clusterip.dns.config import shaping, values
from clusterip.dns.config.ednsrules import edns0
from clusterip.dns.config.model import AnswerRule, Match, RewriteRule
from clusterip.dns.config.source import Directive

_Kind = Literal["exact", "prefix", "suffix", "substring", "regex"]
_KINDS: dict[str, _Kind] = {
    "exact": "exact",
    "prefix": "prefix",
    "suffix": "suffix",
    "substring": "substring",
    "regex": "regex",
}


def rewrite(line: Directive) -> RewriteRule:
    """``rewrite [continue|stop] FIELD ...``, on one line or with the rule in a block."""
    args = list(line.args)
    go_on = False
    if args and args[0] in ("continue", "stop"):
        go_on = args.pop(0) == "continue"
    for option in line.block:
        args += [option.name, *option.args]
    if not args:
        line.fail('a rule is missing, such as "name a.example b.example"')
    field, *rest = args
    match field:
        case "name":
            rule = _name(line, rest)
        case "type" | "class":
            rule = _number(line, field, rest)
        case "ttl" | "rcode":
            rule = _answer_number(line, field, rest)
        case "cname":
            rule = _cname(line, rest)
        case "edns0":
            rule = RewriteRule("edns0", line.where, edns=edns0(line, rest))
        case _:
            line.fail(f'"{field}" cannot be rewritten; name, type, class, ttl, rcode, cname and edns0 can')
    return replace(rule, go_on=go_on)


def _match(line: Directive, args: list[str], least: int) -> tuple[Match, list[str]]:
    """The kind of match if it is there, and the text; ``least`` arguments must follow."""
    kind: _Kind = "exact"
    if args and args[0] in _KINDS and len(args) > 1 + least:
        kind = _KINDS[args[0]]
        args = args[1:]
    if len(args) < 1 + least:
        line.fail("an argument is missing: what to match and what to make of it")
    text, rest = args[0], args[1:]
    if kind == "regex":
        return Match(kind, text, values.pattern(line, text)), rest
    if kind == "exact":
        text = names.to_text(values.name(line, text))
    elif kind == "suffix":
        text = text.lower().removesuffix(".") + "."
    return Match(kind, text.lower()), rest


def _name(line: Directive, args: list[str]) -> RewriteRule:
    match, rest = _match(line, args, 1)
    to, options = rest[0].lower(), rest[1:]
    if match.kind in ("exact", "suffix"):
        to = to.removesuffix(".") + "."
    auto = match.kind == "exact"
    answers: list[AnswerRule] = []
    while options:
        word = options.pop(0)
        if word == "answer":
            continue
        if word == "auto" or (word == "name" and options[:1] == ["auto"]):
            options = options[word == "name" :]
            auto = True
        elif word in ("name", "value") and len(options) >= 2:
            kind: Literal["name", "value"] = "name" if word == "name" else "value"
            answers.append(AnswerRule(kind, values.pattern(line, options[0]), options[1].lower()))
            options = options[2:]
        else:
            line.fail(f'"{word}" where "answer auto", "answer name FROM TO" or "answer value FROM TO" fit')
    return RewriteRule("name", line.where, match=match, to=to, auto=auto, answers=tuple(answers))


def _cname(line: Directive, args: list[str]) -> RewriteRule:
    match, rest = _match(line, args, 1)
    if len(rest) != 1:
        line.fail("cname expects what to match and what to make of it")
    to = rest[0].lower()
    if match.kind in ("exact", "suffix"):
        to = to.removesuffix(".") + "."
    return RewriteRule("cname", line.where, match=match, to=to)


def _number(line: Directive, field: Literal["type", "class"], args: list[str]) -> RewriteRule:
    if len(args) != 2:
        line.fail(f"{field} expects FROM TO")
    if field == "type":
        before, after = (values.record_type(line, text) for text in args)
    else:
        before, after = (values.keyword(line, text, values.CLASSES, "class") for text in args)
    return RewriteRule(field, line.where, numbers=(before, after))


def _answer_number(line: Directive, field: Literal["ttl", "rcode"], args: list[str]) -> RewriteRule:
    match, rest = _match(line, args, 1 if field == "ttl" else 2)
    if field == "ttl":
        if len(rest) != 1:
            line.fail("ttl expects what to match and SECONDS or MIN-MAX")
        return RewriteRule(field, line.where, match=match, numbers=shaping.ttl_range(line, rest[0]))
    if len(rest) != 2:
        line.fail("rcode expects what to match, FROM and TO")
    before, after = (_code(line, text) for text in rest)
    return RewriteRule(field, line.where, match=match, numbers=(before, after))


def _code(line: Directive, text: str) -> int:
    if re.fullmatch(r"\d{1,2}", text):
        return values.integer(line, text, 0, 23)
    return values.keyword(line, text, values.RCODES, "response code")
