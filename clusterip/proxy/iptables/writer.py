"""Writing one family's rules. All of it blocks; it runs in the backend's thread."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from clusterip.kernel.iptables import LEGACY, Iptables, IptablesError
from clusterip.kernel.nftables import Family
from clusterip.process import log
from clusterip.proxy.backend import BackendError, Refusal
from clusterip.proxy.iptables import metrics
from clusterip.proxy.iptables.compare import Comparison
from clusterip.proxy.iptables.constant import TABLES, constant_chains
from clusterip.proxy.iptables.delta import Delta, in_steps
from clusterip.proxy.iptables.plane import Plane, Written
from clusterip.proxy.iptables.port import FILTER, NAT
from clusterip.proxy.model import PortKey

_log = log.get("proxy")

_LINES = 6000
"""``iptables-nft-restore`` takes time with the square of the chains in its input: 10,000 Services at once
are eight minutes, in parts of this size seconds. *legacy* writes the whole table each time, and gets all."""

_LOOK_EVERY = 32
_COUNTED = (FILTER, NAT)

Ports = dict[PortKey, Written | None]


class Writer:
    """Writes what its plane wants. ``started`` hears of each process that changes rules."""

    def __init__(self, iptables: Iptables, plane: Plane, started: Callable[[int], None]) -> None:
        self.iptables = iptables
        self.plane = plane
        self.refused: dict[PortKey, Refusal] = {}
        self._started = started
        self._written = Counter[str]()
        for failures in (metrics.failures, metrics.partial_failures):
            failures.labels(self._label)

    @property
    def family(self) -> Family:
        return self.iptables.family

    def apply(self, changed: Ports) -> None:
        """Write these Service ports, and the rules for node ports if they are different.

        Raises BackendError.
        """
        self._written.clear()
        delta = Delta()
        last = self.plane.change_last_rules(delta)
        tried = {key: changed.pop(key) for key in self.refused.keys() & changed.keys()}
        written: Ports = {}
        try:
            for key, wanted in changed.items():
                self.plane.change(delta, key, wanted)
                written[key] = wanted
                if self._is_large(delta, len(written)):
                    self.plane.settle(delta, written)
                    self._write(delta)
                    self.plane.wrote(written)
                    delta, written = Delta(), {}
            self.plane.settle(delta, written)
            self._write(delta)
        except IptablesError as error:
            metrics.partial_failures.labels(self._label).inc()
            raise BackendError(f"{self.iptables.name}: {error}") from error
        self.plane.wrote(written)
        self.plane.last_rules = last
        for key, wanted in tried.items():
            self._try(key, wanted)
        self._report()

    def reconcile(self, wanted: Mapping[PortKey, Written]) -> None:
        """Compare the tables with these Service ports and write the difference. Raises BackendError."""
        self._written.clear()
        try:
            found = self.iptables.save(*TABLES)
            comparison = Comparison(found, self.plane.environment)
            self._write(comparison.frame())
            self.refused.clear()
            self.plane.written.clear()
            for part, delta in self._parts(comparison, wanted):
                self._write_ports(comparison, part, delta)
            self._remove(comparison.rest())
            order = Delta()
            self.plane.settle(order, self.plane.written)
            self._write(order)
            self.plane.last_rules = comparison.last_rules
            self.plane.counts = comparison.counts
        except IptablesError as error:
            raise BackendError(f"{self.iptables.name}: {error}") from error
        self._report()

    def _parts(
        self, comparison: Comparison, wanted: Mapping[PortKey, Written]
    ) -> Iterator[tuple[Ports, Delta]]:
        part: Ports = {}
        delta = Delta()
        for key, state in wanted.items():
            part[key] = comparison.port(delta, state)
            if self._is_large(delta, len(part)):
                yield part, delta
                part, delta = {}, Delta()
        yield part, delta

    def _write_ports(self, comparison: Comparison, part: Ports, delta: Delta) -> None:
        """Write Service ports; if that is refused, those that can be."""
        try:
            self._write(delta)
        except IptablesError as error:
            if len(part) > 1:
                self._write_halves(comparison, part)
                return
            self._probe()
            for key, state in part.items():
                self._refuse(key, error)
                if state is not None:
                    comparison.keep(state)
            return
        self.plane.wrote(part)

    def _write_halves(self, comparison: Comparison, part: Ports) -> None:
        self._probe()
        keys = list(part)
        for half in (keys[: len(keys) // 2], keys[len(keys) // 2 :]):
            delta = Delta()
            again: Ports = {}
            for key in half:
                if (state := part[key]) is not None:
                    again[key] = comparison.port(delta, state)
            self._write_ports(comparison, again, delta)

    def _remove(self, rest: Delta) -> None:
        for part in in_steps(rest):
            self._write(part)
        if rest.dropped:
            _log.info(
                "removed chains that nothing needs", chains=len(rest.dropped), program=self.iptables.name
            )

    def _try(self, key: PortKey, wanted: Written | None) -> None:
        """Once more write what was refused."""
        delta = Delta()
        self.plane.change(delta, key, wanted)
        try:
            self._write(delta)
        except IptablesError as error:
            self._refuse(key, error)
            return
        self.refused.pop(key, None)
        self.plane.wrote({key: wanted})

    def _refuse(self, key: PortKey, error: IptablesError) -> None:
        self.refused[key] = Refusal(f"Service port {key} ({self.iptables.name})", str(error))

    def _probe(self) -> None:
        """Whether anything can be written at all. Raises IptablesError."""
        self.iptables.restore(f"*{NAT}\nCOMMIT\n")

    def _write(self, delta: Delta) -> None:
        if not delta:
            return
        try:
            self.iptables.restore(delta.text(), self._started)
        except IptablesError:
            metrics.failures.labels(self._label).inc()
            raise
        self._written.update({table: delta.count(table) for table in _COUNTED})

    def _report(self) -> None:
        own = Counter(
            place.table for place, rules in constant_chains(self.plane.environment).items() for _ in rules
        )
        own[NAT] += len(self.plane.last_rules)
        for table in _COUNTED:
            total = own[table] + self.plane.counts[table]
            metrics.rules_total.labels(table, self._label).set(total)
            metrics.rules_last.labels(table, self._label).set(self._written[table])

    def _is_large(self, delta: Delta, ports: int) -> bool:
        """Whether it is time to write. Looked at every few Service ports: to count takes time."""
        return self.iptables.kind != LEGACY and ports % _LOOK_EVERY == 0 and len(delta) > _LINES

    @property
    def _label(self) -> str:
        return "IPv4" if self.family is Family.IPV4 else "IPv6"
