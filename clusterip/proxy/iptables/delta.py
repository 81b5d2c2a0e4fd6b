"""What is to be changed, as input for ``iptables-restore --noflush``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from clusterip.proxy.iptables import names
from clusterip.proxy.iptables.constant import Place
from clusterip.proxy.iptables.port import FILTER, NAT, Entry, PortRules


class Delta:
    """Changes to both tables. Each table changes at one instant, when its ``COMMIT`` is read."""

    def __init__(self) -> None:
        self.chains: dict[Place, Sequence[str]] = {}
        """Chains to make anew with these rules."""
        self.dropped: set[Place] = set()
        """Chains to remove."""
        self.added: list[Entry] = []
        self.removed: list[Entry] = []
        self.appended: list[Entry] = []
        """Entries to put at the end of their chains."""
        self.moved: list[Entry] = []
        """Entries that are there, or come with this, to put at the head of their chains, one by one."""
        self.jumps: list[Entry] = []
        """Rules to put, one after the other, at the head of the kernel's own chains."""

    def __bool__(self) -> bool:
        entries = (self.added, self.removed, self.appended, self.moved, self.jumps)
        return bool(self.chains or self.dropped or any(entries))

    def __len__(self) -> int:
        """About how many lines it has."""
        return sum(len(rules) + 1 for rules in self.chains.values()) + len(self.added) + len(self.removed)

    def count(self, table: str) -> int:
        """How many rules it writes in a table."""
        entries = (*self.added, *self.appended, *self.jumps)
        chains = sum(len(rules) for place, rules in self.chains.items() if place.table == table)
        return chains + sum(entry.table == table for entry in entries)

    def change(self, old: PortRules, new: PortRules) -> None:
        """From the rules of a Service port to others."""
        before, after = set(old.entries), set(new.entries)
        self.removed += [entry for entry in old.entries if entry not in after]
        self.added += [entry for entry in new.entries if entry not in before]
        for chain, rules in new.chains.items():
            if old.chains.get(chain) != rules:
                self.chains[Place(NAT, chain)] = rules
        self.dropped |= {Place(NAT, chain) for chain in old.chains.keys() - new.chains.keys()}

    def text(self) -> str:
        """The input. Connections find an answer at every instant.

        What refuses (in ``filter``) is there before what leads to endpoints goes, and goes after that has
        come.
        """
        tables = sorted({place.table for place in (*self.chains, *self.dropped)} - {NAT, FILTER})
        parts = [
            self._part(FILTER, removals=self._drops_in(FILTER)),
            *(self._part(table) for table in tables),
            self._part(NAT),
            "" if self._drops_in(FILTER) else _section(FILTER, _remove(self.removed, FILTER)),
        ]
        return "".join(parts)

    def _part(self, table: str, *, removals: bool = True) -> str:
        lines = [f":{place.chain} - [0:0]" for place in self.chains if place.table == table]
        dropped = [place.chain for place in self.dropped if place.table == table]
        lines += [f":{chain} - [0:0]" for chain in dropped]
        for place, rules in self.chains.items():
            if place.table == table:
                lines += [f"-A {place.chain} {rule}" for rule in rules]
        lines += [_add(entry) for entry in self.added if entry.table == table]
        for entry in self.moved:
            if entry.table == table:
                lines += [f"-D {entry.chain} {entry.rule}", _add(entry)]
        if removals:
            lines += _remove(self.removed, table)
        lines += [f"-A {entry.chain} {entry.rule}" for entry in self.appended if entry.table == table]
        lines += [f"-I {entry.chain} {entry.rule}" for entry in self.jumps if entry.table == table]
        lines += [f"-X {chain}" for chain in dropped]
        return _section(table, lines)

    def _drops_in(self, table: str) -> bool:
        """Whether chains of a table go: then what leads to them has to go at the same instant."""
        return any(place.table == table for place in self.dropped)


def in_steps(removal: Delta, size: int = 2000) -> Iterator[Delta]:
    """The removal of very many chains, in parts that ``iptables-restore`` can do in good time.

    First goes what leads into the chains, then what is in them, as they may lead to each other.
    """
    first = Delta()
    first.removed, first.appended = removal.removed, removal.appended
    if first:
        yield first
    places = sorted(removal.dropped)
    parts = [places[start : start + size] for start in range(0, len(places), size)]
    for part in parts if len(parts) > 1 else ():
        emptied = Delta()
        emptied.chains = dict.fromkeys(part, ())
        yield emptied
    for part in parts:
        dropped = Delta()
        dropped.dropped = set(part)
        yield dropped


def _section(table: str, lines: list[str]) -> str:
    return "\n".join([f"*{table}", *lines, "COMMIT", ""]) if lines else ""


def _add(entry: Entry) -> str:
    # At the end of that chain stands what leads to node ports, which comes after all addresses.
    where = "-I" if (entry.table, entry.chain) == (NAT, names.SERVICES) else "-A"
    return f"{where} {entry.chain} {entry.rule}"


def _remove(entries: Iterable[Entry], table: str) -> list[str]:
    return [f"-D {entry.chain} {entry.rule}" for entry in entries if entry.table == table]
