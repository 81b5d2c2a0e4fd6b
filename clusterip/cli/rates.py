"""From two rounds of answers to what happens in a second."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from clusterip.cli.sampling import DnsFigures, Sample
from clusterip.proxy.servicespage import NodeServices, OneService


class ServiceRates(msgspec.Struct):
    """A Service, over all nodes. Rates are per second, sizes in bytes, ``latency`` in seconds.

    ``endpoints``: how many the node with the most sends to. ``latency``: how long the last change took, from
    its arrival at a proxy until the kernel had it, at the slowest node; None if none has been since the
    proxies began. ``unprogrammed``: nodes whose kernels do not have all that is known of it.
    """

    namespace: str
    name: str
    type: str
    clusterIP: str
    endpoints: int = 0
    open: int = 0
    connections: float = 0.0
    sent: float = 0.0
    received: float = 0.0
    latency: float | None = None
    unprogrammed: list[str] = []


class NodeRates(msgspec.Struct):
    """A node's proxy. ``tracked``: connections that were looked through; ``state``: ``ok`` or what is
    wrong."""

    name: str
    mode: str = ""
    state: str = "does not tell"
    open: int = 0
    connections: float = 0.0
    sent: float = 0.0
    received: float = 0.0
    tracked: int = 0
    lookSeconds: float = 0.0
    latency: float | None = None


class DnsRates(msgspec.Struct):
    """A DNS server. ``latency``: seconds to an answer on average; ``hitRatio`` of its cache; None: none
    yet."""

    name: str
    state: str = "does not tell"
    questions: float = 0.0
    nxdomain: float = 0.0
    failures: float = 0.0
    latency: float | None = None
    hitRatio: float | None = None
    total: int = 0


class _Sum(msgspec.Struct):
    open: int = 0
    connections: float = 0.0
    sent: float = 0.0
    received: float = 0.0

    def add(self, now: OneService, before: OneService | None, seconds: float) -> None:
        """Add a Service on a node, as it is now and as it was so many seconds before."""
        self.open += sum(port.open for port in now.ports)
        if seconds <= 0:
            return
        old = _totals(before)
        new = _totals(now)
        self.connections += max(new[0] - old[0], 0) / seconds
        self.sent += max(new[1] - old[1], 0) / seconds
        self.received += max(new[2] - old[2], 0) / seconds


def _totals(service: OneService | None) -> tuple[int, int, int]:
    ports = service.ports if service is not None else []
    return (
        sum(port.connections for port in ports),
        sum(port.sent for port in ports),
        sum(port.received for port in ports),
    )


def _pairs(
    now: NodeServices, before: NodeServices | None
) -> tuple[float, Iterable[tuple[OneService, OneService | None]]]:
    """The seconds between two answers (0: they cannot be compared), and each Service in both."""
    comparable = before is not None and before.since == now.since
    old = {(each.namespace, each.name): each for each in before.services} if before and comparable else {}
    seconds = now.time - before.time if before is not None and comparable else 0.0
    return seconds, [(each, old.get((each.namespace, each.name))) for each in now.services]


def services(now: Sample, before: Sample) -> list[ServiceRates]:
    """All Services that have a virtual address."""
    found = {
        (each.metadata.namespace, each.metadata.name): ServiceRates(
            each.metadata.namespace, each.metadata.name, each.spec.type or "", each.spec.clusterIP or ""
        )
        for each in now.services
        if each.spec.clusterIP not in ("", "None") and each.spec.type != "ExternalName"
    }
    sums: dict[tuple[str, str], _Sum] = {}
    for node, answer in now.nodes.items():
        if answer is None:
            continue
        seconds, pairs = _pairs(answer, before.nodes.get(node))
        for service, old in pairs:
            rates = found.get((service.namespace, service.name))
            if rates is None:
                continue
            sums.setdefault((service.namespace, service.name), _Sum()).add(service, old, seconds)
            rates.endpoints = max([rates.endpoints, *(port.chosen for port in service.ports)])
            if service.changed:
                rates.latency = max(rates.latency or 0.0, service.latency)
            if not service.programmed:
                rates.unprogrammed.append(node)
    for key, total in sums.items():
        rates = found[key]
        rates.open, rates.connections = total.open, total.connections
        rates.sent, rates.received = total.sent, total.received
    return list(found.values())


def nodes(now: Sample, before: Sample) -> list[NodeRates]:
    found = []
    for name, answer in now.nodes.items():
        rates = NodeRates(name)
        found.append(rates)
        if answer is None:
            continue
        seconds, pairs = _pairs(answer, before.nodes.get(name))
        total = _Sum()
        for service, old in pairs:
            total.add(service, old, seconds)
            if service.changed:
                rates.latency = max(rates.latency or 0.0, service.latency)
        rates.mode, rates.state = answer.mode, _state(answer)
        rates.open, rates.connections = total.open, total.connections
        rates.sent, rates.received = total.sent, total.received
        rates.tracked, rates.lookSeconds = answer.tracked, answer.seconds
    return found


def _state(answer: NodeServices) -> str:
    if answer.failing:
        return f"failing: {answer.failing}"
    if not answer.synced:
        return "starting"
    return f"{len(answer.refused)} parts refused" if answer.refused else "ok"


def dns(now: Sample, before: Sample) -> list[DnsRates]:
    return [_dns_server(name, figures, before.dns.get(name)) for name, figures in now.dns.items()]


def _dns_server(name: str, now: DnsFigures | None, before: DnsFigures | None) -> DnsRates:
    rates = DnsRates(name)
    if now is None:
        return rates
    rates.state, rates.total = "ok", int(now.questions)
    if before is None or now.questions < before.questions:  # it was started anew
        before = DnsFigures(now.time)
    seconds = now.time - before.time
    if seconds > 0:
        rates.questions = (now.questions - before.questions) / seconds
        rates.nxdomain = (now.answers.get("NXDOMAIN", 0) - before.answers.get("NXDOMAIN", 0)) / seconds
        rates.failures = (now.answers.get("SERVFAIL", 0) - before.answers.get("SERVFAIL", 0)) / seconds
    if (timed := now.timed - before.timed) > 0:
        rates.latency = (now.seconds - before.seconds) / timed
    if (asked := now.hits + now.misses - before.hits - before.misses) > 0:
        rates.hitRatio = (now.hits - before.hits) / asked
    return rates
