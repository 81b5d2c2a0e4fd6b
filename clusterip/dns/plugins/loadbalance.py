"""``loadbalance``: which of several addresses comes first, where it is not each in turn."""

from __future__ import annotations

import os
import random
import socket
import time
from dataclasses import replace
from pathlib import Path

from clusterip.dns import names
from clusterip.dns.config.model import LoadbalanceOptions
from clusterip.dns.config.source import BadConfig, Where
from clusterip.dns.config.values import MAX_WEIGHT
from clusterip.dns.lookup import Found
from clusterip.dns.message import AAAA, A, Query, Record
from clusterip.dns.plugins.chain import Handler, Outcome, then, unkept
from clusterip.dns.plugins.small import is_from
from clusterip.process import log

_log = log.get("dns")

Weights = dict[bytes, dict[bytes, int]]
"""By name and address."""


def loadbalance(options: LoadbalanceOptions, next_: Handler) -> Handler:
    """Put addresses in the order that ``options`` want, anew for each asker.

    Raises:
        BadConfig: the file of weights cannot be used.
    """
    weights = _WeightFile(options) if options.weights else None

    def handle(query: Query) -> Outcome:
        if query.type not in (A, AAAA):
            return next_(query)
        return then(next_(query), lambda found: ordered(query, found))

    def ordered(query: Query, found: Found) -> Found:
        answer = found.reply.answer
        addresses = [record for record in answer if record.type in (A, AAAA)]
        if len(addresses) < 2:
            return found
        others = [record for record in answer if record.type not in (A, AAAA)]
        if weights is not None:
            addresses = _by_weight(addresses, weights.of(query.name))
        else:
            random.shuffle(addresses)
        if options.prefer:
            addresses.sort(key=lambda record: not is_from(_text(record), options.prefer))
        return unkept(replace(found, reply=replace(found.reply, answer=[*others, *addresses])))

    return handle


def _text(record: Record) -> str:
    return socket.inet_ntop(socket.AF_INET if record.type == A else socket.AF_INET6, record.rdata)


def _by_weight(addresses: list[Record], weights: dict[bytes, int]) -> list[Record]:
    """One address, drawn by its weight, to the front; those without a weight count as 1."""
    (first,) = random.choices(addresses, [weights.get(record.rdata, 1) for record in addresses])
    return [first, *(record for record in addresses if record is not first)]


class _WeightFile:
    """Weights, read again when the file has changed."""

    def __init__(self, options: LoadbalanceOptions) -> None:
        self._options = options
        self._seen: tuple[int, int, int] | None = None
        self._looked = 0.0
        self._weights: Weights = {}
        self._look()

    def of(self, name: bytes) -> dict[bytes, int]:
        """The weights of a name's addresses."""
        if self._options.reload and time.monotonic() - self._looked >= self._options.reload:
            try:
                self._look()
            except BadConfig as error:
                _log.warning("weights not read", why=error)
        return self._weights.get(name, {})

    def _look(self) -> None:
        self._looked = time.monotonic()
        path = self._options.weights
        try:
            stat = os.stat(path)
            seen = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
            if seen != self._seen:
                self._weights = read_weights(Path(path).read_text(), path)
                self._seen = seen
        except OSError as error:
            raise BadConfig(None, f"cannot read {path}: {error.strerror}") from None


def read_weights(text: str, file: str) -> Weights:
    """Lines with a name, each followed by lines with its addresses and their weights. Raises BadConfig."""
    found: Weights = {}
    current: dict[bytes, int] | None = None
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        where = Where(file, number)
        if not words:
            continue
        if len(words) == 1:
            try:
                current = found.setdefault(names.to_wire(words[0]), {})
            except names.BadName as error:
                raise BadConfig(where, str(error)) from None
            continue
        packed = names.pack_address(words[0])
        if current is None or packed is None or len(words) != 2:
            raise BadConfig(where, "expects a name, or below one an address and its weight")
        if not words[1].isdecimal() or not 1 <= int(words[1]) <= MAX_WEIGHT:
            raise BadConfig(where, f"a weight is a number from 1 to {MAX_WEIGHT}")
        current[packed] = int(words[1])
    return found
