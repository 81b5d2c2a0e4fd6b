"""``hosts``: names from a file like /etc/hosts, or from the configuration itself."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path

from clusterip.dns import names
from clusterip.dns.config.model import HostsOptions
from clusterip.dns.lookup import Found
from clusterip.dns.message import AAAA, PTR, A, Query, Record, Reply
from clusterip.dns.plugins.chain import Handler, Outcome, failure, is_in
from clusterip.process import log

_log = log.get("dns")

Table = dict[bytes, dict[int, dict[bytes, None]]]
"""Name, type, data of the records."""


_STAR = b"\1*"
"""The label of a name that stands for all names with one more label."""


class Hosts:
    """A table of names, read again when its file has changed."""

    def __init__(self, options: HostsOptions) -> None:
        self._options = options
        self._looked = 0.0
        self._seen: tuple[int, int, int] | None = None
        self._inline = self._parse(options.lines)
        self._table = self._inline
        self._look()

    def table(self) -> Table:
        """What is known now. Looks at the file at most every ``reload`` seconds, and only if asked."""
        if self._options.reload and time.monotonic() - self._looked >= self._options.reload:
            self._look()
        return self._table

    def _look(self) -> None:
        self._looked = time.monotonic()
        path = Path(self._options.file)
        try:
            stat = os.stat(path)
            seen = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
            if seen == self._seen:
                return
            lines = path.read_text(errors="replace").splitlines()
        except FileNotFoundError:
            self._seen, self._table = None, self._inline
            return
        except OSError as error:
            _log.warning("hosts file not read", file=path, why=error.strerror)
            return
        self._seen = seen
        self._table = self._parse([*lines, *self._options.lines])

    def _parse(self, lines: Iterable[str]) -> Table:
        table: Table = {}
        for line in lines:
            address, *hosts = line.partition("#")[0].split() or [""]
            packed = names.pack_address(address.partition("%")[0])
            if packed is None:
                continue
            for host in hosts:
                wildcard = host.startswith("*.")
                try:
                    name = _STAR * wildcard + names.to_wire(host[2 * wildcard :])
                except names.BadName as error:
                    _log.debug("hosts entry left out", why=error)
                    continue
                table.setdefault(name, {}).setdefault(A if len(packed) == 4 else AAAA, {})[packed] = None
                if not self._options.no_reverse and not wildcard:
                    table.setdefault(names.reverse_name(packed), {}).setdefault(PTR, {})[name] = None
        return table


def hosts(options: HostsOptions, next_: Handler) -> Handler:
    """Answer from the table; a name that is not in it is an error unless it may fall through.

    SERVFAIL rather than NXDOMAIN, as in CoreDNS: there is no SOA to say for how long to believe it.
    """
    known = Hosts(options)

    def handle(query: Query) -> Outcome:
        if not is_in(query.name, options.zones):
            return next_(query)
        table = known.table()
        node = table.get(query.name) or table.get(_STAR + names.parent(query.name))
        falls = is_in(query.name, options.fallthrough)
        if node is None:
            return next_(query) if falls else failure("no such name in the hosts table")
        if query.type not in (A, AAAA, PTR) and falls and options.fallthrough_unsupported:
            return next_(query)
        data = node.get(query.type, ())
        records = [Record(query.name, query.type, options.ttl, each) for each in data]
        return Found(Reply(authoritative=True, answer=records))

    return handle
