"""``errors``: what failed and why, or how often."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from clusterip.dns import names
from clusterip.dns.config.model import Consolidation
from clusterip.dns.config.values import TYPES
from clusterip.dns.message import Query, Reply
from clusterip.process import log

_log = log.get("dns")
_types = {number: name for name, number in TYPES.items()}


class ErrorLog:
    """Writes a line for each query that failed; for those that a rule is for, their number after a while."""

    def __init__(self, rules: Sequence[Consolidation] = ()) -> None:
        self._rules = rules
        self._counts = [0] * len(rules)

    def __call__(self, query: Query, reply: Reply) -> None:
        """A query got SERVFAIL."""
        name, type_ = names.to_text(query.name), _types.get(query.type, str(query.type))
        for index, rule in enumerate(self._rules):
            if rule.pattern.search(reply.why):
                if self._count(index):
                    _writer(rule.level)("query failed", name=name, type=type_, why=reply.why)
                return
        _log.warning("query failed", name=name, type=type_, why=reply.why)

    def _count(self, index: int) -> bool:
        """Count a failure; whether it is to be written none the less."""
        rule = self._rules[index]
        self._counts[index] += 1
        if self._counts[index] > 1:
            return False
        asyncio.get_running_loop().call_later(rule.seconds, self._sum_up, index)
        return rule.show_first

    def _sum_up(self, index: int) -> None:
        rule, count = self._rules[index], self._counts[index]
        self._counts[index] = 0
        if count > 1 or not rule.show_first:
            _writer(rule.level)(
                "queries failed", count=count, like=rule.pattern.pattern, seconds=f"{rule.seconds:g}"
            )


def _writer(level: str) -> Callable[..., None]:
    writers: dict[str, Callable[..., None]] = {
        "debug": _log.debug,
        "info": _log.info,
        "warning": _log.warning,
        "error": _log.error,
    }
    return writers[level]
